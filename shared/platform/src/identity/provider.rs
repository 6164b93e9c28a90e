//! The identity provider over HTTP: one request, one answer, in time or not at all.

use aws_smithy_http_client::Connector;
use aws_smithy_http_client::tls::{Provider as Tls, rustls_provider::CryptoMode};
use aws_smithy_runtime_api::client::http::{HttpConnector, SharedHttpConnector};
use aws_smithy_types::body::SdkBody;
use http_body_util::{BodyExt, Limited};
use lambda_http::http::header::{ACCEPT, AUTHORIZATION, HeaderValue, USER_AGENT};
use lambda_http::http::{self, Method, StatusCode};
use std::sync::OnceLock;
use std::time::Duration;

/// Largest answer that is read, in bytes.
const MAX_ANSWER: usize = 256 * 1024;

/// Why the identity provider gave no answer that can be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IdentityProviderError {
    /// None in time.
    #[error("identity provider timed out")]
    TimedOut,
    /// None at all.
    #[error("identity provider unreachable: {0}")]
    Unreachable(String),
    /// One of another status, redirections among them.
    #[error("identity provider answered {0}")]
    Status(StatusCode),
    /// One that says something else than was asked.
    #[error("identity provider's answer can't be read")]
    UnreadableEvent,
    /// None, a moment ago; it was not asked again.
    #[error("identity provider had no keys a moment ago")]
    NoKeys,
}

/// A client that shares its TLS library with the AWS SDK; its connector is built with the first call. It follows no
/// redirection and goes through no proxy.
#[derive(Debug, Clone)]
pub(super) struct ProviderClient {
    connector: OnceLock<SharedHttpConnector>,
    timeout: Duration,
}

impl ProviderClient {
    pub(super) const fn new(timeout: Duration) -> Self {
        Self { connector: OnceLock::new(), timeout }
    }

    fn connector(&self) -> &SharedHttpConnector {
        let build = || Connector::builder().tls_provider(Tls::Rustls(CryptoMode::AwsLc)).build();
        self.connector.get_or_init(|| SharedHttpConnector::new(build()))
    }

    /// The status and the body of an answer to a request without one.
    pub(super) async fn send(
        &self,
        method: Method,
        url: &str,
        authorization: Option<&HeaderValue>,
    ) -> Result<(StatusCode, Vec<u8>), IdentityProviderError> {
        let asked = self.ask(method, url, authorization);
        tokio::time::timeout(self.timeout, asked).await.unwrap_or(Err(IdentityProviderError::TimedOut))
    }

    async fn ask(
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
            .map_err(|_invalid| IdentityProviderError::UnreadableEvent)?;
        let body = Limited::new(response.into_body(), MAX_ANSWER).collect().await;
        Ok((status, body.map_err(|e| IdentityProviderError::Unreachable(e.to_string()))?.to_bytes().into()))
    }
}
