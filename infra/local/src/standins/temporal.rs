//! Temporal's `WorkflowService`, as far as pausing a schedule goes: gRPC by hand, so that the local stack needs none of
//! Temporal's own crates.

use std::sync::Arc;

use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Response, header};
use axum::response::IntoResponse;
use http_body_util::{BodyExt, Full};
use prost::Message;

use super::{Served, authorization};

const PATCH: &str = "/temporal.api.workflowservice.v1.WorkflowService/PatchSchedule";
const SYSTEM_INFO: &str = "/temporal.api.workflowservice.v1.WorkflowService/GetSystemInfo";
/// Bytes before a message: one says whether it is compressed, four how long it is.
const FRAME: usize = 5;
const MAX_BODY: usize = 1024 * 1024;
const UNIMPLEMENTED: u8 = 12;

/// `temporal.api.workflowservice.v1.PatchScheduleRequest`, as far as it is read.
#[derive(Clone, PartialEq, Message)]
struct PatchScheduleRequest {
    #[prost(string, tag = "1")]
    namespace: String,
    #[prost(string, tag = "2")]
    schedule_id: String,
    #[prost(message, optional, tag = "3")]
    patch: Option<SchedulePatch>,
}

/// `temporal.api.schedule.v1.SchedulePatch`, as far as it is read.
#[derive(Clone, PartialEq, Message)]
struct SchedulePatch {
    #[prost(string, tag = "3")]
    pause: String,
}

/// A pause that it was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PauseRequest {
    /// The namespace.
    pub namespace: String,
    /// The schedule.
    pub schedule_id: String,
    /// What is left beside it, for people.
    pub note: String,
    /// The whole header.
    pub authorization: Option<String>,
}

/// What it answers.
#[derive(Debug, Clone)]
pub enum TemporalAnswer {
    /// The schedule is paused.
    Done,
    /// A status by its number, a message in ASCII, and details in base64 where there are some.
    Refused(u8, &'static str, Option<&'static str>),
    /// Nothing, ever.
    Silent,
}

/// The stand-in.
pub struct TemporalStandin(Served);

type Answers = Arc<dyn Fn(&PauseRequest) -> TemporalAnswer + Send + Sync>;

impl TemporalStandin {
    /// Starts it.
    ///
    /// # Errors
    /// When there is no port to listen on.
    pub async fn start(
        answers: impl Fn(&PauseRequest) -> TemporalAnswer + Send + Sync + 'static,
    ) -> std::io::Result<Self> {
        let answers: Answers = Arc::new(answers);
        Served::start(Router::new().fallback(answer).with_state(answers)).await.map(Self)
    }

    /// Where it is: host and port.
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
            Some(asked) => {
                let PatchScheduleRequest { namespace, schedule_id, patch } = asked;
                let note = patch.unwrap_or_default().pause;
                settle(answers(&PauseRequest { namespace, schedule_id, note, authorization })).await
            }
            None => refused(UNIMPLEMENTED, "the stand-in reads uncompressed messages only", None),
        },
        _other => refused(UNIMPLEMENTED, "the stand-in knows PatchSchedule only", None),
    }
}

async fn settle(answer: TemporalAnswer) -> Response<Body> {
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

/// An answer in whose message no field is set, which is what both calls may answer.
fn done() -> Response<Body> {
    let trailers = HeaderMap::from_iter([(GRPC_STATUS, HeaderValue::from_static("0"))]);
    let message = Full::new(Bytes::from_static(&[0; FRAME]));
    let body = Body::new(message.with_trailers(async { Some(Ok(trailers)) }));
    ([(header::CONTENT_TYPE, "application/grpc")], body).into_response()
}

const GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");

fn refused(status: u8, message: &'static str, details: Option<&'static str>) -> Response<Body> {
    let mut answer = [(header::CONTENT_TYPE, "application/grpc")].into_response();
    let headers = answer.headers_mut();
    headers.insert(GRPC_STATUS, HeaderValue::from(u16::from(status)));
    headers.insert("grpc-message", HeaderValue::from_static(message));
    if let Some(details) = details {
        headers.insert("grpc-status-details-bin", HeaderValue::from_static(details));
    }
    answer
}
