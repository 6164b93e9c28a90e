//! The one wrapper around every endpoint: authenticate ▸ handle ▸ answer. Handlers know nothing of HTTP.

use crate::clock::{self, Clock};
use crate::config;
use crate::error::{AdminError, HttpError};
use crate::identity;
use crate::store::{GenerationReader, Generations, Store, Usage};
use futures::FutureExt;
pub use lambda_http::http::Method;
use lambda_http::http::StatusCode;
use lambda_http::http::header::{AUTHORIZATION, HeaderValue};
use lambda_http::request::RequestContext;
use lambda_http::{Body, Request, RequestExt, Response, service_fn};
use serde::Serialize;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use tokio::time::Instant;
use torale_domain::pages::TemporalUi;
use torale_domain::time::Timestamp;

/// What an endpoint declares about itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// Its method.
    pub method: Method,
    /// Its path, with parameters in braces.
    pub path: &'static str,
    /// What it does, as logs name it.
    pub action: &'static str,
}

/// One admitted request, as a handler sees it.
#[derive(Debug)]
pub struct Call<'a> {
    /// The query string, without its question mark.
    pub query: &'a str,
    /// When the request came in.
    pub now: Timestamp,
    /// The live projections, one generation for the whole request.
    pub reader: &'a GenerationReader<'a>,
    /// Where Temporal's web pages are.
    pub temporal_ui: &'a TemporalUi,
}

/// An endpoint: a declaration and a short handler.
pub trait Handler: 'static {
    /// The declaration.
    const ENDPOINT: Endpoint;
    /// The body of a good answer.
    type Answer: Serialize + Send;

    /// Answers an admitted request.
    fn handle(call: &Call<'_>) -> impl Future<Output = Result<Self::Answer, AdminError>> + Send;
}

/// What all requests of an instance share.
#[derive(Debug)]
pub struct App {
    store: Store,
    generations: Generations,
    temporal_ui: TemporalUi,
    clock: Clock,
}

/// A good body, or why there is none; and who asked.
struct Outcome {
    result: Result<Vec<u8>, AdminError>,
    key_id: Option<String>,
}

impl App {
    /// With parts of one's own; [`run`] brings those of the environment.
    pub fn new(store: Store, temporal_ui: TemporalUi, clock: Clock) -> Self {
        Self { store, generations: Generations::default(), temporal_ui, clock }
    }

    /// Answers a request; whatever happens, there is an answer in the form that the contract gives it.
    pub async fn answer<H: Handler>(&self, request: &Request) -> Response<Body> {
        let started = Instant::now();
        let usage = Usage::default();
        let work = AssertUnwindSafe(self.outcome::<H>(request, &usage)).catch_unwind();
        let outcome = match tokio::time::timeout(config::REQUEST_TIMEOUT, work).await {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(_panic)) => {
                Outcome { result: Err(AdminError::Internal("panic".to_owned())), key_id: None }
            }
            Err(_elapsed) => Outcome { result: Err(AdminError::TimedOut), key_id: None },
        };
        let request_id = request_id(request);
        let response = render(&outcome.result, &request_id);
        log::<H>(&response, &outcome, &request_id, &usage, started);
        response
    }

    async fn outcome<H: Handler>(&self, request: &Request, usage: &Usage) -> Outcome {
        let mut key_id = None;
        let result = self.admitted::<H>(request, usage, &mut key_id).await;
        Outcome { result, key_id }
    }

    /// The order of refusals is the contract's: method, 401, 403, (429, 413,) 422.
    async fn admitted<H: Handler>(
        &self,
        request: &Request,
        usage: &Usage,
        key_id: &mut Option<String>,
    ) -> Result<Vec<u8>, AdminError> {
        if request.method() != H::ENDPOINT.method {
            return Err(AdminError::MethodNotAllowed { allowed: allowed(&H::ENDPOINT.method) });
        }
        let header = request.headers().get(AUTHORIZATION).map(HeaderValue::as_bytes);
        let (principal, reader) =
            identity::authenticate(&self.store, &self.generations, header, usage).await?;
        *key_id = Some(principal.key.key_id.as_str().to_owned());
        // Here, around every handler alike: the rate limit of `principal`, then the audit record of the request.
        let query = request.uri().query().unwrap_or_default();
        let call = Call { query, now: (self.clock)(), reader: &reader, temporal_ui: &self.temporal_ui };
        let answer = H::handle(&call).await?;
        serde_json::to_vec(&answer).map_err(|e| AdminError::Internal(e.to_string()))
    }
}

const fn allowed(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::POST => "POST",
        Method::PATCH => "PATCH",
        _ => "",
    }
}

fn render(result: &Result<Vec<u8>, AdminError>, request_id: &str) -> Response<Body> {
    let error = result.as_ref().err().map(HttpError::from);
    let status = error.as_ref().map_or(StatusCode::OK, |error| error.status);
    let body = match (&error, result) {
        (Some(error), _) => error.body.to_string(),
        (None, Ok(body)) => String::from_utf8_lossy(body).into_owned(),
        (None, Err(_)) => String::new(),
    };
    let mut response = Response::new(Body::Text(body));
    *response.status_mut() = status;
    let always = [
        ("content-type", "application/json"),
        ("cache-control", "no-store"),
        ("x-content-type-options", "nosniff"),
        ("x-request-id", request_id),
    ];
    let own =
        error.iter().flat_map(|error| error.headers.iter().map(|(name, value)| (*name, value.as_str())));
    for (name, value) in always.into_iter().chain(own) {
        if let Ok(value) = HeaderValue::from_str(value) {
            response.headers_mut().insert(name, value);
        }
    }
    response
}

/// The id that API Gateway gave the request, else the runtime's.
fn request_id(request: &Request) -> String {
    let gateway = match request.request_context_ref() {
        Some(RequestContext::ApiGatewayV2(context)) => context.request_id.clone(),
        _other_sources => None,
    };
    let runtime = || request.lambda_context_ref().map(|context| context.request_id.clone());
    gateway.or_else(runtime).filter(|id| !id.is_empty()).unwrap_or_else(clock::unique)
}

fn log<H: Handler>(
    response: &Response<Body>,
    outcome: &Outcome,
    request_id: &str,
    usage: &Usage,
    started: Instant,
) {
    let status = response.status().as_u16();
    let (action, key_id) = (H::ENDPOINT.action, outcome.key_id.as_deref());
    let duration_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
    let (read_units, round_trips) = (usage.read_units(), usage.round_trips());
    match &outcome.result {
        Err(error) if status >= 500 => {
            tracing::error!(request_id, action, status, key_id, duration_ms, read_units, round_trips, %error);
        }
        Ok(_) | Err(_) => {
            tracing::info!(request_id, action, status, key_id, duration_ms, read_units, round_trips)
        }
    }
}

/// Runs an endpoint as a Lambda function.
pub async fn run<H: Handler>() -> Result<(), lambda_http::Error> {
    config::start_logging();
    let app = &App::new(Store::connect().await, config::temporal_ui(), clock::system);
    lambda_http::run(service_fn(|request: Request| async move {
        Ok::<_, lambda_http::Error>(app.answer::<H>(&request).await)
    }))
    .await
}
