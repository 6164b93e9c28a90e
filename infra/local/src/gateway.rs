//! The gateway on the HTTP port: API Gateway in front, the Lambda Runtime API behind.
//!
//! | path | caller |
//! |---|---|
//! | `/.rt/NAME/2018-06-01/runtime/...` | a function started by hand with `AWS_LAMBDA_RUNTIME_API=http://127.0.0.1:9000/.rt/NAME` |
//! | `/.rt/NAME:INSTANCE/2018-06-01/runtime/...` | a process that the stack supervises |
//! | `/2015-03-31/functions/NAME/invocations` | `aws lambda invoke`, and `cargo lambda watch`'s way to invoke |
//! | anything else | a client of the HTTP API |
//!
//! This file has the HTTP API; [`routing`] finds a request's route, [`payload`] translates requests
//! and results, [`runtime_api`] has the rest of the table. Uses
//! [`functions::runtime`](crate::functions::runtime) only.

pub mod payload;
pub mod routing;
pub mod runtime_api;

use std::net::SocketAddr;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{ConnectInfo, DefaultBodyLimit, Request, State};
use axum::http::{HeaderValue, Method, Response, StatusCode, header};
use http_body_util::LengthLimitError;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::console::Console;
use crate::functions::runtime::{InvokeError, Runtimes};
use crate::project::Route;
use crate::request_id;
use payload::{DEFAULT_STAGE, GatewayRequest};
use routing::RouteMatch;
use runtime_api::LAMBDA_LIMIT;

/// The longest body of a request to API Gateway, 10 MB.
const REQUEST_LIMIT: usize = 10 * 1024 * 1024;
/// How long a request to an HTTP API may take.
pub const API_TIMEOUT: Duration = Duration::from_secs(30);

/// The gateway's state; clones share it.
#[derive(Clone)]
pub struct Gateway {
    runtimes: Runtimes,
    routes: Arc<RwLock<Vec<Route>>>,
    stage: String,
    timeout: Duration,
    console: Console,
}

impl Gateway {
    /// A gateway without routes whose requests may take `timeout`.
    #[must_use]
    pub fn new(runtimes: Runtimes, timeout: Duration, console: Console) -> Self {
        let stage = DEFAULT_STAGE.to_owned();
        Self { runtimes, routes: Arc::default(), stage, timeout, console }
    }

    /// Serves the API as a stage of API Gateway: all its paths begin with `/NAME`.
    #[must_use]
    pub fn with_stage(self, name: &str) -> Self {
        Self { stage: name.to_owned(), ..self }
    }

    /// Replaces the routes.
    pub fn set_routes(&self, routes: Vec<Route>) {
        for route in &routes {
            self.runtimes.declare(&route.function);
        }
        *self.routes.write().unwrap_or_else(PoisonError::into_inner) = routes;
    }

    /// Serves until the future is dropped.
    ///
    /// # Errors
    /// If the listener fails.
    pub async fn serve(self, listener: TcpListener) -> std::io::Result<()> {
        let app = Router::new()
            .fallback(api)
            .with_state(self.clone())
            .merge(runtime_api::router(self.runtimes, self.console))
            .layer(DefaultBodyLimit::max(LAMBDA_LIMIT));
        axum::serve(listener, app.into_make_service_with_connect_info::<SocketAddr>()).await
    }

    fn route(&self, method: &Method, path: &str) -> RouteMatch {
        let Some(path) = self.without_stage(path) else { return RouteMatch::Unknown };
        routing::match_route(&self.routes.read().unwrap_or_else(PoisonError::into_inner), method, path)
    }

    /// A path of the API without the name of its stage; `None` if it does not begin with that.
    fn without_stage<'a>(&self, path: &'a str) -> Option<&'a str> {
        if self.stage == DEFAULT_STAGE {
            return Some(path);
        }
        path.strip_prefix('/')?.strip_prefix(self.stage.as_str()).filter(|rest| rest.starts_with('/'))
    }
}

/// A request of the HTTP API.
async fn api(
    State(gateway): State<Gateway>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    request: Request,
) -> Response<Body> {
    let request_id = request_id::new();
    let mut response = match gateway.route(request.method(), request.uri().path()) {
        RouteMatch::Function { function, route_key, parameters } => {
            let (parts, body) = request.into_parts();
            match to_bytes(body, REQUEST_LIMIT).await {
                Ok(body) => {
                    let request = GatewayRequest {
                        request_id: &request_id,
                        stage: &gateway.stage,
                        route_key: &route_key,
                        path_parameters: &parameters,
                        parts: &parts,
                        peer,
                        body: &body,
                    };
                    call_function(&gateway, &function, payload::event(&request)).await
                }
                Err(error) if is_too_long(&error) => {
                    gateway_error(StatusCode::PAYLOAD_TOO_LARGE, "Request Entity Too Large")
                }
                Err(_) => gateway_error(StatusCode::BAD_REQUEST, "Bad Request"),
            }
        }
        RouteMatch::WrongMethod { allow } => {
            let detail = "Method Not Allowed";
            let mut response = contract_error(StatusCode::METHOD_NOT_ALLOWED, detail, &request_id);
            if let Ok(allow) = HeaderValue::try_from(allow) {
                response.headers_mut().insert(header::ALLOW, allow);
            }
            response
        }
        RouteMatch::Unknown => contract_error(StatusCode::NOT_FOUND, "Not Found", &request_id),
    };
    if let Ok(request_id) = HeaderValue::try_from(request_id) {
        response.headers_mut().insert("apigw-requestid", request_id);
    }
    response
}

/// Whether a body was read up to the limit; otherwise it was cut off or malformed.
fn is_too_long(error: &axum::Error) -> bool {
    std::error::Error::source(error).is_some_and(|source| source.is::<LengthLimitError>())
}

/// Invokes the function and translates its result, or its failure, as API Gateway does.
async fn call_function(gateway: &Gateway, function: &str, event: Value) -> Response<Body> {
    let event = event.to_string();
    if event.len() > LAMBDA_LIMIT {
        return gateway_error(StatusCode::PAYLOAD_TOO_LARGE, "Request Entity Too Large");
    }
    match gateway.runtimes.invoke(function, Bytes::from(event), gateway.timeout).await {
        Ok(result) => payload::response(&result).unwrap_or_else(|| {
            gateway.console.line(function, "its result is not an HTTP response");
            gateway_error(StatusCode::INTERNAL_SERVER_ERROR, "Internal Server Error")
        }),
        Err(InvokeError::TimedOut) => {
            gateway.console.line(function, "timed out");
            gateway_error(StatusCode::SERVICE_UNAVAILABLE, "Service Unavailable")
        }
        Err(error @ (InvokeError::Unknown | InvokeError::Crashed | InvokeError::Failed(_))) => {
            gateway.console.line(function, &error.to_string());
            gateway_error(StatusCode::INTERNAL_SERVER_ERROR, "Internal Server Error")
        }
    }
}

/// An error in the form of API Gateway's own.
fn gateway_error(status: StatusCode, message: &str) -> Response<Body> {
    json_response(status, &json!({ "message": message }))
}

/// An error in the form of the product's contract; in the cloud the function `fallback` answers it.
fn contract_error(status: StatusCode, detail: &str, request_id: &str) -> Response<Body> {
    let mut response = json_response(status, &json!({ "detail": detail }));
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    if let Ok(request_id) = HeaderValue::try_from(request_id) {
        headers.insert("x-request-id", request_id);
    }
    response
}

fn json_response(status: StatusCode, body: &Value) -> Response<Body> {
    let mut response = Response::new(Body::from(body.to_string()));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}
