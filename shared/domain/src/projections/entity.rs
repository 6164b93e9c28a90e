//! An entity as it is stored: its state and, of a task, the totals of its executions.

use crate::entities::fold::State;
use crate::events::{Event, UnreadableEvent};
use crate::projections::views::TaskTotals;
use crate::storage::item::{Attributes, Item, Key, Value};
use crate::storage::keys;
use crate::storage::read::Corrupt;
use crate::storage::write::{Action, Write, unchanged};
use crate::values::ids::EntityKey;
use std::collections::{BTreeSet, HashMap};

const STATE: &str = "state";
const TOTALS: &str = "totals";

/// An entity as stored: its state and, of a task, the totals of its executions.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Entity {
    /// What its own events say.
    pub state: State,
    /// What its executions add up to.
    pub totals: TaskTotals,
}

impl Entity {
    /// Reads an item; no item is the entity of which nothing is known.
    pub fn load(item: Option<&Item>) -> Result<Self, Corrupt> {
        let Some(item) = item else { return Ok(Self::default()) };
        let corrupt = |fault: &dyn std::fmt::Display| Corrupt::new(&item.key, fault);
        let state =
            item.text(STATE).map_or_else(|| Ok(State::default()), State::load).map_err(|e| corrupt(&e))?;
        let totals = item.text(TOTALS).map_or_else(|| Ok(TaskTotals::default()), TaskTotals::load);
        Ok(Self { state, totals: totals.map_err(|e| corrupt(&e))? })
    }

    /// The attributes of its item; none if nothing is known.
    pub fn store(&self) -> Result<Attributes, UnreadableEvent> {
        let mut attributes = Attributes::new();
        if !self.state.is_empty() {
            attributes.insert(STATE.to_owned(), Value::Text(self.state.store()?));
        }
        if !self.totals.is_empty() {
            attributes.insert(TOTALS.to_owned(), Value::Text(self.totals.store()));
        }
        Ok(attributes)
    }
}

/// Entities as they were read, and as they become.
pub type Entities = HashMap<EntityKey, Entity>;

/// The attributes of an entity's item.
pub(crate) const ENTITY_ATTRIBUTES: [&str; 2] = [STATE, TOTALS];

/// The check that an entity is exactly as it was read.
pub fn untouched(key: &EntityKey, old: &Entity) -> Result<Write, UnreadableEvent> {
    let conditions = unchanged(&old.store()?, &ENTITY_ATTRIBUTES);
    Ok(Write { key: keys::entity(key), action: Action::Check, conditions })
}

/// Puts an entity over exactly what was read.
pub(crate) fn replace(key: Key, old: &Attributes, new: Attributes) -> Write {
    let conditions = unchanged(old, &ENTITY_ATTRIBUTES);
    let action = if new.is_empty() { Action::Delete } else { Action::Put(new) };
    Write { key, action, conditions }
}

/// Folds events onto entities; the result holds only the entities that changed. Tasks must be settled by [`ProjectionDiff::of`].
pub fn fold(before: &Entities, events: impl IntoIterator<Item = Event>) -> Entities {
    let mut after = Entities::new();
    let mut changed = BTreeSet::new();
    for event in events {
        let key = event.entity();
        let entity =
            after.entry(key.clone()).or_insert_with(|| before.get(&key).cloned().unwrap_or_default());
        if entity.state.fold(event) {
            changed.insert(key);
        }
    }
    after.retain(|key, _| changed.contains(key));
    after
}
