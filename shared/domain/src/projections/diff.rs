//! Diff: what changes between the contributions of entities before and after.
//!
//! The writes are guarded by what was read, by content: an entity is put only over the very state that was folded
//! on, so there are no version numbers, and the stored items depend on the set of events alone
//! (docs/adr/0002-guards-compare-content.md). Counters take `ADD`s; where an amount shrinks the counter is read
//! first, because an attribute that reaches 0 and a counter that empties must vanish.

use crate::events::UnreadableEvent;
use crate::projections::entity::{Entities, Entity, replace};
use crate::projections::views::{self, Contributions, QueryTotals, TaskTotals};
use crate::projections::{counter, ranking};
use crate::storage::item::{Attributes, Item, Key};
use crate::storage::keys::{self, Lanes};
use crate::storage::write::{Action, Write};
use crate::values::ids::{ClerkUserId, EntityKey, TaskId};
use std::collections::{BTreeMap, HashMap};

/// The entity that another one's contributions are added to: they must be read together.
pub(crate) fn adds_to(key: &EntityKey, entity: &Entity) -> Option<EntityKey> {
    match key {
        EntityKey::Execution(_) => views::task_of(&entity.state).map(EntityKey::Task),
        EntityKey::User(_) => views::named_by(&entity.state).map(EntityKey::Identity),
        EntityKey::Identity(_) | EntityKey::ApiKey(_) | EntityKey::Task(_) => None,
        EntityKey::Notification(_) | EntityKey::Run(..) | EntityKey::Schedule(_) => None,
    }
}

fn contributions(key: &EntityKey, entity: &Entity, lanes: Lanes) -> Contributions {
    views::contributions(key, &entity.state, &entity.totals, &entity.linkage, lanes)
}

/// A row before and after.
type Replaced = (Option<Attributes>, Option<Attributes>);

/// All that a set of changed entities does to the store.
#[derive(Debug, Default)]
pub(crate) struct ProjectionDiff {
    entities: BTreeMap<EntityKey, (Attributes, Attributes)>,
    rows: BTreeMap<Key, Replaced>,
    sums: BTreeMap<Key, BTreeMap<String, i128>>,
    queries: BTreeMap<String, QueryTotals>,
}

impl ProjectionDiff {
    /// The difference between `before` and `after`. What entities add to others (executions to their task, users to the
    /// identity that they name) is applied to `after`.
    pub(crate) fn of(before: &Entities, after: &mut Entities, lanes: Lanes) -> Result<Self, UnreadableEvent> {
        let mut diff = Self::default();
        let none = Entity::default();
        let mut additions = Additions::default();
        let adds_up = |key: &EntityKey| matches!(key, EntityKey::Task(_) | EntityKey::Identity(_));
        for (key, entity) in after.iter().filter(|(key, _)| !adds_up(key)) {
            diff.change(key, before.get(key).unwrap_or(&none), entity, lanes, &mut additions)?;
        }
        additions.apply(before, after);
        for (key, entity) in after.iter().filter(|(key, _)| adds_up(key)) {
            diff.change(key, before.get(key).unwrap_or(&none), entity, lanes, &mut additions)?;
        }
        diff.drop_unchanged();
        Ok(diff)
    }

    /// Adds one entity's difference: none, if nothing is known that was not.
    fn change(
        &mut self,
        key: &EntityKey,
        old: &Entity,
        new: &Entity,
        lanes: Lanes,
        additions: &mut Additions,
    ) -> Result<(), UnreadableEvent> {
        if old == new {
            return Ok(());
        }
        self.entities.insert(key.clone(), (old.store()?, new.store()?));
        for (entity, sign) in [(old, -1), (new, 1)] {
            let Contributions { rows, sums, task, queries, names } = contributions(key, entity, lanes);
            for (row, attributes) in rows {
                self.row(row, attributes, sign);
            }
            for ((counter, attribute), amount) in sums {
                *self.sums.entry(counter).or_default().entry(attribute).or_default() += sign * amount;
            }
            for (query, totals) in queries {
                self.queries.entry(query).or_default().add(&totals, sign);
            }
            for (task, totals) in task {
                additions.tasks.entry(task).or_default().add(&totals, sign);
            }
            if let Some(identity) = names {
                *additions.identities.entry(identity).or_default() += sign;
            }
        }
        Ok(())
    }

    /// Adds a row that is not of an entity's own contributions.
    pub(crate) fn replace_row(&mut self, key: Key, old: Option<Attributes>, new: Option<Attributes>) {
        if old != new {
            self.rows.insert(key, (old, new));
        }
    }

    fn row(&mut self, key: Key, attributes: Attributes, sign: i128) {
        let (old, new) = self.rows.entry(key).or_default();
        *(if sign < 0 { old } else { new }) = Some(attributes);
    }

    fn drop_unchanged(&mut self) {
        self.entities.retain(|_, (old, new)| old != new);
        self.rows.retain(|_, (old, new)| old != new);
        self.sums.retain(|_, amounts| {
            amounts.retain(|_, amount| *amount != 0);
            !amounts.is_empty()
        });
        self.queries.retain(|_, totals| *totals != QueryTotals::default());
    }

    /// Whether the entity's own item is written.
    pub(crate) fn changes(&self, key: &EntityKey) -> bool {
        self.entities.contains_key(key)
    }

    /// True if nothing is to be written.
    pub(crate) fn is_empty(&self) -> bool {
        self.entities.is_empty() && self.rows.is_empty()
    }

    /// The queries' items that must be read before [`ProjectionDiff::rank`]: those whose number of tasks changes.
    pub(crate) fn ranked(&self) -> Vec<Key> {
        let ranked = self.queries.iter().filter(|(_, totals)| totals.tasks != 0);
        ranked.map(|(query, _)| keys::query(&keys::query_hash(query))).collect()
    }

    /// Moves the queries whose number of tasks changes to their new places in the ranking.
    pub(crate) fn rank(&mut self, found: &HashMap<Key, Item>) {
        let moved = self.queries.iter().filter(|(_, totals)| totals.tasks != 0);
        let moved: Vec<_> = moved.map(|(query, totals)| (query.clone(), totals.tasks)).collect();
        for (query, change) in moved {
            let item = keys::query(&keys::query_hash(&query));
            let tasks = found.get(&item).map_or(0, |item| item.number("tasks"));
            for (tasks, sign) in [(tasks, -1), (tasks + change, 1)] {
                let Some(place) = ranking::entry(tasks, &query) else { continue };
                self.row(place.row, place.carried, sign);
                for (counter, attribute) in place.counted {
                    *self.sums.entry(counter).or_default().entry(attribute).or_default() += sign;
                }
            }
        }
        self.drop_unchanged();
    }

    /// The counters that must be read before [`ProjectionDiff::writes`]: those from which something is taken.
    pub(crate) fn shrinking(&self) -> Vec<Key> {
        let sums = self.sums.iter().filter(|(_, amounts)| amounts.values().any(|amount| *amount < 0));
        let queries =
            self.queries.iter().filter(|(_, totals)| totals.attributes().iter().any(|(_, n)| *n < 0));
        let queries = queries.map(|(query, _)| keys::query(&keys::query_hash(query)));
        sums.map(|(key, _)| key.clone()).chain(queries).collect()
    }

    /// The transaction. `found` holds the items asked for by [`ProjectionDiff::ranked`] and
    /// [`ProjectionDiff::shrinking`].
    pub(crate) fn writes(self, found: &HashMap<Key, Item>) -> Vec<Write> {
        let mut writes: Vec<Write> =
            self.entities.into_iter().map(|(key, (old, new))| replace(&key, &old, new)).collect();
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
        for write in writes.iter_mut().filter(|write| write.action.is_nothing()) {
            write.action = Action::Check;
        }
        writes
    }
}

/// What entities add to others.
#[derive(Debug, Default)]
struct Additions {
    tasks: BTreeMap<TaskId, TaskTotals>,
    identities: BTreeMap<ClerkUserId, i128>,
}

impl Additions {
    fn apply(&mut self, before: &Entities, after: &mut Entities) {
        let mut changed = |key: EntityKey, change: &mut dyn FnMut(&mut Entity)| {
            let old = || before.get(&key).cloned().unwrap_or_default();
            change(after.entry(key.clone()).or_insert_with(old));
        };
        for (task, totals) in std::mem::take(&mut self.tasks) {
            if !totals.is_empty() {
                changed(EntityKey::Task(task), &mut |entity| entity.totals.add(&totals, 1));
            }
        }
        for (identity, users) in std::mem::take(&mut self.identities) {
            if users != 0 {
                changed(EntityKey::Identity(identity), &mut |entity| {
                    let now = i128::from(entity.linkage.users) + users;
                    entity.linkage.users = u64::try_from(now).unwrap_or(0);
                });
            }
        }
    }
}
