//! The outbox relay: sends the commands and events of outbox entries.
//!
//! An entry leaves the outbox only after SQS has taken all of its commands. If a relay crashes in between, the commands
//! that it has sent are sent again with the same ids.

use crate::clock::Clock;
use crate::queue::{MessageQueue, QueueError};
use crate::store::{Generations, Store, StoreError, TableReader, TransactError, Usage};
use tokio::time::Instant;
use torale_domain::deactivation::outbox::{OutboxRows, OutgoingQueue, StoredOutboxEntry};
use torale_domain::storage::item::Key;
use torale_domain::storage::keys;
use torale_domain::storage::read::{ReadPlan, ReadResult, Reader};
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
    /// The entry holds an event to send, and this relay sends commands alone.
    #[error("an event for the outbox relay")]
    NotForThisRelay,
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

/// Sends the messages of outbox entries.
#[derive(Debug)]
pub struct Relay<'a> {
    store: &'a Store,
    generations: &'a Generations,
    commands: &'a MessageQueue,
    events: Option<&'a MessageQueue>,
    usage: &'a Usage,
}

impl<'a> Relay<'a> {
    /// A relay of commands from the outbox of this store to this queue. Entries that hold events stay in the outbox.
    pub const fn new(
        store: &'a Store,
        generations: &'a Generations,
        commands: &'a MessageQueue,
        usage: &'a Usage,
    ) -> Self {
        Self { store, generations, commands, events: None, usage }
    }

    /// The same, and events to this queue.
    #[must_use]
    pub const fn with_events(self, events: &'a MessageQueue) -> Self {
        Self { events: Some(events), ..self }
    }

    /// Processes every entry of the outbox once, until the deadline at the latest. An entry that fails does not keep
    /// the others from being processed.
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
        let details = self.details(entry, &rows).await?;
        let step = entry.step(&rows, details).map_err(StoreError::from)?;
        let queue = match step.queue {
            OutgoingQueue::Commands => self.commands,
            OutgoingQueue::Events => self.events.ok_or(RelayError::NotForThisRelay)?,
        };
        queue.send(&step.messages).await?;
        report.commands += u64::try_from(step.messages.len()).unwrap_or(u64::MAX);
        match self.store.advance_outbox_entry(entry, step.cursor.as_deref(), self.usage).await {
            Ok(()) => Ok(step.cursor),
            // Another relay is processing this entry and is ahead. It will complete it.
            Err(TransactError::Race) => Ok(None),
            Err(TransactError::Failed(error)) => Err(error.into()),
        }
    }

    /// The next rows of an entry: what its user owns, and the user's links.
    async fn rows(&self, entry: &StoredOutboxEntry) -> Result<OutboxRows, RelayError> {
        Ok(OutboxRows::new(self.read(entry, entry.reads()).await?))
    }

    /// What the commands for these rows say besides.
    async fn details(&self, entry: &StoredOutboxEntry, rows: &OutboxRows) -> Result<ReadResult, RelayError> {
        self.read(entry, entry.details(rows).map_err(StoreError::from)?).await
    }

    /// Reads from the live generation. If another one was live when the entry was written, it is read from both, as the
    /// last writes to the former generation may be missing in the live one.
    async fn read(&self, entry: &StoredOutboxEntry, reads: ReadPlan) -> Result<ReadResult, RelayError> {
        if reads.is_empty() {
            return Ok(ReadResult::default());
        }
        let live = self.generations.read(self.store, self.usage).await?;
        let found = TableReader::new(self.store, &live.table(), self.usage).read(reads.clone()).await?;
        if live.name == entry.entry.generation {
            return Ok(found);
        }
        let former = keys::projections_table(&entry.entry.generation);
        match TableReader::new(self.store, &former, self.usage).read(reads.clone()).await {
            // The former generation has been dropped.
            Err(StoreError::Refused(_)) => Ok(found),
            former => Ok(ReadResult::union(&reads, found, former?)),
        }
    }
}
