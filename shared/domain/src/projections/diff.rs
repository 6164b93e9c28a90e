//! Diff: what changes between the contributions of entities before and after.
//!
//! The writes are guarded by what was read, by content: an entity is put only over the very state that was folded
//! on, so there are no version numbers, and the stored items depend on the set of events alone
//! (docs/adr/0002-guards-compare-content.md). Counters take `ADD`s; where an amount shrinks the counter is read
//! first, because an attribute that reaches 0 and a counter that empties must vanish.

use crate::entities::fold::State;
use crate::events::UnreadableEvent;
use crate::projections::entity::{Entities, Entity, replace};
use crate::projections::views::{self, Contributions, QueryTotals, TaskTotals};
use crate::projections::{counter, ranking};
use crate::storage::item::{Attributes, Item, Key};
use crate::storage::keys::{self, Lanes};
use crate::storage::write::{Action, Write};
use crate::values::ids::{EntityKey, TaskId};
use std::collections::{BTreeMap, HashMap};

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

/// A row before and after.
type Replaced = (Option<Attributes>, Option<Attributes>);

/// All that a set of changed entities does to the store.
#[derive(Debug, Default)]
pub(crate) struct ProjectionDiff {
    entities: BTreeMap<Key, (Attributes, Attributes)>,
    rows: BTreeMap<Key, Replaced>,
    sums: BTreeMap<Key, BTreeMap<String, i128>>,
    queries: BTreeMap<String, QueryTotals>,
}

impl ProjectionDiff {
    /// The difference between `before` and `after`. Totals of tasks that executions change are settled in `after`.
    pub(crate) fn of(before: &Entities, after: &mut Entities, lanes: Lanes) -> Result<Self, UnreadableEvent> {
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
    ) -> Result<Vec<(TaskId, TaskTotals, i128)>, UnreadableEvent> {
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
    pub(crate) fn is_empty(&self) -> bool {
        self.entities.is_empty()
    }

    /// The queries' items that must be read before [`ProjectionDiff::rank`]: those whose number of tasks changes.
    pub(crate) fn ranked(&self) -> Vec<Key> {
        let ranked = self.queries.iter().filter(|(_, totals)| totals.tasks != 0);
        ranked.map(|(query, _)| keys::query(&keys::query_hash(query))).collect()
    }

    /// Moves the queries whose number of tasks changes to their new places in the ranking.
    pub(crate) fn rank(&mut self, found: &HashMap<Key, Item>) {
        let moved = self.queries.iter().filter(|(_, totals)| totals.tasks != 0);
        let moved: Vec<_> = moved.map(|(query, totals)| (keys::query_hash(query), totals.tasks)).collect();
        for (hash, change) in moved {
            let tasks = found.get(&keys::query(&hash)).map_or(0, |item| item.number("tasks"));
            for (tasks, sign) in [(tasks, -1), (tasks + change, 1)] {
                let Some(place) = ranking::entry(tasks, &hash) else { continue };
                self.row(place.row, Attributes::new(), sign);
                for (counter, attribute) in place.counted {
                    *self.sums.entry(counter).or_default().entry(attribute).or_default() += sign;
                }
            }
        }
        self.settle();
    }

    /// The counters that must be read before [`ProjectionDiff::writes`]: those from which something is taken.
    pub(crate) fn shrinking(&self) -> Vec<Key> {
        let sums = self.sums.iter().filter(|(_, amounts)| amounts.values().any(|amount| *amount < 0));
        let queries =
            self.queries.iter().filter(|(_, totals)| totals.attributes().iter().any(|(_, n)| *n < 0));
        let queries = queries.map(|(query, _)| keys::query(&keys::query_hash(query)));
        sums.map(|(key, _)| key.clone()).chain(queries).collect()
    }

    /// The transaction. `found` holds the items asked for by [`ProjectionDiff::ranked`] and [`ProjectionDiff::shrinking`].
    pub(crate) fn writes(self, found: &HashMap<Key, Item>) -> Vec<Write> {
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
