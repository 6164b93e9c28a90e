//! Executes planned reads against one table.

use super::{CAPACITY, Generation, Store, StoreError, Usage, convert};
use crate::clock;
use aws_sdk_dynamodb::operation::query::builders::QueryFluentBuilder;
use aws_sdk_dynamodb::types::{AttributeValue, KeysAndAttributes, Select};
use futures::stream::{self, StreamExt, TryStreamExt};
use std::collections::{BTreeSet, HashMap};
use torale_domain::storage::item::{Item, Key};
use torale_domain::storage::keys::{Lanes, PK, SK};
use torale_domain::storage::read::{Range, ReadPlan, ReadResult, Reader};

/// Most keys of one `BatchGetItem`.
const BATCH: usize = 100;
/// Calls in flight at once within one round trip.
const PARALLEL: usize = 256;
/// How often keys that were handed back are asked for again.
const MAX_ATTEMPTS: u32 = 6;

/// A table as one request sees it: of projections, one generation from the request's beginning to its end.
#[derive(Debug)]
pub struct TableReader<'a> {
    store: &'a Store,
    table: String,
    lanes: Lanes,
    foreign: Foreign,
    usage: &'a Usage,
}

/// What becomes of attributes of other kinds than those that we write.
#[derive(Debug, Clone, Copy)]
enum Foreign {
    /// They are an error: nobody else writes there.
    Refused,
    /// They are left out.
    LeftOut,
    /// They are texts that differ from all of ours.
    Shown,
}

impl<'a> TableReader<'a> {
    /// Reads from this generation of projections; costs are added to `usage`.
    pub fn of(store: &'a Store, generation: &Generation, usage: &'a Usage) -> Self {
        Self { store, table: generation.table(), lanes: generation.lanes, foreign: Foreign::Refused, usage }
    }

    /// Reads from a table whose items are not spread over lanes, and where others may have put anything.
    pub fn new(store: &'a Store, table: &str, usage: &'a Usage) -> Self {
        Self { store, table: table.to_owned(), lanes: Lanes::ONE, foreign: Foreign::LeftOut, usage }
    }

    /// The same, to compare items: what others have put shows.
    pub fn whole(store: &'a Store, table: &str, usage: &'a Usage) -> Self {
        Self { foreign: Foreign::Shown, ..Self::new(store, table, usage) }
    }

    fn item(&self, stored: HashMap<String, AttributeValue>) -> Result<Item, StoreError> {
        Ok(match self.foreign {
            Foreign::Refused => convert::item(stored)?,
            Foreign::LeftOut => convert::readable(stored),
            Foreign::Shown => convert::any(stored),
        })
    }

    /// The items of some keys, and the round trips it took.
    async fn batch(&self, keys: Vec<Key>, consistent: bool) -> Result<(Vec<Item>, u64), StoreError> {
        let mut request = KeysAndAttributes::builder().consistent_read(consistent);
        for key in &keys {
            request = request.keys(convert::key(key));
        }
        let refused = |e: &dyn std::fmt::Display| StoreError::Refused(e.to_string());
        let mut wanted = HashMap::from([(self.table.clone(), request.build().map_err(|e| refused(&e))?)]);
        let mut items = Vec::with_capacity(keys.len());
        for attempt in 0..MAX_ATTEMPTS {
            let call = self
                .store
                .client
                .batch_get_item()
                .set_request_items(Some(wanted))
                .return_consumed_capacity(CAPACITY);
            let answer = call.send().await.map_err(StoreError::from_sdk)?;
            answer.consumed_capacity().iter().for_each(|capacity| self.usage.read(Some(capacity)));
            for item in answer.responses.unwrap_or_default().into_values().flatten() {
                items.push(self.item(item)?);
            }
            wanted = answer.unprocessed_keys.unwrap_or_default();
            if wanted.is_empty() {
                return Ok((items, u64::from(attempt) + 1));
            }
            tokio::time::sleep(clock::backoff(attempt)).await;
        }
        Err(StoreError::Unavailable("keys were handed back again and again".to_owned()))
    }

    /// The items of a range, and the round trips it took.
    async fn range(&self, range: Range, consistent: bool) -> Result<(Vec<Item>, u64), StoreError> {
        let mut items = Vec::new();
        let mut from = None;
        for round_trips in 1.. {
            let left = range.limit.map(|limit| limit - items.len());
            let call = self.query(&range, left, from).consistent_read(consistent);
            let answer = call.send().await.map_err(StoreError::from_sdk)?;
            self.usage.read(answer.consumed_capacity());
            for item in answer.items.unwrap_or_default() {
                items.push(self.item(item)?);
            }
            from = answer.last_evaluated_key;
            if from.is_none() || range.limit.is_some_and(|limit| items.len() >= limit) {
                return Ok((items, round_trips));
            }
        }
        Ok((items, 0))
    }
}

impl TableReader<'_> {
    fn query(
        &self,
        range: &Range,
        limit: Option<usize>,
        from: Option<HashMap<String, AttributeValue>>,
    ) -> QueryFluentBuilder {
        let limit = limit.map(|limit| i32::try_from(limit).unwrap_or(i32::MAX));
        let mut call = self.store.client.query().table_name(&self.table).return_consumed_capacity(CAPACITY);
        call = call.scan_index_forward(!range.descending).set_limit(limit).set_exclusive_start_key(from);
        let (condition, bounds) = conditions(range);
        call = call.key_condition_expression(condition).expression_attribute_names("#pk", PK);
        call = call.expression_attribute_values(":pk", AttributeValue::S(range.pk.clone()));
        if !bounds.is_empty() {
            call = call.expression_attribute_names("#sk", SK);
        }
        for (name, bound) in bounds {
            call = call.expression_attribute_values(name, AttributeValue::S(bound.clone()));
        }
        call
    }

    /// How many items of a range there are, as far as one call tells: up to its limit, or 1 MB of items.
    pub(super) async fn count(&self, range: &Range) -> Result<u64, StoreError> {
        let call = self.query(range, range.limit, None).select(Select::Count);
        let answer = call.send().await.map_err(StoreError::from_sdk)?;
        self.usage.read(answer.consumed_capacity());
        Ok(u64::try_from(answer.count).unwrap_or(0))
    }
}

/// Round trips of calls of which only so many are in flight at once.
fn waves(calls: usize) -> u64 {
    u64::try_from(calls.div_ceil(PARALLEL)).unwrap_or(u64::MAX)
}

fn conditions(range: &Range) -> (&'static str, Vec<(&'static str, &String)>) {
    match (&range.from, &range.to) {
        (None, None) => ("#pk = :pk", vec![]),
        (Some(from), None) => ("#pk = :pk AND #sk >= :from", vec![(":from", from)]),
        (None, Some(to)) => ("#pk = :pk AND #sk <= :to", vec![(":to", to)]),
        (Some(from), Some(to)) => {
            ("#pk = :pk AND #sk BETWEEN :from AND :to", vec![(":from", from), (":to", to)])
        }
    }
}

impl Reader for TableReader<'_> {
    type Error = StoreError;

    fn lanes(&self) -> Lanes {
        self.lanes
    }

    async fn read(&self, reads: ReadPlan) -> Result<ReadResult, StoreError> {
        let unique: Vec<Key> = BTreeSet::from_iter(reads.gets).into_iter().collect();
        let batches: Vec<_> =
            unique.chunks(BATCH).map(|keys| self.batch(keys.to_vec(), reads.consistent)).collect();
        let ranges: Vec<_> =
            reads.ranges.into_iter().map(|range| self.range(range, reads.consistent)).collect();
        let batches = stream::iter(batches).buffer_unordered(PARALLEL).try_collect::<Vec<_>>();
        let ranges = stream::iter(ranges).buffered(PARALLEL).try_collect::<Vec<_>>();
        let (batches, ranges) = futures::try_join!(batches, ranges)?;
        let longest = batches.iter().chain(&ranges).map(|(_, round_trips)| *round_trips).max().unwrap_or(0);
        self.usage.waited(longest.max(waves(batches.len())).max(waves(ranges.len())));
        let items = batches.into_iter().flat_map(|(items, _)| items);
        Ok(ReadResult {
            items: items.map(|item| (item.key.clone(), item)).collect(),
            ranges: ranges.into_iter().map(|(items, _)| items).collect(),
        })
    }
}
