//! The environment: every variable that any function reads is named here.
//!
//! The AWS SDK reads its own (`AWS_REGION`, `AWS_ENDPOINT_URL_DYNAMODB`, credentials, ...), the Lambda runtime its own.

use std::time::Duration;
use torale_domain::pages::TemporalUi;
use tracing_subscriber::EnvFilter;

/// Web address of Temporal's pages.
pub const TEMPORAL_UI_URL: &str = "TEMPORAL_UI_URL";
/// Namespace of the platform's workflows.
pub const TEMPORAL_NAMESPACE: &str = "TEMPORAL_NAMESPACE";
/// What to log: `info`, or directives as `tracing` reads them.
pub const LOG: &str = "RUST_LOG";

/// Longest time for one call of the store, retries included.
pub const STORE_TIMEOUT: Duration = Duration::from_secs(5);
/// Longest time for one attempt of such a call.
pub const STORE_ATTEMPT_TIMEOUT: Duration = Duration::from_secs(2);
/// Longest time for a whole request; API Gateway gives up at 30 s.
pub const REQUEST_TIMEOUT: Duration = Duration::from_secs(20);

#[allow(clippy::disallowed_methods, reason = "the one place that may")]
fn variable(name: &str, default: &str) -> String {
    std::env::var(name).ok().filter(|value| !value.is_empty()).unwrap_or_else(|| default.to_owned())
}

/// Where Temporal's web pages are.
pub fn temporal_ui() -> TemporalUi {
    TemporalUi {
        url: variable(TEMPORAL_UI_URL, "https://cloud.temporal.io").trim_end_matches('/').to_owned(),
        namespace: variable(TEMPORAL_NAMESPACE, "default"),
    }
}

/// Logs as JSON lines on standard output, as Lambda collects them. Call once, first of all.
pub fn start_logging() {
    let filter = EnvFilter::try_new(variable(LOG, "info")).unwrap_or_else(|_| EnvFilter::new("info"));
    tracing_subscriber::fmt()
        .json()
        .flatten_event(true)
        .with_current_span(false)
        .with_env_filter(filter)
        .init();
}
