//! Sends the commands that wait in the outbox, on a schedule and whenever the control table's stream tells of an order.

use serde::Serialize;
use tokio::time::Instant;
use torale_platform::clock::Clock;
use torale_platform::metrics::{self, MetricSet};
use torale_platform::outbox::{Relay, Relayed};
use torale_platform::queue::MessageQueue;
use torale_platform::store::{Generations, Store, StoreError, Usage};

/// What a run answers.
#[derive(Debug, Serialize)]
pub struct RelayAnswer {
    commands: u64,
    orders: u64,
    failed: u64,
    lag_ms: u64,
}

/// One run, until the deadline at the latest.
///
/// # Errors
/// If the outbox can't be read. An order that can't be worked off stays, and is counted.
pub async fn handle(
    store: &Store,
    queue: &MessageQueue,
    clock: Clock,
    deadline: Instant,
) -> Result<RelayAnswer, StoreError> {
    let (usage, generations) = (Usage::default(), Generations::default());
    let relayed = Relay::new(store, &generations, queue, &usage).run(clock, deadline).await?;
    let unreadable = unreadable(&relayed);
    if !unreadable.metrics.is_empty() {
        metrics::emit(&[unreadable], clock());
    }
    let Relayed { commands, orders, failed, lag_ms, .. } = relayed;
    let (read_units, write_units) = (usage.read_units(), usage.write_units());
    tracing::info!(commands, orders, failed, lag_ms, read_units, write_units, "relayed");
    Ok(RelayAnswer { commands, orders, failed, lag_ms })
}

/// What an alarm is to ring for, if anything: an order that can't be read has no age either, and its commands are not
/// sent.
pub fn unreadable(relayed: &Relayed) -> MetricSet {
    let found = [("UnreadableOrders", "Count", relayed.unreadable)];
    MetricSet {
        namespace: "Torale/Outbox",
        metrics: found.into_iter().filter(|(_, _, count)| *count > 0).collect(),
    }
}
