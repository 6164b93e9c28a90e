//! Answers requests that match no route: an unknown path, or a known path with another method.

use http::Response;
use torale_domain::requests::payload::HttpRequest;
use torale_platform::error::{AdminError, HttpError};
use torale_platform::{respond, routes};

/// A 404, or a 405 with the methods of the path.
pub fn answer(request: &HttpRequest) -> Response<String> {
    let allowed = request.possible_routes().map(routes::allowed).find(|allowed| !allowed.is_empty());
    // API Gateway would have sent an allowed method to its function: then what precedes the route is no base path.
    let allowed = allowed.filter(|allowed| allowed.split(", ").all(|method| method != request.method()));
    let error = allowed.map_or(AdminError::NotFound, |allowed| AdminError::MethodNotAllowed { allowed });
    let response = respond::error(&HttpError::from(&error), request.request_id());
    respond::log(request, "none", &response);
    response
}
