//! What surrounds every endpoint of the admin API: admission, the audit record, the log line and the answer. Handlers
//! know nothing of HTTP.
//!
//! | module | what it does |
//! |---|---|
//! | `endpoint` | what an endpoint declares about itself |
//! | `app` | what all requests of a function instance share |
//! | `scope` | one request, and how it ended |
//! | `admission` | the method, the caller, their role and their rate limits |
//! | `read` | endpoints that read: the handler runs while the caller is being admitted |
//! | `change` | endpoints that change something: the caller is admitted before the handler runs |
//! | `deactivate` | the changes themselves: deactivates and reactivates users |
//! | `record` | writes the audit record, without which there is no answer |
//! | `render` | the answer and its log line |

mod admission;
mod app;
mod change;
mod deactivate;
mod endpoint;
mod read;
mod record;
mod render;
mod scope;

<<<<<<< HEAD
pub use app::App;
pub use change::{Change, ChangeContext, ChangeOutcome, run_change};
pub use endpoint::{Endpoint, HttpMethod};
pub use read::{Handler, RequestContext, run};
pub use render::RATE_LIMIT_HEADERS;
=======
use crate::audit::AuditTrail;
use crate::clock::{self, Clock};
use crate::config;
use crate::error::{AdminError, HttpError};
use crate::identity::{AuthRequest, Identity};
use crate::key_use::KeyUse;
use crate::limit::Limiter;
use crate::respond;
use crate::start::Parts;
use crate::store::{Generations, Store, TableReader, Usage};
pub use change::{Change, ChangeContext, run_change};
use futures::FutureExt;
use futures::future::{Either, select};
pub use lambda_http::http::Method as HttpMethod;
use lambda_http::http::StatusCode;
use lambda_http::http::header::{AUTHORIZATION, HeaderValue, USER_AGENT};
use lambda_http::{Body, Request, Response, service_fn};
use serde::Serialize;
use serde_json::{Value, json};
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::time::Duration;
use tokio::time::Instant;
use torale_domain::access::rate_limits::{RateLimitDecision, RateLimitStatus, RateLimits};
use torale_domain::audit::record::redacted;
use torale_domain::audit::{AuditEntry, AuthMethod, Principal};
use torale_domain::pages::TemporalUi;
use torale_domain::requests::parameters::{ParameterFault, QueryParameters};
use torale_domain::storage::keys::{AUDIT_INDEX_TABLE, AUDIT_TABLE};
use torale_domain::values::ids::{ClerkUserId, KeyId};
use torale_domain::values::time::Timestamp;
use torale_domain::values::trace::TraceParent;

/// How much longer than its record an answer waits for the use of its key to be noted.
const NOTING_GRACE: Duration = Duration::from_millis(20);

/// The headers that tell how a user stands with its limits: the limit, what is left, and until when.
pub const RATE_LIMIT_HEADERS: [&str; 3] = ["x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset"];

/// What an endpoint declares about itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// Its method.
    pub method: HttpMethod,
    /// Its path, with parameters in braces.
    pub path: &'static str,
    /// What it does, as logs name it.
    pub action: &'static str,
}

/// One request, as a handler sees it.
#[derive(Debug)]
pub struct RequestContext<'a> {
    /// When the request came in.
    pub now: Timestamp,
    /// The live projections, one generation for the whole request.
    pub reader: &'a TableReader<'a>,
    /// The audit trail's index and its records.
    pub audit: &'a [TableReader<'a>; 2],
    /// Where Temporal's web pages are.
    pub temporal_ui: &'a TemporalUi,
}

/// An endpoint that reads: a declaration and a short handler. It runs while it is still being found out whether who
/// asks may, so it must change nothing.
pub trait Handler: 'static {
    /// The declaration.
    const ENDPOINT: Endpoint;
    /// The parameters.
    type Parameters: QueryParameters;
    /// The body of a good answer.
    type Answer: Serialize + Send;

    /// Answers a request whose parameters are good.
    fn handle(
        call: &RequestContext<'_>,
        query: &Self::Parameters,
    ) -> impl Future<Output = Result<Self::Answer, AdminError>> + Send;
}

/// What all requests of an instance share.
#[derive(Debug)]
pub struct App {
    store: Store,
    generations: Generations,
    identity: Identity,
    limiter: Limiter,
    trail: AuditTrail,
    key_use: KeyUse,
    temporal_ui: TemporalUi,
    clock: Clock,
}

/// What is known of a request by the time its answer is made, however it ended.
#[derive(Debug, Default)]
pub(crate) struct AuthContext {
    /// Who presents which credentials, once they are found to be someone's.
    who: Option<(AuthMethod, Principal)>,
    /// How the user stands with its limits, once the credentials are good.
    standing: Option<RateLimitStatus>,
    /// Whether the credentials are good.
    authenticated: bool,
    /// The generation of projections that was live.
    generation: Option<String>,
}

impl AuthContext {
    /// The credentials are someone's, and may still be refused.
    pub(crate) fn presented(&mut self, method: AuthMethod, principal: Principal) {
        self.who = Some((method, principal));
    }

    /// The user's name at the identity provider.
    pub(crate) fn is_user(&mut self, clerk_user_id: &ClerkUserId) {
        if let Some((_, principal)) = &mut self.who {
            principal.clerk_user_id = Some(clerk_user_id.clone());
        }
    }

    /// The credentials are good.
    pub(crate) const fn authenticated(&mut self, judged: &RateLimitDecision) {
        self.authenticated = true;
        self.standing = match judged {
            RateLimitDecision::Open(standing) | RateLimitDecision::Full { status: standing, .. } => {
                Some(*standing)
            }
            RateLimitDecision::Unprepared => None,
        };
    }

    fn principal(&self) -> Option<&Principal> {
        self.who.as_ref().map(|(_, principal)| principal)
    }
}

/// A request and what every step of answering it needs.
struct RequestScope<'a> {
    endpoint: Endpoint,
    request: &'a Request,
    request_id: String,
    trace: Option<TraceParent>,
    now: Timestamp,
    started: Instant,
    usage: Usage,
}

impl App {
    /// With parts of one's own; [`run`] brings those of the environment.
    pub fn new(
        store: Store,
        identity: Identity,
        limits: RateLimits,
        temporal_ui: TemporalUi,
        clock: Clock,
    ) -> Self {
        Self {
            store,
            generations: Generations::default(),
            identity,
            limiter: Limiter::new(limits),
            trail: AuditTrail::default(),
            key_use: KeyUse::default(),
            temporal_ui,
            clock,
        }
    }

    /// With the parts that the environment names.
    async fn connect() -> Result<Self, lambda_http::Error> {
        let identity = Identity::new(&config::identity())?;
        let (limits, temporal_ui) = (config::limits()?, config::temporal_ui());
        Ok(Self::new(Store::connect().await, identity, limits, temporal_ui, clock::system))
    }

    /// Answers a request; whatever happens, there is an answer in the form that the contract gives it.
    pub async fn answer<H: Handler>(&self, request: &Request) -> Response<Body> {
        let exchange = RequestScope::new(H::ENDPOINT, request, (self.clock)());
        let query = H::Parameters::parse(request.uri().query().unwrap_or_default());
        let parameters = parameters(&query);
        let mut seen = AuthContext::default();
        let work = AssertUnwindSafe(self.handled::<H>(&exchange, query, &mut seen)).catch_unwind();
        let result = match tokio::time::timeout(config::REQUEST_TIMEOUT, work).await {
            Ok(Ok(result)) => result,
            Ok(Err(_panic)) => Err(AdminError::Internal("panic".to_owned())),
            Err(_elapsed) => Err(AdminError::TimedOut),
        };
        let result = self.recorded(&exchange, &seen, None, parameters, result).await;
        exchange.answer(&result, &seen)
    }

    /// The order of refusals is the contract's: method, 401, 403, 429, 422. The reading goes on beside the admission:
    /// an answer that is refused is thrown away.
    async fn handled<H: Handler>(
        &self,
        exchange: &RequestScope<'_>,
        query: Result<H::Parameters, Vec<ParameterFault>>,
        seen: &mut AuthContext,
    ) -> Result<String, AdminError> {
        if exchange.request.method() != exchange.endpoint.method {
            return Err(AdminError::MethodNotAllowed { allowed: exchange.endpoint.method.to_string() });
        }
        let header = exchange.request.headers().get(AUTHORIZATION).map(HeaderValue::as_bytes);
        let found = self.identity.look_up(&self.asked(exchange, &exchange.usage), header, seen).await?;
        seen.generation = Some(found.generation.name.clone());
        let (admitting, reading) = (Usage::default(), Usage::default());
        let (store, usage) = (&self.store, &reading);
        let reader = TableReader::of(store, &found.generation, usage);
        let audit = [AUDIT_INDEX_TABLE, AUDIT_TABLE].map(|table| TableReader::new(store, table, usage));
        let call = RequestContext {
            now: exchange.now,
            reader: &reader,
            audit: &audit,
            temporal_ui: &self.temporal_ui,
        };
        // A flood that is refused from memory starts no reading.
        let closed = self.limiter.closed(found.user_id, exchange.now);
        let answer = async {
            Ok(match (&query, closed) {
                (_, Some(retry_after)) => Err(AdminError::RateLimited { retry_after }),
                // A panic must not come before a refusal.
                (Ok(query), None) => AssertUnwindSafe(H::handle(&call, query))
                    .catch_unwind()
                    .await
                    .unwrap_or_else(|_panic| Err(AdminError::Internal("panic".to_owned()))),
                (Err(faults), None) => Err(AdminError::Invalid(faults.clone())),
            })
        };
        let asked = self.asked(exchange, &admitting);
        let result = futures::try_join!(self.identity.admit(&asked, found, seen), answer);
        exchange.usage.add_parallel(&[&admitting, &reading]);
        let ((), answer) = result?;
        serde_json::to_string(&answer?).map_err(|e| AdminError::Internal(e.to_string()))
    }

    const fn asked<'a>(&'a self, exchange: &RequestScope<'_>, usage: &'a Usage) -> AuthRequest<'a> {
        let (store, generations, limiter) = (&self.store, &self.generations, &self.limiter);
        AuthRequest { store, generations, limiter, now: exchange.now, usage }
    }

    /// Writes the audit record of a request whose credentials are someone's; without it there is no answer.
    async fn recorded(
        &self,
        exchange: &RequestScope<'_>,
        seen: &AuthContext,
        target: Option<String>,
        parameters: Value,
        result: Result<String, AdminError>,
    ) -> Result<String, AdminError> {
        let Some((method, principal)) = &seen.who else { return result };
        let status = result.as_ref().map_or_else(|error| HttpError::from(error).status, |_| StatusCode::OK);
        let entry = exchange.entry((self.clock)(), *method, principal.clone(), target, parameters, status);
        let recording = pin!(self.trail.record(&self.store, entry, &exchange.usage));
        let noting = pin!(self.note_key_use(exchange, seen));
        // Both take as long as each other, mostly; a slow note is given up, and made with the key's next request.
        let recorded = match select(recording, noting).await {
            Either::Left((recorded, noting)) => {
                drop(tokio::time::timeout(NOTING_GRACE, noting).await);
                recorded
            }
            Either::Right(((), recording)) => recording.await,
        };
        match recorded {
            Ok(()) => result,
            Err(error) => Err(AdminError::Unrecorded(error)),
        }
    }
}

impl App {
    /// Notes the use of a good API key.
    async fn note_key_use(&self, exchange: &RequestScope<'_>, seen: &AuthContext) {
        let key = seen.principal().and_then(|principal| principal.key_id.as_ref());
        if let Some(key) = key.filter(|_| seen.authenticated) {
            self.key_use.note(&self.store, key, exchange.now, &exchange.usage).await;
        }
    }
}

/// What the server understood of the parameters, for the audit trail; of malformed ones the names.
fn parameters<Q: QueryParameters>(query: &Result<Q, Vec<ParameterFault>>) -> Value {
    match query {
        Ok(query) => serde_json::to_value(query).unwrap_or_default(),
        Err(faults) => json!({ "invalid": faults.iter().map(|fault| &fault.loc[1]).collect::<Vec<_>>() }),
    }
}

impl<'a> RequestScope<'a> {
    fn new(endpoint: Endpoint, request: &'a Request, now: Timestamp) -> Self {
        let (request_id, trace) = (respond::request_id(request), respond::trace(request));
        Self { endpoint, request, request_id, trace, now, started: Instant::now(), usage: Usage::default() }
    }

    /// The answer, logged.
    fn answer(&self, result: &Result<String, AdminError>, seen: &AuthContext) -> Response<Body> {
        let response = render(result, seen, &self.request_id);
        self.log(&response, result, seen);
        response
    }

    fn entry(
        &self,
        at: Timestamp,
        method: AuthMethod,
        principal: Principal,
        target: Option<String>,
        parameters: Value,
        status: StatusCode,
    ) -> AuditEntry {
        let headers = self.request.headers();
        let user_agent = headers.get(USER_AGENT).map(|agent| String::from_utf8_lossy(agent.as_bytes()));
        AuditEntry {
            at,
            principal,
            method,
            action: self.endpoint.action.to_owned(),
            target,
            parameters,
            status: status.as_u16(),
            request_id: self.request_id.clone(),
            source: respond::source_address(self.request),
            user_agent: user_agent.map(|agent| redacted(&agent)),
            duration_ms: self.elapsed_ms(),
        }
    }

    fn elapsed_ms(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    fn log(&self, response: &Response<Body>, result: &Result<String, AdminError>, seen: &AuthContext) {
        let (request_id, action) = (&self.request_id, self.endpoint.action);
        let status = response.status().as_u16();
        let principal = seen.principal();
        let user = principal.and_then(|principal| principal.user_id).map(|user| user.to_string());
        let key = principal.and_then(|principal| principal.key_id.as_ref()).map(KeyId::as_str);
        let impersonator = principal.and_then(|principal| principal.impersonator.as_deref());
        let duration_ms = self.elapsed_ms();
        let (read_units, write_units) = (self.usage.read_units(), self.usage.write_units());
        let round_trips = self.usage.round_trips();
        let trace_id = self.trace.as_ref().map(TraceParent::trace_id);
        let generation = seen.generation.as_deref();
        macro_rules! log {
            ($level:ident $(, %$error:ident)?) => {
                tracing::$level!(
                    request_id, trace_id, action, status, user, key, impersonator, generation, duration_ms,
                    read_units, write_units, round_trips $(, %$error)?
                )
            };
        }
        match result {
            Err(error) if status >= 500 => log!(error, %error),
            Ok(_) | Err(_) => log!(info),
        }
    }
}

fn render(result: &Result<String, AdminError>, seen: &AuthContext, request_id: &str) -> Response<Body> {
    let (status, body, mut headers) = match result {
        Ok(body) => (StatusCode::OK, body.clone(), Vec::new()),
        Err(error) => {
            let HttpError { status, body, headers } = HttpError::from(error);
            (status, body.to_string(), headers)
        }
    };
    if let Some(RateLimitStatus { limit, remaining, reset }) = seen.standing {
        let values = [limit.to_string(), remaining.to_string(), reset.to_string()];
        headers.extend(RATE_LIMIT_HEADERS.into_iter().zip(values));
    }
    respond::json(status, body, request_id, &headers)
}

/// Runs an endpoint as a Lambda function.
pub async fn run<H: Handler>() -> Result<(), lambda_http::Error> {
    config::start_logging();
    let app = &Parts::build(App::connect);
    lambda_http::run(service_fn(|request: Request| async move {
        Ok::<_, lambda_http::Error>(app.get().await.answer::<H>(&request).await)
    }))
    .await
}
>>>>>>> domain
