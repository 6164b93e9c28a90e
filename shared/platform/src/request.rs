//! What every function reads from a request besides its endpoint's own input.

use crate::clock;
use lambda_http::request::RequestContext;
use lambda_http::{Request, RequestExt};
use torale_domain::values::trace::TraceParent;

/// The client's address, as API Gateway states it.
pub fn source_address(request: &Request) -> Option<String> {
    match request.request_context_ref() {
        Some(RequestContext::ApiGatewayV2(context)) => context.http.source_ip.clone(),
        _other_sources => None,
    }
}

/// The id of the request: API Gateway's, else the Lambda runtime's, else a new one.
pub fn request_id(request: &Request) -> String {
    let gateway = match request.request_context_ref() {
        Some(RequestContext::ApiGatewayV2(context)) => context.request_id.clone(),
        _other_sources => None,
    };
    let runtime = || request.lambda_context_ref().map(|context| context.request_id.clone());
    gateway.or_else(runtime).filter(|id| !id.is_empty()).unwrap_or_else(clock::unique)
}

/// The trace that the request belongs to: the one of X-Ray, which Lambda continues, else the client's.
pub fn trace(request: &Request) -> Option<TraceParent> {
    let xray = request.lambda_context_ref().and_then(|context| context.xray_trace_id.as_deref());
    let sent = || request.headers().get("traceparent").and_then(|value| value.to_str().ok());
    xray.and_then(TraceParent::from_xray).or_else(|| TraceParent::parse(sent()?))
}
