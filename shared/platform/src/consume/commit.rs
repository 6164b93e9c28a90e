//! Commits the units of one lane: read, fold, diff, write; and again where someone else was first.

use super::EntityBatch;
use crate::clock;
use crate::plan::{self, PlanFailure};
use crate::store::{Generation, Store, StoreError, TableReader, TransactError, Usage};
use std::collections::{BTreeSet, VecDeque};
use tokio::time::Instant;
use torale_domain::projections::entity::Entities;
use torale_domain::storage::write::Write;
use torale_domain::values::ids::EntityKey;

/// Entities of one transaction, before it is known how many items they touch.
const UNITS: usize = 16;
/// Most items of a transaction.
const MAX_ITEMS: usize = 100;
/// Most text of a transaction, well under the store's 4 MB.
const MAX_BYTES: usize = 3_000_000;

/// Commits units to one generation until a deadline.
#[derive(Debug)]
pub(super) struct Committer<'a> {
    store: &'a Store,
    generation: &'a Generation,
    reader: TableReader<'a>,
    usage: &'a Usage,
    deadline: Instant,
}

/// What became of some units.
#[derive(Debug, Default)]
pub(super) struct CommitReport {
    pub(super) failed: Vec<usize>,
    pub(super) without_effect: u64,
    pub(super) transactions: u64,
    pub(super) lost_races: u64,
}

/// One try.
enum CommitAttempt {
    /// Written, or nothing to write. How many of the events changed nothing.
    Committed { without_effect: u64, wrote: bool },
    /// Too much for one transaction.
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
}

impl CommitError {
    /// True if the same try may succeed later.
    const fn may_pass(&self) -> bool {
        let passing = matches!(self, Self::Race);
        passing || matches!(self, Self::Store(e) | Self::Plan(PlanFailure::Store(e)) if e.may_pass())
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

    /// Commits units in transactions that follow one another. What fails alone does not take others with it.
    pub(super) async fn commit(&self, units: Vec<EntityBatch>) -> CommitReport {
        let mut done = CommitReport::default();
        let mut waiting: VecDeque<Vec<EntityBatch>> =
            units.chunks(UNITS).map(<[EntityBatch]>::to_vec).collect();
        while let Some(chunk) = waiting.pop_front() {
            match self.persist(&chunk, &mut done).await {
                Ok(CommitAttempt::Committed { without_effect, wrote }) => {
                    done.without_effect += without_effect;
                    done.transactions += u64::from(wrote);
                }
                Ok(CommitAttempt::TooLarge) if chunk.len() > 1 => split(chunk, &mut waiting),
                Err(error) if chunk.len() > 1 && !error.may_pass() => {
                    tracing::warn!(%error, units = chunk.len(), "transaction refused; its units are tried apart");
                    split(chunk, &mut waiting);
                }
                Ok(CommitAttempt::TooLarge) => {
                    hand_back(&chunk, &"one entity needs too many writes", &mut done)
                }
                Err(error) => hand_back(&chunk, &error, &mut done),
            }
        }
        done
    }

    /// Tries until it is done or the deadline has come. A try that is cut off may have taken effect: when its events
    /// come again nothing is left to do.
    async fn persist(
        &self,
        chunk: &[EntityBatch],
        done: &mut CommitReport,
    ) -> Result<CommitAttempt, CommitError> {
        let mut tries = 0;
        loop {
            let tried = tokio::time::timeout_at(self.deadline, self.attempt(chunk)).await;
            let error = match tried.unwrap_or_else(|_elapsed| Err(no_time_left())) {
                Err(error) if error.may_pass() && Instant::now() < self.deadline => error,
                other => return other,
            };
            done.lost_races += u64::from(matches!(error, CommitError::Race));
            tokio::time::sleep(clock::backoff(tries)).await;
            tries = tries.saturating_add(1);
        }
    }

    async fn attempt(&self, chunk: &[EntityBatch]) -> Result<CommitAttempt, CommitError> {
        let events = || chunk.iter().flat_map(|unit| unit.events.iter().cloned());
        let named: Vec<EntityKey> = chunk.iter().map(|unit| unit.entity.clone()).collect();
        let planned = plan::plan(&self.reader, Entities::new(), named, events().collect()).await?;
        let effective: usize = chunk
            .iter()
            .filter(|unit| planned.changed.contains(&unit.entity))
            .map(|unit| unit.events.iter().collect::<BTreeSet<_>>().len())
            .sum();
        let without_effect = u64::try_from(events().count() - effective).unwrap_or(0);
        let writes = planned.writes;
        if writes.is_empty() {
            return Ok(CommitAttempt::Committed { without_effect, wrote: false });
        }
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

fn no_time_left() -> CommitError {
    CommitError::Store(StoreError::Unavailable("no time left".to_owned()))
}

fn split(mut chunk: Vec<EntityBatch>, waiting: &mut VecDeque<Vec<EntityBatch>>) {
    let rest = chunk.split_off(chunk.len() / 2);
    waiting.push_front(rest);
    waiting.push_front(chunk);
}

fn hand_back(chunk: &[EntityBatch], reason: &dyn std::fmt::Display, done: &mut CommitReport) {
    tracing::warn!(%reason, units = chunk.len(), "events handed back to the queue");
    done.failed.extend(chunk.iter().flat_map(|unit| unit.messages.iter().copied()));
}
