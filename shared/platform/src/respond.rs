//! Builds answers: JSON with the headers that every answer carries (`docs/contract/http.md`, "Errors").

use crate::error::HttpError;
use http::header::HeaderValue;
use http::{HeaderName, Response, StatusCode};
use torale_domain::requests::payload::HttpRequest;
use torale_domain::values::trace::TraceParent;

/// Headers that every answer carries, in addition to its content type and [`REQUEST_ID`].
pub const ALWAYS: [(&str, &str); 2] = [("cache-control", "no-store"), ("x-content-type-options", "nosniff")];
/// The header with the id of the request, which every answer carries.
pub const REQUEST_ID: &str = "x-request-id";

/// An answer with a JSON body and headers of its own.
pub fn json(
    status: StatusCode,
    body: String,
    request_id: &str,
    own: &[(&'static str, String)],
) -> Response<String> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    let id = [(REQUEST_ID, request_id), ("content-type", "application/json")];
    let own = own.iter().map(|(name, value)| (*name, value.as_str()));
    for (name, value) in ALWAYS.into_iter().chain(id).chain(own) {
        if let Ok(value) = HeaderValue::from_str(value) {
            response.headers_mut().insert(HeaderName::from_static(name), value);
        }
    }
    response
}

/// The answer to a request that failed.
pub fn error(error: &HttpError, request_id: &str) -> Response<String> {
    json(error.status, error.body.to_string(), request_id, &error.headers)
}

/// Logs a request to a function that everyone may call.
pub fn log<B>(request: &HttpRequest, action: &str, response: &Response<B>) {
    let (request_id, trace_id) = (request.request_id(), request.trace().map(TraceParent::trace_id));
    tracing::info!(request_id, trace_id, action, status = response.status().as_u16());
}
