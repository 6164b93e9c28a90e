//! The relay of the platform's PostgreSQL: sends the events that the triggers of `sources/postgres` have written to the
//! event queue, every minute (`docs/guide/sources.md`).

use tokio::time::Instant;
use torale_platform::clock::Clock;
use torale_platform::metrics::{self, MetricSet};
use torale_platform::queue::MessageQueue;
use torale_source_outbox::SourceError;
use torale_source_outbox::connect::SourceDatabase;
use torale_source_outbox::relay::{self, SourceRelayReport};

/// Relays until the outbox is empty or the deadline has passed, and emits metrics of what it did and left. It returns
/// at `end` at the latest.
///
/// # Errors
/// If the database or the queue fails. Nothing is lost: the events are still in the outbox, and the next run sends
/// them.
pub async fn handle(
    database: &SourceDatabase,
    events: &MessageQueue,
    clock: Clock,
    deadline: Instant,
    end: Instant,
) -> Result<SourceRelayReport, SourceError> {
    let report = relay::run(database, events, deadline, end).await?;
    metrics::emit(&[counters(&report)], clock());
    let SourceRelayReport { sent, refused, waiting, lag_ms, troubles } = report;
    tracing::info!(sent, refused, waiting, lag_ms, troubles, "relayed");
    Ok(report)
}

/// The metrics of a run. A run that fails emits none, so that the lag's alarm takes their absence for a lag.
pub fn counters(report: &SourceRelayReport) -> MetricSet {
    let metrics = vec![
        ("OutboxSent", "Count", report.sent),
        ("OutboxWaiting", "Count", report.waiting),
        ("OutboxLag", "Milliseconds", report.lag_ms),
        ("OutboxTroubles", "Count", report.troubles),
    ];
    MetricSet { namespace: "Torale/Postgres", metrics }
}
