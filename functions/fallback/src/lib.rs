//! Everything that is no route: an unknown path, or a known one with another method.

use lambda_http::http::StatusCode;
use lambda_http::{Body, Request, Response};
use serde_json::json;
use torale_platform::{respond, routes};

/// 404, or 405 with the methods that the path has.
pub fn answer(request: &Request) -> Response<Body> {
    let allowed = routes::allowed(request.uri().path());
    let (status, detail, headers) = if allowed.is_empty() {
        (StatusCode::NOT_FOUND, "Not Found", vec![])
    } else {
        (StatusCode::METHOD_NOT_ALLOWED, "Method Not Allowed", vec![("allow", allowed)])
    };
    respond::json(status, json!({ "detail": detail }).to_string(), &respond::request_id(request), &headers)
}
