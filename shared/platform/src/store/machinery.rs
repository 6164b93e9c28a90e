//! How the machinery stands, for metrics: counts and ages that cost the same however much there is.

use super::{Store, StoreError, TableReader, Usage};
use futures::stream::{self, StreamExt, TryStreamExt};
use torale_domain::audit::seal::{SETTLED, Seal};
use torale_domain::storage::keys::{self, AUDIT_TABLE, QUARANTINE_TABLE};
use torale_domain::storage::read::{Corrupt, Range, ReadPlan, Reader};
use torale_domain::values::time::{Hour, Timestamp};

/// Items that are counted at most in one partition.
const COUNTED: usize = 1000;
/// Hours back that unsealed records are counted at most.
const HOURS: i64 = 6;
/// Orders of the outbox that are looked at, at most.
const ORDERS: usize = 1000;
const PARALLEL: usize = 16;

/// How far the audit trail is sealed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sealing {
    /// Records with a later time than the last seal's: at most 1,000 of each hour and lane, and of the last hours only.
    pub unsealed: u64,
    /// The time of the last seal.
    pub last: Option<Timestamp>,
}

impl Store {
    /// When the oldest order of the outbox was made, if there is one; of the first thousand, should there be more.
    pub async fn oldest_order(&self, usage: &Usage) -> Result<Option<Timestamp>, StoreError> {
        let orders = self.pending_orders(None, ORDERS, usage).await?;
        // One that can't be read is the relay's to tell.
        Ok(orders.into_iter().flatten().map(|pending| pending.order.at).min())
    }

    /// Items in the quarantine, up to a thousand for each first digit of their digests. Almost every message is one item.
    pub async fn quarantined(&self, usage: &Usage) -> Result<u64, StoreError> {
        let ranges = keys::quarantine_partitions().map(|pk| Range { pk, ..Range::default() });
        self.count(QUARANTINE_TABLE, ranges, usage).await
    }

    /// How far the audit trail is sealed. A seal covers what was recorded up to its time, but for what was on its way.
    pub async fn sealing(&self, now: Timestamp, usage: &Usage) -> Result<Sealing, StoreError> {
        let pk = keys::AUDIT_SEALS.to_owned();
        let newest = Range { pk, descending: true, limit: Some(1), ..Range::default() };
        let found = TableReader::new(self, AUDIT_TABLE, usage).read(ReadPlan::ranges(vec![newest])).await?;
        let load = |item| Seal::load(item).ok_or_else(|| Corrupt::new(&item.key, "not a seal"));
        let last = found.ranges.iter().flatten().map(load).next().transpose()?.map(|seal| seal.statement.at);
        let since = last.unwrap_or(Timestamp::EARLIEST);
        // A record lies in the hour of its chain, which may have ended a moment before.
        let first = since.plus(-SETTLED).hour().0.max(now.hour().0 - HOURS);
        let partitions = (first..=now.hour().0).map(Hour).flat_map(keys::audit_records);
        let ranges =
            partitions.map(|pk| Range { pk, from: Some(keys::row_time(since.plus(1))), ..Range::default() });
        Ok(Sealing { unsealed: self.count(AUDIT_TABLE, ranges, usage).await?, last })
    }

    async fn count(
        &self,
        table: &str,
        ranges: impl Iterator<Item = Range>,
        usage: &Usage,
    ) -> Result<u64, StoreError> {
        let reader = &TableReader::new(self, table, usage);
        let ranges: Vec<Range> = ranges.map(|range| Range { limit: Some(COUNTED), ..range }).collect();
        let counts = stream::iter(&ranges).map(|range| reader.count(range)).buffer_unordered(PARALLEL);
        counts.try_fold(0, |sum, count| async move { Ok(sum + count) }).await
    }
}
