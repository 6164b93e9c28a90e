//! All items of a generation from all states at once: each is made once, nothing is read.
//!
//! The items are those that the same events lead to one by one; a test holds the two together.

use super::{Entity, ranking};
use crate::events::Unreadable;
use crate::fold::{EntityKey, State};
use crate::ids::TaskId;
use crate::item::{Attributes, Item, Key, Value};
use crate::keys::{self, Lanes};
use crate::views::{self, Contributions, QueryTotals, TaskTotals};
use std::collections::{BTreeMap, HashMap};

/// A generation in the making: the sums, while entities and rows are handed out as they come.
#[derive(Debug)]
pub struct Build {
    lanes: Lanes,
    sums: HashMap<Key, BTreeMap<String, i128>>,
    totals: HashMap<TaskId, TaskTotals>,
    queries: BTreeMap<String, QueryTotals>,
}

impl Build {
    /// Of a generation with these lanes.
    pub fn new(lanes: Lanes) -> Self {
        Self { lanes, sums: HashMap::new(), totals: HashMap::new(), queries: BTreeMap::new() }
    }

    /// The item and the rows of an entity, once for each. Tasks come after all executions.
    pub fn entity(&mut self, key: &EntityKey, state: State) -> Result<Vec<Item>, Unreadable> {
        let totals = match key {
            EntityKey::Task(id) => self.totals.remove(id).unwrap_or_default(),
            EntityKey::User(_) | EntityKey::ApiKey(_) | EntityKey::Execution(_) => TaskTotals::default(),
            EntityKey::Notification(_) | EntityKey::Run(..) | EntityKey::Schedule(_) => TaskTotals::default(),
        };
        let Contributions { rows, sums, task, queries } =
            views::contributions(key, &state, &totals, self.lanes);
        let attributes = Entity { state, totals }.store()?;
        for ((counter, attribute), amount) in sums {
            *self.sums.entry(counter).or_default().entry(attribute).or_default() += amount;
        }
        for (id, totals) in task {
            self.totals.entry(id).or_default().add(&totals, 1);
        }
        for (query, totals) in queries {
            self.queries.entry(query).or_default().add(&totals, 1);
        }
        let rows = rows.into_iter().map(|(key, attributes)| Item { key, attributes });
        Ok(rows.chain([Item { key: keys::entity(key), attributes }]).collect())
    }

    /// What is left once all entities have been handed in: stubs of tasks, counters, queries and their ranking.
    pub fn finish(mut self) -> Result<Vec<Item>, Unreadable> {
        let mut items = Vec::new();
        for id in self.totals.keys().copied().collect::<Vec<_>>() {
            items.extend(self.entity(&EntityKey::Task(id), State::default())?);
        }
        for (query, totals) in std::mem::take(&mut self.queries) {
            let hash = keys::query_hash(&query);
            if let Some(place) = ranking::place(totals.tasks, &hash) {
                items.push(Item { key: place.row, attributes: Attributes::new() });
                for (counter, attribute) in place.counted {
                    *self.sums.entry(counter).or_default().entry(attribute).or_default() += 1;
                }
            }
            let amounts = totals.attributes().map(|(name, amount)| (name.to_owned(), amount));
            let mut attributes = numbers(amounts);
            attributes.insert("query".to_owned(), Value::Text(query));
            items.push(Item { key: keys::query(&hash), attributes });
        }
        items.extend(self.sums.into_iter().map(|(key, amounts)| Item { key, attributes: numbers(amounts) }));
        items.retain(|item| !item.attributes.is_empty() || item.key.pk == keys::RANKING_ROWS);
        Ok(items)
    }
}

/// Counters keep no zeros.
fn numbers(amounts: impl IntoIterator<Item = (String, i128)>) -> Attributes {
    let amounts = amounts.into_iter().filter(|(_, amount)| *amount != 0);
    amounts.map(|(name, amount)| (name, Value::Number(amount))).collect()
}
