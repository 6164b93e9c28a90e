//! Whole tables: writes many items, and reads pages of partitions or of everything. For rebuilds and restores, never
//! for a request.

use super::client::Store;
use super::convert::{self, StoredItem};
use super::error::StoreError;
use super::expression::Expression;
use super::usage::{CAPACITY, Usage};
use crate::retry::Retries;
use aws_sdk_dynamodb::types::{DeleteRequest, PutRequest, WriteRequest};
use futures::stream::{self, StreamExt, TryStreamExt};
use std::collections::HashMap;
use torale_domain::storage::item::{Item, Key};
use torale_domain::storage::keys::SK;

/// The most writes of one `BatchWriteItem`.
const BATCH: usize = 25;
/// The most bytes of one. DynamoDB takes 16 MB.
const BATCH_BYTES: usize = 8 * 1024 * 1024;
/// The most calls in flight at once.
const PARALLEL: usize = 16;
/// How often writes are sent that DynamoDB leaves unprocessed or has no capacity for: over some 6 s in all.
const MAX_ATTEMPTS: u32 = 16;

/// The items of a page, and the key to continue after; `None` after the last page.
pub type ItemPage = (Vec<Item>, Option<Key>);

impl Store {
    /// Puts items and replaces those that exist. No key may occur twice.
    pub async fn put_all(&self, table: &str, items: Vec<Item>, usage: &Usage) -> Result<(), StoreError> {
        let requests = items.into_iter().map(|item| {
            let bytes = item.size();
            let put = PutRequest::builder().set_item(Some(convert::full(&item.key, item.attributes)));
            put.build().map(|put| (bytes, WriteRequest::builder().put_request(put).build()))
        });
        self.write_all(table, requests.collect::<Result<_, _>>(), usage).await
    }

    /// Puts the items that do not exist yet and returns how many were put. Each is a call of its own: on tables that
    /// nothing may be deleted from, batches are not permitted, since a batch could delete.
    pub async fn insert_all(&self, table: &str, items: Vec<Item>, usage: &Usage) -> Result<u64, StoreError> {
        let calls = items.into_iter().map(|item| self.insert(table, item, usage));
        let put = stream::iter(calls).buffer_unordered(PARALLEL);
        put.try_fold(0, |count, put| async move { Ok(count + u64::from(put)) }).await
    }

    /// Puts items and replaces those that exist. Each is a call of its own, for the same reason.
    pub async fn overwrite_all(
        &self,
        table: &str,
        items: Vec<Item>,
        usage: &Usage,
    ) -> Result<(), StoreError> {
        let calls = items.into_iter().map(|item| self.put(table, item, usage));
        stream::iter(calls).buffer_unordered(PARALLEL).try_collect().await
    }

    /// Deletes items, whether they exist or not. No key may occur twice.
    pub async fn delete_all(&self, table: &str, keys: Vec<Key>, usage: &Usage) -> Result<(), StoreError> {
        let requests = keys.iter().map(|key| {
            let delete = DeleteRequest::builder().set_key(Some(convert::key(key))).build();
            delete.map(|delete| (0, WriteRequest::builder().delete_request(delete).build()))
        });
        self.write_all(table, requests.collect::<Result<_, _>>(), usage).await
    }

    async fn write_all(
        &self,
        table: &str,
        requests: Result<Vec<(usize, WriteRequest)>, aws_sdk_dynamodb::error::BuildError>,
        usage: &Usage,
    ) -> Result<(), StoreError> {
        let requests = requests.map_err(|e| StoreError::Refused(e.to_string()))?;
        let calls = batches(requests).into_iter().map(|batch| self.write_batch(table, batch, usage));
        stream::iter(calls).buffer_unordered(PARALLEL).try_collect().await
    }

    async fn write_batch(
        &self,
        table: &str,
        batch: Vec<WriteRequest>,
        usage: &Usage,
    ) -> Result<(), StoreError> {
        let mut unprocessed = HashMap::from([(table.to_owned(), batch)]);
        let mut retries = Retries::attempts(MAX_ATTEMPTS);
        loop {
            let call = self.client.batch_write_item().set_request_items(Some(unprocessed.clone()));
            let answer = call.return_consumed_capacity(CAPACITY).send().await.map_err(StoreError::from_sdk);
            let reason = match answer {
                Ok(answer) => {
                    usage.add_write(answer.consumed_capacity());
                    unprocessed = answer.unprocessed_items.unwrap_or_default();
                    if unprocessed.is_empty() {
                        return Ok(());
                    }
                    "writes stayed unprocessed".to_owned()
                }
                // If there is no capacity for any write of a batch, the whole batch is refused.
                Err(StoreError::Unavailable(text)) => text,
                Err(error) => return Err(error),
            };
            if !retries.pause().await {
                return Err(StoreError::Unavailable(reason));
            }
        }
    }

    /// A page of a partition from a sort key on, in the order of the sort keys, read strongly consistent: at most 1 MB.
    pub async fn partition_page(
        &self,
        table: &str,
        partition: &str,
        from: &str,
        after: Option<&Key>,
        usage: &Usage,
    ) -> Result<ItemPage, StoreError> {
        // A sort key is never empty, and DynamoDB takes no empty text in a condition on one.
        let from = if from.is_empty() { "\u{0}" } else { from };
        let mut expression = Expression::default();
        let pk = expression.partition(partition);
        let sk = format!("{} >= {}", expression.name(SK), expression.text(from));
        let call = self
            .client
            .query()
            .table_name(table)
            .consistent_read(true)
            .key_condition_expression(format!("{pk} AND {sk}"))
            .set_expression_attribute_names(expression.names())
            .set_expression_attribute_values(expression.values())
            .set_exclusive_start_key(after.map(convert::key));
        let answer = call.return_consumed_capacity(CAPACITY).send().await.map_err(StoreError::from_sdk)?;
        usage.add_read(answer.consumed_capacity());
        Ok(page(answer.items, answer.last_evaluated_key))
    }

    /// A page of one of the segments into which a table is divided for a scan, read strongly consistent: at most 1 MB.
    pub async fn scan_page(
        &self,
        table: &str,
        (segment, segments): (i32, i32),
        after: Option<&Key>,
        usage: &Usage,
    ) -> Result<ItemPage, StoreError> {
        let call = self.client.scan().table_name(table).consistent_read(true);
        let call = call.segment(segment).total_segments(segments);
        let call = call.set_exclusive_start_key(after.map(convert::key));
        let answer = call.return_consumed_capacity(CAPACITY).send().await.map_err(StoreError::from_sdk)?;
        usage.add_read(answer.consumed_capacity());
        Ok(page(answer.items, answer.last_evaluated_key))
    }

    /// Whether a table has no items.
    pub async fn is_empty(&self, table: &str) -> Result<bool, StoreError> {
        let answer = self.client.scan().table_name(table).limit(1).send().await;
        Ok(answer.map_err(StoreError::from_sdk)?.items().is_empty())
    }
}

fn page(items: Option<Vec<StoredItem>>, last: Option<StoredItem>) -> ItemPage {
    let items = items.unwrap_or_default().into_iter().map(convert::item_with_foreign).collect();
    (items, last.map(|last| convert::item_without_foreign(last).key))
}

/// Cuts writes, each with its bytes, into batches that DynamoDB takes.
fn batches(requests: Vec<(usize, WriteRequest)>) -> Vec<Vec<WriteRequest>> {
    let mut batches: Vec<(usize, Vec<WriteRequest>)> = Vec::new();
    for (bytes, request) in requests {
        match batches.last_mut() {
            Some((sum, batch)) if batch.len() < BATCH && *sum + bytes <= BATCH_BYTES => {
                *sum += bytes;
                batch.push(request);
            }
            Some(_) | None => batches.push((bytes, vec![request])),
        }
    }
    batches.into_iter().map(|(_, batch)| batch).collect()
}
