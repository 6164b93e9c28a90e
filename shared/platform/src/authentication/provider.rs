//! Requests to the identity provider over HTTP, with a time limit.

use crate::error::IdentityProviderError;
use aws_smithy_http_client::Connector;
use aws_smithy_http_client::tls::{Provider as Tls, rustls_provider::CryptoMode};
use aws_smithy_runtime_api::client::http::{HttpConnector, SharedHttpConnector};
use aws_smithy_types::body::SdkBody;
use http::header::{ACCEPT, AUTHORIZATION, HeaderValue, USER_AGENT};
use http::{Method, StatusCode};
use http_body_util::{BodyExt, Limited};
use std::sync::OnceLock;
use std::time::Duration;

/// The most bytes of a response's body.
const MAX_BODY: usize = 256 * 1024;

/// A client that shares its TLS library with the AWS SDK. Its connector is built with the first request. It follows no
/// redirections and uses no proxy.
#[derive(Debug, Clone)]
pub(super) struct ProviderClient {
    connector: OnceLock<SharedHttpConnector>,
    timeout: Duration,
}

impl ProviderClient {
    /// A client that gives up a request after this time.
    pub(super) const fn new(timeout: Duration) -> Self {
        Self { connector: OnceLock::new(), timeout }
    }

    fn connector(&self) -> &SharedHttpConnector {
        let build = || Connector::builder().tls_provider(Tls::Rustls(CryptoMode::AwsLc)).build();
        self.connector.get_or_init(|| SharedHttpConnector::new(build()))
    }

    /// Sends a request without a body, and returns the status and the body of the response.
    pub(super) async fn send(
        &self,
        method: Method,
        url: &str,
        authorization: Option<&HeaderValue>,
    ) -> Result<(StatusCode, Vec<u8>), IdentityProviderError> {
        let response = self.send_without_limit(method, url, authorization);
        tokio::time::timeout(self.timeout, response).await.unwrap_or(Err(IdentityProviderError::TimedOut))
    }

    async fn send_without_limit(
        &self,
        method: Method,
        url: &str,
        authorization: Option<&HeaderValue>,
    ) -> Result<(StatusCode, Vec<u8>), IdentityProviderError> {
        let unreachable = |e: &dyn std::error::Error| IdentityProviderError::Unreachable(e.to_string());
        let mut request = http::Request::builder()
            .method(method)
            .uri(url)
            .header(ACCEPT, "application/json")
            .header(USER_AGENT, "torale-admin");
        if let Some(authorization) = authorization {
            request = request.header(AUTHORIZATION, authorization);
        }
        let request = request.body(SdkBody::empty()).map_err(|e| unreachable(&e))?;
        let request = request.try_into().map_err(|e| unreachable(&e))?;
        let response = self.connector().call(request).await.map_err(|e| unreachable(&e))?;
        let status = StatusCode::from_u16(response.status().as_u16())
            .map_err(|_invalid| IdentityProviderError::UnreadableResponse)?;
        let body = Limited::new(response.into_body(), MAX_BODY).collect().await;
        Ok((status, body.map_err(|e| IdentityProviderError::Unreachable(e.to_string()))?.to_bytes().into()))
    }
}
