//! Build: all items of a generation from the final states of its entities, without
//! reading any item.
//!
//! The items and rows of an entity are made at once. Amounts are summed up in [`Subtotals`],
//! which can be merged, so that a generation can be built in parts. The result is the same,
//! item by item, as when the events are projected one at a time; tests of convergence hold
//! the two together.

use crate::entities::fold::State;
use crate::entities::linkage::Linkage;
use crate::events::UnreadableEvent;
use crate::projections::entity::Entity;
use crate::projections::people::{JoinInput, JoinedIdentities, JoinedUsers, LinkCondition, user_parts};
use crate::projections::ranking;
use crate::projections::views::{self, Contributions, QueryTotals, TaskTotals};
use crate::storage::item::{Attributes, Item, Key, Value};
use crate::storage::keys::{self, Lanes};
use crate::storage::limits::{DoesNotFit, ItemLimits};
use crate::values::ids::EntityKey;
use crate::values::ids::{ClerkUserId, TaskId, UserId};
use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap};

/// Amounts by attribute.
pub type Amounts = BTreeMap<String, i128>;

/// What some entities add up to, before the items of it are made.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Subtotals {
    /// The amounts of counters.
    pub counters: HashMap<Key, Amounts>,
    /// The totals of tasks.
    pub tasks: HashMap<TaskId, TaskTotals>,
    /// The states of tasks that wait for their totals: their items cannot be made before all of
    /// their executions are counted.
    pub waiting: HashMap<TaskId, State>,
    /// The totals of queries.
    pub queries: HashMap<String, QueryTotals>,
    /// Parts of users and identities, whose items cannot be made before all of them are known.
    pub people: Vec<JoinInput>,
    /// Their approximate size in memory, in bytes.
    weight: usize,
    /// What the store takes.
    limits: ItemLimits,
}

/// Why an entity has no items: it is left out of the generation, with all that it would add to
/// counters.
#[derive(Debug, thiserror::Error)]
pub enum EntityFault {
    /// Its state cannot be written or read.
    #[error(transparent)]
    Unreadable(#[from] UnreadableEvent),
    /// One of its items is too large for the store.
    #[error(transparent)]
    DoesNotFit(#[from] DoesNotFit),
}

/// Approximate bytes of a map's entry without its texts.
const ENTRY: usize = 160;
/// Approximate bytes of one day of a task's totals.
const DAY: usize = 48;
/// Approximate bytes of one attribute of a counter.
const ATTRIBUTE: usize = 72;

impl Subtotals {
    /// Empty, for a store with these limits.
    pub fn new(limits: ItemLimits) -> Self {
        Self { limits, ..Self::default() }
    }

    /// True if they hold neither an amount nor a waiting task.
    pub fn is_empty(&self) -> bool {
        self.counters.is_empty()
            && self.tasks.is_empty()
            && self.waiting.is_empty()
            && self.queries.is_empty()
            && self.people.is_empty()
    }

    /// Their approximate size in memory, in bytes.
    pub const fn weight(&self) -> usize {
        self.weight
    }

    /// Adds amounts to a counter.
    pub fn count(&mut self, counter: Key, amounts: impl IntoIterator<Item = (String, i128)>) {
        let bytes = ENTRY + counter.pk.len() + counter.sk.len();
        let sums = self.counters.entry(counter).or_insert_with(|| {
            self.weight += bytes;
            Amounts::new()
        });
        let before = sums.len();
        for (attribute, amount) in amounts {
            *sums.entry(attribute).or_default() += amount;
        }
        self.weight += (sums.len() - before) * ATTRIBUTE;
    }

    /// Adds to the totals of a task.
    pub fn add_task(&mut self, id: TaskId, totals: &TaskTotals) {
        let sum = self.tasks.entry(id).or_insert_with(|| {
            self.weight += ENTRY;
            TaskTotals::default()
        });
        let before = sum.days();
        sum.add(totals, 1);
        self.weight += sum.days().saturating_sub(before) * DAY;
    }

    /// Keeps the state of a task until its totals are known; merges it with a state that
    /// is kept already.
    pub fn wait(&mut self, id: TaskId, state: State) {
        self.weight += ENTRY + state.weight();
        match self.waiting.entry(id) {
            Entry::Vacant(entry) => {
                entry.insert(state);
            }
            Entry::Occupied(mut entry) => entry.get_mut().merge(state),
        }
    }

    /// Keeps a part of a user or of an identity until all of them are known.
    pub fn add_person(&mut self, part: JoinInput) {
        self.weight += part.weight();
        self.people.push(part);
    }

    /// Adds to the totals of a query.
    pub fn add_query(&mut self, query: String, totals: &QueryTotals) {
        self.weight += if self.queries.contains_key(&query) { 0 } else { ENTRY + query.len() };
        self.queries.entry(query).or_default().add(totals, 1);
    }

    /// The items of an entity, its own and its rows; adds its amounts to the subtotals. `totals`
    /// are those of a task; empty for any other entity.
    ///
    /// # Errors
    /// If the state cannot be written, or an item does not fit into the store; then nothing is
    /// added.
    pub fn entity(
        &mut self,
        key: &EntityKey,
        state: State,
        totals: TaskTotals,
        lanes: Lanes,
    ) -> Result<Vec<Item>, EntityFault> {
        self.linked_entity(key, Entity { state, totals, linkage: Linkage::default() }, lanes)
    }

    /// The items of a user or an identity that is joined with all others, without those of their links.
    ///
    /// # Errors
    /// As for [`Self::entity`].
    pub fn linked_entity(
        &mut self,
        key: &EntityKey,
        entity: Entity,
        lanes: Lanes,
    ) -> Result<Vec<Item>, EntityFault> {
        let Entity { state, totals, linkage } = &entity;
        // The users that an identity is named by are counted when they are joined.
        let Contributions { rows, sums, task, queries, names: _ } =
            views::contributions(key, state, totals, linkage, lanes);
        let attributes = entity.store()?;
        let rows = rows.into_iter().map(|(key, attributes)| Item { key, attributes });
        let own = Item { key: keys::entity(key), attributes };
        let items: Vec<Item> =
            rows.chain([own].into_iter().filter(|own| !own.attributes.is_empty())).collect();
        items.iter().try_for_each(|item| self.limits.check(item))?;
        for ((counter, attribute), amount) in sums {
            self.count(counter, [(attribute, amount)]);
        }
        for (id, totals) in task {
            self.add_task(id, &totals);
        }
        for (query, totals) in queries {
            self.add_query(query, &totals);
        }
        Ok(items)
    }

    /// The items of a link of a user. All of the users' own events, and all links, must have been added before.
    ///
    /// # Errors
    /// If a state cannot be written, or an item does not fit into the store.
    pub fn link(
        &self,
        users: &JoinedUsers,
        (user, clerk): (UserId, &ClerkUserId),
        says: &State,
        holds: LinkCondition,
    ) -> Result<Vec<Item>, EntityFault> {
        let items = users.link_items(user, clerk, says, holds)?;
        items.iter().try_for_each(|item| self.limits.check(item))?;
        Ok(items)
    }

    /// The items of an entity that waits for no other: a task waits for the totals of its executions, users and
    /// identities wait for each other.
    ///
    /// # Errors
    /// If the state cannot be written, or an item does not fit into the store.
    pub fn entity_or_wait(
        &mut self,
        key: &EntityKey,
        state: State,
        lanes: Lanes,
    ) -> Result<Vec<Item>, EntityFault> {
        match key {
            EntityKey::Task(id) => self.wait(*id, state),
            EntityKey::User(id) => user_parts(*id, state).for_each(|part| self.add_person(part)),
            EntityKey::Identity(clerk) => self.add_person(JoinInput::Identity(clerk.clone(), state)),
            EntityKey::ApiKey(_)
            | EntityKey::Execution(_)
            | EntityKey::Notification(_)
            | EntityKey::Run(..)
            | EntityKey::Schedule(_) => return self.entity(key, state, TaskTotals::default(), lanes),
        }
        Ok(Vec::new())
    }

    /// Removes and returns every task of which a state or totals are known, in the
    /// order of the ids.
    pub fn take_tasks(&mut self) -> Vec<(TaskId, State, TaskTotals)> {
        let mut tasks: BTreeMap<TaskId, (State, TaskTotals)> = BTreeMap::new();
        for (id, state) in self.waiting.drain() {
            tasks.entry(id).or_default().0 = state;
        }
        for (id, totals) in self.tasks.drain() {
            tasks.entry(id).or_default().1 = totals;
        }
        tasks.into_iter().map(|(id, (state, totals))| (id, state, totals)).collect()
    }

    /// The items of a query: its totals and its row in the ranking. `totals` must hold
    /// all of its tasks.
    pub fn query(&mut self, query: &str, totals: &QueryTotals) -> Vec<Item> {
        let mut items = Vec::new();
        let hash = keys::query_hash(query);
        if let Some(entry) = ranking::entry(totals.tasks, query) {
            items.push(Item { key: entry.row, attributes: entry.carried });
            for (counter, attribute) in entry.counted {
                self.count(counter, [(attribute, 1)]);
            }
        }
        let mut attributes = non_zero(totals.attributes().map(|(name, amount)| (name.to_owned(), amount)));
        if !attributes.is_empty() {
            attributes.insert("query".to_owned(), Value::Text(query.to_owned()));
            items.push(Item { key: keys::query(&hash), attributes });
        }
        items
    }
}

/// The item of a counter; `None` if all of its amounts are 0.
pub fn counter(key: Key, amounts: Amounts) -> Option<Item> {
    let attributes = non_zero(amounts);
    (!attributes.is_empty()).then_some(Item { key, attributes })
}

/// The attributes of a counter's item, which stores no zeros.
fn non_zero(amounts: impl IntoIterator<Item = (String, i128)>) -> Attributes {
    let amounts = amounts.into_iter().filter(|(_, amount)| *amount != 0);
    amounts.map(|(name, amount)| (name, Value::Number(amount))).collect()
}

/// Builds a whole generation in memory.
#[derive(Debug)]
pub struct Build {
    lanes: Lanes,
    subtotals: Subtotals,
}

impl Build {
    /// Begins a generation with these lanes.
    pub fn new(lanes: Lanes) -> Self {
        Self { lanes, subtotals: Subtotals::default() }
    }

    /// The item and the rows of an entity; to be called once for each. Those of tasks come with
    /// [`Build::finish`].
    ///
    /// # Errors
    /// If the state cannot be written, or an item does not fit into the store.
    pub fn entity(&mut self, key: &EntityKey, state: State) -> Result<Vec<Item>, EntityFault> {
        self.subtotals.entity_or_wait(key, state, self.lanes)
    }

    /// The remaining items, after the last entity: tasks, queries with their
    /// ranking, and counters.
    ///
    /// # Errors
    /// If the state of a task cannot be written, or an item of it does not fit into the store.
    pub fn finish(mut self) -> Result<Vec<Item>, EntityFault> {
        let mut items = Vec::new();
        self.people(&mut items)?;
        for (id, state, totals) in self.subtotals.take_tasks() {
            items.extend(self.subtotals.entity(&EntityKey::Task(id), state, totals, self.lanes)?);
        }
        for (query, totals) in std::mem::take(&mut self.subtotals.queries) {
            items.extend(self.subtotals.query(&query, &totals));
        }
        items.extend(self.subtotals.counters.into_iter().filter_map(|(key, amounts)| counter(key, amounts)));
        Ok(items)
    }

    /// The items of users and identities, in the two steps of [`people`](crate::projections::people).
    fn people(&mut self, items: &mut Vec<Item>) -> Result<(), EntityFault> {
        let mut parts = std::mem::take(&mut self.subtotals.people);
        let mut identities = JoinedIdentities::default();
        parts.iter().cloned().for_each(|part| identities.add(part));
        for (clerk, entity) in identities.entities() {
            items.extend(self.subtotals.linked_entity(&EntityKey::Identity(clerk), entity, self.lanes)?);
        }
        let named = parts.iter().filter_map(|part| {
            let JoinInput::Named(clerk, user) = part else { return None };
            Some((clerk.clone(), *user))
        });
        let links: Vec<_> = named.map(|(clerk, user)| identities.link(clerk, user)).collect();
        parts.extend(links);
        parts.extend(identities.other_links());
        let mut users = JoinedUsers::default();
        parts.iter().cloned().try_for_each(|part| users.add(part))?;
        for id in users.ids() {
            items.extend(self.subtotals.linked_entity(&EntityKey::User(id), users.entity(id), self.lanes)?);
        }
        for part in &parts {
            if let JoinInput::Link(user, clerk, says, holds) = part {
                items.extend(self.subtotals.link(&users, (*user, clerk), says, *holds)?);
            }
        }
        Ok(())
    }
}
