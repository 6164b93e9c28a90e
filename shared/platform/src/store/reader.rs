//! Executes planned reads of one table.

use super::client::Store;
use super::convert::{self, StoredItem};
use super::error::StoreError;
use super::expression::Expression;
use super::usage::{CAPACITY, Usage};
use crate::retry::Retries;
use aws_sdk_dynamodb::operation::query::builders::QueryFluentBuilder;
use aws_sdk_dynamodb::types::{KeysAndAttributes, Select};
use futures::stream::{self, StreamExt, TryStreamExt};
use std::collections::{BTreeSet, HashMap};
use torale_domain::projections::generation::Generation;
use torale_domain::storage::item::{Item, Key};
use torale_domain::storage::keys::{Lanes, PK, SK};
use torale_domain::storage::read::{Projection, Range, ReadPlan, ReadResult, Reader};

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

/// How to treat attributes of kinds that this system never writes.
#[derive(Debug, Clone, Copy)]
enum ForeignAttributes {
    /// They are an error: nobody else writes to the table.
    Refuse,
    /// They are left out.
    Omit,
    /// They become texts that differ from every text that this system writes.
    Show,
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

    fn item(&self, stored: StoredItem) -> Result<Item, StoreError> {
        Ok(match self.foreign {
            ForeignAttributes::Refuse => convert::item(stored)?,
            ForeignAttributes::Omit => convert::item_without_foreign(stored),
            ForeignAttributes::Show => convert::item_with_foreign(stored),
        })
    }

    /// The items of some keys, and the number of round trips.
    async fn batch(
        &self,
        keys: Vec<Key>,
        (attributes, consistent): (Projection, bool),
    ) -> Result<(Vec<Item>, u64), StoreError> {
        let mut request = KeysAndAttributes::builder().consistent_read(consistent);
        if let Some(attributes) = attributes {
            let mut expression = Expression::default();
            let names = [PK, SK].iter().chain(attributes).copied();
            request = request.projection_expression(expression.projection(names));
            request = request.set_expression_attribute_names(expression.names());
        }
        for key in &keys {
            request = request.keys(convert::key(key));
        }
        let request = request.build().map_err(|e| StoreError::Refused(e.to_string()))?;
        let mut unprocessed = HashMap::from([(self.table.clone(), request)]);
        let mut items = Vec::with_capacity(keys.len());
        let mut retries = Retries::attempts(MAX_ATTEMPTS);
        loop {
            let call = self.store.client.batch_get_item().set_request_items(Some(unprocessed));
            let answer = call.return_consumed_capacity(CAPACITY).send().await;
            let answer = answer.map_err(StoreError::from_sdk)?;
            answer.consumed_capacity().iter().for_each(|capacity| self.usage.add_read(Some(capacity)));
            for item in answer.responses.unwrap_or_default().into_values().flatten() {
                items.push(self.item(item)?);
            }
            unprocessed = answer.unprocessed_keys.unwrap_or_default();
            if unprocessed.is_empty() {
                return Ok((items, u64::from(retries.attempt())));
            }
            if !retries.pause().await {
                return Err(StoreError::Unavailable("keys stayed unprocessed".to_owned()));
            }
        }
    }

    /// The items of a range, and the number of round trips.
    async fn range(&self, range: Range, consistent: bool) -> Result<(Vec<Item>, u64), StoreError> {
        let mut items = Vec::new();
        let mut from = None;
        for round_trips in 1.. {
            let left = range.limit.map(|limit| limit - items.len());
            let call = self.query(&range, left, from).consistent_read(consistent);
            let answer = call.send().await.map_err(StoreError::from_sdk)?;
            self.usage.add_read(answer.consumed_capacity());
            for item in answer.items.unwrap_or_default() {
                let mut item = self.item(item)?;
                if range.attributes.is_some() {
                    item.key.pk.clone_from(&range.pk);
                }
                items.push(item);
            }
            from = answer.last_evaluated_key;
            if from.is_none() || range.limit.is_some_and(|limit| items.len() >= limit) {
                return Ok((items, round_trips));
            }
        }
        Ok((items, 0))
    }

    fn query(&self, range: &Range, limit: Option<usize>, from: Option<StoredItem>) -> QueryFluentBuilder {
        let limit = limit.map(|limit| i32::try_from(limit).unwrap_or(i32::MAX));
        let mut expression = Expression::default();
        // The partition key is that of the range.
        let attributes =
            range.attributes.map(|names| expression.projection([SK].iter().chain(names).copied()));
        let call = self.store.client.query().table_name(&self.table).return_consumed_capacity(CAPACITY);
        call.scan_index_forward(!range.descending)
            .set_limit(limit)
            .set_exclusive_start_key(from)
            .key_condition_expression(key_condition(&mut expression, range))
            .set_projection_expression(attributes)
            .set_expression_attribute_names(expression.names())
            .set_expression_attribute_values(expression.values())
    }

    /// The number of items in a range, as far as one call counts: up to the range's limit, or 1 MB of items.
    pub(super) async fn count(&self, range: &Range) -> Result<u64, StoreError> {
        let range = &Range { attributes: None, ..range.clone() };
        let call = self.query(range, range.limit, None).select(Select::Count);
        let answer = call.send().await.map_err(StoreError::from_sdk)?;
        self.usage.add_read(answer.consumed_capacity());
        Ok(u64::try_from(answer.count).unwrap_or(0))
    }
}

fn key_condition(expression: &mut Expression, range: &Range) -> String {
    let partition = expression.partition(&range.pk);
    let bounds = match (&range.from, &range.to) {
        (None, None) => return partition,
        (Some(from), None) => format!("{} >= {}", expression.name(SK), expression.text(from)),
        (None, Some(to)) => format!("{} <= {}", expression.name(SK), expression.text(to)),
        (Some(from), Some(to)) => {
            let sk = expression.name(SK);
            format!("{sk} BETWEEN {} AND {}", expression.text(from), expression.text(to))
        }
    };
    format!("{partition} AND {bounds}")
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
        let unique: Vec<Key> = BTreeSet::from_iter(reads.gets).into_iter().collect();
        let how = (reads.attributes, reads.consistent);
        let batches: Vec<_> = unique.chunks(BATCH).map(|keys| self.batch(keys.to_vec(), how)).collect();
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
