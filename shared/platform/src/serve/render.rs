//! The answer to a request, and its log line.

use super::scope::{RequestOutcome, RequestScope};
use crate::error::HttpError;
use crate::respond;
use http::{Response, StatusCode};
use torale_domain::access::rate_limits::RateLimitStatus;
use torale_domain::values::ids::ApiKeyId;
use torale_domain::values::trace::TraceParent;

/// The headers with the state of the user's rate limits: the limit, the requests that remain, and until when (in
/// seconds since 1970).
pub const RATE_LIMIT_HEADERS: [&str; 3] = ["x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset"];

/// The header with the id of the user who called, if the credentials are good.
pub const USER_ID_HEADER: &str = "x-user-id";

impl RequestScope<'_> {
    /// The answer. It is logged as well.
    pub(super) fn answer(&self, outcome: &RequestOutcome) -> Response<String> {
        let response = render(outcome, self.request.request_id());
        self.log(response.status().as_u16(), outcome);
        response
    }

    fn log(&self, status: u16, outcome: &RequestOutcome) {
        let (request_id, action) = (self.request.request_id(), self.endpoint.action);
        let principal = outcome.caller.as_ref().map(|caller| &caller.principal);
        let user = principal.and_then(|principal| principal.user_id).map(|user| user.to_string());
        let key = principal.and_then(|principal| principal.key_id.as_ref()).map(ApiKeyId::as_str);
        let impersonator = principal.and_then(|principal| principal.impersonator.as_deref());
        let duration_ms = self.elapsed_ms();
        let (read_units, write_units) = (self.usage.read_units(), self.usage.write_units());
        let round_trips = self.usage.round_trips();
        let trace_id = self.request.trace().map(TraceParent::trace_id);
        let generation = outcome.generation.as_deref();
        macro_rules! log {
            ($level:ident $(, %$error:ident)?) => {
                // The target is part of the line, and stays the same wherever this module moves.
                tracing::$level!(
                    target: "torale_platform::serve",
                    request_id, trace_id, action, status, user, key, impersonator, generation, duration_ms,
                    read_units, write_units, round_trips $(, %$error)?
                )
            };
        }
        match &outcome.result {
            Err(error) if status >= 500 => log!(error, %error),
            Ok(_) | Err(_) => log!(info),
        }
    }
}

fn render(outcome: &RequestOutcome, request_id: &str) -> Response<String> {
    let (status, body, mut headers) = match &outcome.result {
        Ok(body) => (StatusCode::OK, body.clone(), Vec::new()),
        Err(error) => {
            let HttpError { status, body, headers } = HttpError::from(error);
            (status, body.to_string(), headers)
        }
    };
    if let Some(RateLimitStatus { limit, remaining, reset }) = outcome.rate_limit {
        let values = [limit.to_string(), remaining.to_string(), reset.to_string()];
        headers.extend(RATE_LIMIT_HEADERS.into_iter().zip(values));
    }
    let principal = outcome.caller.as_ref().map(|caller| &caller.principal);
    let user_id = principal.and_then(|principal| principal.user_id).filter(|_| outcome.authenticated);
    headers.extend(user_id.map(|user_id| (USER_ID_HEADER, user_id.to_string())));
    respond::json(status, body, request_id, &headers)
}
