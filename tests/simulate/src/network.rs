//! The calls of one process on the [tables](crate::tables).

use crate::administrators::is_of_access;
use crate::client::{Client, STORE, latency};
use crate::defects::{self, Defect};
use crate::faults::{self, Fault};
use crate::reads::{ReadLog, ReadTarget};
use crate::releases::as_before;
use crate::tables::{AsOf, Tables};
use futures::FutureExt;
use futures::future::BoxFuture;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::time::{Duration, Instant, sleep};
use torale_domain::storage::item::{Item, Key};
use torale_domain::storage::keys::{self, CONTROL_TABLE, Control, PROJECTIONS_TABLE_PREFIX, TableSpec};
use torale_domain::storage::read::{Range, SelectedAttributes};
use torale_domain::storage::write::Write;
use torale_platform::store::calls::{
    BatchRead, BatchWrite, Call, CappedCount, IfExists, RangeQuery, ReadPage, Scan, TableCalls,
    TableDescription, Update, UpdateResult,
};
use torale_platform::store::{GenerationPointer, Store, StoreError, TransactError, Usage};

/// How stale a read is at most, in milliseconds.
const STALE_MS: u64 = 1000;

/// The most that a batch of reads returns, in bytes of whole items.
const BATCH_BYTES: usize = 16 * 1024 * 1024;

/// The tables as all processes share them.
#[derive(Debug, Clone, Default)]
pub struct SharedTables(Arc<Mutex<Tables>>);

impl SharedTables {
    /// These tables.
    pub fn new(tables: Tables) -> Self {
        Self(Arc::new(Mutex::new(tables)))
    }

    /// The tables, for a moment.
    pub fn lock(&self) -> MutexGuard<'_, Tables> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A store of a process of this name.
    pub fn store(&self, process: &str) -> Store {
        self.network(process, None, false)
    }

    /// The same, of which the transactions are those of the release before.
    pub fn store_of_earlier_release(&self, process: &str) -> Store {
        self.network(process, None, true)
    }

    /// The same, of which is noted what it reads of the projections.
    pub fn observed_store(&self, process: &str, reads: &ReadLog) -> Store {
        self.network(process, Some(reads.clone()), false)
    }

    fn network(&self, process: &str, reads: Option<ReadLog>, is_earlier: bool) -> Store {
        Store::over(Arc::new(Network {
            tables: self.clone(),
            client: Client::new(process),
            reads,
            is_earlier,
        }))
    }
}

#[derive(Debug)]
struct Network {
    tables: SharedTables,
    client: Client,
    /// Where reads of the projections are noted, if anybody wants to know.
    reads: Option<ReadLog>,
    /// Whether it writes what the release before has written.
    is_earlier: bool,
}

impl Network {
    /// The table of which this is read, which is noted if it is a generation's.
    fn read_table(&self, table: &str, targets: impl Fn() -> Vec<ReadTarget>) -> String {
        let reads = self.reads.as_ref().filter(|_| table.starts_with(PROJECTIONS_TABLE_PREFIX));
        let Some(reads) = reads else { return table.to_owned() };
        let (mut read, targets) = (table.to_owned(), targets());
        if defects::is(Defect::GuessesAreKept) {
            read = reads.guess_of(table, &targets).unwrap_or(read);
        }
        if defects::shows(Defect::GenerationsMix, 8) {
            let names = self.tables.lock().names();
            let others = names.into_iter().filter(|name| name.starts_with(PROJECTIONS_TABLE_PREFIX));
            read = others.into_iter().find(|name| name != table).unwrap_or(read);
        }
        reads.note_read(read.clone(), targets);
        read
    }

    /// Notes which generation is live, if that is what was read.
    fn note_pointer(&self, key: &Key, found: Option<&Item>) {
        if let Some(reads) = &self.reads
            && *key == keys::live_generation()
            && let Ok(pointer) = GenerationPointer::load(found)
        {
            reads.note_pointer(pointer.live.table());
        }
    }

    /// What was found, or by a planted defect what an earlier request has found.
    fn keep(&self, target: ReadTarget, found: Vec<Item>) -> Vec<Item> {
        let reads =
            self.reads.as_ref().filter(|_| defects::is(Defect::AccessIsKept) && is_of_access(&target));
        match reads {
            Some(reads) => reads.keep(target, found),
            None => found,
        }
    }

    /// A call: `serve` is what the service does with the tables.
    async fn call<T, S>(
        &self,
        name: &'static str,
        detail: impl Fn() -> String,
        serve: S,
    ) -> Result<T, StoreError>
    where
        T: Send + 'static,
        S: Fn(SharedTables) -> BoxFuture<'static, T> + Send + Sync + 'static,
    {
        let tables = self.tables.clone();
        let answer = self.client.call(name, STORE, detail, move || serve(tables.clone()));
        answer.await.map_err(|why| StoreError::Unavailable(why.to_string()))
    }
}

/// Whether an item says how far the links of an identity are up to date, of which there are several pages.
fn is_link_progress(table: &str, key: &Key) -> bool {
    table == CONTROL_TABLE && keys::parse_control(key) == Some(Control::LinkProgress)
}

/// As of when a read sees the tables.
fn as_of(consistent: bool, name: &'static str) -> AsOf {
    let may_be_stale = !consistent || defects::is(Defect::ConsistentReadsAreStale);
    if may_be_stale && faults::happens(Fault::StaleRead, name) {
        let behind = Duration::from_millis(fastrand::u64(..STALE_MS));
        return AsOf(Instant::now().checked_sub(behind));
    }
    AsOf::NOW
}

fn short(limit: Option<usize>, name: &'static str) -> Option<usize> {
    match faults::happens(Fault::ShortPage, name) {
        true => Some(fastrand::usize(1..4).min(limit.unwrap_or(usize::MAX))),
        false => limit,
    }
}

async fn read_batch(
    tables: SharedTables,
    (table, keys, attributes, consistent): (String, Vec<Key>, SelectedAttributes, bool),
) -> Result<(Vec<Item>, Vec<Key>), StoreError> {
    Tables::check_batch(&keys)?;
    let torn = faults::happens(Fault::TornRead, "get_batch");
    let (mut items, mut left, mut bytes) = (Vec::new(), Vec::new(), 0);
    for key in keys {
        if bytes > BATCH_BYTES || faults::happens(Fault::Unprocessed, "get_batch") {
            left.push(key);
            continue;
        }
        if torn && fastrand::u8(..4) == 0 {
            sleep(latency()).await;
        }
        let as_of = as_of(consistent, "get_batch");
        let Some((item, size)) = tables.lock().get_selected(&table, &key, attributes, as_of)? else {
            continue;
        };
        bytes += size;
        if bytes > BATCH_BYTES {
            left.push(key);
        } else {
            items.push(item);
        }
    }
    Ok((items, if defects::is(Defect::UnprocessedKeysAreLost) { Vec::new() } else { left }))
}

async fn transact(
    tables: SharedTables,
    request: Arc<(Vec<(String, Write)>, u128)>,
    is_earlier: bool,
) -> Result<(), TransactError> {
    let (earlier, token) = (is_earlier.then(|| as_before(&tables.lock(), &request.0)), request.1);
    let writes = earlier.as_ref().unwrap_or(&request.0);
    let isolated = !defects::is(Defect::TransactionsAreNotIsolated);
    if faults::happens(Fault::LongTransaction, "transact") {
        let time = Duration::from_millis(fastrand::u64(5..60));
        if !isolated {
            let changes = tables.lock().plan(writes)?;
            sleep(time).await;
            return tables.lock().write(changes, token);
        }
        tables.lock().lock(writes)?;
        sleep(time).await;
        let mut tables = tables.lock();
        tables.unlock(writes);
        return tables.commit(writes, token);
    }
    let mut tables = tables.lock();
    tables.check_transaction(writes)?;
    tables.commit(writes, token)
}

impl TableCalls for Network {
    fn get<'a>(&'a self, table: &'a str, key: &'a Key, _usage: &'a Usage) -> Call<'a, Option<Item>> {
        let (owned, of) = (self.read_table(table, || vec![ReadTarget::Item(key.clone())]), key.clone());
        let serve = move |tables: SharedTables| {
            let answer = tables.lock().get(&owned, &of, as_of(true, "get"));
            async move { answer }.boxed()
        };
        async move {
            let found = self.call("get", move || format!("{table} {key:?}"), serve).await??;
            self.note_pointer(key, found.as_ref());
            if found.is_some() && is_link_progress(table, key) {
                faults::count("pages of links found", None);
            }
            Ok(found)
        }
        .boxed()
    }

    fn get_batch<'a>(&'a self, batch: BatchRead<'a>, _usage: &'a Usage) -> Call<'a, (Vec<Item>, Vec<Key>)> {
        let targets = || batch.keys.iter().cloned().map(ReadTarget::Item).collect();
        let table = self.read_table(batch.table, targets);
        let request = (table, batch.keys.clone(), batch.attributes, batch.consistent);
        let serve = move |tables: SharedTables| read_batch(tables, request.clone()).boxed();
        async move {
            let detail = || format!("{} {:?}", batch.table, batch.keys);
            let (found, left) = self.call("get_batch", detail, serve).await??;
            match batch.keys.as_slice() {
                [key] if batch.consistent => Ok((self.keep(ReadTarget::Item(key.clone()), found), left)),
                _several => Ok((found, left)),
            }
        }
        .boxed()
    }

    fn query<'a>(&'a self, query: RangeQuery<'a>, _usage: &'a Usage) -> Call<'a, ReadPage> {
        let table = self.read_table(query.table, || vec![ReadTarget::range(&query.range)]);
        let (range, after) = (query.range.clone(), query.after.clone());
        let consistent = query.consistent;
        let serve = move |tables: SharedTables| {
            let range = Range { limit: short(range.limit, "query"), ..range.clone() };
            let answer = tables.lock().query(&table, &range, after.as_ref(), as_of(consistent, "query"));
            async move { answer }.boxed()
        };
        async move {
            let detail = || format!("{} {:?}", query.table, query.range);
            let mut page = self.call("query", detail, serve).await??;
            if defects::is(Defect::LaterPagesAreLost) {
                page.last = None;
            }
            page.items = self.keep(ReadTarget::range(&query.range), page.items);
            Ok(page)
        }
        .boxed()
    }

    fn count<'a>(&'a self, table: &'a str, range: &'a Range, _usage: &'a Usage) -> Call<'a, CappedCount> {
        let (owned, of) = (self.read_table(table, || vec![ReadTarget::range(range)]), range.clone());
        let serve = move |tables: SharedTables| {
            let answer = tables.lock().query(&owned, &of, None, as_of(false, "count"));
            async move { answer }.boxed()
        };
        async move {
            let page = self.call("count", move || format!("{table} {range:?}"), serve).await??;
            let count = u64::try_from(page.items.len()).unwrap_or(u64::MAX);
            Ok(CappedCount { count, capped: page.last.is_some() })
        }
        .boxed()
    }

    fn scan<'a>(&'a self, scan: Scan<'a>, _usage: &'a Usage) -> Call<'a, ReadPage> {
        let (table, after, segment) = (scan.table.to_owned(), scan.after.cloned(), scan.segment);
        let limit = scan.limit.and_then(|limit| usize::try_from(limit).ok());
        let serve = move |tables: SharedTables| {
            let answer = tables.lock().scan(&table, segment, after.as_ref(), short(limit, "scan"));
            async move { answer }.boxed()
        };
        async move { self.call("scan", move || scan.table.to_owned(), serve).await? }.boxed()
    }

    fn put<'a>(
        &'a self,
        table: &'a str,
        item: Item,
        existing: IfExists,
        _usage: &'a Usage,
    ) -> Call<'a, bool> {
        if is_link_progress(table, &item.key) {
            faults::count("page of links", None);
        }
        let (owned, of) = (table.to_owned(), item.clone());
        let serve = move |tables: SharedTables| {
            let answer = tables.lock().put(&owned, of.clone(), existing);
            async move { answer }.boxed()
        };
        async move { self.call("put", move || format!("{table} {:?} {existing:?}", item.key), serve).await? }
            .boxed()
    }

    fn update<'a>(&'a self, table: &'a str, update: Update<'a>, _usage: &'a Usage) -> Call<'a, UpdateResult> {
        let (owned, key, remove) = (table.to_owned(), update.key.clone(), update.remove.to_vec());
        let (set, conditions, answer) = (update.set, update.conditions, update.answer);
        let serve = move |tables: SharedTables| {
            let update = Update {
                key: &key,
                set: set.clone(),
                remove: &remove,
                conditions: conditions.clone(),
                answer,
            };
            let answer = tables.lock().update(&owned, &update);
            async move { answer }.boxed()
        };
        async move { self.call("update", move || format!("{table} {:?}", update.key), serve).await? }.boxed()
    }

    fn transact<'a>(
        &'a self,
        writes: Vec<(String, Write)>,
        _usage: &'a Usage,
    ) -> BoxFuture<'a, Result<(), TransactError>> {
        // The SDK's token of a request: it stays the same when the request is sent again.
        let request = Arc::new((writes, fastrand::u128(..)));
        let sent = Arc::clone(&request);
        let is_earlier = self.is_earlier;
        let serve = move |tables: SharedTables| transact(tables, Arc::clone(&sent), is_earlier).boxed();
        let detail = move || {
            let shown = request.0.iter().map(|(_, write)| format!("\n               {write:?}"));
            shown.collect::<String>()
        };
        async move {
            let answer = match self.call("transact", detail, serve).await {
                Ok(Err(TransactError::Race)) if defects::is(Defect::LostRacesCountAsWritten) => Ok(()),
                Err(_none) if defects::is(Defect::UnansweredTransactionsCountAsWritten) => Ok(()),
                answer => answer.map_err(TransactError::Failed)?,
            };
            self.client.note(|| format!("transact answered {answer:?}"));
            answer
        }
        .boxed()
    }

    fn write_batch<'a>(
        &'a self,
        table: &'a str,
        writes: Vec<BatchWrite>,
        _usage: &'a Usage,
    ) -> Call<'a, Vec<BatchWrite>> {
        let (owned, all) = (table.to_owned(), writes);
        let serve = move |tables: SharedTables| {
            let (left, done): (Vec<_>, Vec<_>) =
                all.iter().cloned().partition(|_| faults::happens(Fault::Unprocessed, "write_batch"));
            let left = if defects::is(Defect::UnprocessedWritesAreLost) { Vec::new() } else { left };
            let answer = match done.is_empty() {
                true => Ok(left),
                false => tables.lock().write_batch(&owned, done).map(|()| left),
            };
            async move { answer }.boxed()
        };
        async move { self.call("write_batch", move || table.to_owned(), serve).await? }.boxed()
    }

    fn create_table<'a>(&'a self, table: &'a TableSpec) -> Call<'a, ()> {
        let spec = table.clone();
        let serve = move |tables: SharedTables| {
            tables.lock().create(&spec);
            async {}.boxed()
        };
        self.call("create_table", move || table.name.clone(), serve).boxed()
    }

    fn describe_table<'a>(&'a self, table: &'a str) -> Call<'a, Option<TableDescription>> {
        let owned = table.to_owned();
        let serve = move |tables: SharedTables| {
            let answer = tables.lock().describe(&owned);
            async move { answer }.boxed()
        };
        self.call("describe_table", move || table.to_owned(), serve).boxed()
    }

    fn drop_table<'a>(&'a self, table: &'a str) -> Call<'a, bool> {
        let owned = table.to_owned();
        let serve = move |tables: SharedTables| {
            let answer = tables.lock().drop_table(&owned);
            async move { answer }.boxed()
        };
        self.call("drop_table", move || table.to_owned(), serve).boxed()
    }

    fn tables(&self) -> Call<'_, Vec<String>> {
        let serve = move |tables: SharedTables| {
            let answer = tables.lock().names();
            async move { answer }.boxed()
        };
        self.call("tables", String::new, serve).boxed()
    }
}
