//! Executes the reads of a commit plan (`shared/domain/src/projections/plan.rs`), and decides and writes nothing.

use crate::store::{StoreError, TableReader};
use torale_domain::events::{Event, UnreadableEvent};
use torale_domain::projections::entity::Entities;
use torale_domain::projections::plan::{CommitPlan, EntityReads, FoundItems, PlanError};
use torale_domain::storage::item::Key;
use torale_domain::storage::read::{ReadPlan, Reader};
use torale_domain::values::ids::EntityKey;

/// Why a commit could not be planned.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PlanFailure {
    /// The store failed, or a stored item is not what its key says.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// An entity's new state can't be serialised.
    #[error(transparent)]
    UnreadableEvent(#[from] UnreadableEvent),
}

impl From<PlanError> for PlanFailure {
    fn from(error: PlanError) -> Self {
        match error {
            PlanError::Corrupt(corrupt) => Self::Store(corrupt.into()),
            PlanError::UnreadableEvent(error) => Self::UnreadableEvent(error),
        }
    }
}

/// Plans how to commit events: at most four round trips. `before` holds entities that have been read already; `named`
/// are entities to read in addition to those that the events are about.
pub(crate) async fn read_and_plan(
    reader: &TableReader<'_>,
    before: Entities,
    named: Vec<EntityKey>,
    events: Vec<Event>,
) -> Result<CommitPlan, PlanFailure> {
    let entities = EntityReads::new(reader.lanes(), before, named, events);
    let found = read(reader, entities.keys()).await?;
    let parents = entities.fold(&found)?;
    let found = read(reader, parents.keys()).await?;
    let rankings = parents.diff(&found)?;
    let found = read(reader, rankings.keys()).await?;
    let counters = rankings.rank(found);
    let found = read(reader, counters.keys()).await?;
    Ok(counters.into_writes(found))
}

/// Reads items, strongly consistent: one round trip, or none if there are no keys.
async fn read(reader: &TableReader<'_>, keys: Vec<Key>) -> Result<FoundItems, StoreError> {
    if keys.is_empty() {
        return Ok(FoundItems::new());
    }
    Ok(reader.read(ReadPlan::gets(keys).consistent()).await?.items)
}
