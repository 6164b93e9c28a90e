//! The port through which pages read: keys and ranges in, items out. The store only executes it.

use crate::storage::item::{Item, Key};
use crate::storage::keys::Lanes;
use std::collections::HashMap;
use std::future::Future;

/// Items of one partition whose sort keys lie in a range, in order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Range {
    /// The partition.
    pub pk: String,
    /// Least sort key, inclusive.
    pub from: Option<String>,
    /// Greatest sort key, inclusive.
    pub to: Option<String>,
    /// Greatest sort keys first.
    pub descending: bool,
    /// At most this many items; all without it.
    pub limit: Option<usize>,
}

/// What to read in one round trip.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ReadPlan {
    /// Single items.
    pub gets: Vec<Key>,
    /// Ranges.
    pub ranges: Vec<Range>,
    /// Whether a write that was acknowledged before must be seen; costs twice the units.
    pub consistent: bool,
}

/// What was found.
#[derive(Debug, Clone, Default)]
pub struct ReadResult {
    /// The single items that exist.
    pub items: HashMap<Key, Item>,
    /// The items of each range, in the order of the request.
    pub ranges: Vec<Vec<Item>>,
}

impl ReadPlan {
    /// Single items.
    pub fn gets(keys: impl IntoIterator<Item = Key>) -> Self {
        Self { gets: keys.into_iter().collect(), ..Self::default() }
    }

    /// Ranges.
    pub fn ranges(ranges: Vec<Range>) -> Self {
        Self { ranges, ..Self::default() }
    }

    /// With every range's partition and item read strongly consistent.
    pub fn consistent(mut self) -> Self {
        self.consistent = true;
        self
    }
}

impl ReadResult {
    /// Takes the next ranges, in the order in which they were asked for.
    pub fn take_ranges(&mut self, count: usize) -> Vec<Vec<Item>> {
        self.ranges.drain(..count.min(self.ranges.len())).collect()
    }
}

/// One generation of projections, as one request sees it.
pub trait Reader: Sync {
    /// Why a read failed.
    type Error: Send + From<Corrupt>;

    /// The lanes of the generation.
    fn lanes(&self) -> Lanes;

    /// Reads everything asked for, in parallel: one round trip.
    fn read(&self, reads: ReadPlan) -> impl Future<Output = Result<ReadResult, Self::Error>> + Send;
}

/// A stored item that cannot be what its key says: a defect, never the client's fault.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("stored item {pk} / {sk}: {fault}")]
pub struct Corrupt {
    /// Its partition key.
    pub pk: String,
    /// Its sort key.
    pub sk: String,
    /// What is wrong.
    pub fault: String,
}

impl Corrupt {
    /// Names the item and the fault.
    pub fn new(key: &Key, fault: impl std::fmt::Display) -> Self {
        Self { pk: key.pk.clone(), sk: key.sk.clone(), fault: fault.to_string() }
    }
}
