//! The gateway on the HTTP port: API Gateway in front, the Lambda Runtime API behind.
//!
//! | path | who speaks |
//! |---|---|
//! | `/.rt/NAME/2018-06-01/runtime/...` | a function started by hand (`AWS_LAMBDA_RUNTIME_API=http://127.0.0.1:9000/.rt/NAME`) |
//! | `/.rt/NAME:INSTANCE/2018-06-01/runtime/...` | a process that the stack supervises |
//! | `/2015-03-31/functions/NAME/invocations` | whoever invokes a function directly, like `aws lambda invoke` |
//! | anything else | a client of the HTTP API |

use std::net::SocketAddr;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{ConnectInfo, DefaultBodyLimit, Path, Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, Response, StatusCode, header};
use axum::routing::{get, post};
use axum::{Json, Router};
use percent_encoding::percent_decode_str;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::console::Console;
use crate::payload;
use crate::runtime::{InvokeError, Runtimes};

/// API Gateway accepts bodies up to 10 MB.
const REQUEST_LIMIT: usize = 10 * 1024 * 1024;
/// Lambda takes events and results up to 6 MB (and a little for the envelope).
const LAMBDA_LIMIT: usize = 6 * 1024 * 1024 + 100 * 1024;
/// An HTTP API ends a request after 30 s.
pub const API_TIMEOUT: Duration = Duration::from_secs(30);
/// The longest that a directly invoked function may run.
const DIRECT_TIMEOUT: Duration = Duration::from_secs(900);

/// A method and path template that belongs to a function.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// In capitals.
    pub method: String,
    /// `/admin/users/{id}/deactivate`.
    pub path: String,
    /// The function's name.
    pub function: String,
}

impl Route {
    /// A route; the method in any case.
    #[must_use]
    pub fn new(method: &str, path: &str, function: &str) -> Self {
        Self { method: method.to_uppercase(), path: path.to_owned(), function: function.to_owned() }
    }

    fn key(&self) -> String {
        format!("{} {}", self.method, self.path)
    }

    /// The template's parameters, if the path fits it.
    fn parameters(&self, path: &str) -> Option<Vec<(String, String)>> {
        let (template, sent) = (self.path.split('/'), path.split('/'));
        if template.clone().count() != sent.clone().count() {
            return None;
        }
        let mut parameters = Vec::new();
        for (wanted, sent) in template.zip(sent) {
            let sent = percent_decode_str(sent).decode_utf8_lossy().into_owned();
            match wanted.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')) {
                Some(name) if !sent.is_empty() => parameters.push((name.to_owned(), sent)),
                Some(_) => return None,
                None if wanted == sent => {}
                None => return None,
            }
        }
        Some(parameters)
    }
}

/// Where a request goes.
enum InvokeTarget {
    Function { function: String, route_key: String, parameters: Vec<(String, String)> },
    WrongMethod { allow: String },
    Unknown,
}

fn find_target(routes: &[Route], method: &Method, path: &str) -> InvokeTarget {
    let fitting: Vec<_> =
        routes.iter().filter_map(|route| route.parameters(path).map(|found| (route, found))).collect();
    // A literal path goes before a template.
    let chosen = fitting
        .iter()
        .filter(|(route, _)| route.method == method.as_str() || route.method == "ANY")
        .min_by_key(|(_, parameters)| parameters.len());
    match chosen {
        Some((route, parameters)) => InvokeTarget::Function {
            function: route.function.clone(),
            route_key: route.key(),
            parameters: parameters.clone(),
        },
        None if fitting.is_empty() => InvokeTarget::Unknown,
        None => {
            let mut methods: Vec<_> = fitting.iter().map(|(route, _)| route.method.as_str()).collect();
            methods.sort_unstable();
            methods.dedup();
            InvokeTarget::WrongMethod { allow: methods.join(", ") }
        }
    }
}

/// The gateway's state; clones share it.
#[derive(Clone)]
pub struct Gateway {
    runtimes: Runtimes,
    routes: Arc<RwLock<Vec<Route>>>,
    timeout: Duration,
    console: Console,
}

/// A new id for a request or an invocation.
#[must_use]
pub fn new_request_id() -> String {
    uuid::Builder::from_random_bytes(fastrand::u128(..).to_be_bytes()).into_uuid().to_string()
}

impl Gateway {
    /// A gateway without routes that ends requests after `timeout`.
    #[must_use]
    pub fn new(runtimes: Runtimes, timeout: Duration, console: Console) -> Self {
        Self { runtimes, routes: Arc::default(), timeout, console }
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
    /// When the listener breaks.
    pub async fn serve(self, listener: TcpListener) -> std::io::Result<()> {
        const RUNTIME: &str = "/.rt/{function}/2018-06-01/runtime";
        let app = Router::new()
            .route(&format!("{RUNTIME}/invocation/next"), get(runtime_next))
            .route(&format!("{RUNTIME}/invocation/{{id}}/response"), post(runtime_response))
            .route(&format!("{RUNTIME}/invocation/{{id}}/error"), post(runtime_error))
            .route(&format!("{RUNTIME}/init/error"), post(runtime_init_error))
            .route("/2015-03-31/functions/{function}/invocations", post(invoke))
            .fallback(api)
            .layer(DefaultBodyLimit::max(LAMBDA_LIMIT))
            .with_state(self);
        axum::serve(listener, app.into_make_service_with_connect_info::<SocketAddr>()).await
    }

    fn target(&self, method: &Method, path: &str) -> InvokeTarget {
        find_target(&self.routes.read().unwrap_or_else(PoisonError::into_inner), method, path)
    }
}

/// One request of the HTTP API.
async fn api(
    State(gateway): State<Gateway>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    request: Request,
) -> Response<Body> {
    let request_id = new_request_id();
    let mut answer = match gateway.target(request.method(), request.uri().path()) {
        InvokeTarget::Function { function, route_key, parameters } => {
            let (parts, body) = request.into_parts();
            match to_bytes(body, REQUEST_LIMIT).await {
                Ok(body) => {
                    let call = payload::GatewayRequest {
                        request_id: &request_id,
                        route_key: &route_key,
                        path_parameters: &parameters,
                        parts: &parts,
                        peer,
                        body: &body,
                    };
                    call_function(&gateway, &function, payload::event(&call)).await
                }
                Err(_) => message(StatusCode::PAYLOAD_TOO_LARGE, "Request Entity Too Large"),
            }
        }
        InvokeTarget::WrongMethod { allow } => {
            let mut answer = refusal(StatusCode::METHOD_NOT_ALLOWED, "Method Not Allowed", &request_id);
            if let Ok(allow) = HeaderValue::try_from(allow) {
                answer.headers_mut().insert(header::ALLOW, allow);
            }
            answer
        }
        InvokeTarget::Unknown => refusal(StatusCode::NOT_FOUND, "Not Found", &request_id),
    };
    if let Ok(request_id) = HeaderValue::try_from(request_id) {
        answer.headers_mut().insert("apigw-requestid", request_id);
    }
    answer
}

/// Invokes the function and translates its result, or what became of it, as API Gateway does.
async fn call_function(gateway: &Gateway, function: &str, event: Value) -> Response<Body> {
    let event = event.to_string();
    if event.len() > LAMBDA_LIMIT {
        return message(StatusCode::PAYLOAD_TOO_LARGE, "Request Entity Too Large");
    }
    match gateway.runtimes.invoke(function, Bytes::from(event), gateway.timeout).await {
        Ok(result) => payload::answer(&result).unwrap_or_else(|| {
            gateway.console.line(function, "answered something that is no HTTP answer");
            message(StatusCode::INTERNAL_SERVER_ERROR, "Internal Server Error")
        }),
        Err(InvokeError::TimedOut) => {
            gateway.console.line(function, "gave no answer in time");
            message(StatusCode::SERVICE_UNAVAILABLE, "Service Unavailable")
        }
        Err(error @ (InvokeError::Unknown | InvokeError::Crashed | InvokeError::Failed(_))) => {
            gateway.console.line(function, &error.to_string());
            message(StatusCode::INTERNAL_SERVER_ERROR, "Internal Server Error")
        }
    }
}

/// An error of API Gateway's own.
fn message(status: StatusCode, text: &str) -> Response<Body> {
    json_answer(status, &json!({ "message": text }))
}

/// A refusal by the product's contract; in the cloud the function of the default route says it.
fn refusal(status: StatusCode, detail: &str, request_id: &str) -> Response<Body> {
    let mut answer = json_answer(status, &json!({ "detail": detail }));
    let headers = answer.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    if let Ok(request_id) = HeaderValue::try_from(request_id) {
        headers.insert("x-request-id", request_id);
    }
    answer
}

fn json_answer(status: StatusCode, body: &Value) -> Response<Body> {
    let mut answer = Response::new(Body::from(body.to_string()));
    *answer.status_mut() = status;
    answer.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    answer
}

/// `NAME` or `NAME:INSTANCE`.
fn split_name(name: &str) -> (&str, Option<&str>) {
    name.split_once(':').map_or((name, None), |(function, instance)| (function, Some(instance)))
}

async fn runtime_next(State(gateway): State<Gateway>, Path(name): Path<String>) -> Response<Body> {
    let (function, instance) = split_name(&name);
    let invocation = gateway.runtimes.next(function, instance).await;
    let arn = format!("arn:aws:lambda:us-east-1:000000000000:function:{function}");
    let trace: String = invocation.request_id.chars().filter(|letter| *letter != '-').collect();
    let seconds = invocation.deadline_ms.div_euclid(1000);
    let trace = format!("Root=1-{seconds:08x}-{};Sampled=0", trace.get(..24).unwrap_or_default());
    let mut answer = Response::new(Body::from(invocation.payload));
    let headers = [
        ("lambda-runtime-aws-request-id", invocation.request_id),
        ("lambda-runtime-deadline-ms", invocation.deadline_ms.to_string()),
        ("lambda-runtime-invoked-function-arn", arn),
        ("lambda-runtime-trace-id", trace),
        ("content-type", "application/json".to_owned()),
    ];
    for (name, value) in headers {
        if let Ok(value) = HeaderValue::try_from(value) {
            answer.headers_mut().insert(name, value);
        }
    }
    answer
}

type Accepted = (StatusCode, Json<Value>);

fn accepted(known: bool) -> Accepted {
    if known {
        (StatusCode::ACCEPTED, Json(json!({ "status": "OK" })))
    } else {
        let reason = json!({ "errorType": "InvalidRequestID", "errorMessage": "Invalid request ID" });
        (StatusCode::BAD_REQUEST, Json(reason))
    }
}

async fn runtime_response(
    State(gateway): State<Gateway>,
    Path((name, id)): Path<(String, String)>,
    body: Body,
) -> Accepted {
    let (function, _) = split_name(&name);
    if let Ok(result) = to_bytes(body, LAMBDA_LIMIT).await {
        return accepted(gateway.runtimes.answer(function, &id, Ok(result)));
    }
    let error = json!({ "errorType": "Function.ResponseSizeTooLarge",
        "errorMessage": "Response payload size exceeded maximum allowed payload size (6291556 bytes)." });
    let failed = InvokeError::Failed(Bytes::from(error.to_string()));
    let _known = gateway.runtimes.answer(function, &id, Err(failed));
    (StatusCode::PAYLOAD_TOO_LARGE, Json(error))
}

async fn runtime_error(
    State(gateway): State<Gateway>,
    Path((name, id)): Path<(String, String)>,
    body: Bytes,
) -> Accepted {
    let (function, _) = split_name(&name);
    accepted(gateway.runtimes.answer(function, &id, Err(InvokeError::Failed(body))))
}

/// The process ends after this; its supervisor then fails what waits for it.
async fn runtime_init_error(
    State(gateway): State<Gateway>,
    Path(name): Path<String>,
    body: Bytes,
) -> Accepted {
    let (function, _) = split_name(&name);
    gateway.console.line(function, &format!("could not start: {}", String::from_utf8_lossy(&body)));
    accepted(true)
}

/// `POST /2015-03-31/functions/NAME/invocations`, as Lambda's own API answers it.
async fn invoke(
    State(gateway): State<Gateway>,
    Path(function): Path<String>,
    headers: HeaderMap,
    event: Bytes,
) -> Response<Body> {
    let event = if event.is_empty() { Bytes::from_static(b"{}") } else { event };
    if headers.get("x-amz-invocation-type").is_some_and(|kind| kind == "Event") {
        tokio::spawn(async move { gateway.runtimes.invoke(&function, event, DIRECT_TIMEOUT).await });
        return json_answer(StatusCode::ACCEPTED, &Value::Null);
    }
    let failed = |body: Bytes| {
        let mut answer = Response::new(Body::from(body));
        answer.headers_mut().insert("x-amz-function-error", HeaderValue::from_static("Unhandled"));
        answer
    };
    match gateway.runtimes.invoke(&function, event, DIRECT_TIMEOUT).await {
        Ok(result) => Response::new(Body::from(result)),
        Err(InvokeError::Failed(error)) => failed(error),
        Err(InvokeError::Unknown) => json_answer(
            StatusCode::NOT_FOUND,
            &json!({ "Type": "User", "Message": format!("Function not found: {function}") }),
        ),
        Err(error @ (InvokeError::Crashed | InvokeError::TimedOut)) => {
            failed(Bytes::from(json!({ "errorMessage": error.to_string() }).to_string()))
        }
    }
}
