//! Sends what the outbox holds. An order leaves it only after SQS took all of its commands; whoever dies in between
//! has sent some of them, which are sent again under the same ids.

use crate::clock::Clock;
use crate::queue::{MessageQueue, QueueError};
use crate::store::{Generations, Store, StoreError, TableReader, TransactError, Usage};
use std::collections::BTreeMap;
use tokio::time::Instant;
use torale_domain::deactivation::outbox::{PAGE, StoredOutboxEntry};
use torale_domain::storage::item::{Item, Key};
use torale_domain::storage::keys;
use torale_domain::storage::read::{ReadPlan, Reader};
use torale_domain::values::time::Timestamp;

/// Orders that are looked at, at once.
const ORDERS: usize = 50;

/// Why an order is not worked off.
#[derive(Debug, thiserror::Error)]
pub enum RelayError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The queue failed.
    #[error(transparent)]
    Queue(#[from] QueueError),
    /// There was no time left.
    #[error("out of time")]
    OutOfTime,
}

/// What a run did.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Relayed {
    /// Commands that the queue took.
    pub commands: u64,
    /// Orders that are done.
    pub orders: u64,
    /// Orders that failed and stay.
    pub failed: u64,
    /// Those of them that can't be read: no age can tell of them.
    pub unreadable: u64,
    /// How long the oldest order that is left has waited, in milliseconds; 0 if none is left.
    pub lag_ms: u64,
}

/// Works off orders.
#[derive(Debug)]
pub struct Relay<'a> {
    store: &'a Store,
    generations: &'a Generations,
    queue: &'a MessageQueue,
    usage: &'a Usage,
}

impl<'a> Relay<'a> {
    /// From this store to this queue.
    pub const fn new(
        store: &'a Store,
        generations: &'a Generations,
        queue: &'a MessageQueue,
        usage: &'a Usage,
    ) -> Self {
        Self { store, generations, queue, usage }
    }

    /// Works off everything that is in the outbox, until the deadline. Each order is tried once a run: one that fails
    /// keeps none of the others back.
    pub async fn run(&self, clock: Clock, deadline: Instant) -> Result<Relayed, StoreError> {
        let (mut relayed, mut after, mut oldest) = (Relayed::default(), None::<Key>, None::<Timestamp>);
        while Instant::now() < deadline {
            let orders = self.store.pending_orders(after.as_ref(), ORDERS, self.usage).await?;
            let last = orders.len() < ORDERS;
            for order in orders {
                let pending = match order {
                    Ok(pending) => pending,
                    Err(error) => {
                        tracing::error!(%error, "an order of the outbox can't be read");
                        relayed.failed += 1;
                        relayed.unreadable += 1;
                        after = Some(Key { pk: error.pk, sk: error.sk });
                        continue;
                    }
                };
                after = Some(pending.key.clone());
                let at = pending.entry.at;
                match Box::pin(self.work_off(pending, deadline, &mut relayed)).await {
                    Ok(()) => relayed.orders += 1,
                    Err(error) => {
                        tracing::warn!(%error, since = %at, "an order stays in the outbox");
                        relayed.failed += 1;
                        oldest = Some(oldest.map_or(at, |oldest| oldest.min(at)));
                    }
                }
            }
            if last {
                break;
            }
        }
        let lag = oldest.map_or(0, |oldest| clock().millis() - oldest.millis());
        Ok(Relayed { lag_ms: u64::try_from(lag).unwrap_or(0), ..relayed })
    }

    /// Sends the commands of one order, step by step, and takes it out of the outbox.
    pub async fn work_off(
        &self,
        mut pending: StoredOutboxEntry,
        deadline: Instant,
        relayed: &mut Relayed,
    ) -> Result<(), RelayError> {
        loop {
            // Boxed: with the client's own futures inside, the compiler would run into its limit of depth.
            let step = tokio::time::timeout_at(deadline, Box::pin(self.step(&pending, relayed))).await;
            match step.unwrap_or(Err(RelayError::OutOfTime))? {
                Some(cursor) => pending.cursor = Some(cursor),
                None => return Ok(()),
            }
        }
    }

    /// One step; the cursor to go on from, if it was not the last.
    async fn step(
        &self,
        pending: &StoredOutboxEntry,
        relayed: &mut Relayed,
    ) -> Result<Option<String>, RelayError> {
        let rows = self.rows(pending).await?;
        let step = pending.step(&rows).map_err(StoreError::from)?;
        self.queue.send(&step.messages).await?;
        relayed.commands += u64::try_from(step.messages.len()).unwrap_or(u64::MAX);
        match self.store.settle_order(pending, step.cursor.as_deref(), self.usage).await {
            Ok(()) => Ok(step.cursor),
            // Another relay is at this order, and further: it goes on from there.
            Err(TransactError::Race) => Ok(None),
            Err(TransactError::Failed(error)) => Err(error.into()),
        }
    }

    /// The next rows of an order. After a flip they are looked for in the generation that it was made in, too: what was
    /// written there last may not have reached the one that is live.
    async fn rows(&self, pending: &StoredOutboxEntry) -> Result<Vec<Item>, RelayError> {
        let Some(range) = pending.range() else { return Ok(Vec::new()) };
        let live = self.generations.read(self.store, self.usage).await?;
        let mut tables = vec![live.table()];
        if live.name != pending.entry.generation {
            tables.push(keys::projections_table(&pending.entry.generation));
        }
        let mut rows = BTreeMap::new();
        for (place, table) in tables.iter().enumerate() {
            let reads = ReadPlan::ranges(vec![range.clone()]).consistent();
            let found = match TableReader::new(self.store, table, self.usage).read(reads).await {
                // The former generation was dropped.
                Err(StoreError::Refused(_)) if place > 0 => continue,
                found => found?,
            };
            rows.extend(found.ranges.into_iter().flatten().map(|row| (row.key.clone(), row)));
        }
        Ok(rows.into_values().take(PAGE).collect())
    }
}
