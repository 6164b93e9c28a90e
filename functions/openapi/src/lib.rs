//! GET /admin/openapi.json: what the API takes and answers, for anyone who asks.
//!
//! Nothing in the document is written twice: parameters come from their parsers, answers from the types that are
//! rendered, refusals from the map of errors. Only summaries and examples are said here.

mod describe;
mod examples;
mod operations;
mod responses;

use lambda_http::http::{Method, StatusCode};
use lambda_http::{Body, Request, Response};
pub use operations::document;
use torale_platform::error::{AdminError, HttpError};
use torale_platform::respond;

/// Method and path.
pub const ROUTE: (&str, &str) = ("GET", "/admin/openapi.json");

/// The document as it is answered and committed.
pub fn text() -> String {
    format!("{:#}\n", document())
}

/// Answers anyone.
pub fn answer(text: &str, request: &Request) -> Response<Body> {
    let request_id = respond::request_id(request);
    let response = if request.method() == Method::GET {
        respond::json(StatusCode::OK, text.to_owned(), &request_id, &[])
    } else {
        let error = AdminError::MethodNotAllowed { allowed: ROUTE.0.to_owned() };
        respond::refusal(&HttpError::from(&error), &request_id)
    };
    respond::log(request, "openapi", &response, &request_id);
    response
}
