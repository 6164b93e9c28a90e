//! Runs functions on the Lambda runtime: those that answer HTTP requests, and jobs.

use crate::clock;
use crate::error::{AdminError, HttpError};
use crate::respond;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use futures::FutureExt;
use http::{HeaderValue, Response};
use lambda_runtime::{Diagnostic, LambdaEvent, service_fn};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;
use std::any::type_name;
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::error::Error;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use torale_domain::requests::payload::{HttpRequest, InvocationContext};

/// An answer as API Gateway takes it: payload format version 2.0.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ResponsePayload {
    status_code: u16,
    headers: BTreeMap<String, String>,
    body: String,
    is_base64_encoded: bool,
    /// None, ever. `cargo lambda watch` answers 500 to a payload without the field.
    cookies: [String; 0],
}

impl ResponsePayload {
    fn new<B>(response: Response<B>, is_base64_encoded: bool, body: impl Fn(B) -> String) -> Self {
        let (parts, content) = response.into_parts();
        let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
        Self {
            status_code: parts.status.as_u16(),
            headers: parts.headers.iter().map(|(name, value)| (name.to_string(), text(value))).collect(),
            body: body(content),
            is_base64_encoded,
            cookies: [],
        }
    }
}

impl From<Response<String>> for ResponsePayload {
    fn from(response: Response<String>) -> Self {
        Self::new(response, false, |body| body)
    }
}

impl From<Response<Vec<u8>>> for ResponsePayload {
    fn from(response: Response<Vec<u8>>) -> Self {
        Self::new(response, true, |body| STANDARD.encode(body))
    }
}

/// Runs a function that answers HTTP requests. Whatever it is invoked with is answered in the contract's form, also if
/// `answer` panics.
///
/// # Errors
/// If the Lambda runtime fails.
pub async fn run_http<F, A, B>(answer: F) -> Result<(), lambda_runtime::Error>
where
    F: Fn(HttpRequest) -> A,
    A: Future<Output = Response<B>>,
    ResponsePayload: From<Response<B>>,
{
    let answer = &answer;
    lambda_runtime::run(service_fn(move |event: LambdaEvent<Box<RawValue>>| async move {
        let LambdaEvent { payload, context } = event;
        let xray = context.xray_trace_id.as_deref();
        let invocation = InvocationContext { request_id: &context.request_id, xray };
        let request = HttpRequest::read(payload.get(), invocation, clock::unique);
        Ok::<_, Infallible>(answered(answer, request).await)
    }))
    .await
}

async fn answered<A, B>(answer: impl Fn(HttpRequest) -> A, request: HttpRequest) -> ResponsePayload
where
    A: Future<Output = Response<B>>,
    ResponsePayload: From<Response<B>>,
{
    let request_id = request.request_id().to_owned();
    // Boxed, as in `run_job`.
    let answer = Box::pin(async { answer(request).await });
    match AssertUnwindSafe(answer).catch_unwind().await {
        Ok(response) => response.into(),
        Err(_panic) => {
            let error = HttpError::from(&AdminError::Internal("panic".to_owned()));
            respond::error(&error, &request_id).into()
        }
    }
}

/// Runs a function that is invoked with events of type `P`. If it fails, Lambda and Step Functions learn the name of
/// the error's type and its text.
///
/// # Errors
/// If the Lambda runtime fails.
pub async fn run_job<F, P, R, T, E>(job: F) -> Result<(), lambda_runtime::Error>
where
    F: Fn(LambdaEvent<P>) -> R,
    P: DeserializeOwned,
    R: Future<Output = Result<T, E>>,
    T: Serialize,
    E: Error,
{
    let job = &job;
    lambda_runtime::run(service_fn(move |event: LambdaEvent<Box<RawValue>>| async move {
        let LambdaEvent { payload, context, .. } = event;
        let payload = read_event(payload.get())?;
        // Boxed: with the client's own futures inside, the compiler would run into its limit of depth.
        let run = Box::pin(async { job(LambdaEvent::new(payload, context)).await });
        outcome(AssertUnwindSafe(run).catch_unwind().await)
    }))
    .await
}

/// Reads the event that a job is invoked with. The error does not quote the event, which may be anybody's data.
fn read_event<P: DeserializeOwned>(payload: &str) -> Result<P, Diagnostic> {
    serde_json::from_str(payload).map_err(|error| Diagnostic {
        error_type: "InvalidEvent".to_owned(),
        error_message: format!("the event can't be read: line {}, column {}", error.line(), error.column()),
    })
}

/// A run of a job: its result, or the panic that ended it.
type Run<T, E> = Result<Result<T, E>, Box<dyn std::any::Any + Send>>;

fn outcome<T, E: Error>(run: Run<T, E>) -> Result<T, Diagnostic> {
    match run {
        Ok(result) => result.map_err(|error| named(&error)),
        // What a panic says may be anybody's data. The log has its place.
        Err(_panic) => Err(Diagnostic {
            error_type: "Panic".to_owned(),
            error_message: "the function panicked; the log has the place".to_owned(),
        }),
    }
}

/// An error with the name of its type, without modules and parameters.
fn named<E: Error>(error: &E) -> Diagnostic {
    let path = type_name::<E>();
    let without_parameters = path.split_once('<').map_or(path, |(path, _)| path);
    let name = without_parameters.rsplit("::").next().unwrap_or(without_parameters);
    Diagnostic { error_type: name.to_owned(), error_message: error.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::seal::SealError;
    use http::StatusCode;
    use serde_json::{Value, json};

    #[test]
    fn failed_job_is_named_by_the_type_of_its_error() {
        let failed = outcome::<(), _>(Ok(Err(SealError::Overtaken))).unwrap_err();
        assert_eq!(failed.error_type, "SealError");
        assert_eq!(failed.error_message, SealError::Overtaken.to_string());
    }

    #[test]
    fn panicked_job_does_not_repeat_the_message_of_the_panic() {
        let failed = outcome::<(), SealError>(Err(Box::new("ann@example.com"))).unwrap_err();
        assert_eq!(failed.error_type, "Panic");
        assert!(!failed.error_message.contains('@'));
    }

    #[test]
    fn event_that_is_not_the_jobs_is_refused_without_being_quoted() {
        let refused = read_event::<u64>("\"ann@example.com\"").unwrap_err();
        assert_eq!(refused.error_type, "InvalidEvent");
        assert_eq!(refused.error_message, "the event can't be read: line 1, column 17");
        assert_eq!(read_event::<Value>("[7]").unwrap(), json!([7]));
    }

    /// API Gateway can do without `cookies`; `cargo lambda watch` can't.
    #[test]
    fn answer_is_a_payload_of_version_2_with_every_field() {
        let response = respond::json(StatusCode::OK, "{}".to_owned(), "r", &[]);
        let expected = json!({ "statusCode": 200, "body": "{}", "isBase64Encoded": false, "cookies": [], "headers": {
            "cache-control": "no-store", "content-type": "application/json", "x-content-type-options": "nosniff",
            "x-request-id": "r" } });
        assert_eq!(serde_json::to_value(ResponsePayload::from(response)).unwrap(), expected);
    }

    #[tokio::test]
    async fn panic_of_a_handler_is_answered_in_the_contracts_form() {
        let request = HttpRequest::read(
            r#"{"requestContext":{"requestId":"r7"}}"#,
            InvocationContext::default(),
            clock::unique,
        );
        let panics = |_request| async { panic!("ann@example.com") };
        let answer = answered::<_, String>(panics, request).await;
        assert_eq!((answer.status_code, answer.headers["x-request-id"].as_str()), (500, "r7"));
        assert_eq!(answer.body, json!({ "detail": "Internal server error" }).to_string());
    }

    /// A compressed file of the console is no text.
    #[test]
    fn bytes_are_answered_in_base64() {
        let payload = ResponsePayload::from(Response::new(vec![0x1f, 0x8b, 0xff]));
        assert_eq!((payload.body.as_str(), payload.is_base64_encoded), ("H4v/", true));
    }
}
