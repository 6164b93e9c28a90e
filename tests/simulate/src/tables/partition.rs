//! A partition: its items in the order of their sort keys, and what they were a moment ago.

use super::AsOf;
use std::collections::{BTreeMap, VecDeque};
use std::ops::Bound;
use tokio::time::{Duration, Instant};
use torale_domain::storage::item::Attributes;

/// How long what an item was is remembered: eventually consistent reads are behind by less.
pub(crate) const REMEMBERED: Duration = Duration::from_secs(2);

#[derive(Debug, Clone, Default)]
pub(super) struct Partition {
    items: BTreeMap<String, Attributes>,
    /// The changes of the last moments, the last one last.
    changes: VecDeque<Change>,
}

/// What an item was before it was changed.
#[derive(Debug, Clone)]
struct Change {
    at: Instant,
    sk: String,
    before: Option<Attributes>,
}

impl Partition {
    pub(super) fn set(&mut self, sk: String, attributes: Option<Attributes>) {
        let at = Instant::now();
        let before = match attributes {
            Some(attributes) => self.items.insert(sk.clone(), attributes),
            None => self.items.remove(&sk),
        };
        while self.changes.front().is_some_and(|change| change.at + REMEMBERED < at) {
            self.changes.pop_front();
        }
        self.changes.push_back(Change { at, sk, before });
    }

    pub(super) fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    pub(super) fn get(&self, sk: &str, as_of: AsOf) -> Option<Attributes> {
        let now = self.items.get(sk);
        let Some(moment) = as_of.0 else { return now.cloned() };
        let later = self.changes.iter().find(|change| change.at > moment && change.sk == sk);
        later.map_or(now, |change| change.before.as_ref()).cloned()
    }

    pub(super) fn range(
        &self,
        low: Bound<String>,
        high: Bound<String>,
        descending: bool,
        as_of: AsOf,
    ) -> Vec<(String, Attributes)> {
        if has_nothing_between(&low, &high) {
            return Vec::new();
        }
        let in_range = (low, high);
        let pair = |(sk, attributes): (&String, &Attributes)| (sk.clone(), attributes.clone());
        let mut found: Vec<(String, Attributes)> = match as_of.0 {
            None => self.items.range(in_range).map(pair).collect(),
            Some(moment) => {
                let mut found: BTreeMap<String, Attributes> =
                    self.items.range(in_range.clone()).map(pair).collect();
                for change in self.changes.iter().rev().take_while(|change| change.at > moment) {
                    if !std::ops::RangeBounds::contains(&in_range, &change.sk) {
                        continue;
                    }
                    match &change.before {
                        Some(before) => found.insert(change.sk.clone(), before.clone()),
                        None => found.remove(&change.sk),
                    };
                }
                found.into_iter().collect()
            }
        };
        if descending {
            found.reverse();
        }
        found
    }
}

/// Whether nothing lies between two bounds: a map refuses such a range.
fn has_nothing_between(low: &Bound<String>, high: &Bound<String>) -> bool {
    match (low, high) {
        (Bound::Included(low), Bound::Included(high)) => low > high,
        (Bound::Included(low) | Bound::Excluded(low), Bound::Included(high) | Bound::Excluded(high)) => {
            low >= high
        }
        (Bound::Unbounded, _) | (_, Bound::Unbounded) => false,
    }
}
