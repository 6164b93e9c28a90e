//! POST /webhooks/clerk: what Clerk tells becomes events on `torale-events`.
//!
//! Everything is in order before Clerk hears 200: the signature is right, the payload is mapped
//! ([`torale_domain::events::clerk`]) and SQS has taken the events. Whatever else happens, Svix shows the answer and comes
//! again; an event that is sent twice changes nothing.

mod refusal;
mod signature;

use futures::FutureExt;
use lambda_http::http::{Method, StatusCode};
use lambda_http::{Body, Request, Response};
pub use refusal::WebhookRefusal;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::json;
pub use signature::{BadSecret, BadSignature, HEADERS, SignatureVerifier};
use std::panic::AssertUnwindSafe;
use tokio::time::{Duration, Instant};
use torale_domain::events::clerk::{self, Notice, Payload};
use torale_domain::values::ids::UserId;
use torale_domain::values::trace::TraceParent;
use torale_platform::clock::Clock;
use torale_platform::error::AdminError;
use torale_platform::queue::MessageQueue;
use torale_platform::respond;
use torale_platform::store::{Generations, Store, StoreError, TableReader, Usage};

/// Method and path.
pub const ROUTE: (&str, &str) = ("POST", "/webhooks/clerk");
/// Largest body, in bytes.
pub const MAX_BODY: usize = 256 * 1024;
/// Longest time for a whole request; Svix gives up at 15 s.
pub const TIMEOUT: Duration = Duration::from_secs(12);

/// What all requests of an instance share.
#[derive(Debug)]
pub struct Webhook {
    verifier: Result<SignatureVerifier, BadSecret>,
    store: Store,
    generations: Generations,
    queue: MessageQueue,
    clock: Clock,
}

/// What became of a webhook that was accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(inline)]
pub enum WebhookResult {
    /// Its events are on the queue.
    Accepted,
    /// It has no event of ours.
    Ignored,
}

/// The answer to a webhook that was accepted.
#[derive(Debug, Serialize, JsonSchema)]
pub struct WebhookTaken {
    /// What became of it.
    pub detail: WebhookResult,
}

/// What the log says of a webhook, once its signature is known to be right.
#[derive(Debug, Default)]
struct WebhookContext {
    svix_id: Option<String>,
    kind: Option<String>,
    usage: Usage,
}

impl Webhook {
    /// With the secrets as they were set: without a good one every request is refused, and nothing is lost.
    pub fn new(secrets: &str, store: Store, queue: MessageQueue, clock: Clock) -> Self {
        let verifier = SignatureVerifier::new(secrets);
        Self { verifier, store, generations: Generations::default(), queue, clock }
    }

    /// Answers a request.
    pub async fn handle(&self, request: &Request) -> Response<Body> {
        let started = Instant::now();
        let mut seen = WebhookContext::default();
        let work = AssertUnwindSafe(self.take(request, &mut seen)).catch_unwind();
        let result = match tokio::time::timeout(TIMEOUT, work).await {
            Ok(Ok(result)) => result,
            Ok(Err(_panic)) => Err(AdminError::Internal("panic".to_owned()).into()),
            Err(_elapsed) => Err(AdminError::TimedOut.into()),
        };
        let request_id = respond::request_id(request);
        let response = render(&result, &request_id);
        let status = response.status().as_u16();
        log(&result, Line { status, request_id, trace: respond::trace(request), seen, started });
        response
    }

    async fn take(
        &self,
        request: &Request,
        seen: &mut WebhookContext,
    ) -> Result<WebhookResult, WebhookRefusal> {
        if request.method() != Method::POST {
            return Err(AdminError::MethodNotAllowed { allowed: ROUTE.0.to_owned() }.into());
        }
        let body: &[u8] = request.body().as_ref();
        if body.len() > MAX_BODY {
            return Err(WebhookRefusal::TooLarge);
        }
        let now = (self.clock)();
        let verifier = self.verifier.as_ref().map_err(|bad| AdminError::Internal(bad.to_string()))?;
        let (svix_id, text) = verifier.verify(request.headers(), body, now)?;
        seen.svix_id = Some(svix_id.to_owned());
        let Payload { kind, notice } = Payload::parse(text)?;
        seen.kind = Some(kind);
        let Some(notice) = notice else { return Ok(WebhookResult::Ignored) };
        let known = self.known(&notice, &seen.usage).await?;
        let trace = respond::trace(request);
        self.queue.send(&notice.events(svix_id, trace.as_ref(), &known, now)?).await?;
        Ok(WebhookResult::Accepted)
    }

    /// The users that a payload may mean which names none of ours.
    async fn known(&self, notice: &Notice, usage: &Usage) -> Result<Vec<UserId>, StoreError> {
        let Some(clerk_user_id) = notice.unnamed() else { return Ok(Vec::new()) };
        let live = self.generations.read(&self.store, usage).await?;
        clerk::users(&TableReader::of(&self.store, &live, usage), clerk_user_id).await
    }
}

fn render(result: &Result<WebhookResult, WebhookRefusal>, request_id: &str) -> Response<Body> {
    match result {
        Ok(detail) => {
            let taken = WebhookTaken { detail: *detail };
            respond::json(StatusCode::OK, json!(taken).to_string(), request_id, &[])
        }
        Err(refusal) => respond::refusal(&refusal.http(), request_id),
    }
}

/// What a line of the log is made of.
struct Line {
    status: u16,
    request_id: String,
    trace: Option<TraceParent>,
    seen: WebhookContext,
    started: Instant,
}

/// Type and `svix-id`, never more of a payload: it is full of personal data.
fn log(result: &Result<WebhookResult, WebhookRefusal>, line: Line) {
    let Line { status, request_id, trace, seen, started } = line;
    let (svix_id, kind) = (seen.svix_id.as_deref(), seen.kind.as_deref());
    let trace_id = trace.as_ref().map(TraceParent::trace_id);
    let duration_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
    let read_units = seen.usage.read_units();
    macro_rules! log {
        ($level:ident, $($how:tt)+) => {
            tracing::$level!(
                request_id, trace_id, action = "webhooks.clerk", status, svix_id, kind, duration_ms, read_units,
                $($how)+, "webhook"
            )
        };
    }
    match result {
        Ok(done) => log!(info, ?done),
        Err(error) if status >= 500 => log!(error, %error),
        Err(error) => log!(warn, %error),
    }
}
