//! Items of a generation from final states: each is made once, nothing is read.
//!
//! Entities hand out their own items and rows at once; what they add up to gathers in [`Subtotals`], which add to each other,
//! so that a generation can be built in parts. The items are those that the same events lead to one by one; a test holds
//! the two together.

use super::{Entity, ranking};
use crate::events::Unreadable;
use crate::fold::{EntityKey, State};
use crate::ids::TaskId;
use crate::item::{Attributes, Item, Key, Value};
use crate::keys::{self, Lanes};
use crate::views::{self, Contributions, QueryTotals, TaskTotals};
use std::collections::{BTreeMap, HashMap};

/// Amounts by attribute.
pub type Amounts = BTreeMap<String, i128>;

/// What some entities add up to, before it is written.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Subtotals {
    /// Counters.
    pub counters: HashMap<Key, Amounts>,
    /// Totals of tasks.
    pub tasks: HashMap<TaskId, TaskTotals>,
    /// Tasks whose items can't be made before all of their executions are counted.
    pub waiting: HashMap<TaskId, State>,
    /// Totals of queries.
    pub queries: HashMap<String, QueryTotals>,
}

impl Subtotals {
    /// True if nothing is counted.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many subtotals there are.
    pub fn len(&self) -> usize {
        self.counters.len() + self.tasks.len() + self.waiting.len() + self.queries.len()
    }

    /// Adds to one counter.
    pub fn count(&mut self, counter: Key, amounts: impl IntoIterator<Item = (String, i128)>) {
        let sums = self.counters.entry(counter).or_default();
        for (attribute, amount) in amounts {
            *sums.entry(attribute).or_default() += amount;
        }
    }

    /// The items of an entity: its own and its rows. `totals` are a task's, empty for every other entity.
    pub fn entity(
        &mut self,
        key: &EntityKey,
        state: State,
        totals: TaskTotals,
        lanes: Lanes,
    ) -> Result<Vec<Item>, Unreadable> {
        let Contributions { rows, sums, task, queries } = views::contributions(key, &state, &totals, lanes);
        let attributes = Entity { state, totals }.store()?;
        for ((counter, attribute), amount) in sums {
            self.count(counter, [(attribute, amount)]);
        }
        for (id, totals) in task {
            self.tasks.entry(id).or_default().add(&totals, 1);
        }
        for (query, totals) in queries {
            self.queries.entry(query).or_default().add(&totals, 1);
        }
        let rows = rows.into_iter().map(|(key, attributes)| Item { key, attributes });
        let own = Item { key: keys::entity(key), attributes };
        Ok(rows.chain([own].into_iter().filter(|own| !own.attributes.is_empty())).collect())
    }

    /// The items of an entity that is no task; a task waits for the totals of its executions.
    pub fn entity_or_wait(
        &mut self,
        key: &EntityKey,
        state: State,
        lanes: Lanes,
    ) -> Result<Vec<Item>, Unreadable> {
        let task = match Some(key) {
            Some(EntityKey::Task(id)) => *id,
            _other_entities => return self.entity(key, state, TaskTotals::default(), lanes),
        };
        self.waiting.insert(task, state);
        Ok(Vec::new())
    }

    /// Every task of which anything is known, with its totals, in the order of the ids.
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

    /// The items of a query: its totals and its row in the ranking. All of its tasks must be in `totals`.
    pub fn query(&mut self, query: &str, totals: &QueryTotals) -> Vec<Item> {
        let mut items = Vec::new();
        let hash = keys::query_hash(query);
        if let Some(place) = ranking::place(totals.tasks, &hash) {
            items.push(Item { key: place.row, attributes: Attributes::new() });
            for (counter, attribute) in place.counted {
                self.count(counter, [(attribute, 1)]);
            }
        }
        let mut attributes = numbers(totals.attributes().map(|(name, amount)| (name.to_owned(), amount)));
        if !attributes.is_empty() {
            attributes.insert("query".to_owned(), Value::Text(query.to_owned()));
            items.push(Item { key: keys::query(&hash), attributes });
        }
        items
    }
}

/// The item of a counter, unless all of it came to nothing.
pub fn counter(key: Key, amounts: Amounts) -> Option<Item> {
    let attributes = numbers(amounts);
    (!attributes.is_empty()).then_some(Item { key, attributes })
}

/// Counters keep no zeros.
fn numbers(amounts: impl IntoIterator<Item = (String, i128)>) -> Attributes {
    let amounts = amounts.into_iter().filter(|(_, amount)| *amount != 0);
    amounts.map(|(name, amount)| (name, Value::Number(amount))).collect()
}

/// A whole generation in the making, in memory.
#[derive(Debug)]
pub struct Build {
    lanes: Lanes,
    subtotals: Subtotals,
}

impl Build {
    /// Of a generation with these lanes.
    pub fn new(lanes: Lanes) -> Self {
        Self { lanes, subtotals: Subtotals::default() }
    }

    /// The item and the rows of an entity, once for each; those of tasks come at the end.
    pub fn entity(&mut self, key: &EntityKey, state: State) -> Result<Vec<Item>, Unreadable> {
        self.subtotals.entity_or_wait(key, state, self.lanes)
    }

    /// What is left once all entities have been handed in: tasks, queries with their ranking, counters.
    pub fn finish(mut self) -> Result<Vec<Item>, Unreadable> {
        let mut items = Vec::new();
        for (id, state, totals) in self.subtotals.take_tasks() {
            items.extend(self.subtotals.entity(&EntityKey::Task(id), state, totals, self.lanes)?);
        }
        for (query, totals) in std::mem::take(&mut self.subtotals.queries) {
            items.extend(self.subtotals.query(&query, &totals));
        }
        items.extend(self.subtotals.counters.into_iter().filter_map(|(key, amounts)| counter(key, amounts)));
        Ok(items)
    }
}
