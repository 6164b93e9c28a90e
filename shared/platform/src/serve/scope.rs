//! One request, from its arrival to its end.

use super::endpoint::Endpoint;
use crate::authentication::{Admission, CallerIdentity, Rejection};
use crate::config;
use crate::error::AdminError;
use crate::store::{Generation, Usage};
use tokio::time::Instant;
use torale_domain::access::rate_limits::RateLimitStatus;
use torale_domain::requests::payload::HttpRequest;
use torale_domain::values::time::Timestamp;

/// A request and what every step of answering it needs.
pub(super) struct RequestScope<'a> {
    pub(super) endpoint: Endpoint,
    pub(super) request: &'a HttpRequest,
    pub(super) now: Timestamp,
    started: Instant,
    /// When the request must have ended.
    pub(super) deadline: Instant,
    pub(super) usage: Usage,
}

impl<'a> RequestScope<'a> {
    /// A request that has just arrived.
    pub(super) fn new(endpoint: Endpoint, request: &'a HttpRequest, now: Timestamp) -> Self {
        let (started, usage) = (Instant::now(), Usage::default());
        let deadline = started + config::REQUEST_TIMEOUT;
        Self { endpoint, request, now, started, deadline, usage }
    }

    /// The time since the request arrived, in milliseconds.
    pub(super) fn elapsed_ms(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

/// How a request ended, and what is known of its caller by then.
pub(super) struct RequestOutcome {
    /// The body of the answer, or why there is none.
    pub(super) result: Result<String, AdminError>,
    /// Who called, if the credentials are someone's.
    pub(super) caller: Option<CallerIdentity>,
    /// Whether the credentials are good.
    pub(super) authenticated: bool,
    /// The state of the user's rate limits, if the credentials are good.
    pub(super) rate_limit: Option<RateLimitStatus>,
    /// The name of the generation of projections that was live.
    pub(super) generation: Option<String>,
}

impl RequestOutcome {
    /// The caller was rejected before their credentials were found to be someone's, or right then.
    pub(super) fn rejected(Rejection { error, caller }: Rejection) -> Self {
        let caller = caller.map(|caller| *caller);
        Self { result: Err(error), caller, authenticated: false, rate_limit: None, generation: None }
    }

    /// The caller was admitted or refused, and the request ended with this result.
    pub(super) fn after(
        admission: Admission,
        generation: &Generation,
        result: Result<String, AdminError>,
    ) -> Self {
        let Admission { caller, authenticated, rate_limit, verdict } = admission;
        Self {
            result: verdict.and(result),
            caller: Some(caller),
            authenticated,
            rate_limit,
            generation: Some(generation.name.clone()),
        }
    }
}
