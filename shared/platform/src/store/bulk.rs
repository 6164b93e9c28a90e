//! Whole tables: writing many items, reading pages of partitions and of everything. For rebuilds, never for a request.

use super::{CAPACITY, Store, StoreError, Usage, convert};
use crate::clock;
use aws_sdk_dynamodb::types::{AttributeValue, DeleteRequest, PutRequest, WriteRequest};
use futures::stream::{self, StreamExt, TryStreamExt};
use std::collections::HashMap;
use torale_domain::storage::item::{Item, Key};
use torale_domain::storage::keys::{PK, SK};

/// Writes of one `BatchWriteItem`.
const BATCH: usize = 25;
/// Bytes of one; DynamoDB takes 16 MB.
const BATCH_BYTES: usize = 8 * 1024 * 1024;
/// Calls in flight at once.
const PARALLEL: usize = 16;
/// How often writes that were handed back, or refused for want of capacity, are sent again: some 6 s in all.
const MAX_ATTEMPTS: u32 = 16;

/// What a read gave, and where to go on.
pub type ItemPage = (Vec<Item>, Option<Key>);

impl Store {
    /// Puts items, whatever is there; no key may come twice.
    pub async fn put_all(&self, table: &str, items: Vec<Item>, usage: &Usage) -> Result<(), StoreError> {
        let requests = items.into_iter().map(|item| {
            let bytes = item.size();
            let put = PutRequest::builder().set_item(Some(convert::full(&item.key, item.attributes)));
            put.build().map(|put| (bytes, WriteRequest::builder().put_request(put).build()))
        });
        self.write_all(table, requests.collect::<Result<_, _>>(), usage).await
    }

    /// Puts items that are not there yet, one a call: the tables that nothing may be taken from allow no batches, which
    /// could delete. Returns how many were put.
    pub async fn insert_all(&self, table: &str, items: Vec<Item>, usage: &Usage) -> Result<u64, StoreError> {
        let calls = items.into_iter().map(|item| self.insert(table, item, usage));
        let put = stream::iter(calls).buffer_unordered(PARALLEL);
        put.try_fold(0, |count, put| async move { Ok(count + u64::from(put)) }).await
    }

    /// Puts items, whatever is there, one a call for the same reason.
    pub async fn overwrite_all(
        &self,
        table: &str,
        items: Vec<Item>,
        usage: &Usage,
    ) -> Result<(), StoreError> {
        let calls = items.into_iter().map(|item| self.put(table, item, usage));
        stream::iter(calls).buffer_unordered(PARALLEL).try_collect().await
    }

    /// Deletes items, whether they are there or not; no key may come twice.
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
        let (mut wanted, mut reason) = (HashMap::from([(table.to_owned(), batch)]), String::new());
        for attempt in 0..MAX_ATTEMPTS {
            let call = self.client.batch_write_item().set_request_items(Some(wanted.clone()));
            match call.return_consumed_capacity(CAPACITY).send().await.map_err(StoreError::from_sdk) {
                Ok(answer) => {
                    usage.wrote(answer.consumed_capacity());
                    wanted = answer.unprocessed_items.unwrap_or_default();
                    if wanted.is_empty() {
                        return Ok(());
                    }
                    "writes were handed back again and again".clone_into(&mut reason);
                }
                // If none of a batch fits, it is refused as a whole.
                Err(StoreError::Unavailable(text)) => reason = text,
                Err(error) => return Err(error),
            }
            tokio::time::sleep(clock::backoff(attempt)).await;
        }
        Err(StoreError::Unavailable(reason))
    }

    /// A page of a partition, strongly consistent: at most a megabyte, in the order of the sort keys.
    pub async fn partition_page(
        &self,
        table: &str,
        partition: &str,
        from: &str,
        after: Option<&Key>,
        usage: &Usage,
    ) -> Result<ItemPage, StoreError> {
        let call = self.client.query().table_name(table).consistent_read(true);
        let call = call.key_condition_expression("#pk = :pk AND #sk >= :from");
        let call = call.expression_attribute_names("#pk", PK).expression_attribute_names("#sk", SK);
        let call = call.expression_attribute_values(":pk", AttributeValue::S(partition.to_owned()));
        // A sort key is never empty, and a condition on one may not name an empty text.
        let from = if from.is_empty() { "\u{0}" } else { from };
        let call = call.expression_attribute_values(":from", AttributeValue::S(from.to_owned()));
        let call = call.set_exclusive_start_key(after.map(convert::key));
        let answer = call.return_consumed_capacity(CAPACITY).send().await.map_err(StoreError::from_sdk)?;
        usage.read(answer.consumed_capacity());
        Ok(page(answer.items, answer.last_evaluated_key))
    }

    /// A page of one of the segments into which a table is divided, strongly consistent.
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
        usage.read(answer.consumed_capacity());
        Ok(page(answer.items, answer.last_evaluated_key))
    }

    /// Whether a table holds anything.
    pub async fn is_empty(&self, table: &str) -> Result<bool, StoreError> {
        let answer = self.client.scan().table_name(table).limit(1).send().await;
        Ok(answer.map_err(StoreError::from_sdk)?.items().is_empty())
    }
}

fn page(
    items: Option<Vec<HashMap<String, AttributeValue>>>,
    last: Option<HashMap<String, AttributeValue>>,
) -> ItemPage {
    let items = items.unwrap_or_default().into_iter().map(convert::any).collect();
    (items, last.map(|last| convert::readable(last).key))
}

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
