//! The Lambda Runtime API, through which the functions' processes receive and answer invocations,
//! and Lambda's API to invoke a function directly.

use std::time::Duration;

use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde_json::{Value, json};

use crate::console::Console;
use crate::functions::runtime::{InvokeError, Runtimes};

/// The longest event or result: Lambda's 6 MB, and some more for its envelope.
pub const LAMBDA_LIMIT: usize = 6 * 1024 * 1024 + 100 * 1024;
/// The longest that a directly invoked function may run.
const DIRECT_TIMEOUT: Duration = Duration::from_secs(900);

#[derive(Clone)]
struct RuntimeApi {
    runtimes: Runtimes,
    console: Console,
}

/// The routes of both APIs.
pub fn router(runtimes: Runtimes, console: Console) -> Router {
    const RUNTIME: &str = "/.rt/{function}/2018-06-01/runtime";
    Router::new()
        .route(&format!("{RUNTIME}/invocation/next"), get(next))
        .route(&format!("{RUNTIME}/invocation/{{id}}/response"), post(response))
        .route(&format!("{RUNTIME}/invocation/{{id}}/error"), post(invocation_error))
        .route(&format!("{RUNTIME}/init/error"), post(init_error))
        .route("/2015-03-31/functions/{function}/invocations", post(invoke))
        .with_state(RuntimeApi { runtimes, console })
}

/// Function and instance of `NAME` or `NAME:INSTANCE`.
fn split_name(name: &str) -> (&str, Option<&str>) {
    name.split_once(':').map_or((name, None), |(function, instance)| (function, Some(instance)))
}

async fn next(State(api): State<RuntimeApi>, Path(name): Path<String>) -> Response<Body> {
    let (function, instance) = split_name(&name);
    let invocation = api.runtimes.next(function, instance).await;
    let arn = format!("arn:aws:lambda:us-east-1:000000000000:function:{function}");
    let trace: String = invocation.request_id.chars().filter(|letter| *letter != '-').collect();
    let seconds = invocation.deadline_ms.div_euclid(1000);
    let trace = format!("Root=1-{seconds:08x}-{};Sampled=0", trace.get(..24).unwrap_or_default());
    let mut response = Response::new(Body::from(invocation.payload));
    let headers = [
        ("lambda-runtime-aws-request-id", invocation.request_id),
        ("lambda-runtime-deadline-ms", invocation.deadline_ms.to_string()),
        ("lambda-runtime-invoked-function-arn", arn),
        ("lambda-runtime-trace-id", trace),
        ("content-type", "application/json".to_owned()),
    ];
    for (name, value) in headers {
        if let Ok(value) = HeaderValue::try_from(value) {
            response.headers_mut().insert(name, value);
        }
    }
    response
}

type Acknowledgement = (StatusCode, Json<Value>);

fn acknowledge(known: bool) -> Acknowledgement {
    if known {
        (StatusCode::ACCEPTED, Json(json!({ "status": "OK" })))
    } else {
        let reason = json!({ "errorType": "InvalidRequestID", "errorMessage": "Invalid request ID" });
        (StatusCode::BAD_REQUEST, Json(reason))
    }
}

async fn response(
    State(api): State<RuntimeApi>,
    Path((name, id)): Path<(String, String)>,
    body: Body,
) -> Acknowledgement {
    let (function, _) = split_name(&name);
    if let Ok(result) = to_bytes(body, LAMBDA_LIMIT).await {
        return acknowledge(api.runtimes.answer(function, &id, Ok(result)));
    }
    let error = json!({ "errorType": "Function.ResponseSizeTooLarge",
        "errorMessage": "Response payload size exceeded maximum allowed payload size (6291556 bytes)." });
    let failed = InvokeError::Failed(Bytes::from(error.to_string()));
    let _known = api.runtimes.answer(function, &id, Err(failed));
    (StatusCode::PAYLOAD_TOO_LARGE, Json(error))
}

async fn invocation_error(
    State(api): State<RuntimeApi>,
    Path((name, id)): Path<(String, String)>,
    body: Bytes,
) -> Acknowledgement {
    let (function, _) = split_name(&name);
    acknowledge(api.runtimes.answer(function, &id, Err(InvokeError::Failed(body))))
}

/// A process that could not start. It ends after this, and its supervisor fails the queued
/// invocations.
async fn init_error(State(api): State<RuntimeApi>, Path(name): Path<String>, body: Bytes) -> Acknowledgement {
    let (function, _) = split_name(&name);
    api.console.line(function, &format!("could not start: {}", String::from_utf8_lossy(&body)));
    acknowledge(true)
}

/// Lambda's API: `aws lambda invoke`.
async fn invoke(
    State(api): State<RuntimeApi>,
    Path(function): Path<String>,
    headers: HeaderMap,
    event: Bytes,
) -> Response<Body> {
    let event = if event.is_empty() { Bytes::from_static(b"{}") } else { event };
    if headers.get("x-amz-invocation-type").is_some_and(|kind| kind == "Event") {
        tokio::spawn(async move { api.runtimes.invoke(&function, event, DIRECT_TIMEOUT).await });
        return json_response(StatusCode::ACCEPTED, &Value::Null);
    }
    let failed = |body: Bytes| {
        let mut response = Response::new(Body::from(body));
        response.headers_mut().insert("x-amz-function-error", HeaderValue::from_static("Unhandled"));
        response
    };
    match api.runtimes.invoke(&function, event, DIRECT_TIMEOUT).await {
        Ok(result) => Response::new(Body::from(result)),
        Err(InvokeError::Failed(error)) => failed(error),
        Err(InvokeError::Unknown) => json_response(
            StatusCode::NOT_FOUND,
            &json!({ "Type": "User", "Message": format!("Function not found: {function}") }),
        ),
        Err(error @ (InvokeError::Crashed | InvokeError::TimedOut)) => {
            failed(Bytes::from(json!({ "errorMessage": error.to_string() }).to_string()))
        }
    }
}

fn json_response(status: StatusCode, body: &Value) -> Response<Body> {
    let mut response = Response::new(Body::from(body.to_string()));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}
