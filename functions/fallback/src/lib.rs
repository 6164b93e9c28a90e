//! Everything that is no route: an unknown path, or a known one with another method.

use lambda_http::{Body, Request, Response};
use torale_platform::error::{AdminError, HttpError};
use torale_platform::{respond, routes};

/// 404, or 405 with the methods that the path has.
pub fn answer(request: &Request) -> Response<Body> {
    let allowed = routes::allowed(request.uri().path());
    let error =
        if allowed.is_empty() { AdminError::NotFound } else { AdminError::MethodNotAllowed { allowed } };
    let request_id = respond::request_id(request);
    let response = respond::refusal(&HttpError::from(&error), &request_id);
    respond::log(request, "none", &response, &request_id);
    response
}
