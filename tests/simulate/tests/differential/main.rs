//! The tables in memory answer as the embedded store does, call by call: the simulator is worth what they are.

mod choices;
mod seen;

use fastrand::Rng;
use futures::StreamExt;
use seen::{Seen, shown};
use torale_domain::storage::item::{Item, Key};
use torale_domain::storage::keys::{AUDIT_TABLE, CONTROL_TABLE, PK, tables};
use torale_domain::storage::read::SelectedAttributes;
use torale_domain::storage::write::{Action, Condition, Write};
use torale_platform::store::calls::{
    BatchRead, BatchWrite, ForeignAttributes, IfExists, NumberComparison, RangeQuery, ReadPage, Scan,
    SetValue, TableCalls, Update, UpdateCondition,
};
use torale_platform::store::{TransactError, Usage};
use torale_simulate::network::SharedTables;
use torale_simulate::tables::Tables;
use torale_testkit::stack::Stack;
use torale_testkit::switches;

/// Random calls of the ordinary run; `TORALE_CASES` asks for more.
fn calls() -> u64 {
    switches::number("TORALE_CASES", 10_000)
}

/// Calls after which both begin anew.
const LIFE: u64 = 500;
/// One of so many pairs of stores has many keys and large values: so many that pages, transactions and batches are cut
/// or refused by their sizes. It makes fewer calls, since each is slower.
const LARGE: u64 = 5;
const LARGE_CALLS: u64 = 120;
/// How much of a difference is printed.
const SHOWN: usize = 4_000;
/// The sort keys of a partition where there are many, and the sizes of large values, in bytes.
const SORT_KEYS: usize = 70;
const LARGE_BYTES: std::ops::Range<usize> = 100_000..390_000;
/// The large items of some transactions: with some of these numbers they come near to 4 MB, or exceed it.
const HEAVY: std::ops::Range<usize> = 12..21;
/// The most of each kind of request, and one more.
const GETS: [usize; 2] = [100, 101];
const WRITES: [usize; 2] = [25, 26];
const ITEMS: [usize; 2] = [100, 101];
/// How many pairs of stores are compared at once: calls on the tables in memory wait as long as those of a network do.
const AT_ONCE: usize = 32;
const TABLES: [&str; 2] = [CONTROL_TABLE, AUDIT_TABLE];
const PROJECTIONS: [SelectedAttributes; 4] = [None, Some(&[]), Some(&["a"]), Some(&["b", "none", "n"])];
const NAMES: [&str; 4] = ["a", "b", "n", "m"];

struct Caller<'a> {
    rng: &'a mut Rng,
    memory: &'a dyn TableCalls,
    embedded: &'a dyn TableCalls,
    usage: Usage,
    seen: &'a mut Seen,
    /// Whether keys are many and values are large.
    is_large: bool,
}

impl Caller<'_> {
    async fn transact(&mut self) {
        let is_heavy = self.is_large && self.chance(40);
        let keys = match is_heavy {
            true => {
                let count = self.rng.usize(HEAVY);
                self.different_keys(count)
            }
            false => self.keys(5, ITEMS),
        };
        let writes: Vec<(String, Write)> = keys
            .into_iter()
            .map(|key| {
                if is_heavy {
                    let action = Action::Put(self.large());
                    return (self.table().to_owned(), Write { key, action, conditions: Vec::new() });
                }
                let (action, mut conditions) = (self.action(), self.conditions());
                if action == Action::Check && conditions.is_empty() {
                    conditions.push(Condition::Present(PK.to_owned()));
                }
                (self.table().to_owned(), Write { key, action, conditions })
            })
            .collect();
        let (count, size) = (writes.len(), writes.iter().map(|(_, write)| write.size()).sum::<usize>());
        let flat = |answer: Result<(), TransactError>| match answer {
            Ok(()) => Ok(true),
            Err(TransactError::Race) => Ok(false),
            Err(TransactError::Failed(error)) => Err(error),
        };
        let memory = flat(self.memory.transact(writes.clone(), &self.usage).await);
        let embedded = flat(self.embedded.transact(writes.clone(), &self.usage).await);
        self.seen.too_many += u64::from(count > ITEMS[0] && memory.is_err());
        self.seen.too_large += u64::from(count <= ITEMS[0] && size > 4 << 20 && memory.is_err());
        match self.seen.same(|| format!("transact {}", shown(&writes)), memory, embedded) {
            Some(true) => {}
            Some(false) => self.seen.races += 1,
            None => self.seen.refused += 1,
        }
    }

    async fn update(&mut self) {
        let (key, table) = (self.key(), self.table());
        let test = |caller: &mut Self| match caller.rng.u8(..5) {
            0 => UpdateCondition::Present(caller.name()),
            1 => UpdateCondition::Absent(caller.name()),
            2 => UpdateCondition::AbsentOr(
                caller.name(),
                NumberComparison::AtMost(caller.name(), caller.rng.i64(-2..3)),
            ),
            3 => UpdateCondition::AbsentOr(
                caller.name(),
                NumberComparison::MoreThan(caller.name(), caller.rng.i64(-2..3)),
            ),
            _ => {
                UpdateCondition::AbsentOr(caller.name(), NumberComparison::Less(caller.name(), caller.name()))
            }
        };
        let conditions = (0..self.rng.usize(1..3)).map(|_| test(self)).collect();
        let mut names = NAMES.map(str::to_owned);
        self.rng.shuffle(&mut names);
        let operand = match self.rng.u8(..4) {
            0 => SetValue::Sum(self.name(), self.rng.i64(-3..4)),
            1 => SetValue::Kept(self.name()),
            _ => SetValue::Value(self.value()),
        };
        let remove = if self.chance(30) { vec![names[1].clone()] } else { Vec::new() };
        let set = vec![(names[0].clone(), operand)];
        let update = Update { key: &key, set, remove: &remove, conditions, answer: self.chance(50) };
        let memory = self.memory.update(table, update.clone(), &self.usage).await;
        let embedded = self.embedded.update(table, update.clone(), &self.usage).await;
        match self.seen.same(|| format!("update {update:?}"), memory, embedded) {
            Some(updated) => self.seen.unheld += u64::from(!updated.held),
            None => self.seen.refused += 1,
        }
    }

    async fn put(&mut self) {
        let item = Item { key: self.key(), attributes: self.attributes() };
        let (table, existing) = (self.table(), self.pick(&[IfExists::Keep, IfExists::Replace]));
        let memory = self.memory.put(table, item.clone(), existing, &self.usage).await;
        let embedded = self.embedded.put(table, item.clone(), existing, &self.usage).await;
        let answer = self.seen.same(|| format!("put {:?} {existing:?}", item.key), memory, embedded);
        self.seen.refused += u64::from(answer.is_none());
    }

    async fn write_batch(&mut self) {
        let table = self.table();
        let writes: Vec<BatchWrite> = self
            .keys(30, WRITES)
            .into_iter()
            .map(|key| match self.chance(60) {
                true => BatchWrite::Put(Item { key, attributes: self.attributes() }),
                false => BatchWrite::Delete(key),
            })
            .collect();
        let memory = self.memory.write_batch(table, writes.clone(), &self.usage).await;
        let embedded = self.embedded.write_batch(table, writes.clone(), &self.usage).await;
        self.seen.too_many += u64::from(writes.len() > WRITES[0] && memory.is_err());
        let answer = self.seen.same(|| format!("write_batch {}", shown(&writes)), memory, embedded);
        self.seen.refused += u64::from(answer.is_none());
    }

    /// Fills a table with large items.
    async fn fill(&mut self) {
        for keys in self.different_keys(3 * SORT_KEYS).chunks(WRITES[0]) {
            let puts = keys.iter().map(|key| Item { key: key.clone(), attributes: self.large() });
            let writes: Vec<BatchWrite> = puts.map(BatchWrite::Put).collect();
            let memory = self.memory.write_batch(TABLES[0], writes.clone(), &self.usage).await;
            let embedded = self.embedded.write_batch(TABLES[0], writes, &self.usage).await;
            self.seen.same(|| "fill".to_owned(), memory, embedded);
        }
    }

    async fn get(&mut self) {
        let (key, table) = (self.key(), self.table());
        let memory = self.memory.get(table, &key, &self.usage).await;
        let embedded = self.embedded.get(table, &key, &self.usage).await;
        self.seen.same(|| format!("get {key:?}"), memory, embedded);
    }

    async fn get_batch(&mut self) {
        let (keys, table, consistent) = (self.keys(20, GETS), self.table(), self.chance(50));
        let attributes = self.pick(&PROJECTIONS);
        let sorted = |(mut items, left): (Vec<Item>, Vec<Key>)| {
            items.sort_by(|a, b| a.key.cmp(&b.key));
            (items, left)
        };
        let (mut answers, mut cuts) = (Vec::new(), Vec::new());
        for calls in [self.memory, self.embedded] {
            // Which keys stay unprocessed for their size is each store's own; all items together are the same.
            let (mut all, mut left, mut more) = (Vec::new(), keys.clone(), true);
            let (mut answer, mut cut) = (Ok(()), 0);
            while more {
                let batch = BatchRead {
                    table,
                    keys: std::mem::take(&mut left),
                    attributes,
                    consistent,
                    foreign: ForeignAttributes::Refuse,
                };
                match calls.get_batch(batch, &self.usage).await {
                    Ok((items, unprocessed)) => {
                        all.extend(items);
                        left = unprocessed;
                    }
                    Err(error) => answer = Err(error),
                }
                more = !left.is_empty();
                cut += u64::from(more);
            }
            answers.push(answer.map(|()| sorted((all, left))));
            cuts.push(cut);
        }
        assert!(cuts.iter().all(|cut| *cut > 0) || cuts.iter().all(|cut| *cut == 0), "cut: {cuts:?}");
        self.seen.cut_batches += cuts[0];
        let (embedded, memory) = (answers.pop().unwrap(), answers.pop().unwrap());
        self.seen.too_many += u64::from(keys.len() > GETS[0] && memory.is_err());
        let answer = self.seen.same(|| format!("get_batch {keys:?}"), memory, embedded);
        self.seen.refused += u64::from(answer.is_none());
    }

    /// Page by page to the end.
    async fn query(&mut self) {
        let (range, table, consistent) = (self.range(), self.table(), self.chance(50));
        let mut after = None;
        loop {
            let query = || RangeQuery {
                table,
                range: range.clone(),
                after: after.clone(),
                consistent,
                foreign: ForeignAttributes::Refuse,
            };
            let memory = self.memory.query(query(), &self.usage).await;
            let embedded = self.embedded.query(query(), &self.usage).await;
            match self.seen.same(|| format!("{:?}", query()), memory, embedded) {
                Some(ReadPage { last: Some(last), items }) => {
                    self.seen.cut_pages += u64::from(Some(items.len()) != range.limit);
                    after = Some(last);
                }
                Some(ReadPage { last: None, .. }) => return,
                None => {
                    self.seen.refused += 1;
                    return;
                }
            }
        }
    }

    async fn count(&mut self) {
        let (range, table) = (self.range(), self.table());
        let memory = self.memory.count(table, &range, &self.usage).await;
        let embedded = self.embedded.count(table, &range, &self.usage).await;
        self.seen.same(|| format!("count {range:?}"), memory, embedded);
    }

    /// Segments and order are each store's own; all items together are the same.
    async fn scan(&mut self) {
        let (table, segments) = (self.table(), self.rng.i32(1..4));
        let limit = if self.is_large { 1_000 } else { self.rng.i32(1..8) };
        let mut all = [Vec::new(), Vec::new()];
        let mut pages = 0;
        for (calls, found) in [self.memory, self.embedded].into_iter().zip(&mut all) {
            pages = 0;
            for segment in 0..segments {
                let mut after = None;
                loop {
                    let scan = Scan {
                        table,
                        segment: Some((segment, segments)),
                        after: after.as_ref(),
                        limit: Some(limit),
                        consistent: true,
                    };
                    let page = calls.scan(scan, &self.usage).await.unwrap();
                    found.extend(page.items);
                    pages += 1;
                    match page.last {
                        Some(last) => after = Some(last),
                        None => break,
                    }
                }
            }
            found.sort_by(|a, b| a.key.cmp(&b.key));
        }
        self.seen.requests += pages;
        assert!(all[0] == all[1], "scan of {table}: {}\n{}", shown(&all[0]), shown(&all[1]));
    }

    async fn call(&mut self) {
        let kind = self.rng.usize(..10);
        self.seen.done[kind] += 1;
        match kind {
            0 | 1 => self.transact().await,
            2 => self.update().await,
            3 => self.put().await,
            4 => self.write_batch().await,
            5 => self.get().await,
            6 => self.get_batch().await,
            7 => self.query().await,
            8 => self.count().await,
            _ => self.scan().await,
        }
    }
}

/// Makes so many calls on a fresh pair of stores, or until they differ: what follows from a difference is none.
async fn compare(seed: u64, calls: u64) -> Seen {
    let (mut rng, mut seen) = (Rng::with_seed(seed), Seen::default());
    let (memory, stack) = (SharedTables::new(Tables::of(&tables())), Stack::start().await);
    let (memory, embedded) = (memory.store("memory"), stack.store());
    let is_large = seed % LARGE == LARGE - 1;
    let mut caller = Caller {
        is_large,
        rng: &mut rng,
        memory: memory.calls(),
        embedded: embedded.calls(),
        usage: Usage::default(),
        seen: &mut seen,
    };
    if is_large {
        caller.fill().await;
    }
    for _ in 0..if is_large { calls.min(LARGE_CALLS) } else { calls } {
        caller.call().await;
        if let Some(difference) = caller.seen.differences.last_mut() {
            difference.insert_str(0, &format!("seed {seed}: "));
            break;
        }
    }
    seen
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tables_in_memory_answer_random_calls_as_the_embedded_store_does() {
    let (mut seen, calls) = (Seen::default(), calls());

    let seeds = futures::stream::iter(0..calls.div_ceil(LIFE));
    let mut compared = seeds.map(|seed| compare(seed, LIFE.min(calls))).buffer_unordered(AT_ONCE);
    while let Some(of_one) = compared.next().await {
        seen.add(of_one);
        assert!(seen.differences.is_empty(), "{}", seen.differences.join("\n"));
    }

    println!("{seen:?}");
    assert!(seen.done.iter().all(|kind| *kind > 20), "{seen:?}");
    let sizes_were_tried =
        seen.cut_pages > 20 && seen.cut_batches > 0 && seen.too_many > 2 && seen.too_large > 0;
    assert!(sizes_were_tried || calls.div_ceil(LIFE) < LARGE, "{seen:?}");
    assert!(seen.refused > 20 && seen.races > 20 && seen.unheld > 20, "{seen:?}");
}
