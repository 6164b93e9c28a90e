//! What a function is invoked with: whatever it is, there is an answer in the contract's form. The store and the queue are
//! out of reach, so that whoever presents credentials that could be good is answered with a 503.
#![no_main]

use aws_sdk_dynamodb::config::{BehaviorVersion, Credentials, Region};
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest as SdkRequest;
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_runtime_api::shared::IntoShared;
use clerk_webhook::Webhook;
use deactivate_user::DeactivateUser;
use deactivate_users::DeactivateUsers;
use executions::Executions;
use http::Response;
use lambda_runtime::Context;
use libfuzzer_sys::fuzz_target;
use serde_json::Value;
use std::sync::LazyLock;
use tokio::runtime::{Builder, Runtime};
use torale_domain::access::rate_limits::RateLimits;
use torale_domain::pages::TemporalUi;
use torale_domain::values::time::Timestamp;
use torale_platform::identity::{Identity, IdentitySettings};
use torale_platform::lambda::ResponsePayload;
use torale_platform::queue::MessageQueue;
use torale_platform::request::HttpRequest;
use torale_platform::serve::App;
use torale_platform::store::Store;

const NOW: Timestamp = Timestamp::from_millis(1_774_953_030_500);
/// A valid signing secret, which the inputs don't know.
const SECRET: &str = "whsec_MDEyMzQ1Njc4OWFiY2RlZmdoaWprbG1u";

/// No connection, ever.
#[derive(Debug, Clone)]
struct Unreachable;

impl HttpConnector for Unreachable {
    fn call(&self, _request: SdkRequest) -> HttpConnectorFuture {
        HttpConnectorFuture::ready(Err(ConnectorError::io("connection refused".into())))
    }
}

impl HttpClient for Unreachable {
    fn http_connector(&self, _: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}

struct Functions {
    runtime: Runtime,
    app: App,
    commands: MessageQueue,
    webhook: Webhook,
}

static FUNCTIONS: LazyLock<Functions> = LazyLock::new(|| {
    // Time is virtual, so that no retry takes any.
    let runtime = Builder::new_current_thread().enable_time().start_paused(true).build().expect("a runtime");
    let identity = Identity::new(&IdentitySettings::default()).expect("the default is valid");
    let temporal_ui = TemporalUi { url: "https://t".to_owned(), namespace: "n".to_owned() };
    let app = App::new(store(), identity, RateLimits::new(1_000, 10_000), temporal_ui, || NOW);
    let webhook = Webhook::new(SECRET, store(), queue(), || NOW);
    Functions { runtime, app, commands: queue(), webhook }
});

fn http_client() -> SharedHttpClient {
    Unreachable.into_shared()
}

fn store() -> Store {
    Store::new(
        aws_sdk_dynamodb::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::from_static("us-east-1"))
            .endpoint_url("http://127.0.0.1:1")
            .credentials_provider(Credentials::new("fuzz", "fuzz", None, None, "fuzz"))
            .http_client(http_client()),
    )
}

fn queue() -> MessageQueue {
    let config = aws_sdk_sqs::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::from_static("us-east-1"))
        .endpoint_url("http://127.0.0.1:1")
        .credentials_provider(Credentials::new("fuzz", "fuzz", None, None, "fuzz"))
        .http_client(http_client());
    MessageQueue::new(config, Some("http://127.0.0.1:1/000000000000/queue".to_owned()))
}

fuzz_target!(|input: &[u8]| {
    let payload = String::from_utf8_lossy(input);
    let mut context = Context::default();
    context.request_id = "runtime".to_owned();
    let request = HttpRequest::read(&payload, &context);
    assert!(!request.request_id().is_empty() && request.request_id().is_ascii());
    let Functions { runtime, app, commands, webhook } = &*FUNCTIONS;
    runtime.block_on(async {
        in_form(app.answer::<Executions>(&request).await, &request, &[401, 405, 503]);
        in_form(app.change::<DeactivateUser>(commands, &request).await, &request, &[401, 405, 503]);
        in_form(app.change::<DeactivateUsers>(commands, &request).await, &request, &[401, 405, 503]);
        in_form(webhook.handle(&request).await, &request, &[400, 405, 413]);
    });
    in_form(fallback::answer(&request), &request, &[404, 405]);
    in_form(openapi::answer("{}", &request), &request, &[200, 405]);
});

/// One of these statuses, the headers of every answer, and JSON of which an error's has a `detail`.
fn in_form(answer: Response<String>, request: &HttpRequest, statuses: &[u16]) {
    let status = answer.status().as_u16();
    assert!(statuses.contains(&status), "{status}");
    let header = |name: &str| answer.headers().get(name).and_then(|value| value.to_str().ok());
    assert_eq!(header("content-type"), Some("application/json"));
    assert_eq!(header("cache-control"), Some("no-store"));
    assert_eq!(header("x-content-type-options"), Some("nosniff"));
    assert_eq!(header("x-request-id"), Some(request.request_id()));
    assert_eq!(header("www-authenticate").is_some(), status == 401);
    assert_eq!(header("allow").is_some(), status == 405);
    assert_eq!(header("retry-after").is_some(), status == 503);
    let body: Value = serde_json::from_str(answer.body()).expect("the body is JSON");
    assert!(body.is_object() && (status < 400 || body["detail"].is_string()), "{body}");
    let payload = serde_json::to_value(ResponsePayload::from(answer)).expect("an answer is plain data");
    assert_eq!(payload["statusCode"], status);
}
