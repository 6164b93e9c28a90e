//! An entity as it is stored: its state, and what others add to it.

use crate::entities::fold::State;
use crate::entities::linkage::Linkage;
use crate::events::{Event, UnreadableEvent};
use crate::projections::views::TaskTotals;
use crate::storage::item::{Attributes, Item, Value};
use crate::storage::keys;
use crate::storage::read::Corrupt;
use crate::storage::write::{Action, Write, unchanged};
use crate::values::ids::EntityKey;
use std::collections::{BTreeSet, HashMap};

const STATE: &str = "state";
const TOTALS: &str = "totals";
const FAILURES: &str = "failures";
const LINKED: &str = "linked";
const LINKS: &str = "links";
const USERS: &str = "users";

/// An entity as stored: its state, and what others add to it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Entity {
    /// What its own events say.
    pub state: State,
    /// Of a task: what its executions add up to.
    pub totals: TaskTotals,
    /// Of a user or an identity: what joins them.
    pub linkage: Linkage,
}

/// The most bytes that an entity's item takes, apart from its key and the names of its attributes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EntityBudget {
    /// The kind of the entity.
    pub entity: &'static str,
    /// How many events its state can hold at once: those that hold its registers.
    pub events: usize,
    /// The most bytes of its state.
    pub state: usize,
    /// The most bytes of its totals.
    pub totals: usize,
}

const fn budget(entity: &'static str, events: usize, state: usize, totals: usize) -> EntityBudget {
    EntityBudget { entity, events, state, totals }
}

/// The budget of entities, within the 409,600 bytes of an item. A stored event has at most
///
/// | part | bytes |
/// |---|---|
/// | `id`, `source`: 128 and 256 characters, six bytes each where JSON escapes them | 2,304 |
/// | the beginning of its `data`, 2 KiB, each byte escaped once more | 4,096 |
/// | its listed fields: at most two texts of 2,000 characters, one of 500, two ids of 256 | 30,072 |
/// | names, numbers, times, UUIDs | 700 |
///
/// Only the totals of a task grow with time: they stay within their budget until the year 2100. A user has what their
/// identities say besides: [`LINKED_BUDGET`].
pub const ENTITY_BUDGET: &[EntityBudget] = &[
    budget("user", 8, 190_000, 0),
    budget("identity", 6, 128_000, 0),
    budget("API key", 2, 43_000, 0),
    budget("task", 6, 132_000, 200_000),
    budget("execution", 1, 19_500, 0),
    budget("notification", 1, 20_900, 0),
    budget("run", 1, 22_500, 0),
    budget("schedule", 5, 103_000, 0),
];

/// How many events what the identities of a user say can hold at once, and the most bytes of it: in a user's item of
/// all of them together, in the row of a link of one. So both fit, however many identities a user has.
pub const LINKED_BUDGET: (usize, usize) = (8, 186_000);

impl Entity {
    /// Reads an item; no item is the entity of which nothing is known.
    pub fn load(item: Option<&Item>) -> Result<Self, Corrupt> {
        let Some(item) = item else { return Ok(Self::default()) };
        let corrupt = |fault: &dyn std::fmt::Display| Corrupt::new(&item.key, fault);
        let state =
            item.text(STATE).map_or_else(|| Ok(State::default()), State::load).map_err(|e| corrupt(&e))?;
        let totals = item.text(TOTALS).map_or_else(|| Ok(TaskTotals::default()), TaskTotals::load);
        let mut totals = totals.map_err(|e| corrupt(&e))?;
        if let Some(failures) = item.text(FAILURES) {
            totals.load_failures(failures).map_err(|e| corrupt(&e))?;
        }
        let linked =
            item.text(LINKED).map_or_else(|| Ok(State::default()), State::load).map_err(|e| corrupt(&e))?;
        let number = |name| u64::try_from(item.number(name)).map_err(|e| corrupt(&e));
        let linkage = Linkage { linked, links: number(LINKS)?, users: number(USERS)? };
        Ok(Self { state, totals, linkage })
    }

    /// The attributes of its item; none if nothing is known.
    pub fn store(&self) -> Result<Attributes, UnreadableEvent> {
        let mut attributes = Attributes::new();
        if !self.state.is_empty() {
            attributes.insert(STATE.to_owned(), Value::Text(self.state.store()?));
        }
        if !self.totals.is_empty() {
            attributes.insert(TOTALS.to_owned(), Value::Text(self.totals.store_sums()));
        }
        if let Some(failures) = self.totals.store_failures() {
            attributes.insert(FAILURES.to_owned(), Value::Text(failures));
        }
        let Linkage { linked, links, users } = &self.linkage;
        if !linked.is_empty() {
            attributes.insert(LINKED.to_owned(), Value::Text(linked.store()?));
        }
        for (name, number) in [(LINKS, *links), (USERS, *users)] {
            if number > 0 {
                attributes.insert(name.to_owned(), Value::Number(number.into()));
            }
        }
        Ok(attributes)
    }
}

/// Entities as they were read, and as they become.
pub type Entities = HashMap<EntityKey, Entity>;

/// The attributes that hold what an entity's own events say and what those of its identities say, without
/// what its executions add up to.
pub(crate) const STATE_ATTRIBUTES: [&str; 2] = [STATE, LINKED];

/// The attribute that holds what an entity's executions add up to and how many there were on each day.
pub(crate) const TOTALS_ATTRIBUTES: [&str; 1] = [TOTALS];

/// The attributes of a task's totals: all that its executions add up to.
pub(crate) const AMOUNT_ATTRIBUTES: [&str; 2] = [TOTALS, FAILURES];

/// The attributes of an entity's item.
pub(crate) const ENTITY_ATTRIBUTES: [&str; 6] = [STATE, TOTALS, FAILURES, LINKED, LINKS, USERS];

/// The attributes that the item of an entity may have: its guard names no others.
const fn attributes_of(key: &EntityKey) -> &'static [&'static str] {
    match key {
        EntityKey::User(_) => &[STATE, LINKED, LINKS],
        EntityKey::Identity(_) => &[STATE, USERS],
        EntityKey::Task(_) => &[STATE, TOTALS, FAILURES],
        EntityKey::ApiKey(_) | EntityKey::Execution(_) => &[STATE, TOTALS],
        EntityKey::Notification(_) | EntityKey::Run(..) | EntityKey::Schedule(_) => &[STATE, TOTALS],
    }
}

/// The check that an entity is exactly as it was read.
pub fn untouched(key: &EntityKey, old: &Entity) -> Result<Write, UnreadableEvent> {
    let conditions = unchanged(&old.store()?, attributes_of(key));
    Ok(Write { key: keys::entity(key), action: Action::Check, conditions })
}

/// Puts an entity over exactly what was read.
pub(crate) fn replace(key: &EntityKey, old: &Attributes, new: Attributes) -> Write {
    let conditions = unchanged(old, attributes_of(key));
    let action = if new.is_empty() { Action::Delete } else { Action::Put(new) };
    Write { key: keys::entity(key), action, conditions }
}

/// Folds events onto entities; the result holds only the entities that changed. What executions add to tasks is applied
/// by `ProjectionDiff::of`.
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
