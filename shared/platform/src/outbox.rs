//! The outbox relay: sends the commands of outbox entries.
//!
//! An entry leaves the outbox only after SQS has taken all of its commands. If a relay crashes in between, the commands
//! that it has sent are sent again with the same ids.

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

/// Entries of one read.
const ENTRIES: usize = 50;

/// Why an entry was not completed.
#[derive(Debug, thiserror::Error)]
pub enum RelayError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The queue failed.
    #[error(transparent)]
    Queue(#[from] QueueError),
    /// The deadline has passed.
    #[error("out of time")]
    OutOfTime,
}

/// What a run has done.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct RelayReport {
    /// Commands that the queue took.
    pub commands: u64,
    /// Entries that were completed.
    pub completed: u64,
    /// Entries that failed and stay in the outbox.
    pub failed: u64,
    /// Those of the failed entries that can't be read. Their age is unknown.
    pub unreadable: u64,
    /// The age of the oldest failed entry in milliseconds; 0 if there is none.
    pub lag_ms: u64,
}

/// Sends the commands of outbox entries.
#[derive(Debug)]
pub struct Relay<'a> {
    store: &'a Store,
    generations: &'a Generations,
    queue: &'a MessageQueue,
    usage: &'a Usage,
}

impl<'a> Relay<'a> {
    /// A relay from the outbox of this store to this queue.
    pub const fn new(
        store: &'a Store,
        generations: &'a Generations,
        queue: &'a MessageQueue,
        usage: &'a Usage,
    ) -> Self {
        Self { store, generations, queue, usage }
    }

    /// Processes every entry of the outbox once, until the deadline at the latest. An entry that fails does not keep the
    /// others from being processed.
    ///
    /// # Errors
    /// If the outbox can't be read.
    pub async fn run(&self, clock: Clock, deadline: Instant) -> Result<RelayReport, StoreError> {
        let (mut report, mut after, mut oldest) = (RelayReport::default(), None::<Key>, None::<Timestamp>);
        while Instant::now() < deadline {
            let entries = self.store.outbox_entries(after.as_ref(), ENTRIES, self.usage).await?;
            let is_last = entries.len() < ENTRIES;
            for entry in entries {
                let entry = match entry {
                    Ok(entry) => entry,
                    Err(error) => {
                        tracing::error!(%error, "an outbox entry can't be read");
                        report.failed += 1;
                        report.unreadable += 1;
                        after = Some(Key::stored(error.pk, error.sk));
                        continue;
                    }
                };
                after = Some(entry.key.clone());
                let at = entry.entry.at;
                match Box::pin(self.process(entry, deadline, &mut report)).await {
                    Ok(()) => report.completed += 1,
                    Err(error) => {
                        tracing::warn!(%error, since = %at, "an order stays in the outbox");
                        report.failed += 1;
                        oldest = Some(oldest.map_or(at, |oldest| oldest.min(at)));
                    }
                }
            }
            if is_last {
                break;
            }
        }
        let lag = oldest.map_or(0, |oldest| clock().millis() - oldest.millis());
        Ok(RelayReport { lag_ms: u64::try_from(lag).unwrap_or(0), ..report })
    }

    /// Sends the commands of one entry, step by step, and deletes the entry. The commands are counted in `report`.
    ///
    /// # Errors
    /// If the store or the queue fails, or the deadline passes. The entry then stays, with its progress.
    pub async fn process(
        &self,
        mut entry: StoredOutboxEntry,
        deadline: Instant,
        report: &mut RelayReport,
    ) -> Result<(), RelayError> {
        loop {
            // Boxed: with the client's own futures inside, the compiler would run into its limit of depth.
            let step = tokio::time::timeout_at(deadline, Box::pin(self.step(&entry, report))).await;
            match step.unwrap_or(Err(RelayError::OutOfTime))? {
                Some(cursor) => entry.cursor = Some(cursor),
                None => return Ok(()),
            }
        }
    }

    /// Sends the commands of one page of rows. Returns the cursor to continue from, unless it was the last step.
    async fn step(
        &self,
        entry: &StoredOutboxEntry,
        report: &mut RelayReport,
    ) -> Result<Option<String>, RelayError> {
        let rows = self.rows(entry).await?;
        let step = entry.step(&rows).map_err(StoreError::from)?;
        self.queue.send(&step.messages).await?;
        report.commands += u64::try_from(step.messages.len()).unwrap_or(u64::MAX);
        match self.store.advance_outbox_entry(entry, step.cursor.as_deref(), self.usage).await {
            Ok(()) => Ok(step.cursor),
            // Another relay is processing this entry and is ahead. It will complete it.
            Err(TransactError::Race) => Ok(None),
            Err(TransactError::Failed(error)) => Err(error.into()),
        }
    }

    /// The next rows of an entry: what its user owns. If another generation has become live since the entry was written,
    /// the rows are read from both, as the last writes to the former generation may be missing in the live one.
    async fn rows(&self, entry: &StoredOutboxEntry) -> Result<Vec<Item>, RelayError> {
        let Some(range) = entry.range() else { return Ok(Vec::new()) };
        let live = self.generations.read(self.store, self.usage).await?;
        let mut tables = vec![live.table()];
        if live.name != entry.entry.generation {
            tables.push(keys::projections_table(&entry.entry.generation));
        }
        let mut rows = BTreeMap::new();
        for (position, table) in tables.iter().enumerate() {
            let reads = ReadPlan::ranges(vec![range.clone()]).consistent();
            let found = match TableReader::new(self.store, table, self.usage).read(reads).await {
                // The former generation has been dropped.
                Err(StoreError::Refused(_)) if position > 0 => continue,
                found => found?,
            };
            rows.extend(found.ranges.into_iter().flatten().map(|row| (row.key.clone(), row)));
        }
        Ok(rows.into_values().take(PAGE).collect())
    }
}
