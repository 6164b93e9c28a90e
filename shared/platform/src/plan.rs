//! Plans what events do to the projections: reads, folds, diffs. Nothing is written here.

use crate::store::{StoreError, TableReader};
use std::collections::{BTreeSet, HashMap};
use torale_domain::commit::{self, Effects, Entities, Entity, Write};
use torale_domain::events::{Event, Unreadable};
use torale_domain::fold::EntityKey;
use torale_domain::item::{Item, Key};
use torale_domain::keys;
use torale_domain::read::{Reader, Reads};

/// The writes of one transaction.
#[derive(Debug)]
pub(crate) struct Planned {
    /// Each guarded by what was read; none if nothing changes.
    pub(crate) writes: Vec<Write>,
    /// The entities that change.
    pub(crate) changed: BTreeSet<EntityKey>,
}

/// Why nothing could be planned.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PlanFailure {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A state can't be written.
    #[error(transparent)]
    Unreadable(#[from] Unreadable),
}

/// Plans some events. `before` are entities that have been read; `named` are some to read beside those that the
/// events are about.
pub(crate) async fn plan(
    reader: &TableReader<'_>,
    mut before: Entities,
    named: Vec<EntityKey>,
    events: Vec<Event>,
) -> Result<Planned, PlanFailure> {
    let lanes = reader.lanes();
    // Most often the task of an execution is known before the execution itself has been read.
    let mut wanted = named;
    for event in &events {
        wanted.push(event.entity());
        wanted.extend(event.task().map(EntityKey::Task));
    }
    load(reader, &mut before, wanted).await?;
    let mut after = commit::fold(&before, events);
    let touched = before.iter().chain(after.iter());
    let tasks = touched.flat_map(|(key, entity)| commit::tasks_of(key, &entity.state, lanes));
    let tasks: Vec<EntityKey> = tasks.map(EntityKey::Task).collect();
    load(reader, &mut before, tasks).await?;

    let changed: BTreeSet<EntityKey> = after.keys().cloned().collect();
    let mut effects = Effects::of(&before, &mut after, lanes)?;
    if effects.is_empty() {
        return Ok(Planned { writes: Vec::new(), changed });
    }
    let mut found = items(reader, effects.ranked()).await?;
    effects.rank(&found);
    let missing = effects.shrinking().into_iter().filter(|key| !found.contains_key(key)).collect();
    found.extend(items(reader, missing).await?);
    let writes = effects.writes(&found);
    Ok(Planned { writes, changed })
}

/// Reads entities that have not been read yet.
async fn load(
    reader: &TableReader<'_>,
    entities: &mut Entities,
    wanted: Vec<EntityKey>,
) -> Result<(), PlanFailure> {
    let wanted = wanted.into_iter().filter(|key| !entities.contains_key(key));
    let wanted: HashMap<Key, EntityKey> = wanted.map(|entity| (keys::entity(&entity), entity)).collect();
    let found = items(reader, wanted.keys().cloned().collect()).await?;
    for (key, entity) in wanted {
        entities.insert(entity, Entity::load(found.get(&key)).map_err(StoreError::from)?);
    }
    Ok(())
}

async fn items(reader: &TableReader<'_>, keys: Vec<Key>) -> Result<HashMap<Key, Item>, PlanFailure> {
    if keys.is_empty() {
        return Ok(HashMap::new());
    }
    Ok(reader.read(Reads::gets(keys).consistent()).await?.items)
}
