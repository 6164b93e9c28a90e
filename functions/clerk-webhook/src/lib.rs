//! POST /webhooks/clerk: turns each of Clerk's webhooks into an `identity.*` event on `torale-events`. Whose the
//! identity is follows from the projections; nothing is read here.
//!
//! Clerk receives a 200 only after the signature was verified, the payload was mapped to an event
//! ([`torale_domain::events::clerk`]) and SQS has taken the event. After any other answer, Svix (who delivers Clerk's
//! webhooks) retries. An event that is sent twice changes nothing.

mod refusal;
mod signature;

use http::{Response, StatusCode};
pub use refusal::WebhookRefusal;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::json;
pub use signature::{BadSecret, BadSignature, HEADERS, SignatureVerifier};
use tokio::time::{Duration, Instant};
use torale_domain::events::clerk::{Notice, Payload};
use torale_domain::requests::payload::HttpRequest;
use torale_domain::values::trace::TraceParent;
use torale_platform::clock::Clock;
use torale_platform::error::AdminError;
use torale_platform::guard::guarded;
use torale_platform::queue::MessageQueue;
use torale_platform::respond;

/// Method and path.
pub const ROUTE: (&str, &str) = ("POST", "/webhooks/clerk");
/// The most bytes of a body.
pub const MAX_BODY: usize = 256 * 1024;
/// Longest time for a whole request. Svix gives up after 15 s.
pub const TIMEOUT: Duration = Duration::from_secs(12);

/// What all requests of a function instance share.
#[derive(Debug)]
pub struct Webhook {
    verifier: Result<SignatureVerifier, BadSecret>,
    queue: MessageQueue,
    clock: Clock,
}

/// What an accepted webhook led to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(inline)]
pub enum WebhookResult {
    /// Its event is on the queue.
    Accepted,
    /// There is no event for it.
    Ignored,
}

/// The answer to an accepted webhook.
#[derive(Debug, Serialize, JsonSchema)]
pub struct WebhookTaken {
    /// What it led to.
    pub detail: WebhookResult,
}

/// How a request ended, for the answer and the log line.
struct WebhookOutcome {
    result: Result<WebhookResult, WebhookRefusal>,
    /// The id of the webhook, if the signature is valid.
    svix_id: Option<String>,
    /// The type of the webhook, if the signature is valid and the payload readable.
    kind: Option<String>,
}

impl Webhook {
    /// A webhook endpoint with these secrets, as they are set. Without valid ones, it logs a warning and refuses every
    /// request.
    pub fn new(secrets: &str, queue: MessageQueue, clock: Clock) -> Self {
        let verifier = SignatureVerifier::new(secrets);
        if let Err(bad) = &verifier {
            tracing::warn!(%bad, "webhooks are refused");
        }
        Self { verifier, queue, clock }
    }

    /// Answers a request.
    pub async fn handle(&self, request: &HttpRequest) -> Response<String> {
        let started = Instant::now();
        let outcome = self.receive(request, started + TIMEOUT).await;
        let response = render(&outcome.result, request.request_id());
        let status = response.status().as_u16();
        log(&outcome, &LogLine { status, request, started });
        response
    }

    async fn receive(&self, request: &HttpRequest, deadline: Instant) -> WebhookOutcome {
        let (svix_id, text) = match in_time(deadline, async { self.verify(request) }).await {
            Ok(signed) => signed,
            Err(refusal) => return WebhookOutcome { result: Err(refusal), svix_id: None, kind: None },
        };
        let id = Some(svix_id.to_owned());
        let payload = in_time(deadline, async { Ok(Payload::parse(text)?) }).await;
        let Payload { kind, notice } = match payload {
            Ok(payload) => payload,
            Err(refusal) => return WebhookOutcome { result: Err(refusal), svix_id: id, kind: None },
        };
        let result = match &notice {
            Some(notice) => in_time(deadline, self.send(request, svix_id, notice)).await,
            None => Ok(WebhookResult::Ignored),
        };
        WebhookOutcome { result, svix_id: id, kind: Some(kind) }
    }

    /// Checks the method, the size and the signature. Returns the id and the text of the webhook.
    fn verify<'a>(&self, request: &'a HttpRequest) -> Result<(&'a str, &'a str), WebhookRefusal> {
        if request.method() != ROUTE.0 {
            return Err(AdminError::MethodNotAllowed { allowed: ROUTE.0.to_owned() }.into());
        }
        let body = request.body();
        if body.len() > MAX_BODY {
            return Err(WebhookRefusal::TooLarge);
        }
        let verifier = self.verifier.as_ref().map_err(|_bad| WebhookRefusal::NotConfigured)?;
        Ok(verifier.verify(|name| request.header(name), body, (self.clock)())?)
    }

    /// Sends the event of a webhook to the queue.
    async fn send(
        &self,
        request: &HttpRequest,
        svix_id: &str,
        notice: &Notice,
    ) -> Result<WebhookResult, WebhookRefusal> {
        let event = notice.event(svix_id, request.trace(), (self.clock)())?;
        self.queue.send(&[event]).await?;
        Ok(WebhookResult::Accepted)
    }
}

/// Runs a step until the deadline; a panic is an internal error.
async fn in_time<T>(
    deadline: Instant,
    step: impl Future<Output = Result<T, WebhookRefusal>>,
) -> Result<T, WebhookRefusal> {
    let step = async { Ok::<_, AdminError>(step.await) };
    guarded(deadline, step).await.unwrap_or_else(|error| Err(error.into()))
}

fn render(result: &Result<WebhookResult, WebhookRefusal>, request_id: &str) -> Response<String> {
    match result {
        Ok(detail) => {
            let taken = WebhookTaken { detail: *detail };
            respond::json(StatusCode::OK, json!(taken).to_string(), request_id, &[])
        }
        Err(refusal) => respond::error(&refusal.http(), request_id),
    }
}

/// What the log line states besides the outcome.
struct LogLine<'a> {
    status: u16,
    request: &'a HttpRequest,
    started: Instant,
}

/// Logs the type and the `svix-id` of a webhook, but nothing else of its payload, which is full of personal data.
fn log(outcome: &WebhookOutcome, line: &LogLine<'_>) {
    let LogLine { status, request, started } = line;
    let (svix_id, kind) = (outcome.svix_id.as_deref(), outcome.kind.as_deref());
    let (request_id, trace_id) = (request.request_id(), request.trace().map(TraceParent::trace_id));
    let duration_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
    macro_rules! log {
        ($level:ident, $($how:tt)+) => {
            tracing::$level!(
                request_id, trace_id, action = "webhooks.clerk", status, svix_id, kind, duration_ms,
                $($how)+, "webhook"
            )
        };
    }
    match &outcome.result {
        Ok(done) => log!(info, ?done),
        // Anybody can cause this line, and the warning at the start has said why.
        Err(error @ WebhookRefusal::NotConfigured) => log!(info, %error),
        Err(error) if *status >= 500 => log!(error, %error),
        Err(error) => log!(warn, %error),
    }
}
