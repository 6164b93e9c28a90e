//! GET /admin/openapi.json: the OpenAPI document of the API. It needs no credentials.
//!
//! The document is generated (`docs/adr/0012-openapi.md`): parameters from their parsers, answers from the types that
//! are serialised, errors from the map of errors. Only summaries and examples are written here.

mod describe;
mod examples;
mod operations;
mod responses;

use http::{Response, StatusCode};
pub use operations::document;
use torale_domain::requests::payload::HttpRequest;
use torale_platform::error::{AdminError, HttpError};
use torale_platform::respond;

/// Method and path.
pub const ROUTE: (&str, &str) = ("GET", "/admin/openapi.json");

/// The document's text, as it is answered and as it is committed in `events/openapi.json`.
pub fn text() -> String {
    format!("{:#}\n", document())
}

/// Answers a request with this text of the document.
pub fn answer(text: &str, request: &HttpRequest) -> Response<String> {
    let request_id = request.request_id();
    let response = if request.method() == ROUTE.0 {
        respond::json(StatusCode::OK, text.to_owned(), request_id, &[])
    } else {
        let error = AdminError::MethodNotAllowed { allowed: ROUTE.0.to_owned() };
        respond::error(&HttpError::from(&error), request_id)
    };
    respond::log(request, "openapi", &response);
    response
}
