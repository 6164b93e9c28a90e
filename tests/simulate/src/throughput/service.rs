//! The calls of a consumer on tables that have the limits of an account: what DynamoDB would refuse is refused, with
//! the error that its client makes of it.

use super::limits::{AccountLimits, pass};
use super::meters::{Meters, RefusalCause, UnitKind, kind_of_key};
use crate::network::SharedTables;
use crate::tables::{AsOf, Tables, select};
use futures::FutureExt;
use futures::future::BoxFuture;
use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::time::{Duration, sleep};
use torale_domain::storage::item::{Item, Key};
use torale_domain::storage::keys::TableSpec;
use torale_domain::storage::limits::item_bytes;
use torale_domain::storage::read::Range;
use torale_domain::storage::write::Write;
use torale_platform::store::calls::{
    BatchRead, BatchWrite, Call, CappedCount, IfExists, RangeQuery, ReadPage, Scan, TableCalls,
    TableDescription, Update, UpdateResult,
};
use torale_platform::store::{Store, StoreError, TransactError, Usage};

/// How often the SDK attempts a call that is throttled, and its first pause: up to a second, then up to two.
const ATTEMPTS: u32 = 3;
const FIRST_PAUSE_MS: u64 = 1_000;
const READ_UNIT: usize = 4096;
const WRITE_UNIT: usize = 1024;

/// Tables with limits, as all consumers share them.
#[derive(Debug, Clone)]
pub struct LimitedTables {
    tables: SharedTables,
    state: Arc<Mutex<ServiceState>>,
    limits: AccountLimits,
}

#[derive(Debug, Default)]
struct ServiceState {
    meters: Meters,
    /// The items of transactions that are being written.
    locked: HashSet<(String, Key)>,
}

impl LimitedTables {
    /// These tables, with these limits.
    pub fn new(tables: SharedTables, limits: AccountLimits) -> Self {
        Self { tables, state: Arc::default(), limits }
    }

    /// A store of one consumer.
    pub fn store(&self) -> Store {
        Store::over(Arc::new(self.clone()))
    }

    /// The meters, for a moment.
    pub fn with_meters<T>(&self, f: impl FnOnce(&mut Meters) -> T) -> T {
        f(&mut self.state().meters)
    }

    fn state(&self) -> MutexGuard<'_, ServiceState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tables(&self) -> MutexGuard<'_, Tables> {
        self.tables.lock()
    }

    fn admits(&self, table: &str, pk: &str, kind: UnitKind) -> bool {
        self.state().meters.admits(&self.limits, table, pk, kind)
    }

    fn take(&self, table: &str, pk: &str, kind: UnitKind, units: f64) {
        self.state().meters.take(&self.limits, table, pk, kind, units);
    }

    /// Waits until a call is admitted, as often as the SDK attempts it.
    async fn admitted(&self, table: &str, pk: &str, kind: UnitKind) -> Result<(), StoreError> {
        for attempt in 0..ATTEMPTS {
            pass(self.limits.call_ms).await;
            if self.admits(table, pk, kind) {
                return Ok(());
            }
            if attempt + 1 < ATTEMPTS {
                sleep(Duration::from_millis(fastrand::u64(0..=FIRST_PAUSE_MS << attempt))).await;
            }
        }
        Err(throttled())
    }

    /// Refuses a write of one item that a transaction is writing.
    fn check_unlocked(&self, table: &str, key: &Key) -> Result<(), StoreError> {
        let mut state = self.state();
        if state.locked.contains(&(table.to_owned(), key.clone())) {
            state.meters.refuse(RefusalCause::Conflict, kind_of_key(table, &key.pk));
            return Err(StoreError::Unavailable("TransactionConflictException".to_owned()));
        }
        Ok(())
    }

    /// The units of a read, by the items as they are stored.
    fn took_items(&self, table: &str, items: &[Item], consistent: bool) {
        for item in items {
            self.take(table, &item.key.pk, UnitKind::Read, read_units(bytes_of(item), consistent));
        }
    }

    async fn get_some(&self, batch: &BatchRead<'_>) -> Result<(Vec<Item>, Vec<Key>), StoreError> {
        Tables::check_batch(&batch.keys)?;
        let (mut items, mut left) = (Vec::new(), Vec::new());
        for key in &batch.keys {
            if !self.admits(batch.table, &key.pk, UnitKind::Read) {
                left.push(key.clone());
                continue;
            }
            let found = self.tables().get(batch.table, key, AsOf::NOW)?;
            let bytes = found.as_ref().map_or(0, bytes_of);
            self.take(batch.table, &key.pk, UnitKind::Read, read_units(bytes, batch.consistent));
            items.extend(found);
        }
        items.iter_mut().for_each(|item| item.attributes = select(&item.attributes, batch.attributes));
        Ok((items, left))
    }

    /// Begins a transaction: what must be so before anything is written. Its items are locked until what this returns
    /// is dropped, also if the caller gives up.
    fn begin<'a>(&'a self, writes: &'a [(String, Write)]) -> Result<LockedItems<'a>, TransactError> {
        let mut state = self.state();
        let state = &mut *state;
        for (table, write) in writes {
            if !state.meters.admits(&self.limits, table, &write.key.pk, UnitKind::Write) {
                return Err(TransactError::Failed(throttled()));
            }
        }
        for (table, write) in writes {
            // What is prepared before the transaction is cancelled, or written, is used.
            state.meters.take(&self.limits, table, &write.key.pk, UnitKind::Write, 1.0);
        }
        if let Some((table, write)) =
            writes.iter().find(|(table, write)| state.locked.contains(&(table.clone(), write.key.clone())))
        {
            state.meters.refuse(RefusalCause::Conflict, kind_of_key(table, &write.key.pk));
            return Err(TransactError::Race);
        }
        state.locked.extend(writes.iter().map(|(table, write)| (table.clone(), write.key.clone())));
        Ok(LockedItems { tables: self, writes })
    }

    /// Ends a transaction: it is written if its conditions hold.
    fn end(&self, locked: LockedItems<'_>) -> Result<(), TransactError> {
        let writes = locked.writes;
        drop(locked);
        let mut tables = self.tables();
        let changes = tables.plan(writes).inspect_err(|_| {
            // The plan does not say which: the first one whose own plan fails.
            let lost = writes.iter().find(|write| tables.plan(std::slice::from_ref(*write)).is_err());
            let kind = lost.map_or_else(String::new, |(table, write)| kind_of_key(table, &write.key.pk));
            self.state().meters.refuse(RefusalCause::Condition, kind);
        })?;
        for (table, key, new) in &changes {
            let before = tables.get(table, key, AsOf::NOW).map_err(TransactError::Failed)?;
            let before = before.as_ref().map_or(0, bytes_of);
            let after = new.as_ref().map_or(0, |attributes| item_bytes(key, attributes));
            let units = 2.0 * write_units(before.max(after)) - 1.0;
            self.take(table, &key.pk, UnitKind::Write, units);
        }
        tables.write(changes, fastrand::u128(..))?;
        self.state().meters.wrote();
        Ok(())
    }
}

/// The items of a transaction that is under way.
struct LockedItems<'a> {
    tables: &'a LimitedTables,
    writes: &'a [(String, Write)],
}

impl Drop for LockedItems<'_> {
    fn drop(&mut self) {
        let mut state = self.tables.state();
        for (table, write) in self.writes {
            state.locked.remove(&(table.clone(), write.key.clone()));
        }
    }
}

fn throttled() -> StoreError {
    StoreError::Unavailable("ThrottlingError".to_owned())
}

fn bytes_of(Item { key, attributes }: &Item) -> usize {
    item_bytes(key, attributes)
}

fn units(bytes: usize, unit: usize) -> f64 {
    f64::from(u32::try_from(bytes.div_ceil(unit).max(1)).unwrap_or(u32::MAX))
}

fn read_units(bytes: usize, consistent: bool) -> f64 {
    units(bytes, READ_UNIT) * if consistent { 1.0 } else { 0.5 }
}

fn write_units(bytes: usize) -> f64 {
    units(bytes, WRITE_UNIT)
}

impl TableCalls for LimitedTables {
    fn get<'a>(&'a self, table: &'a str, key: &'a Key, _usage: &'a Usage) -> Call<'a, Option<Item>> {
        async move {
            self.admitted(table, &key.pk, UnitKind::Read).await?;
            let found = self.tables().get(table, key, AsOf::NOW)?;
            let bytes = found.as_ref().map_or(0, bytes_of);
            self.take(table, &key.pk, UnitKind::Read, read_units(bytes, true));
            Ok(found)
        }
        .boxed()
    }

    fn get_batch<'a>(&'a self, batch: BatchRead<'a>, _usage: &'a Usage) -> Call<'a, (Vec<Item>, Vec<Key>)> {
        async move {
            for attempt in 0..ATTEMPTS {
                pass(self.limits.call_ms).await;
                let (items, left) = self.get_some(&batch).await?;
                if left.len() < batch.keys.len() {
                    return Ok((items, left));
                }
                if attempt + 1 < ATTEMPTS {
                    sleep(Duration::from_millis(fastrand::u64(0..=FIRST_PAUSE_MS << attempt))).await;
                }
            }
            Err(throttled())
        }
        .boxed()
    }

    fn query<'a>(&'a self, query: RangeQuery<'a>, _usage: &'a Usage) -> Call<'a, ReadPage> {
        async move {
            self.admitted(query.table, &query.range.pk, UnitKind::Read).await?;
            let whole = Range { attributes: None, ..query.range.clone() };
            let mut page = self.tables().query(query.table, &whole, query.after.as_ref(), AsOf::NOW)?;
            let read: usize = page.items.iter().map(bytes_of).sum();
            let units = read_units(read, query.consistent);
            self.take(query.table, &query.range.pk, UnitKind::Read, units);
            let selected = query.range.attributes;
            page.items.iter_mut().for_each(|item| item.attributes = select(&item.attributes, selected));
            Ok(page)
        }
        .boxed()
    }

    fn count<'a>(&'a self, table: &'a str, range: &'a Range, _usage: &'a Usage) -> Call<'a, CappedCount> {
        async move {
            self.admitted(table, &range.pk, UnitKind::Read).await?;
            let page = self.tables().query(table, range, None, AsOf::NOW)?;
            self.take(table, &range.pk, UnitKind::Read, 0.5);
            let count = u64::try_from(page.items.len()).unwrap_or(u64::MAX);
            Ok(CappedCount { count, capped: page.last.is_some() })
        }
        .boxed()
    }

    fn scan<'a>(&'a self, scan: Scan<'a>, _usage: &'a Usage) -> Call<'a, ReadPage> {
        async move {
            pass(self.limits.call_ms).await;
            let limit = scan.limit.and_then(|limit| usize::try_from(limit).ok());
            let page = self.tables().scan(scan.table, scan.segment, scan.after, limit)?;
            self.took_items(scan.table, &page.items, scan.consistent);
            Ok(page)
        }
        .boxed()
    }

    fn put<'a>(
        &'a self,
        table: &'a str,
        item: Item,
        existing: IfExists,
        _usage: &'a Usage,
    ) -> Call<'a, bool> {
        async move {
            self.admitted(table, &item.key.pk, UnitKind::Write).await?;
            self.check_unlocked(table, &item.key)?;
            self.take(table, &item.key.pk, UnitKind::Write, write_units(bytes_of(&item)));
            self.tables().put(table, item, existing)
        }
        .boxed()
    }

    fn update<'a>(&'a self, table: &'a str, update: Update<'a>, _usage: &'a Usage) -> Call<'a, UpdateResult> {
        async move {
            self.admitted(table, &update.key.pk, UnitKind::Write).await?;
            self.check_unlocked(table, update.key)?;
            // What is updated by itself is small.
            self.take(table, &update.key.pk, UnitKind::Write, 1.0);
            self.tables().update(table, &update)
        }
        .boxed()
    }

    fn transact<'a>(
        &'a self,
        writes: Vec<(String, Write)>,
        _usage: &'a Usage,
    ) -> BoxFuture<'a, Result<(), TransactError>> {
        async move {
            // A cancelled transaction is no error that the SDK attempts again.
            let begun = self.begin(&writes);
            pass(self.limits.transaction_ms).await;
            self.end(begun?)
        }
        .boxed()
    }

    fn write_batch<'a>(
        &'a self,
        table: &'a str,
        writes: Vec<BatchWrite>,
        _usage: &'a Usage,
    ) -> Call<'a, Vec<BatchWrite>> {
        async move {
            pass(self.limits.call_ms).await;
            let (now, left): (Vec<_>, Vec<_>) =
                writes.into_iter().partition(|write| self.admits(table, &write.key().pk, UnitKind::Write));
            for write in &now {
                let bytes = if let BatchWrite::Put(item) = write { bytes_of(item) } else { 0 };
                self.take(table, &write.key().pk, UnitKind::Write, write_units(bytes));
            }
            match now.is_empty() {
                true => Err(throttled()),
                false => self.tables().write_batch(table, now).map(|()| left),
            }
        }
        .boxed()
    }

    fn create_table<'a>(&'a self, table: &'a TableSpec) -> Call<'a, ()> {
        self.tables().create(table);
        async { Ok(()) }.boxed()
    }

    fn describe_table<'a>(&'a self, table: &'a str) -> Call<'a, Option<TableDescription>> {
        let answer = self.tables().describe(table);
        async move { Ok(answer) }.boxed()
    }

    fn drop_table<'a>(&'a self, table: &'a str) -> Call<'a, bool> {
        let answer = self.tables().drop_table(table);
        async move { Ok(answer) }.boxed()
    }

    fn tables(&self) -> Call<'_, Vec<String>> {
        let answer = self.tables.lock().names();
        async move { Ok(answer) }.boxed()
    }
}
