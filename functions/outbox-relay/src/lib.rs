//! Sends the commands that wait in the outbox, on a schedule and whenever the control table's stream tells of an order.

use serde::Serialize;
use tokio::time::Instant;
use torale_platform::clock::Clock;
use torale_platform::outbox::{Relay, Relayed};
use torale_platform::queue::Queue;
use torale_platform::store::{Generations, Store, StoreError, Usage};

/// What a run answers.
#[derive(Debug, Serialize)]
pub struct Answer {
    commands: u64,
    orders: u64,
    failed: u64,
    lag_ms: u64,
}

/// Why a run failed. Everything else was worked off even so.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The outbox can't be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Some orders can't be read: nothing but this failure tells of them.
    #[error("{0} orders can't be read")]
    Unreadable(u64),
}

/// One run, until the deadline at the latest.
///
/// # Errors
/// If the outbox, or an order in it, can't be read. An order that can't be worked off stays, and is counted.
pub async fn handle(
    store: &Store,
    queue: &Queue,
    clock: Clock,
    deadline: Instant,
) -> Result<Answer, Failure> {
    let (usage, generations) = (Usage::default(), Generations::default());
    let relayed = Relay::new(store, &generations, queue, &usage).run(clock, deadline).await?;
    let Relayed { commands, orders, failed, unreadable, lag_ms } = relayed;
    let (read_units, write_units) = (usage.read_units(), usage.write_units());
    tracing::info!(commands, orders, failed, lag_ms, read_units, write_units, "relayed");
    if unreadable > 0 {
        return Err(Failure::Unreadable(unreadable));
    }
    Ok(Answer { commands, orders, failed, lag_ms })
}
