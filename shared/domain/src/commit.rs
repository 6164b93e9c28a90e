//! From changed entities to the writes of one transaction: diff, then commit plan.
//!
//! The plan is guarded by what was read, by content: an entity is put only over the very state that was folded
//! on, so there are no version numbers, and the stored items depend on the set of events alone. Counters take
//! `ADD`s; where an amount shrinks the plan reads the counter first, because an attribute that reaches 0 and a
//! counter that empties must vanish: what was taken back leaves no trace.

mod build;
mod counter;
mod ranking;

use crate::compare;
use crate::events::{Event, Unreadable};
use crate::fold::{EntityKey, State};
use crate::ids::TaskId;
use crate::item::{Attributes, Item, Key, Value};
use crate::keys::{self, Lanes};
use crate::read::Corrupt;
use crate::views::{self, Contributions, QueryTotals, TaskTotals};
pub use build::{Amounts, Build, Subtotals, counter};
use std::collections::{BTreeMap, BTreeSet, HashMap};

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
    pub fn store(&self) -> Result<Attributes, Unreadable> {
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

/// What must hold for a write to take place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Condition {
    /// The attribute has this value.
    Equals(String, Value),
    /// The attribute has another value, or there is none.
    Differs(String, Value),
    /// The attribute has this value, or there is none.
    EqualsOrAbsent(String, Value),
    /// There is such an attribute; of the partition key: the item.
    Present(String),
    /// There is no such attribute; of the partition key: no such item.
    Absent(String),
}

/// What a write does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Replaces the item.
    Put(Attributes),
    /// Removes the item.
    Delete,
    /// Nothing: the conditions must hold, that is all.
    Check,
    /// Changes some attributes.
    Update {
        /// Amounts to add.
        add: Vec<(String, i128)>,
        /// Attributes to set.
        set: Vec<(String, Value)>,
        /// Attributes to remove.
        remove: Vec<String>,
    },
}

impl Action {
    /// An update of no attribute.
    fn is_nothing(&self) -> bool {
        matches!(self, Self::Update { add, set, remove } if add.is_empty() && set.is_empty() && remove.is_empty())
    }
}

/// One write of a transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Write {
    /// The item.
    pub key: Key,
    /// What happens to it.
    pub action: Action,
    /// All must hold, or nothing of the transaction happens.
    pub conditions: Vec<Condition>,
}

impl Write {
    /// About how many bytes it takes up in a request.
    pub fn size(&self) -> usize {
        let action = match &self.action {
            Action::Put(attributes) => attributes.iter().map(|(name, of)| name.len() + of.size()).sum(),
            Action::Delete | Action::Check => 0,
            Action::Update { add, set, remove } => {
                let set: usize = set.iter().map(|(name, of)| name.len() + of.size()).sum();
                set + 40 * (add.len() + remove.len())
            }
        };
        let conditions = self.conditions.iter().map(|condition| match condition {
            Condition::Equals(name, of)
            | Condition::EqualsOrAbsent(name, of)
            | Condition::Differs(name, of) => name.len() + of.size(),
            Condition::Absent(name) | Condition::Present(name) => name.len(),
        });
        self.key.pk.len() + self.key.sk.len() + action + conditions.sum::<usize>()
    }
}

/// The tasks whose totals these events can change: they must be read together with the events' own entities.
pub fn tasks_of(entity: &EntityKey, state: &State, lanes: Lanes) -> impl Iterator<Item = TaskId> + use<> {
    let none = TaskTotals::default();
    let task = match entity {
        EntityKey::Execution(_) => views::contributions(entity, state, &none, lanes).task,
        EntityKey::User(_) | EntityKey::ApiKey(_) | EntityKey::Task(_) => BTreeMap::new(),
        EntityKey::Notification(_) | EntityKey::Run(..) | EntityKey::Schedule(_) => BTreeMap::new(),
    };
    task.into_keys()
}

/// Folds events onto entities; the result holds only the entities that changed. Tasks must be settled by [`Effects::of`].
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

/// A row before and after.
type Replaced = (Option<Attributes>, Option<Attributes>);

/// All that a set of changed entities does to the store.
#[derive(Debug, Default)]
pub struct Effects {
    entities: BTreeMap<Key, (Attributes, Attributes)>,
    rows: BTreeMap<Key, Replaced>,
    sums: BTreeMap<Key, BTreeMap<String, i128>>,
    queries: BTreeMap<String, QueryTotals>,
}

impl Effects {
    /// The difference between `before` and `after`. Totals of tasks that executions change are settled in `after`.
    pub fn of(before: &Entities, after: &mut Entities, lanes: Lanes) -> Result<Self, Unreadable> {
        let mut effects = Self::default();
        let none = Entity::default();
        let mut tasks: BTreeMap<TaskId, TaskTotals> = BTreeMap::new();
        for (key, entity) in after.iter().filter(|(key, _)| !matches!(key, EntityKey::Task(_))) {
            let old = before.get(key).unwrap_or(&none);
            for (task, totals, sign) in effects.change(key, old, entity, lanes)? {
                tasks.entry(task).or_default().add(&totals, sign);
            }
        }
        for (task, totals) in tasks.into_iter().filter(|(_, totals)| !totals.is_empty()) {
            let key = EntityKey::Task(task);
            let old = before.get(&key).unwrap_or(&none);
            after.entry(key).or_insert_with(|| old.clone()).totals.add(&totals, 1);
        }
        for (key, entity) in after.iter().filter(|(key, _)| matches!(key, EntityKey::Task(_))) {
            effects.change(key, before.get(key).unwrap_or(&none), entity, lanes)?;
        }
        effects.settle();
        Ok(effects)
    }

    /// Adds one entity's difference; returns what it adds to and takes from tasks.
    fn change(
        &mut self,
        key: &EntityKey,
        old: &Entity,
        new: &Entity,
        lanes: Lanes,
    ) -> Result<Vec<(TaskId, TaskTotals, i128)>, Unreadable> {
        self.entities.insert(keys::entity(key), (old.store()?, new.store()?));
        let mut tasks = Vec::new();
        for (entity, sign) in [(old, -1), (new, 1)] {
            let Contributions { rows, sums, task, queries } =
                views::contributions(key, &entity.state, &entity.totals, lanes);
            for (row, attributes) in rows {
                self.row(row, attributes, sign);
            }
            for ((counter, attribute), amount) in sums {
                *self.sums.entry(counter).or_default().entry(attribute).or_default() += sign * amount;
            }
            for (query, totals) in queries {
                self.queries.entry(query).or_default().add(&totals, sign);
            }
            tasks.extend(task.into_iter().map(|(task, totals)| (task, totals, sign)));
        }
        Ok(tasks)
    }

    fn row(&mut self, key: Key, attributes: Attributes, sign: i128) {
        let (old, new) = self.rows.entry(key).or_default();
        *(if sign < 0 { old } else { new }) = Some(attributes);
    }

    fn settle(&mut self) {
        self.entities.retain(|_, (old, new)| old != new);
        self.rows.retain(|_, (old, new)| old != new);
        self.sums.retain(|_, amounts| {
            amounts.retain(|_, amount| *amount != 0);
            !amounts.is_empty()
        });
        self.queries.retain(|_, totals| *totals != QueryTotals::default());
    }

    /// True if nothing is to be written.
    pub fn is_empty(&self) -> bool {
        self.entities.is_empty()
    }

    /// The queries' items that must be read before [`Effects::rank`]: those whose number of tasks changes.
    pub fn ranked(&self) -> Vec<Key> {
        let ranked = self.queries.iter().filter(|(_, totals)| totals.tasks != 0);
        ranked.map(|(query, _)| keys::query(&keys::query_hash(query))).collect()
    }

    /// Moves the queries whose number of tasks changes to their new places in the ranking.
    pub fn rank(&mut self, found: &HashMap<Key, Item>) {
        let moved = self.queries.iter().filter(|(_, totals)| totals.tasks != 0);
        let moved: Vec<_> = moved.map(|(query, totals)| (keys::query_hash(query), totals.tasks)).collect();
        for (hash, change) in moved {
            let tasks = found.get(&keys::query(&hash)).map_or(0, |item| item.number("tasks"));
            for (tasks, sign) in [(tasks, -1), (tasks + change, 1)] {
                let Some(place) = ranking::place(tasks, &hash) else { continue };
                self.row(place.row, Attributes::new(), sign);
                for (counter, attribute) in place.counted {
                    *self.sums.entry(counter).or_default().entry(attribute).or_default() += sign;
                }
            }
        }
        self.settle();
    }

    /// The counters that must be read before [`Effects::writes`]: those from which something is taken.
    pub fn shrinking(&self) -> Vec<Key> {
        let sums = self.sums.iter().filter(|(_, amounts)| amounts.values().any(|amount| *amount < 0));
        let queries =
            self.queries.iter().filter(|(_, totals)| totals.attributes().iter().any(|(_, n)| *n < 0));
        let queries = queries.map(|(query, _)| keys::query(&keys::query_hash(query)));
        sums.map(|(key, _)| key.clone()).chain(queries).collect()
    }

    /// The transaction. `found` holds the items asked for by [`Effects::ranked`] and [`Effects::shrinking`].
    pub fn writes(self, found: &HashMap<Key, Item>) -> Vec<Write> {
        let mut writes: Vec<Write> =
            self.entities.into_iter().map(|(key, (old, new))| replace(key, &old, new)).collect();
        for (key, (_, attributes)) in self.rows {
            let action = attributes.map_or(Action::Delete, Action::Put);
            writes.push(Write { key, action, conditions: Vec::new() });
        }
        for (key, amounts) in self.sums {
            let current = found.get(&key);
            writes.push(counter::write(key, &amounts, current));
        }
        for (query, totals) in self.queries {
            let key = keys::query(&keys::query_hash(&query));
            let current = found.get(&key);
            writes.push(ranking::write(key, query, &totals, current));
        }
        writes.retain(|write| !write.action.is_nothing());
        writes
    }
}

/// That an item is exactly as it was read, as far as these attributes tell.
pub fn unchanged(old: &Attributes, names: &[&str]) -> Vec<Condition> {
    if old.is_empty() {
        return vec![Condition::Absent(keys::PK.to_owned())];
    }
    let unchanged = |name: &&str| match old.get(*name) {
        Some(value) => Condition::Equals((*name).to_owned(), value.clone()),
        None => Condition::Absent((*name).to_owned()),
    };
    names.iter().map(unchanged).collect()
}

/// The attributes of an entity's item.
pub(crate) const ENTITY_ATTRIBUTES: [&str; 2] = [STATE, TOTALS];

/// Adds to a counter what it lacks; `None` if the items differ in more than amounts, or the item is no counter.
pub(crate) fn correct(key: &Key, expected: &Attributes, found: &Attributes) -> Option<Write> {
    if expected.is_empty() || keys::is_entity(key) {
        return None;
    }
    let amounts = compare::drift(expected, found)?;
    let now = |name: &str| match found.get(name) {
        Some(Value::Number(amount)) => *amount,
        Some(Value::Text(_) | Value::Bytes(_)) | None => 0,
    };
    let amounts = amounts.iter().map(|(name, amount)| (name.as_str(), *amount));
    let (action, conditions) = counter::changes(amounts, now);
    Some(Write { key: key.clone(), action, conditions })
}

/// The check that an entity is exactly as it was read.
pub fn untouched(key: &EntityKey, old: &Entity) -> Result<Write, Unreadable> {
    let conditions = unchanged(&old.store()?, &[STATE, TOTALS]);
    Ok(Write { key: keys::entity(key), action: Action::Check, conditions })
}

/// Puts an entity over exactly what was read.
fn replace(key: Key, old: &Attributes, new: Attributes) -> Write {
    let conditions = unchanged(old, &[STATE, TOTALS]);
    let action = if new.is_empty() { Action::Delete } else { Action::Put(new) };
    Write { key, action, conditions }
}
