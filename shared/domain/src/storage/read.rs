//! The port through which pages read: keys and ranges in, items out
//! (docs/adr/0005-pages-await-a-reader.md).
//!
//! A page builds a [`ReadPlan`] and awaits a [`Reader`]; the store only executes the plan.

use crate::storage::item::{Item, Key};
use crate::storage::keys::{KeyRange, Lanes};
use std::collections::{BTreeMap, HashMap};
use std::future::Future;

/// Items of one partition whose sort keys lie in a range, in the order of their sort keys.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Range {
    /// The partition key.
    pub pk: String,
    /// The least sort key, inclusive; from the first item without it.
    pub from: Option<String>,
    /// The greatest sort key, inclusive; to the last item without it.
    pub to: Option<String>,
    /// Whether the greatest sort keys come first.
    pub descending: bool,
    /// The most items to return; all of them without it.
    pub limit: Option<usize>,
    /// The attributes to return besides the keys; all of them without it.
    pub attributes: SelectedAttributes,
}

/// The attributes that a read returns, besides the keys of the items. It saves bytes on the way and their
/// parsing, no read units.
pub type SelectedAttributes = Option<&'static [&'static str]>;

impl From<KeyRange> for Range {
    fn from(KeyRange { pk, from, to }: KeyRange) -> Self {
        Self { pk, from: Some(from), to: Some(to), ..Self::default() }
    }
}

/// What to read in one round trip: every get and every range runs in parallel.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ReadPlan {
    /// Keys of single items.
    pub gets: Vec<Key>,
    /// The attributes of the single items to return; all of them without it.
    pub attributes: SelectedAttributes,
    /// Keys of further single items, each time with the attributes of these to return. They take calls of their own. A
    /// key must not be among `gets` or other ones as well: only one of its two items would be found.
    pub selected: Vec<(Vec<Key>, &'static [&'static str])>,
    /// Ranges of items.
    pub ranges: Vec<Range>,
    /// Whether the reads are strongly consistent: they see every write acknowledged before, and
    /// cost twice the read units.
    pub consistent: bool,
}

/// The items that a [`ReadPlan`] returned.
#[derive(Debug, Clone, Default)]
pub struct ReadResult {
    /// The single items that exist, by key; a key without an item was not found.
    pub items: HashMap<Key, Item>,
    /// The items of each range, in the order of the plan's ranges.
    pub ranges: Vec<Vec<Item>>,
}

impl ReadPlan {
    /// A plan that reads single items, eventually consistent.
    pub fn gets(keys: impl IntoIterator<Item = Key>) -> Self {
        Self { gets: keys.into_iter().collect(), ..Self::default() }
    }

    /// A plan that reads ranges, eventually consistent.
    pub fn ranges(ranges: Vec<Range>) -> Self {
        Self { ranges, ..Self::default() }
    }

    /// The same plan that reads what another one reads, too, in its own way: with its consistency, and of the
    /// other one's `gets` the attributes that it returns. What the other one selects keeps its own attributes.
    #[must_use]
    pub fn and(mut self, other: Self) -> Self {
        self.gets.extend(other.gets);
        self.selected.extend(other.selected);
        self.ranges.extend(other.ranges);
        self
    }

    /// The same plan that returns only these attributes of the single items.
    #[must_use]
    pub fn only(self, attributes: &'static [&'static str]) -> Self {
        Self { attributes: Some(attributes), ..self }
    }

    /// The same plan that reads further single items, and of these only some attributes.
    #[must_use]
    pub fn and_only(
        mut self,
        keys: impl IntoIterator<Item = Key>,
        attributes: &'static [&'static str],
    ) -> Self {
        self.selected.push((keys.into_iter().collect(), attributes));
        self
    }

    /// True if nothing is to be read.
    pub const fn is_empty(&self) -> bool {
        self.gets.is_empty() && self.selected.is_empty() && self.ranges.is_empty()
    }

    /// The same plan with strongly consistent reads.
    pub fn consistent(mut self) -> Self {
        self.consistent = true;
        self
    }
}

impl ReadResult {
    /// The sum of a number attribute over single items; an item that does not exist adds 0.
    pub fn sum(&self, keys: &[Key], attribute: &str) -> i128 {
        keys.iter().filter_map(|key| self.items.get(key)).map(|item| item.number(attribute)).sum()
    }

    /// Removes and returns the first `count` ranges, in the order of the plan; fewer if
    /// fewer are left.
    pub fn take_ranges(&mut self, count: usize) -> Vec<Vec<Item>> {
        self.ranges.drain(..count.min(self.ranges.len())).collect()
    }

    /// What the same plan found in two tables, as if it were one. Of two items with one key, that of `first` stays.
    #[must_use]
    pub fn union(plan: &ReadPlan, first: Self, second: Self) -> Self {
        let mut items = second.items;
        items.extend(first.items);
        let limits = plan.ranges.iter().map(|range| range.limit.unwrap_or(usize::MAX));
        let ranges =
            first.ranges.into_iter().zip(second.ranges).zip(limits).map(|((first, second), limit)| {
                let keyed = |item: Item| (item.key.clone(), item);
                let all: BTreeMap<Key, Item> = second.into_iter().chain(first).map(keyed).collect();
                all.into_values().take(limit).collect()
            });
        Self { items, ranges: ranges.collect() }
    }
}

/// Reads one generation of projections; the same one for the whole of a request.
pub trait Reader: Sync {
    /// Why a read failed: an error of the store, or an item that cannot be interpreted.
    type Error: Send + From<Corrupt>;

    /// The number of lanes that the generation spreads its hot items over.
    fn lanes(&self) -> Lanes;

    /// Executes a plan: one round trip to the store.
    ///
    /// # Errors
    /// If the store does not answer in time. An item that does not exist is no error.
    fn read(&self, reads: ReadPlan) -> impl Future<Output = Result<ReadResult, Self::Error>> + Send;
}

/// A stored item that does not have the form that its key implies: a defect of this system, never
/// the caller's fault. It is answered with a 500.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("stored item {pk} / {sk}: {fault}")]
pub struct Corrupt {
    /// The item's partition key.
    pub pk: String,
    /// The item's sort key.
    pub sk: String,
    /// What is wrong with it, for operators.
    pub fault: String,
}

impl Corrupt {
    /// The error for the item at `key`.
    pub fn new(key: &Key, fault: impl std::fmt::Display) -> Self {
        Self { pk: key.pk.clone(), sk: key.sk.clone(), fault: fault.to_string() }
    }
}
