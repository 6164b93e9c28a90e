//! Counts and ages for metrics and for `GET /admin/health`. They cost the same however much is stored.

use super::calls::CappedCount;
use super::client::Store;
use super::error::StoreError;
use super::reader::TableReader;
use super::usage::Usage;
use futures::stream::{self, StreamExt, TryStreamExt};
use torale_domain::audit::seal::{MAX_RECORD_DELAY, Seal};
use torale_domain::storage::keys::{self, AUDIT_TABLE, QUARANTINE_TABLE};
use torale_domain::storage::read::{Corrupt, Range, ReadPlan, Reader};
use torale_domain::values::time::{Hour, Timestamp};

/// The most items that are counted in one partition.
const COUNTED: usize = 1000;
/// The most hours in which unsealed records are counted.
const HOURS: i64 = 6;
/// The most outbox entries that are read.
const OUTBOX_ENTRIES: usize = 1000;
const PARALLEL: usize = 16;

/// How far the audit trail is sealed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sealing {
    /// Records that are later than the last seal: at most 1,000 of each hour and lane, of the last six hours.
    pub unsealed: u64,
    /// The time of the last seal.
    pub last: Option<Timestamp>,
}

/// What waits in the outbox.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct OutboxBacklog {
    /// The number of entries: 1,000 are read at most.
    pub entries: CappedCount,
    /// When the oldest of them was created.
    pub oldest: Option<Timestamp>,
}

impl Store {
    /// What waits in the outbox, read strongly consistent.
    pub async fn outbox_backlog(&self, usage: &Usage) -> Result<OutboxBacklog, StoreError> {
        let entries = self.outbox_entries(None, OUTBOX_ENTRIES, usage).await?;
        let count = u64::try_from(entries.len()).unwrap_or(u64::MAX);
        let capped = entries.len() >= OUTBOX_ENTRIES;
        // The relay reports an unreadable entry by a metric of its own.
        let oldest = entries.into_iter().flatten().map(|stored| stored.entry.at).min();
        Ok(OutboxBacklog { entries: CappedCount { count, capped }, oldest })
    }

    /// The number of items in the quarantine: at most 1,000, and at most 1 MB, for each first digit of their digests.
    /// A message of up to 300 KiB is one item.
    pub async fn quarantined_items(&self, usage: &Usage) -> Result<CappedCount, StoreError> {
        let ranges = keys::quarantine_partitions().map(|pk| Range { pk, ..Range::default() });
        self.count(QUARANTINE_TABLE, ranges, usage).await
    }

    /// How far the audit trail is sealed. A seal covers every record up to its time, except for those that were still
    /// being written.
    pub async fn sealing(&self, now: Timestamp, usage: &Usage) -> Result<Sealing, StoreError> {
        let pk = keys::AUDIT_SEALS.to_owned();
        let newest = Range { pk, descending: true, limit: Some(1), ..Range::default() };
        let found = TableReader::new(self, AUDIT_TABLE, usage).read(ReadPlan::ranges(vec![newest])).await?;
        let load = |item| Seal::load(item).ok_or_else(|| Corrupt::new(&item.key, "not a seal"));
        let last = found.ranges.iter().flatten().map(load).next().transpose()?.map(|seal| seal.statement.at);
        let since = last.unwrap_or(Timestamp::EARLIEST);
        // A record is stored in the hour of its chain, which may have ended a moment before.
        let first = since.plus(-MAX_RECORD_DELAY).hour().0.max(now.hour().0 - HOURS);
        let partitions = (first..=now.hour().0).map(Hour).flat_map(keys::audit_records);
        let ranges =
            partitions.map(|pk| Range { pk, from: Some(keys::row_time(since.plus(1))), ..Range::default() });
        Ok(Sealing { unsealed: self.count(AUDIT_TABLE, ranges, usage).await?.count, last })
    }

    async fn count(
        &self,
        table: &str,
        ranges: impl Iterator<Item = Range>,
        usage: &Usage,
    ) -> Result<CappedCount, StoreError> {
        let reader = &TableReader::new(self, table, usage);
        let ranges: Vec<Range> = ranges.map(|range| Range { limit: Some(COUNTED), ..range }).collect();
        let counts: Vec<_> = ranges.iter().map(|range| reader.count(range)).collect();
        let counts = stream::iter(counts).buffer_unordered(PARALLEL);
        let add = |sum: CappedCount, one: CappedCount| CappedCount {
            count: sum.count + one.count,
            capped: sum.capped || one.capped,
        };
        counts.try_fold(CappedCount::default(), |sum, one| async move { Ok(add(sum, one)) }).await
    }
}
