//! Reads of DynamoDB without the SDK's orchestration, which takes a function most of its CPU time
//! (docs/adr/0028-reads-without-orchestration.md).
//!
//! Such a read uses what the SDK has resolved for the client's first call: endpoint, credentials, connections, time
//! limit. It is attempted once. Whatever is not a plain success is left to the SDK, which reads again with its retries
//! and its errors, and makes the reads of the next second, too.

use super::identity::KeptIdentity;
use super::signing::{CONTENT_TYPE, ReadSigner, SignatureHeaders};
use crate::store::error::StoreError;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::Credentials;
use aws_sdk_dynamodb::config::interceptors::BeforeTransmitInterceptorContextRef;
use aws_sdk_dynamodb::config::{ConfigBag, Intercept, RuntimeComponents, SharedInterceptor};
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
use http_body_util::BodyExt;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};
use tokio::time::{Duration, Instant, timeout};

/// The kind of its signatures, as the SDK names it.
const SIGNATURE: AuthSchemeId = AuthSchemeId::new("sigv4");
/// How long reads are left to the SDK after one that failed.
const REST: Duration = Duration::from_secs(1);

/// Reads of DynamoDB in the manner of a client.
#[derive(Debug, Clone)]
pub(super) struct DirectReads {
    resolved: Arc<OnceLock<Resolved>>,
    /// Until when reads are left to the SDK.
    rests_until: Arc<Mutex<Option<Instant>>>,
    /// Those of tests and benchmarks. Of their hooks, the three that those implement are called.
    interceptors: Vec<SharedInterceptor>,
}

/// What the SDK has resolved for a call.
#[derive(Debug)]
struct Resolved {
    components: RuntimeComponents,
    connector: SharedHttpConnector,
    identity: KeptIdentity,
    /// A request without a body and what depends on it.
    template: HttpRequest,
    signer: ReadSigner,
    limit: Option<Duration>,
}

/// Why an attempt brought no answer.
enum Failed {
    /// An interceptor failed, as if no request could leave: the SDK would fail as well.
    Interceptor(BoxError),
    /// Whatever else: the SDK reads again.
    Attempt(String),
}

impl From<BoxError> for Failed {
    fn from(error: BoxError) -> Self {
        Self::Interceptor(error)
    }
}

/// Keeps what is resolved for the first call. The reference is weak, since the components hold this interceptor.
#[derive(Debug)]
struct KeepResolved {
    kept: Weak<OnceLock<Resolved>>,
    region: String,
}

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
        let Some(kept) = self.kept.upgrade().filter(|kept| kept.get().is_none()) else { return Ok(()) };
        if let Some(resolved) = Resolved::of(context.request(), &self.region, components, config) {
            kept.get_or_init(|| resolved);
        }
        Ok(())
    }
}

impl DirectReads {
    /// Direct reads in the manner of a client, and that client as one that keeps what they need.
    pub(super) fn of(client: &Client) -> (Self, Client) {
        let config = client.config();
        let resolved = Arc::default();
        let region = config.region().map(ToString::to_string).unwrap_or_default();
        let keep = KeepResolved { kept: Arc::downgrade(&resolved), region };
        let interceptors = config.interceptors().collect();
        let client = Client::from_conf(config.to_builder().interceptor(keep).build());
        (Self { resolved, rests_until: Arc::default(), interceptors }, client)
    }

    /// The answer to a read; `None` if the SDK has to read: it is the client's first call, it did not succeed, or its
    /// answer has another form.
    ///
    /// # Errors
    /// If an interceptor fails, as a call of the SDK would.
    pub(super) async fn read<T: DeserializeOwned>(
        &self,
        operation: &str,
        body: impl FnOnce() -> Option<Vec<u8>>,
    ) -> Result<Option<T>, StoreError> {
        let resolved = self.resolved.get().filter(|_| !self.rests());
        let Some((resolved, body)) = resolved.and_then(|resolved| Some((resolved, body()?))) else {
            return Ok(None);
        };
        let attempt = self.attempt(resolved, operation, body);
        let answered = match resolved.limit {
            Some(limit) => timeout(limit, attempt).await.unwrap_or_else(|_| fails("no answer in time")),
            None => attempt.await,
        };
        let parsed =
            answered.and_then(|body| serde_json::from_slice(body.bytes().unwrap_or_default()).or_else(fails));
        match parsed {
            Ok(answer) => Ok(Some(answer)),
            Err(Failed::Interceptor(error)) => Err(StoreError::Unavailable(error.to_string())),
            Err(Failed::Attempt(reason)) => {
                // Its identity may be the cause.
                resolved.identity.forget();
                self.rest(operation, &reason);
                Ok(None)
            }
        }
    }

    fn rests(&self) -> bool {
        let until = *self.rests_until.lock().unwrap_or_else(PoisonError::into_inner);
        until.is_some_and(|until| Instant::now() < until)
    }

    /// Leaves reads to the SDK for a while. Of many that fail at once the first one is logged.
    fn rest(&self, operation: &str, reason: &str) {
        let now = Instant::now();
        let before = self.rests_until.lock().unwrap_or_else(PoisonError::into_inner).replace(now + REST);
        if before.is_none_or(|until| until <= now) {
            tracing::warn!(operation, reason, "a direct read failed; the SDK reads");
        }
    }

    /// The body of a successful answer.
    async fn attempt(&self, resolved: &Resolved, operation: &str, body: Vec<u8>) -> Result<SdkBody, Failed> {
        let Some(request) = resolved.request(operation, body).await else {
            return fails("it can't be signed");
        };
        let mut response = match self.interceptors.as_slice() {
            [] => resolved.send(request).await?,
            interceptors => Box::pin(resolved.send_around(request, interceptors)).await?,
        };
        let (status, body) = (response.status(), response.take_body());
        if status.is_success() {
            return Ok(body);
        }
        fails(format!("{} {}", status.as_u16(), kind_of_error(body.bytes())))
    }
}

fn fails<T>(reason: impl ToString) -> Result<T, Failed> {
    Err(Failed::Attempt(reason.to_string()))
}

/// The type that an error of DynamoDB names.
fn kind_of_error(body: Option<&[u8]>) -> String {
    #[derive(Deserialize)]
    struct Error {
        #[serde(rename = "__type")]
        kind: String,
    }
    let error = body.and_then(|body| serde_json::from_slice::<Error>(body).ok());
    error.and_then(|Error { kind }| kind.rsplit('#').next().map(str::to_owned)).unwrap_or_default()
}

impl Resolved {
    /// What was resolved for this request of the SDK.
    fn of(
        request: &HttpRequest,
        region: &str,
        components: &RuntimeComponents,
        config: &ConfigBag,
    ) -> Option<Self> {
        let limits = config.load::<TimeoutConfig>()?;
        let mut settings = HttpConnectorSettings::builder();
        settings.set_connect_timeout(limits.connect_timeout());
        settings.set_read_timeout(limits.read_timeout());
        let mut template = HttpRequest::empty();
        template.set_method("POST").ok()?;
        template.set_uri(request.uri()).ok()?;
        let user_agent = request.headers().get("user-agent")?.to_owned();
        template.headers_mut().try_insert("user-agent", user_agent).ok()?;
        template.headers_mut().try_insert("content-type", CONTENT_TYPE).ok()?;
        // Each request has its own, in the place of these.
        for name in ["x-amz-target", "x-amz-date", "authorization"] {
            template.headers_mut().try_insert(name, "").ok()?;
        }
        Some(Self {
            connector: components.http_client()?.http_connector(&settings.build(), components),
            components: components.clone(),
            signer: ReadSigner::of(&request.uri().parse().ok()?, region)?,
            identity: KeptIdentity::default(),
            template,
            limit: limits.operation_attempt_timeout(),
        })
    }

    /// The whole answer to a request.
    async fn send(&self, request: HttpRequest) -> Result<HttpResponse, Failed> {
        let mut response = self.connector.call(request).await.or_else(fails)?;
        let body = response.take_body().collect().await.or_else(fails)?;
        *response.body_mut() = SdkBody::from(body.to_bytes());
        Ok(response)
    }

    /// The same, with the hooks of interceptors.
    async fn send_around(
        &self,
        request: HttpRequest,
        interceptors: &[SharedInterceptor],
    ) -> Result<HttpResponse, Failed> {
        let (components, config) = (&self.components, &mut ConfigBag::base());
        let mut context = InterceptorContext::new(Input::erase(()));
        context.enter_serialization_phase();
        context.take_input();
        context.set_request(request);
        context.enter_before_transmit_phase();
        for interceptor in interceptors {
            interceptor.modify_before_transmit(&mut (&mut context).into(), components, config)?;
        }
        context.enter_transmit_phase();
        let Some(request) = context.take_request() else { return fails("an interceptor took the request") };
        context.set_response(self.send(request).await?);
        context.enter_before_deserialization_phase();
        for interceptor in interceptors {
            interceptor.modify_before_deserialization(&mut (&mut context).into(), components, config)?;
        }
        context.enter_deserialization_phase();
        context.set_output_or_error(Ok(Output::erase(())));
        context.enter_after_deserialization_phase();
        for interceptor in interceptors {
            interceptor.read_after_deserialization(&(&context).into(), components, config)?;
        }
        let (_input, _output, _request, response) = context.into_parts();
        response.map_or_else(|| fails("no answer"), Ok)
    }

    /// The identity that the SDK would sign with.
    async fn resolve_identity(&self) -> Result<Identity, BoxError> {
        let (cache, config) = (self.components.identity_cache(), ConfigBag::base());
        let resolver = self.components.identity_resolver(SIGNATURE).ok_or("no identity is configured")?;
        cache.resolve_cached_identity(resolver, &self.components, &config).await
    }

    /// A signed request; `None` if there are no credentials.
    async fn request(&self, operation: &str, body: Vec<u8>) -> Option<HttpRequest> {
        let (target, now) = (format!("DynamoDB_20120810.{operation}"), self.components.time_source()?.now());
        let identity = self.identity.get(now, self.resolve_identity()).await.ok()?;
        let credentials = identity.data::<Credentials>()?;
        let SignatureHeaders { date, authorization } = self.signer.sign(credentials, now, &target, &body);
        let mut request = self.template.try_clone()?;
        *request.body_mut() = SdkBody::from(body);
        let headers = request.headers_mut();
        let token = credentials.session_token().map(|token| ("x-amz-security-token", token.to_owned()));
        let signed = [("x-amz-target", target), ("x-amz-date", date), ("authorization", authorization)];
        for (name, value) in signed.into_iter().chain(token) {
            headers.try_insert(name, value).ok()?;
        }
        Some(request)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_sdk_dynamodb::config::BehaviorVersion;

    #[tokio::test(start_paused = true)]
    async fn after_a_read_that_failed_the_sdk_reads_for_a_second() {
        let config = aws_sdk_dynamodb::Config::builder().behavior_version(BehaviorVersion::latest()).build();
        let (reads, _client) = DirectReads::of(&Client::from_conf(config));
        assert!(!reads.rests());
        reads.rest("Query", "400 ThrottlingException");
        assert!(reads.rests());
        tokio::time::advance(REST).await;
        assert!(!reads.rests());
    }

    #[test]
    fn an_error_is_logged_by_its_type() {
        let throttled = br#"{"__type":"com.amazonaws.dynamodb.v20120810#ThrottlingException","message":"m"}"#;
        assert_eq!(kind_of_error(Some(throttled)), "ThrottlingException");
        assert_eq!(kind_of_error(Some(b"<html>")), "");
        assert_eq!(kind_of_error(None), "");
    }
}
