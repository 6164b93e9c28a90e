//! Answers requests that match no route: an unknown path, or a known path with another method.

use lambda_http::{Body, Request, Response};
use torale_platform::error::{AdminError, HttpError};
use torale_platform::{request, respond, routes};

/// A 404, or a 405 with the methods of the path.
pub fn answer(request: &Request) -> Response<Body> {
    let allowed = routes::allowed(request.uri().path());
    let error =
        if allowed.is_empty() { AdminError::NotFound } else { AdminError::MethodNotAllowed { allowed } };
    let request_id = request::request_id(request);
    let response = respond::error(&HttpError::from(&error), &request_id);
    respond::log(request, "none", &response, &request_id);
    response
}
