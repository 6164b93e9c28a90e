//! Answers requests that match no route: an unknown path, or a known path with another method.

use http::Response;
use torale_domain::requests::payload::HttpRequest;
use torale_platform::error::{AdminError, HttpError};
use torale_platform::{respond, routes};

/// A 404, or a 405 with the methods of the path.
pub fn answer(request: &HttpRequest) -> Response<String> {
    let allowed = routes::allowed(request.path());
    let error =
        if allowed.is_empty() { AdminError::NotFound } else { AdminError::MethodNotAllowed { allowed } };
    let response = respond::error(&HttpError::from(&error), request.request_id());
    respond::log(request, "none", &response);
    response
}
