//! Sends what the outbox holds. An order leaves it only after SQS took all of its commands; whoever dies in between
//! has sent some of them, which are sent again under the same ids.

use crate::clock::Clock;
use crate::queue::{Queue, QueueError};
use crate::store::{Generations, Lost, Store, StoreError, TableReader, Usage};
use tokio::time::Instant;
use torale_domain::keys;
use torale_domain::outbox::Pending;
use torale_domain::read::{Reader, Reads};

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
    /// How long the oldest order that is left has waited, in milliseconds; 0 if none is left.
    pub lag_ms: u64,
}

/// Works off orders.
#[derive(Debug)]
pub struct Relay<'a> {
    store: &'a Store,
    generations: &'a Generations,
    queue: &'a Queue,
    usage: &'a Usage,
}

impl<'a> Relay<'a> {
    /// From this store to this queue.
    pub const fn new(
        store: &'a Store,
        generations: &'a Generations,
        queue: &'a Queue,
        usage: &'a Usage,
    ) -> Self {
        Self { store, generations, queue, usage }
    }

    /// Works off everything that is in the outbox, the oldest first, until the deadline. An order that fails keeps
    /// none of the others back.
    pub async fn run(&self, clock: Clock, deadline: Instant) -> Result<Relayed, StoreError> {
        let mut relayed = Relayed::default();
        loop {
            let orders = self.store.pending_orders(ORDERS, self.usage).await?;
            let before = relayed.orders;
            for pending in &orders {
                match self.work_off(pending.clone(), deadline, &mut relayed).await {
                    Ok(()) => relayed.orders += 1,
                    Err(error) => {
                        tracing::warn!(%error, order = %pending.key.sk, "an order stays in the outbox");
                        relayed.failed += 1;
                    }
                }
            }
            // Orders that stay would be found again and again.
            if orders.len() < ORDERS || relayed.orders == before || Instant::now() >= deadline {
                break;
            }
        }
        let oldest = self.store.pending_orders(1, self.usage).await?;
        let since = oldest.first().and_then(|pending| keys::outbox_time(&pending.key));
        let lag = since.map_or(0, |since| clock().millis() - since.millis());
        Ok(Relayed { lag_ms: u64::try_from(lag).unwrap_or(0), ..relayed })
    }

    /// Sends the commands of one order, step by step, and takes it out of the outbox.
    pub async fn work_off(
        &self,
        mut pending: Pending,
        deadline: Instant,
        relayed: &mut Relayed,
    ) -> Result<(), RelayError> {
        loop {
            let step = tokio::time::timeout_at(deadline, self.step(&pending, relayed)).await;
            match step.unwrap_or(Err(RelayError::OutOfTime))? {
                Some(cursor) => pending.cursor = Some(cursor),
                None => return Ok(()),
            }
        }
    }

    /// One step; the cursor to go on from, if it was not the last.
    async fn step(&self, pending: &Pending, relayed: &mut Relayed) -> Result<Option<String>, RelayError> {
        let mut rows = Vec::new();
        if let Some(range) = pending.range() {
            let generation = self.generations.read(self.store, self.usage).await?;
            let reader = TableReader::of(self.store, &generation, self.usage);
            rows = reader.read(Reads::ranges(vec![range]).consistent()).await?.take_ranges(1).concat();
        }
        let step = pending.step(&rows).map_err(StoreError::from)?;
        self.queue.send(&step.messages).await?;
        relayed.commands += u64::try_from(step.messages.len()).unwrap_or(u64::MAX);
        match self.store.settle_order(pending, step.cursor.as_deref(), self.usage).await {
            Ok(()) => Ok(step.cursor),
            // Another relay is at this order, and further: it goes on from there.
            Err(Lost::Race) => Ok(None),
            Err(Lost::Failed(error)) => Err(error.into()),
        }
    }
}
