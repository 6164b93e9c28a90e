//! Reads of keys, ranges and whole tables.

use super::DynamoDb;
use super::convert;
use super::expression::Expression;
use super::json::{self, BatchGetAnswer, GetAnswer, QueryAnswer, ReadItem};
use super::query::Query;
use crate::store::calls::{BatchRead, CappedCount, ForeignAttributes, RangeQuery, ReadPage, Scan};
use crate::store::error::StoreError;
use crate::store::usage::{CAPACITY, Usage};
use aws_sdk_dynamodb::operation::query::builders::QueryFluentBuilder;
use aws_sdk_dynamodb::types::{KeysAndAttributes, Select};
use std::collections::HashMap;
use torale_domain::storage::item::{Item, Key};
use torale_domain::storage::keys::{PK, SK};
use torale_domain::storage::read::{Corrupt, Range};

impl DynamoDb {
    pub(super) async fn get_item(
        &self,
        table: &str,
        key: &Key,
        usage: &Usage,
    ) -> Result<Option<Item>, StoreError> {
        let direct = self.direct.read::<GetAnswer>("GetItem", || json::get(table, key));
        if let Some(answer) = direct.await? {
            usage.add_read_units(answer.consumed_capacity.capacity_units);
            return Ok(answer.item.map(|ReadItem(item)| item));
        }
        let call = self.client.get_item().table_name(table).consistent_read(true);
        let call = call.set_key(Some(convert::key(key))).return_consumed_capacity(CAPACITY);
        let answer = apart(call.send()).await.map_err(StoreError::from_sdk)?;
        usage.add_read(answer.consumed_capacity());
        Ok(answer.item.map(convert::item).transpose()?)
    }

    pub(super) async fn batch_get_item(
        &self,
        batch: BatchRead<'_>,
        usage: &Usage,
    ) -> Result<(Vec<Item>, Vec<Key>), StoreError> {
        let mut expression = Expression::default();
        let names = batch.attributes.map(|names| [PK, SK].iter().chain(names).copied());
        let projection = names.map(|names| expression.projection(names));
        // Only the SDK's answer has what this system never writes.
        let known = batch.foreign == ForeignAttributes::Refuse;
        let body = || known.then(|| json::get_batch(&batch, projection.as_deref(), &expression)).flatten();
        if let Some(answer) = self.direct.read::<BatchGetAnswer>("BatchGetItem", body).await? {
            answer.consumed_capacity.iter().for_each(|one| usage.add_read_units(one.capacity_units));
            let found = answer.responses.into_values().flatten().map(|ReadItem(item)| item);
            let left = answer.unprocessed_keys.into_values().flat_map(|left| left.keys);
            return Ok((found.collect(), left.map(|ReadItem(item)| item.key).collect()));
        }
        let request = KeysAndAttributes::builder().consistent_read(batch.consistent);
        let request = request.set_keys(Some(batch.keys.iter().map(convert::key).collect()));
        let request = request.set_projection_expression(projection);
        let request = request.set_expression_attribute_names(expression.names()).build();
        let request = request.map_err(|e| StoreError::Refused(e.to_string()))?;
        let requests = HashMap::from([(batch.table.to_owned(), request)]);
        let call = self.client.batch_get_item().set_request_items(Some(requests));
        let call = call.return_consumed_capacity(CAPACITY);
        let answer = apart(call.send()).await.map_err(StoreError::from_sdk)?;
        answer.consumed_capacity().iter().for_each(|capacity| usage.add_read(Some(capacity)));
        let found = answer.responses.unwrap_or_default().into_values().flatten();
        let items = found.map(|stored| item(stored, batch.foreign)).collect::<Result<_, _>>()?;
        let left = answer.unprocessed_keys.unwrap_or_default().into_values().flat_map(|left| left.keys);
        Ok((items, left.map(|key| convert::item_without_foreign(key).key).collect()))
    }

    pub(super) async fn query_range(
        &self,
        query: RangeQuery<'_>,
        usage: &Usage,
    ) -> Result<ReadPage, StoreError> {
        let (request, after) = (Query::of(query.table, &query.range), query.after.as_ref());
        let known = query.foreign == ForeignAttributes::Refuse;
        let body = || known.then(|| json::query(&request, query.consistent, after)).flatten();
        let direct = self.direct.read::<QueryAnswer>("Query", body);
        let mut page = if let Some(answer) = direct.await? {
            usage.add_read_units(answer.consumed_capacity.capacity_units);
            let items = answer.items.into_iter().map(|ReadItem(item)| item).collect();
            ReadPage { items, last: answer.last_evaluated_key.map(|ReadItem(item)| item.key) }
        } else {
            let call = self.orchestrated(request).consistent_read(query.consistent);
            let call = call.set_exclusive_start_key(after.map(convert::key));
            let answer = apart(call.send()).await.map_err(StoreError::from_sdk)?;
            usage.add_read(answer.consumed_capacity());
            page(answer.items, answer.last_evaluated_key, query.foreign)?
        };
        if query.range.attributes.is_some() {
            page.items.iter_mut().for_each(|item| item.key.pk.clone_from(&query.range.pk));
        }
        Ok(page)
    }

    pub(super) async fn count_range(
        &self,
        table: &str,
        range: &Range,
        usage: &Usage,
    ) -> Result<CappedCount, StoreError> {
        let range = &Range { attributes: None, ..range.clone() };
        let call = self.orchestrated(Query::of(table, range)).select(Select::Count);
        let answer = call.send().await.map_err(StoreError::from_sdk)?;
        usage.add_read(answer.consumed_capacity());
        let capped = answer.last_evaluated_key().is_some();
        Ok(CappedCount { count: u64::try_from(answer.count).unwrap_or(0), capped })
    }

    /// A query by the SDK.
    fn orchestrated(&self, mut query: Query<'_>) -> QueryFluentBuilder {
        let call = self.client.query().table_name(query.table).return_consumed_capacity(CAPACITY);
        call.scan_index_forward(query.forward)
            .set_limit(query.limit)
            .key_condition_expression(query.condition)
            .set_projection_expression(query.projection)
            .set_expression_attribute_names(query.expression.names())
            .set_expression_attribute_values(query.expression.values())
    }

    pub(super) async fn scan_table(&self, scan: Scan<'_>, usage: &Usage) -> Result<ReadPage, StoreError> {
        let (segment, segments) = scan.segment.unzip();
        let call = self.client.scan().table_name(scan.table).consistent_read(scan.consistent);
        let call = call.set_segment(segment).set_total_segments(segments).set_limit(scan.limit);
        let call = call.set_exclusive_start_key(scan.after.map(convert::key));
        let answer = call.return_consumed_capacity(CAPACITY).send().await.map_err(StoreError::from_sdk)?;
        usage.add_read(answer.consumed_capacity());
        page(answer.items, answer.last_evaluated_key, ForeignAttributes::Show)
    }
}

/// The future of a call of the SDK in memory of its own: it is large, and direct reads that hold it would be, too.
fn apart<F: Future>(call: F) -> std::pin::Pin<Box<F>> {
    Box::pin(call)
}

fn item(stored: convert::StoredItem, foreign: ForeignAttributes) -> Result<Item, Corrupt> {
    Ok(match foreign {
        ForeignAttributes::Refuse => convert::item(stored)?,
        ForeignAttributes::Omit => convert::item_without_foreign(stored),
        ForeignAttributes::Show => convert::item_with_foreign(stored),
    })
}

fn page(
    items: Option<Vec<convert::StoredItem>>,
    last: Option<convert::StoredItem>,
    foreign: ForeignAttributes,
) -> Result<ReadPage, StoreError> {
    let items = items.unwrap_or_default().into_iter().map(|stored| item(stored, foreign));
    let last = last.map(|last| convert::item_without_foreign(last).key);
    Ok(ReadPage { items: items.collect::<Result<_, _>>()?, last })
}
