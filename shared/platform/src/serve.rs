//! The one wrapper around every endpoint: authenticate ▸ limit ▸ handle ▸ answer. Handlers know nothing of HTTP.

use crate::clock::{self, Clock};
use crate::config;
use crate::error::{AdminError, HttpError};
use crate::identity::{Asked, Identity, Method as Credential, Principal};
use crate::limit::Limiter;
use crate::respond;
use crate::store::{GenerationReader, Generations, Store, Usage};
use futures::FutureExt;
pub use lambda_http::http::Method;
use lambda_http::http::StatusCode;
use lambda_http::http::header::{AUTHORIZATION, HeaderValue};
use lambda_http::{Body, Request, Response, service_fn};
use serde::Serialize;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use tokio::time::Instant;
use torale_domain::ids::{KeyId, UserId};
use torale_domain::limits::{Judged, Limits, Standing};
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
    identity: Identity,
    limiter: Limiter,
    temporal_ui: TemporalUi,
    clock: Clock,
}

/// What is known of a request by the time its answer is made, however it ended.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    /// The user and its API key, if it was one, once the credentials were good.
    asker: Option<(UserId, Option<KeyId>)>,
    /// How the user stands with its limits.
    standing: Option<Standing>,
    /// The admin, once it was found to be one.
    pub(crate) principal: Option<Principal>,
}

impl Seen {
    /// The credentials are those of this user.
    pub(crate) fn authenticated(&mut self, user: UserId, credential: &Credential, judged: &Judged) {
        let key = match credential {
            Credential::ApiKey { key_id } => Some(key_id.clone()),
            Credential::Session => None,
        };
        self.asker = Some((user, key));
        self.standing = match judged {
            Judged::Open(standing) | Judged::Full { standing, .. } => Some(*standing),
            Judged::Unprepared => None,
        };
    }
}

impl App {
    /// With parts of one's own; [`run`] brings those of the environment.
    pub fn new(
        store: Store,
        identity: Identity,
        limits: Limits,
        temporal_ui: TemporalUi,
        clock: Clock,
    ) -> Self {
        let limiter = Limiter::new(limits);
        Self { store, generations: Generations::default(), identity, limiter, temporal_ui, clock }
    }

    /// Answers a request; whatever happens, there is an answer in the form that the contract gives it.
    pub async fn answer<H: Handler>(&self, request: &Request) -> Response<Body> {
        let started = Instant::now();
        let (usage, mut seen) = (Usage::default(), Seen::default());
        let work = AssertUnwindSafe(self.admitted::<H>(request, &usage, &mut seen)).catch_unwind();
        let result = match tokio::time::timeout(config::REQUEST_TIMEOUT, work).await {
            Ok(Ok(result)) => result,
            Ok(Err(_panic)) => Err(AdminError::Internal("panic".to_owned())),
            Err(_elapsed) => Err(AdminError::TimedOut),
        };
        let request_id = respond::request_id(request);
        let response = render(&result, &seen, &request_id);
        log::<H>(&response, &result, &seen, &request_id, &usage, started);
        response
    }

    /// The order of refusals is the contract's: method, 401, 403, 429, (413,) 422.
    async fn admitted<H: Handler>(
        &self,
        request: &Request,
        usage: &Usage,
        seen: &mut Seen,
    ) -> Result<String, AdminError> {
        if request.method() != H::ENDPOINT.method {
            return Err(AdminError::MethodNotAllowed { allowed: allowed(&H::ENDPOINT.method) });
        }
        let header = request.headers().get(AUTHORIZATION).map(HeaderValue::as_bytes);
        let now = (self.clock)();
        let (store, generations) = (&self.store, &self.generations);
        let asked = Asked { store, generations, limiter: &self.limiter, now, usage };
        let reader = self.identity.authenticate(&asked, header, seen).await?;
        // Here, around every handler alike: the audit record of the request.
        let query = request.uri().query().unwrap_or_default();
        let call = Call { query, now, reader: &reader, temporal_ui: &self.temporal_ui };
        let answer = H::handle(&call).await?;
        serde_json::to_string(&answer).map_err(|e| AdminError::Internal(e.to_string()))
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

fn render(result: &Result<String, AdminError>, seen: &Seen, request_id: &str) -> Response<Body> {
    let (status, body, mut headers) = match result {
        Ok(body) => (StatusCode::OK, body.clone(), Vec::new()),
        Err(error) => {
            let HttpError { status, body, headers } = HttpError::from(error);
            (status, body.to_string(), headers)
        }
    };
    if let Some(Standing { limit, remaining, reset }) = seen.standing {
        headers.push(("x-ratelimit-limit", limit.to_string()));
        headers.push(("x-ratelimit-remaining", remaining.to_string()));
        headers.push(("x-ratelimit-reset", reset.to_string()));
    }
    respond::json(status, body, request_id, &headers)
}

fn log<H: Handler>(
    response: &Response<Body>,
    result: &Result<String, AdminError>,
    seen: &Seen,
    request_id: &str,
    usage: &Usage,
    started: Instant,
) {
    let status = response.status().as_u16();
    let action = H::ENDPOINT.action;
    let user = seen.asker.as_ref().map(|(user, _)| user.to_string());
    let key = seen.asker.as_ref().and_then(|(_, key)| key.as_ref()).map(KeyId::as_str);
    let impersonator = seen.principal.as_ref().and_then(|principal| principal.impersonator.as_deref());
    let duration_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
    let (read_units, round_trips) = (usage.read_units(), usage.round_trips());
    match result {
        Err(error) if status >= 500 => {
            tracing::error!(request_id, action, status, user, key, impersonator, duration_ms, read_units, round_trips, %error);
        }
        Ok(_) | Err(_) => {
            tracing::info!(
                request_id,
                action,
                status,
                user,
                key,
                impersonator,
                duration_ms,
                read_units,
                round_trips
            );
        }
    }
}

/// Runs an endpoint as a Lambda function.
pub async fn run<H: Handler>() -> Result<(), lambda_http::Error> {
    config::start_logging();
    let identity = Identity::new(&config::identity())?;
    let (limits, temporal_ui) = (config::limits()?, config::temporal_ui());
    let app = &App::new(Store::connect().await, identity, limits, temporal_ui, clock::system);
    lambda_http::run(service_fn(|request: Request| async move {
        Ok::<_, lambda_http::Error>(app.answer::<H>(&request).await)
    }))
    .await
}
