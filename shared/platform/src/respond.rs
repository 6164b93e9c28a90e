//! What every answer has, whoever gives it: the id of its request and the headers that browsers must see.

use crate::clock;
use crate::error::HttpError;
use lambda_http::http::header::HeaderValue;
use lambda_http::http::{HeaderName, StatusCode};
use lambda_http::request::RequestContext;
use lambda_http::{Body, Request, RequestExt, Response};
use torale_domain::values::trace::TraceParent;

/// Headers that every answer carries, beside its type and [`REQUEST_ID`].
pub const ALWAYS: [(&str, &str); 2] = [("cache-control", "no-store"), ("x-content-type-options", "nosniff")];
/// The header that names the request, in every answer.
pub const REQUEST_ID: &str = "x-request-id";

/// The client's address, as API Gateway saw it.
pub fn source_address(request: &Request) -> Option<String> {
    match request.request_context_ref() {
        Some(RequestContext::ApiGatewayV2(context)) => context.http.source_ip.clone(),
        _other_sources => None,
    }
}

/// The id that API Gateway gave the request, else the runtime's, else a new one.
pub fn request_id(request: &Request) -> String {
    let gateway = match request.request_context_ref() {
        Some(RequestContext::ApiGatewayV2(context)) => context.request_id.clone(),
        _other_sources => None,
    };
    let runtime = || request.lambda_context_ref().map(|context| context.request_id.clone());
    gateway.or_else(runtime).filter(|id| !id.is_empty()).unwrap_or_else(clock::unique)
}

/// An answer that tells an error, with the headers that every answer carries.
pub fn refusal(error: &HttpError, request_id: &str) -> Response<Body> {
    json(error.status, error.body.to_string(), request_id, &error.headers)
}

/// The trace that the request belongs to: X-Ray's, which Lambda goes on with, else its sender's.
pub fn trace(request: &Request) -> Option<TraceParent> {
    let xray = request.lambda_context_ref().and_then(|context| context.xray_trace_id.as_deref());
    let sent = || request.headers().get("traceparent").and_then(|value| value.to_str().ok());
    xray.and_then(TraceParent::from_xray).or_else(|| TraceParent::parse(sent()?))
}

/// The log's line of a request to which anybody gets the same answer.
pub fn log(request: &Request, action: &str, response: &Response<Body>, request_id: &str) {
    let trace = trace(request);
    let trace_id = trace.as_ref().map(TraceParent::trace_id);
    tracing::info!(request_id, trace_id, action, status = response.status().as_u16());
}

/// An answer of JSON with the headers that every answer carries and those of its own.
pub fn json(
    status: StatusCode,
    body: String,
    request_id: &str,
    own: &[(&'static str, String)],
) -> Response<Body> {
    let mut response = Response::new(Body::Text(body));
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
