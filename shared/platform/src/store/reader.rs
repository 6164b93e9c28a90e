//! Executes planned reads of one table.

use super::calls::{BatchRead, CappedCount, ForeignAttributes, RangeQuery};
use super::client::Store;
use super::error::StoreError;
use super::usage::Usage;
use crate::retry::Retries;
use futures::stream::{self, StreamExt, TryStreamExt};
use std::collections::BTreeSet;
use torale_domain::projections::generation::Generation;
use torale_domain::storage::item::{Item, Key};
use torale_domain::storage::keys::Lanes;
use torale_domain::storage::read::{Range, ReadPlan, ReadResult, Reader, SelectedAttributes};

/// The most keys of one `BatchGetItem`.
const BATCH: usize = 100;
/// The most calls of one round trip that are in flight at once.
const PARALLEL: usize = 256;
/// How often keys that DynamoDB leaves unprocessed are requested.
const MAX_ATTEMPTS: u32 = 6;

/// Reads one table. For the projections that is one generation, from a request's beginning to its end.
#[derive(Debug)]
pub struct TableReader<'a> {
    store: &'a Store,
    table: String,
    lanes: Lanes,
    foreign: ForeignAttributes,
    usage: &'a Usage,
}

impl<'a> TableReader<'a> {
    /// Reads from a generation of projections. Costs are added to `usage`.
    pub fn of(store: &'a Store, generation: &Generation, usage: &'a Usage) -> Self {
        let (table, lanes) = (generation.table(), generation.lanes);
        Self { store, table, lanes, foreign: ForeignAttributes::Refuse, usage }
    }

    /// Reads from a table without lanes. Attributes that others may have written there are left out.
    pub fn new(store: &'a Store, table: &str, usage: &'a Usage) -> Self {
        let (table, lanes) = (table.to_owned(), Lanes::ONE);
        Self { store, table, lanes, foreign: ForeignAttributes::Omit, usage }
    }

    /// Reads whole items, for comparisons: attributes that others may have written show as a difference.
    pub fn whole(store: &'a Store, table: &str, usage: &'a Usage) -> Self {
        Self { foreign: ForeignAttributes::Show, ..Self::new(store, table, usage) }
    }

    /// The items of some keys, and the number of round trips.
    async fn batch(
        &self,
        mut keys: Vec<Key>,
        (attributes, consistent): (SelectedAttributes, bool),
    ) -> Result<(Vec<Item>, u64), StoreError> {
        let mut items = Vec::with_capacity(keys.len());
        let mut retries = Retries::attempts(MAX_ATTEMPTS);
        loop {
            let batch = BatchRead { table: &self.table, keys, attributes, consistent, foreign: self.foreign };
            let (found, unprocessed) = self.store.calls.get_batch(batch, self.usage).await?;
            items.extend(found);
            keys = unprocessed;
            if keys.is_empty() {
                return Ok((items, u64::from(retries.attempt())));
            }
            if !retries.pause().await {
                return Err(StoreError::Unavailable("keys stayed unprocessed".to_owned()));
            }
        }
    }

    /// The items of a range, and the number of round trips.
    async fn range(&self, range: Range, consistent: bool) -> Result<(Vec<Item>, u64), StoreError> {
        let (table, foreign) = (self.table.as_str(), self.foreign);
        let mut items = Vec::new();
        let mut after = None;
        for round_trips in 1.. {
            let limit = range.limit.map(|limit| limit - items.len());
            let left = Range { limit, ..range.clone() };
            let query = RangeQuery { table, range: left, after, consistent, foreign };
            let page = self.store.calls.query(query, self.usage).await?;
            items.extend(page.items);
            after = page.last;
            if after.is_none() || range.limit.is_some_and(|limit| items.len() >= limit) {
                return Ok((items, round_trips));
            }
        }
        Ok((items, 0))
    }

    /// The number of items in a range, as far as one call counts: up to the range's limit, or 1 MB of items.
    pub(super) async fn count(&self, range: &Range) -> Result<CappedCount, StoreError> {
        self.store.calls.count(&self.table, range, self.usage).await
    }
}

/// The round trips of calls of which [`PARALLEL`] are in flight at once.
fn waves(calls: usize) -> u64 {
    u64::try_from(calls.div_ceil(PARALLEL)).unwrap_or(u64::MAX)
}

impl Reader for TableReader<'_> {
    type Error = StoreError;

    fn lanes(&self) -> Lanes {
        self.lanes
    }

    async fn read(&self, reads: ReadPlan) -> Result<ReadResult, StoreError> {
        let selected = reads.selected.into_iter().map(|(keys, attributes)| (keys, Some(attributes)));
        let gets =
            [(reads.gets, reads.attributes)].into_iter().chain(selected).flat_map(|(keys, attributes)| {
                let unique: Vec<Key> = BTreeSet::from_iter(keys).into_iter().collect();
                unique.chunks(BATCH).map(|keys| (keys.to_vec(), attributes)).collect::<Vec<_>>()
            });
        let batches: Vec<_> =
            gets.map(|(keys, attributes)| self.batch(keys, (attributes, reads.consistent))).collect();
        let ranges: Vec<_> =
            reads.ranges.into_iter().map(|range| self.range(range, reads.consistent)).collect();
        let batches = stream::iter(batches).buffer_unordered(PARALLEL).try_collect::<Vec<_>>();
        let ranges = stream::iter(ranges).buffered(PARALLEL).try_collect::<Vec<_>>();
        let (batches, ranges) = futures::try_join!(batches, ranges)?;
        let longest = batches.iter().chain(&ranges).map(|(_, round_trips)| *round_trips).max().unwrap_or(0);
        self.usage.add_round_trips(longest.max(waves(batches.len())).max(waves(ranges.len())));
        let items = batches.into_iter().flat_map(|(items, _)| items);
        Ok(ReadResult {
            items: items.map(|item| (item.key.clone(), item)).collect(),
            ranges: ranges.into_iter().map(|(items, _)| items).collect(),
        })
    }
}
