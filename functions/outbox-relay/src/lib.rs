//! The outbox relay: sends the commands and events of outbox entries, on a schedule and whenever the stream of the
//! control table reports a new entry.

use serde::Serialize;
use tokio::time::Instant;
use torale_platform::clock::Clock;
use torale_platform::metrics::{self, MetricSet};
use torale_platform::outbox::{Relay, RelayReport};
use torale_platform::queue::MessageQueue;
use torale_platform::store::{Generations, Store, StoreError, Usage};

/// The response of a run.
#[derive(Debug, Serialize)]
pub struct RelayAnswer {
    commands: u64,
    #[serde(rename = "orders")]
    completed: u64,
    failed: u64,
    lag_ms: u64,
}

/// Runs the relay until the outbox is processed, or the deadline has passed.
///
/// # Errors
/// If the outbox can't be read. An entry that fails stays in the outbox and is counted.
pub async fn handle(
    store: &Store,
    commands: &MessageQueue,
    events: &MessageQueue,
    clock: Clock,
    deadline: Instant,
) -> Result<RelayAnswer, StoreError> {
    let (usage, generations) = (Usage::default(), Generations::default());
    let relay = Relay::new(store, &generations, commands, &usage).with_events(events);
    let report = relay.run(clock, deadline).await?;
    let alarms = alarm_metrics(&report);
    if !alarms.metrics.is_empty() {
        metrics::emit(&[alarms], clock());
    }
    let RelayReport { commands, completed, failed, lag_ms, .. } = report;
    let (read_units, write_units) = (usage.read_units(), usage.write_units());
    tracing::info!(commands, orders = completed, failed, lag_ms, read_units, write_units, "relayed");
    Ok(RelayAnswer { commands, completed, failed, lag_ms })
}

/// The metrics that alarms watch; none if everything is in order. An entry that can't be read has no known age, and its
/// commands are not sent.
pub fn alarm_metrics(report: &RelayReport) -> MetricSet {
    let found = [("UnreadableOrders", "Count", report.unreadable)];
    MetricSet {
        namespace: "Torale/Outbox",
        metrics: found.into_iter().filter(|(_, _, count)| *count > 0).collect(),
    }
}
