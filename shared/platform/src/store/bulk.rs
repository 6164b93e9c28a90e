//! Whole tables: writes many items, and reads pages of partitions or of everything. For rebuilds and restores, never
//! for a request.

use super::calls::{BatchWrite, ForeignAttributes, RangeQuery, ReadPage, Scan};
use super::client::Store;
use super::error::StoreError;
use super::usage::Usage;
use crate::retry::Retries;
use futures::stream::{self, StreamExt, TryStreamExt};
use torale_domain::storage::item::{Item, Key};
use torale_domain::storage::read::Range;

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
        let writes = items.into_iter().map(|item| (item.size(), BatchWrite::Put(item)));
        self.write_all(table, writes.collect(), usage).await
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
        let writes = keys.into_iter().map(|key| (0, BatchWrite::Delete(key)));
        self.write_all(table, writes.collect(), usage).await
    }

    async fn write_all(
        &self,
        table: &str,
        writes: Vec<(usize, BatchWrite)>,
        usage: &Usage,
    ) -> Result<(), StoreError> {
        let calls = batches(writes).into_iter().map(|batch| self.write_batch(table, batch, usage));
        stream::iter(calls).buffer_unordered(PARALLEL).try_collect().await
    }

    async fn write_batch(
        &self,
        table: &str,
        batch: Vec<BatchWrite>,
        usage: &Usage,
    ) -> Result<(), StoreError> {
        let mut unprocessed = batch;
        let mut retries = Retries::attempts(MAX_ATTEMPTS);
        loop {
            let reason = match self.calls.write_batch(table, unprocessed.clone(), usage).await {
                Ok(left) if left.is_empty() => return Ok(()),
                Ok(left) => {
                    unprocessed = left;
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
        let range = Range { pk: partition.to_owned(), from: Some(from.to_owned()), ..Range::default() };
        let (after, foreign) = (after.cloned(), ForeignAttributes::Show);
        let query = RangeQuery { table, range, after, consistent: true, foreign };
        let ReadPage { items, last } = self.calls.query(query, usage).await?;
        Ok((items, last))
    }

    /// A page of one of the segments into which a table is divided for a scan, read strongly consistent: at most 1 MB.
    pub async fn scan_page(
        &self,
        table: &str,
        segment: (i32, i32),
        after: Option<&Key>,
        usage: &Usage,
    ) -> Result<ItemPage, StoreError> {
        let scan = Scan { table, segment: Some(segment), after, limit: None, consistent: true };
        let ReadPage { items, last } = self.calls.scan(scan, usage).await?;
        Ok((items, last))
    }

    /// Whether a table has no items.
    pub async fn is_empty(&self, table: &str) -> Result<bool, StoreError> {
        let scan = Scan { table, segment: None, after: None, limit: Some(1), consistent: false };
        Ok(self.calls.scan(scan, &Usage::default()).await?.items.is_empty())
    }
}

/// Cuts writes, each with its bytes, into batches that DynamoDB takes.
fn batches(writes: Vec<(usize, BatchWrite)>) -> Vec<Vec<BatchWrite>> {
    let mut batches: Vec<(usize, Vec<BatchWrite>)> = Vec::new();
    for (bytes, write) in writes {
        match batches.last_mut() {
            Some((sum, batch)) if batch.len() < BATCH && *sum + bytes <= BATCH_BYTES => {
                *sum += bytes;
                batch.push(write);
            }
            Some(_) | None => batches.push((bytes, vec![write])),
        }
    }
    batches.into_iter().map(|(_, batch)| batch).collect()
}
