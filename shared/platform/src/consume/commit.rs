//! Commits the entity batches of one lane: reads, folds, diffs and writes, and again if another writer was first.

use super::received::EntityBatch;
use crate::commit_reads::{self, PlanFailure};
use crate::retry::Retries;
use crate::store::{Generation, Store, StoreError, TableReader, TransactError, Usage};
use std::collections::{BTreeSet, VecDeque};
use tokio::time::Instant;
use torale_domain::events::Excerpt;
use torale_domain::projections::entity::Entities;
use torale_domain::storage::limits::DoesNotFit;
use torale_domain::storage::write::Write;
use torale_domain::values::ids::EntityKey;

/// Entities of one transaction, before it is known how many items they write.
const ENTITIES: usize = 16;
/// The most items of a transaction. DynamoDB's limit.
const MAX_ITEMS: usize = 100;
/// The most bytes of a transaction, well under DynamoDB's 4 MB.
const MAX_BYTES: usize = 3_000_000;

/// Commits to one generation until a deadline.
#[derive(Debug)]
pub(super) struct Committer<'a> {
    store: &'a Store,
    generation: &'a Generation,
    reader: TableReader<'a>,
    usage: &'a Usage,
    deadline: Instant,
}

/// What commits have done.
#[derive(Debug, Default)]
pub(super) struct CommitReport {
    /// The positions of the messages that must come again.
    pub(super) failed: Vec<usize>,
    /// The entities that can never be written, with the reason: coming again would not help.
    pub(super) unwritable: Vec<(EntityBatch, Excerpt)>,
    /// Events that changed nothing.
    pub(super) without_effect: u64,
    /// Transactions that were written.
    pub(super) transactions: u64,
    /// Transactions that lost a race.
    pub(super) lost_races: u64,
}

/// The result of an attempt to commit some entities.
enum CommitAttempt {
    /// The transaction was written, or there was nothing to write.
    Committed { without_effect: u64, wrote: bool },
    /// It would be too large for one transaction.
    TooLarge,
}

#[derive(Debug, thiserror::Error)]
enum CommitError {
    #[error(transparent)]
    Plan(#[from] PlanFailure),
    #[error("lost a race")]
    Race,
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    DoesNotFit(#[from] DoesNotFit),
}

impl CommitError {
    /// Whether the same attempt may succeed later.
    const fn is_transient(&self) -> bool {
        match self {
            Self::Race => true,
            Self::Store(error) | Self::Plan(PlanFailure::Store(error)) => error.is_transient(),
            Self::Plan(PlanFailure::UnreadableEvent(_)) | Self::DoesNotFit(_) => false,
        }
    }
}

impl<'a> Committer<'a> {
    pub(super) fn new(
        store: &'a Store,
        generation: &'a Generation,
        usage: &'a Usage,
        deadline: Instant,
    ) -> Self {
        let reader = TableReader::of(store, generation, usage);
        Self { store, generation, reader, usage, deadline }
    }

    /// Commits entities in transactions that follow one another. If a transaction can't be written, its entities are
    /// tried separately, so that only the one at fault fails.
    pub(super) async fn commit(&self, entities: Vec<EntityBatch>) -> CommitReport {
        let mut report = CommitReport::default();
        let mut waiting: VecDeque<Vec<EntityBatch>> =
            entities.chunks(ENTITIES).map(<[EntityBatch]>::to_vec).collect();
        while let Some(chunk) = waiting.pop_front() {
            match self.attempt_until_deadline(&chunk, &mut report).await {
                Ok(CommitAttempt::Committed { without_effect, wrote }) => {
                    report.without_effect += without_effect;
                    report.transactions += u64::from(wrote);
                }
                Ok(CommitAttempt::TooLarge) if can_be_split(&chunk) => split(chunk, &mut waiting),
                Err(error) if chunk.len() > 1 && !error.is_transient() => {
                    let entities = chunk.len();
                    tracing::warn!(%error, entities, "transaction refused; its entities are tried separately");
                    split(chunk, &mut waiting);
                }
                Ok(CommitAttempt::TooLarge) => {
                    let reason = "its changes are too large for one transaction";
                    give_up(chunk, &reason, &mut report);
                }
                Err(CommitError::DoesNotFit(fault)) => give_up(chunk, &fault, &mut report),
                Err(error) => fail(&chunk, &error, &mut report),
            }
        }
        report
    }

    /// Attempts to commit entities until it succeeds, fails for good, or the deadline has passed. An attempt that is
    /// abandoned at the deadline may have been written; when its events come again, there is nothing left to write.
    async fn attempt_until_deadline(
        &self,
        chunk: &[EntityBatch],
        report: &mut CommitReport,
    ) -> Result<CommitAttempt, CommitError> {
        let mut retries = Retries::until(self.deadline);
        loop {
            let attempt = tokio::time::timeout_at(self.deadline, self.attempt(chunk)).await;
            let error = match attempt.unwrap_or_else(|_elapsed| Err(StoreError::no_time_left().into())) {
                Err(error) if error.is_transient() => error,
                finished => return finished,
            };
            if !retries.pause().await {
                return Err(error);
            }
            report.lost_races += u64::from(matches!(error, CommitError::Race));
        }
    }

    async fn attempt(&self, chunk: &[EntityBatch]) -> Result<CommitAttempt, CommitError> {
        let events = || chunk.iter().flat_map(|batch| batch.events.iter().cloned());
        let named: Vec<EntityKey> = chunk.iter().map(|batch| batch.entity.clone()).collect();
        let plan =
            commit_reads::read_and_plan(&self.reader, Entities::new(), named, events().collect()).await?;
        let effective: usize = chunk
            .iter()
            .filter(|batch| plan.changed.contains(&batch.entity))
            .map(|batch| batch.events.iter().collect::<BTreeSet<_>>().len())
            .sum();
        let without_effect = u64::try_from(events().count() - effective).unwrap_or(0);
        let writes = plan.writes;
        if writes.is_empty() {
            return Ok(CommitAttempt::Committed { without_effect, wrote: false });
        }
        writes.iter().try_for_each(|write| self.store.limits().check_write(write))?;
        if writes.len() > MAX_ITEMS || writes.iter().map(Write::size).sum::<usize>() > MAX_BYTES {
            return Ok(CommitAttempt::TooLarge);
        }
        match self.store.transact(&self.generation.table(), writes, self.usage).await {
            Ok(()) => Ok(CommitAttempt::Committed { without_effect, wrote: true }),
            Err(TransactError::Race) => Err(CommitError::Race),
            Err(TransactError::Failed(error)) => Err(error.into()),
        }
    }
}

fn can_be_split(chunk: &[EntityBatch]) -> bool {
    chunk.len() > 1 || chunk.iter().any(|batch| batch.events.len() > 1)
}

/// Divides a chunk in two: its entities, or the events of its only one, of which each can have a row (a hash of an API
/// key that has too many).
fn split(mut chunk: Vec<EntityBatch>, waiting: &mut VecDeque<Vec<EntityBatch>>) {
    let rest = match &mut chunk[..] {
        [only] => vec![only.split_off(only.events.len() / 2)],
        _several => chunk.split_off(chunk.len() / 2),
    };
    waiting.push_front(rest);
    waiting.push_front(chunk);
}

/// Reports an entity that can't be written as such.
fn give_up(chunk: Vec<EntityBatch>, reason: &dyn std::fmt::Display, report: &mut CommitReport) {
    tracing::error!("an entity is too large for the store; its events are quarantined");
    report.unwritable.extend(chunk.into_iter().map(|batch| (batch, Excerpt::new(reason))));
}

fn fail(chunk: &[EntityBatch], reason: &dyn std::fmt::Display, report: &mut CommitReport) {
    tracing::warn!(%reason, entities = chunk.len(), "events returned to the queue");
    report.failed.extend(chunk.iter().flat_map(|batch| batch.messages.iter().copied()));
}
