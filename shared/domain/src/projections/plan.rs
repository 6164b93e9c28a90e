//! Plan: what must be read, in which order, to write what some events change in one transaction.
//!
//! Each step says which items to read, and takes what was found; only then is there a next step. So a plan cannot be
//! made in another order, and whoever executes it does nothing but read.
//!
//! [`EntityReads`] ▸ fold ▸ [`ParentReads`] ▸ diff ▸ [`RankingReads`] ▸ rank ▸ [`CounterReads`] ▸ [`CommitPlan`]

use crate::events::{Event, UnreadableEvent};
use crate::projections::diff::{ProjectionDiff, adds_to};
use crate::projections::entity::{self, Entities, Entity};
use crate::storage::item::{Item, Key};
use crate::storage::keys::{self, Lanes};
use crate::storage::read::Corrupt;
use crate::storage::write::Write;
use crate::values::ids::EntityKey;
use std::collections::{BTreeSet, HashMap};

/// Items that were read, by key; a key without an item was not found.
pub type FoundItems = HashMap<Key, Item>;

/// Why a plan cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// A stored item is not what its key says.
    #[error(transparent)]
    Corrupt(#[from] Corrupt),
    /// A state cannot be written.
    #[error(transparent)]
    UnreadableEvent(#[from] UnreadableEvent),
}

/// Step 1: read the entities that the events are about.
#[derive(Debug)]
pub struct EntityReads {
    lanes: Lanes,
    before: Entities,
    wanted: BTreeSet<EntityKey>,
    events: Vec<Event>,
}

impl EntityReads {
    /// Plans some events. `before` holds entities that were read already; `named` are further entities to read.
    pub fn new(lanes: Lanes, before: Entities, named: Vec<EntityKey>, events: Vec<Event>) -> Self {
        let mut wanted = BTreeSet::from_iter(named);
        for event in &events {
            wanted.insert(event.entity());
            // Most often the task of an execution is known before the execution itself has been read.
            wanted.extend(event.task().map(EntityKey::Task));
        }
        wanted.retain(|entity| !before.contains_key(entity));
        Self { lanes, before, wanted, events }
    }

    /// The items to read, strongly consistent.
    pub fn keys(&self) -> Vec<Key> {
        self.wanted.iter().map(keys::entity).collect()
    }

    /// Folds the events onto the entities that were found.
    pub fn fold(self, found: &FoundItems) -> Result<ParentReads, PlanError> {
        let Self { lanes, mut before, wanted, events } = self;
        load(&mut before, wanted, found)?;
        let after = entity::fold(&before, events);
        let touched = before.iter().chain(after.iter());
        let mut wanted: BTreeSet<EntityKey> =
            touched.filter_map(|(key, entity)| adds_to(key, entity)).collect();
        wanted.retain(|entity| !before.contains_key(entity));
        Ok(ParentReads { lanes, before, after, wanted })
    }
}

/// Step 2: read the entities that others add to: tasks with their executions, identities that users name.
#[derive(Debug)]
pub struct ParentReads {
    lanes: Lanes,
    before: Entities,
    after: Entities,
    wanted: BTreeSet<EntityKey>,
}

impl ParentReads {
    /// The items to read, strongly consistent.
    pub fn keys(&self) -> Vec<Key> {
        self.wanted.iter().map(keys::entity).collect()
    }

    /// The difference between what the entities contributed and what they contribute now.
    pub fn diff(self, found: &FoundItems) -> Result<RankingReads, PlanError> {
        let Self { lanes, mut before, mut after, wanted } = self;
        load(&mut before, wanted, found)?;
        let changed = after.keys().cloned().collect();
        let diff = ProjectionDiff::of(&before, &mut after, lanes)?;
        Ok(RankingReads { diff, changed })
    }
}

/// Step 3: read the queries whose number of tasks changes.
#[derive(Debug)]
pub struct RankingReads {
    diff: ProjectionDiff,
    changed: BTreeSet<EntityKey>,
}

impl RankingReads {
    /// The items to read, strongly consistent.
    pub fn keys(&self) -> Vec<Key> {
        self.diff.ranked()
    }

    /// Moves those queries to their new places in the ranking.
    pub fn rank(self, found: FoundItems) -> CounterReads {
        let Self { mut diff, changed } = self;
        diff.rank(&found);
        CounterReads { diff, changed, found }
    }
}

/// Step 4: read the counters from which something is taken.
#[derive(Debug)]
pub struct CounterReads {
    diff: ProjectionDiff,
    changed: BTreeSet<EntityKey>,
    found: FoundItems,
}

impl CounterReads {
    /// The items to read, strongly consistent.
    pub fn keys(&self) -> Vec<Key> {
        self.diff.shrinking().into_iter().filter(|key| !self.found.contains_key(key)).collect()
    }

    /// The writes, each guarded by what was read.
    pub fn into_writes(self, found: FoundItems) -> CommitPlan {
        let Self { diff, changed, found: mut all } = self;
        all.extend(found);
        let writes = if diff.is_empty() { Vec::new() } else { diff.writes(&all) };
        CommitPlan { writes, changed }
    }
}

/// The writes of one transaction.
#[derive(Debug)]
pub struct CommitPlan {
    /// Each guarded by what was read; none if nothing changes.
    pub writes: Vec<Write>,
    /// The entities whose own state changes.
    pub changed: BTreeSet<EntityKey>,
}

fn load(entities: &mut Entities, wanted: BTreeSet<EntityKey>, found: &FoundItems) -> Result<(), Corrupt> {
    for entity in wanted {
        let loaded = Entity::load(found.get(&keys::entity(&entity)))?;
        entities.insert(entity, loaded);
    }
    Ok(())
}
