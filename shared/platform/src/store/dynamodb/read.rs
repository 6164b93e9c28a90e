//! Reads of keys, ranges and whole tables.

use super::DynamoDb;
use super::convert;
use super::expression::Expression;
use super::json::{self, BatchGetAnswer, GetAnswer, QueryAnswer, ReadItem};
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
        let key = convert::key(key);
        let direct = self.direct.read::<GetAnswer>("GetItem", || json::get(table, &key));
        if let Some(answer) = direct.await? {
            usage.add_read_units(answer.consumed_capacity.capacity_units);
            return Ok(answer.item.map(|ReadItem(item)| item));
        }
        let call = self.client.get_item().table_name(table).consistent_read(true).set_key(Some(key));
        let call = call.return_consumed_capacity(CAPACITY);
        let answer = apart(call.send()).await.map_err(StoreError::from_sdk)?;
        usage.add_read(answer.consumed_capacity());
        Ok(answer.item.map(convert::item).transpose()?)
    }

    pub(super) async fn batch_get_item(
        &self,
        batch: BatchRead<'_>,
        usage: &Usage,
    ) -> Result<(Vec<Item>, Vec<Key>), StoreError> {
        let mut request = KeysAndAttributes::builder().consistent_read(batch.consistent);
        if let Some(attributes) = batch.attributes {
            let mut expression = Expression::default();
            let names = [PK, SK].iter().chain(attributes).copied();
            request = request.projection_expression(expression.projection(names));
            request = request.set_expression_attribute_names(expression.names());
        }
        for key in &batch.keys {
            request = request.keys(convert::key(key));
        }
        let request = request.build().map_err(|e| StoreError::Refused(e.to_string()))?;
        // Only the SDK's answer has what this system never writes.
        let known = batch.foreign == ForeignAttributes::Refuse;
        let body = || known.then(|| json::get_batch(batch.table, &request)).flatten();
        if let Some(answer) = self.direct.read::<BatchGetAnswer>("BatchGetItem", body).await? {
            answer.consumed_capacity.iter().for_each(|one| usage.add_read_units(one.capacity_units));
            let found = answer.responses.into_values().flatten().map(|ReadItem(item)| item);
            let left = answer.unprocessed_keys.into_values().flat_map(|left| left.keys);
            return Ok((found.collect(), left.map(|ReadItem(item)| item.key).collect()));
        }
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
        let call = self.range(query.table, &query.range).consistent_read(query.consistent);
        let call = call.set_exclusive_start_key(query.after.as_ref().map(convert::key));
        let known = query.foreign == ForeignAttributes::Refuse;
        let body = || known.then(|| json::query(call.as_input())).flatten();
        let direct = self.direct.read::<QueryAnswer>("Query", body);
        let mut page = if let Some(answer) = direct.await? {
            usage.add_read_units(answer.consumed_capacity.capacity_units);
            let items = answer.items.into_iter().map(|ReadItem(item)| item).collect();
            ReadPage { items, last: answer.last_evaluated_key.map(|ReadItem(item)| item.key) }
        } else {
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
        let call = self.range(table, range).select(Select::Count);
        let answer = call.send().await.map_err(StoreError::from_sdk)?;
        usage.add_read(answer.consumed_capacity());
        let capped = answer.last_evaluated_key().is_some();
        Ok(CappedCount { count: u64::try_from(answer.count).unwrap_or(0), capped })
    }

    fn range(&self, table: &str, range: &Range) -> QueryFluentBuilder {
        let limit = range.limit.map(|limit| i32::try_from(limit).unwrap_or(i32::MAX));
        let mut expression = Expression::default();
        // The partition key is that of the range.
        let attributes =
            range.attributes.map(|names| expression.projection([SK].iter().chain(names).copied()));
        let call = self.client.query().table_name(table).return_consumed_capacity(CAPACITY);
        call.scan_index_forward(!range.descending)
            .set_limit(limit)
            .key_condition_expression(key_condition(&mut expression, range))
            .set_projection_expression(attributes)
            .set_expression_attribute_names(expression.names())
            .set_expression_attribute_values(expression.values())
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
