//! Temporal's `WorkflowService`: pausing a schedule, and nothing else. gRPC by hand, so that the
//! local stack needs none of Temporal's own crates.

use std::sync::Arc;

use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Response, header};
use axum::response::IntoResponse;
use http_body_util::{BodyExt, Full};
use prost::Message;

use super::server::{LoopbackServer, authorization};

const PATCH: &str = "/temporal.api.workflowservice.v1.WorkflowService/PatchSchedule";
const SYSTEM_INFO: &str = "/temporal.api.workflowservice.v1.WorkflowService/GetSystemInfo";
/// The bytes before a message: one for the compression, four for the length.
const FRAME: usize = 5;
const MAX_BODY: usize = 1024 * 1024;
const UNIMPLEMENTED: u8 = 12;

/// `temporal.api.workflowservice.v1.PatchScheduleRequest`: the fields that are read.
#[derive(Clone, PartialEq, Message)]
struct PatchScheduleRequest {
    #[prost(string, tag = "1")]
    namespace: String,
    #[prost(string, tag = "2")]
    schedule_id: String,
    #[prost(message, optional, tag = "3")]
    patch: Option<SchedulePatch>,
}

/// `temporal.api.schedule.v1.SchedulePatch`: the fields that are read.
#[derive(Clone, PartialEq, Message)]
struct SchedulePatch {
    #[prost(string, tag = "3")]
    pause: String,
}

/// A request to pause a schedule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PauseRequest {
    /// The namespace.
    pub namespace: String,
    /// The schedule.
    pub schedule_id: String,
    /// The note that Temporal shows beside the paused schedule.
    pub note: String,
    /// The whole header.
    pub authorization: Option<String>,
}

/// An answer of the stand-in.
#[derive(Debug, Clone)]
pub enum TemporalAnswer {
    /// The schedule is paused.
    Done,
    /// A gRPC status, a message in ASCII, and details in base64.
    Refused(u8, &'static str, Option<&'static str>),
    /// No answer, for ever.
    Silent,
}

/// The stand-in; it listens until it is dropped.
pub struct TemporalStandin(LoopbackServer);

type Answers = Arc<dyn Fn(&PauseRequest) -> TemporalAnswer + Send + Sync>;

impl TemporalStandin {
    /// Starts a stand-in that answers with a function.
    ///
    /// # Errors
    /// If there is no free port.
    pub async fn start(
        answers: impl Fn(&PauseRequest) -> TemporalAnswer + Send + Sync + 'static,
    ) -> std::io::Result<Self> {
        let answers: Answers = Arc::new(answers);
        LoopbackServer::start(Router::new().fallback(answer).with_state(answers)).await.map(Self)
    }

    /// Its host and port.
    #[must_use]
    pub fn address(&self) -> String {
        self.0.address.clone()
    }
}

async fn answer(State(answers): State<Answers>, request: Request) -> Response<Body> {
    let authorization = authorization(request.headers());
    match request.uri().path() {
        SYSTEM_INFO => done(),
        PATCH => match read(request).await {
            Some(PatchScheduleRequest { namespace, schedule_id, patch }) => {
                let note = patch.unwrap_or_default().pause;
                respond(answers(&PauseRequest { namespace, schedule_id, note, authorization })).await
            }
            None => refused(UNIMPLEMENTED, "the stand-in reads uncompressed messages only", None),
        },
        _other => refused(UNIMPLEMENTED, "the stand-in supports PatchSchedule only", None),
    }
}

async fn respond(answer: TemporalAnswer) -> Response<Body> {
    match answer {
        TemporalAnswer::Done => done(),
        TemporalAnswer::Refused(status, message, details) => refused(status, message, details),
        TemporalAnswer::Silent => std::future::pending().await,
    }
}

/// The one message of a request.
async fn read(request: Request) -> Option<PatchScheduleRequest> {
    let body = to_bytes(request.into_body(), MAX_BODY).await.ok()?;
    let (frame, message) = body.split_at_checked(FRAME)?;
    if frame.first() != Some(&0) {
        return None;
    }
    PatchScheduleRequest::decode(message).ok()
}

/// A successful answer without any field, which fits both calls.
fn done() -> Response<Body> {
    let trailers = HeaderMap::from_iter([(GRPC_STATUS, HeaderValue::from_static("0"))]);
    let message = Full::new(Bytes::from_static(&[0; FRAME]));
    let body = Body::new(message.with_trailers(async { Some(Ok(trailers)) }));
    ([(header::CONTENT_TYPE, "application/grpc")], body).into_response()
}

const GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");

fn refused(status: u8, message: &'static str, details: Option<&'static str>) -> Response<Body> {
    let mut response = [(header::CONTENT_TYPE, "application/grpc")].into_response();
    let headers = response.headers_mut();
    headers.insert(GRPC_STATUS, HeaderValue::from(u16::from(status)));
    headers.insert("grpc-message", HeaderValue::from_static(message));
    if let Some(details) = details {
        headers.insert("grpc-status-details-bin", HeaderValue::from_static(details));
    }
    response
}
