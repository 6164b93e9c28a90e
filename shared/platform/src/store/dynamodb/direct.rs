//! Calls on DynamoDB without the SDK's orchestration, which takes a function most of its CPU time
//! (docs/adr/0028-calls-without-orchestration.md).
//!
//! Such a call uses what the SDK has resolved for the client's first one: endpoint, credentials, connections, time
//! limit. It is attempted once. Whatever is not a plain success is left to the SDK, which makes the call again with its
//! retries and its errors.

use super::json::ConditionFailed;
use crate::store::error::StoreError;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::interceptors::BeforeTransmitInterceptorContextRef;
use aws_sdk_dynamodb::config::{ConfigBag, Intercept, RuntimeComponents, SharedInterceptor};
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningParams, SigningSettings, sign};
use aws_sigv4::sign::v4;
use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::auth::AuthSchemeId;
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::identity::{Identity, ResolveCachedIdentity};
use aws_smithy_runtime_api::client::interceptors::context::{Input, InterceptorContext, Output};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::runtime_components::GetIdentityResolver;
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::timeout::TimeoutConfig;
use http::{Request, Uri};
use http_body_util::BodyExt;
use serde::de::DeserializeOwned;
use std::sync::{Arc, OnceLock, Weak};
use tokio::time::Duration;

/// The service, as its signatures name it.
const SERVICE: &str = "dynamodb";
/// The kind of its signatures, as the SDK names it.
const SIGNATURE: AuthSchemeId = AuthSchemeId::new("sigv4");
/// The longest time of an attempt by a client without a limit.
const PATIENCE: Duration = Duration::from_secs(3600);

/// Calls on DynamoDB in the manner of a client.
#[derive(Debug, Clone)]
pub(super) struct DirectCalls {
    resolved: Arc<OnceLock<Resolved>>,
    region: String,
    /// Those of tests and benchmarks.
    interceptors: Vec<SharedInterceptor>,
}

/// What the SDK has resolved for a call.
#[derive(Debug)]
struct Resolved {
    components: RuntimeComponents,
    connector: SharedHttpConnector,
    uri: Uri,
    user_agent: String,
    limit: Duration,
}

/// The answer to an attempt.
struct Answer {
    succeeded: bool,
    body: SdkBody,
}

impl Answer {
    /// What its body says, if it has this form.
    fn json<T: DeserializeOwned>(&self) -> Option<T> {
        serde_json::from_slice(self.body.bytes()?).ok()
    }
}

/// Keeps what is resolved for the first call. The reference is weak, since the components hold this interceptor.
#[derive(Debug)]
struct KeepResolved(Weak<OnceLock<Resolved>>);

impl Intercept for KeepResolved {
    fn name(&self) -> &'static str {
        "keep what is resolved"
    }

    fn read_before_transmit(
        &self,
        context: &BeforeTransmitInterceptorContextRef<'_>,
        components: &RuntimeComponents,
        config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let Some(kept) = self.0.upgrade().filter(|kept| kept.get().is_none()) else { return Ok(()) };
        if let Some(resolved) = Resolved::of(context.request(), components, config) {
            kept.get_or_init(|| resolved);
        }
        Ok(())
    }
}

impl DirectCalls {
    /// Direct calls in the manner of a client, and that client as one that keeps what they need.
    pub(super) fn of(client: &Client) -> (Self, Client) {
        let config = client.config();
        let resolved = Arc::default();
        let keep = KeepResolved(Arc::downgrade(&resolved));
        let region = config.region().map(ToString::to_string).unwrap_or_default();
        let interceptors = config.interceptors().collect();
        let client = Client::from_conf(config.to_builder().interceptor(keep).build());
        (Self { resolved, region, interceptors }, client)
    }

    /// The answer to a read; `None` if the SDK has to make the call: it is the client's first, or did not succeed, or
    /// its answer has another form.
    ///
    /// # Errors
    /// If an interceptor fails, as a call of the SDK would.
    pub(super) async fn read<T: DeserializeOwned>(
        &self,
        operation: &str,
        body: Option<Vec<u8>>,
    ) -> Result<Option<T>, StoreError> {
        let answer = self.call(operation, body).await?.filter(|answer| answer.succeeded);
        Ok(answer.and_then(|answer| answer.json()))
    }

    /// The same for a conditional write of one item. As with the SDK's retries, one that fails may have taken effect
    /// before it is made again.
    ///
    /// # Errors
    /// If an interceptor fails, as a call of the SDK would.
    pub(super) async fn write<T: DeserializeOwned>(
        &self,
        operation: &str,
        body: Option<Vec<u8>>,
    ) -> Result<Option<Result<T, ConditionFailed>>, StoreError> {
        let Some(answer) = self.call(operation, body).await? else { return Ok(None) };
        Ok(if answer.succeeded { answer.json().map(Ok) } else { answer.json().map(Err) })
    }

    async fn call(&self, operation: &str, body: Option<Vec<u8>>) -> Result<Option<Answer>, StoreError> {
        let Some((resolved, body)) = self.resolved.get().zip(body) else { return Ok(None) };
        let attempt = tokio::time::timeout(resolved.limit, self.attempt(resolved, operation, body));
        let answered = attempt.await.unwrap_or(Ok(None));
        answered.map_err(|error| StoreError::Unavailable(error.to_string()))
    }

    async fn attempt(
        &self,
        resolved: &Resolved,
        operation: &str,
        body: Vec<u8>,
    ) -> Result<Option<Answer>, BoxError> {
        let Some(request) = resolved.request(operation, body, &self.region).await else { return Ok(None) };
        let (components, config) = (&resolved.components, &mut ConfigBag::base());
        let mut context = InterceptorContext::new(Input::erase(()));
        context.enter_serialization_phase();
        context.take_input();
        context.set_request(request);
        context.enter_before_transmit_phase();
        for interceptor in &self.interceptors {
            interceptor.modify_before_transmit(&mut (&mut context).into(), components, config)?;
        }
        context.enter_transmit_phase();
        let Some(request) = context.take_request() else { return Ok(None) };
        let Ok(mut response) = resolved.connector.call(request).await else { return Ok(None) };
        let Ok(body) = response.take_body().collect().await else { return Ok(None) };
        *response.body_mut() = SdkBody::from(body.to_bytes());
        context.set_response(response);
        context.enter_before_deserialization_phase();
        for interceptor in &self.interceptors {
            interceptor.modify_before_deserialization(&mut (&mut context).into(), components, config)?;
        }
        context.enter_deserialization_phase();
        context.set_output_or_error(Ok(Output::erase(())));
        context.enter_after_deserialization_phase();
        for interceptor in &self.interceptors {
            interceptor.read_after_deserialization(&(&context).into(), components, config)?;
        }
        let answer = |response: &mut HttpResponse| Answer {
            succeeded: response.status().is_success(),
            body: response.take_body(),
        };
        Ok(context.response_mut().map(answer))
    }
}

impl Resolved {
    fn of(request: &HttpRequest, components: &RuntimeComponents, config: &ConfigBag) -> Option<Self> {
        let limits = config.load::<TimeoutConfig>()?;
        let mut settings = HttpConnectorSettings::builder();
        settings.set_connect_timeout(limits.connect_timeout());
        settings.set_read_timeout(limits.read_timeout());
        Some(Self {
            connector: components.http_client()?.http_connector(&settings.build(), components),
            components: components.clone(),
            uri: request.uri().parse().ok()?,
            user_agent: request.headers().get("user-agent")?.to_owned(),
            limit: limits.operation_attempt_timeout().unwrap_or(PATIENCE),
        })
    }

    /// A signed request; `None` if there are no credentials.
    async fn request(&self, operation: &str, body: Vec<u8>, region: &str) -> Option<HttpRequest> {
        let (cache, config) = (self.components.identity_cache(), ConfigBag::base());
        let resolver = self.components.identity_resolver(SIGNATURE)?;
        let identity = cache.resolve_cached_identity(resolver, &self.components, &config).await.ok()?;
        let target = format!("DynamoDB_20120810.{operation}");
        let headers = [("content-type", "application/x-amz-json-1.0"), ("x-amz-target", target.as_str())];
        let uri = self.uri.to_string();
        let signable =
            SignableRequest::new("POST", &uri, headers.into_iter(), SignableBody::Bytes(&body)).ok()?;
        let signed = sign(signable, &self.signing(&identity, region)?).ok()?;
        let (instructions, _signature) = signed.into_parts();
        let mut request = Request::post(self.uri.clone()).header("user-agent", &self.user_agent);
        for (name, value) in headers {
            request = request.header(name, value);
        }
        let mut request = request.body(SdkBody::from(body)).ok()?;
        instructions.apply_to_request_http1x(&mut request);
        request.try_into().ok()
    }

    fn signing<'a>(&self, identity: &'a Identity, region: &'a str) -> Option<SigningParams<'a>> {
        let params = v4::SigningParams::builder().identity(identity).region(region).name(SERVICE);
        let params = params.time(self.components.time_source()?.now());
        Some(params.settings(SigningSettings::default()).build().ok()?.into())
    }
}
