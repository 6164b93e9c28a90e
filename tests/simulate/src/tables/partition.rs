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
    /// Replaces or removes an item, and remembers for a while what it was, if that may be read.
    pub(super) fn set(&mut self, sk: String, attributes: Option<Attributes>, remembers: bool) {
        let before = match attributes {
            Some(attributes) => self.items.insert(sk.clone(), attributes),
            None => self.items.remove(&sk),
        };
        if !remembers {
            return;
        }
        let at = Instant::now();
        while self.changes.front().is_some_and(|change| change.at + REMEMBERED < at) {
            self.changes.pop_front();
        }
        self.changes.push_back(Change { at, sk, before });
    }

    /// Forgets what items were.
    pub(super) fn settle(&mut self) {
        self.changes.clear();
    }

    pub(super) fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    pub(super) fn get(&self, sk: &str, as_of: AsOf) -> Option<&Attributes> {
        let now = self.items.get(sk);
        let Some(moment) = as_of.0 else { return now };
        let later = self.changes.iter().find(|change| change.at > moment && change.sk == sk);
        later.map_or(now, |change| change.before.as_ref())
    }

    pub(super) fn range<'a>(
        &'a self,
        low: Bound<&str>,
        high: Bound<&str>,
        descending: bool,
        as_of: AsOf,
    ) -> Box<dyn Iterator<Item = (&'a str, &'a Attributes)> + 'a> {
        if has_nothing_between(low, high) {
            return Box::new(std::iter::empty());
        }
        let in_range = (low, high);
        let now = self.items.range::<str, _>(in_range).map(|(sk, attributes)| (sk.as_str(), attributes));
        let Some(moment) = as_of.0 else {
            return if descending { Box::new(now.rev()) } else { Box::new(now) };
        };
        let mut then: BTreeMap<&str, &Attributes> = now.collect();
        for change in self.changes.iter().rev().take_while(|change| change.at > moment) {
            if !std::ops::RangeBounds::<str>::contains(&in_range, change.sk.as_str()) {
                continue;
            }
            match &change.before {
                Some(before) => then.insert(&change.sk, before),
                None => then.remove(change.sk.as_str()),
            };
        }
        if descending { Box::new(then.into_iter().rev()) } else { Box::new(then.into_iter()) }
    }
}

/// Whether nothing lies between two bounds: a map refuses such a range.
fn has_nothing_between(low: Bound<&str>, high: Bound<&str>) -> bool {
    match (low, high) {
        (Bound::Included(low), Bound::Included(high)) => low > high,
        (Bound::Included(low) | Bound::Excluded(low), Bound::Included(high) | Bound::Excluded(high)) => {
            low >= high
        }
        (Bound::Unbounded, _) | (_, Bound::Unbounded) => false,
    }
}
