//! `cargo bench-write`: what an event costs by type and batch size, and how fast several consumers are together.
#![allow(
    clippy::unwrap_used,
    clippy::wildcard_enum_match_arm,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::as_conversions,
    clippy::print_stdout,
    reason = "a benchmark stops at the first surprise, computes with rounded numbers and talks to its user"
)]

use aws_sdk_dynamodb::types::AttributeValue;
use clap::Parser;
use std::collections::BTreeMap;
use std::sync::Mutex;
use tokio::time::{Duration, Instant};
use torale_bench::lambda::{self, Lambdas};
use torale_bench::report::{BenchReport, BenchTarget, Table};
use torale_bench::stack::BenchStack;
use torale_bench::world::BenchWorld;
use torale_bench::{NOW, short};
use torale_domain::events::{self, ReceivedMessage};
use torale_domain::storage::item::{Key, Value};
use torale_domain::storage::keys::{self, FIRST_GENERATION, Lanes, PK, SK};
use torale_domain::storage::limits::value_bytes;
use torale_platform::clock;
use torale_platform::consume::{BatchOutcome, Consumer};
use torale_platform::store::log::LogEntry;
use torale_platform::store::{Store, Usage};
use torale_testkit::interceptor::{Interceptor, StoreCall};
use torale_testkit::monitoring::{MonitoredExecution, RATE_LIMIT};
use torale_testkit::stack::{RawItem, messages, text};

#[derive(Parser)]
struct Arguments {
    /// Executions in the store before anything is measured.
    #[arg(long, default_value_t = 10_000)]
    stored: u64,
    /// Lanes of the generation.
    #[arg(long, default_value_t = Lanes::DEFAULT.count())]
    lanes: u32,
    /// Events of the realistic mix for each number of consumers.
    #[arg(long, default_value_t = 16_000)]
    stream: usize,
    /// Take the consumer's binary in target/fast as it is.
    #[arg(long)]
    built: bool,
    /// Leave out the memory of the consumer's binary.
    #[arg(long)]
    no_memory: bool,
}

/// Time for a batch.
const LONG: Duration = Duration::from_secs(600);
/// Between events of one type, as at 15,600 executions a day.
const GAP: i64 = 5_500;
/// Batch sizes, and how many batches are measured.
const BATCHES: [(usize, usize); 4] = [(1, 40), (10, 10), (100, 3), (1000, 1)];

/// The same execution, failed or not.
fn with(one: MonitoredExecution, error: Option<(&'static str, &'static str)>) -> MonitoredExecution {
    MonitoredExecution { error, ..one }
}

/// An event of a type: what must have come before it, in an earlier batch, and itself.
type Make = fn(&BenchWorld, MonitoredExecution, u64) -> (Option<String>, String);

const TYPES: [(&str, Make); 9] = [
    ("execution.started", |_, one, _| (None, one.started(one.at))),
    ("execution.succeeded after its start", |_, one, _| {
        (Some(one.started(one.at)), with(one, None).finished())
    }),
    ("execution.failed after its start", |_, one, _| {
        (Some(one.started(one.at)), with(one, Some(RATE_LIMIT)).finished())
    }),
    ("execution.failed without a start", |_, one, _| (None, with(one, Some(RATE_LIMIT)).finished())),
    ("notification.sent", |_, one, _| (None, one.notification())),
    ("task.created", |world, one, number| (None, world.task_created(number, one.at))),
    ("user.created", |world, one, number| (None, world.user_created(number, one.at))),
    ("temporal.workflow.started", |_, one, _| (None, one.run_started())),
    ("temporal.workflow.closed after its start", |_, one, _| (Some(one.run_started()), one.run_closed())),
];

/// The cost of one batch or several.
#[derive(Debug, Default)]
struct Cost {
    events: usize,
    written: f64,
    log: f64,
    read: f64,
    transactions: u64,
    lost_races: u64,
}

impl Cost {
    fn projections(&self) -> f64 {
        self.written - self.log
    }

    fn an_event(&self, units: f64) -> f64 {
        units / self.events as f64
    }
}

async fn consume(consumer: &Consumer, bodies: &[String], usage: &Usage) -> BatchOutcome {
    let outcome = consumer.consume(&messages(bodies), Instant::now() + LONG, usage).await;
    assert!(outcome.quarantined.is_empty(), "{outcome:?}");
    assert!(outcome.failed.is_empty(), "{} messages were handed back", outcome.failed.len());
    outcome
}

/// Consumes a batch; the log's part is found by appending the same batch once more.
async fn pay(consumer: &Consumer, store: &Store, bodies: &[String], cost: &mut Cost) {
    let usage = Usage::default();
    let outcome = consume(consumer, bodies, &usage).await;
    cost.events += bodies.len();
    cost.written += usage.write_units();
    cost.read += usage.read_units();
    cost.transactions += outcome.transactions;
    cost.lost_races += outcome.lost_races;
    cost.log += log_units(store, bodies).await;
}

async fn log_units(store: &Store, bodies: &[String]) -> f64 {
    let logged = bodies.iter().map(|body| {
        let Ok(ReceivedMessage::Known(event)) = events::parse(body, None) else { panic!("no event: {body}") };
        LogEntry { lane: keys::log_lane(&event.entity()), body }
    });
    let usage = Usage::default();
    store.append(&logged.collect::<Vec<_>>(), NOW, &clock::unique(), &usage).await.unwrap();
    usage.write_units()
}

/// Batches of fresh events, each with what must come before it.
struct Batches<'a> {
    world: &'a BenchWorld,
    next: u64,
    mix: std::vec::IntoIter<String>,
}

impl<'a> Batches<'a> {
    fn of(&mut self, make: Make, size: usize) -> (Vec<String>, Vec<String>) {
        let mut before = Vec::new();
        let mut batch = Vec::new();
        for position in 0..i64::try_from(size).unwrap() {
            self.next += 1;
            let one = self.world.execution_at(self.next, self.world.hours_ago(4).plus(position * GAP));
            let (earlier, event) = make(self.world, one, self.next);
            before.extend(earlier);
            batch.push(event);
        }
        (before, batch)
    }

    fn new(world: &'a BenchWorld) -> Self {
        let mix =
            world.stream(1 << 33, world.hours_ago(8), BATCHES.iter().map(|(size, count)| size * count).sum());
        Self { world, next: 1 << 32, mix: mix.into_iter() }
    }

    fn mix(&mut self, size: usize) -> Vec<String> {
        self.mix.by_ref().take(size).collect()
    }
}

const BY_TYPE: [&str; 9] = [
    "event",
    "batch",
    "events measured",
    "projection units an event",
    "log units an event",
    "write units an event",
    "read units an event",
    "events a transaction",
    "projection units when sent again",
];

async fn by_type(stack: &BenchStack, batches: &mut Batches<'_>, report: &mut BenchReport) {
    let (store, consumer) = (stack.store(), Consumer::new(stack.store(), || NOW));
    let note = "One consumer. Every batch is then sent again: its projection units must be 0. \
                The mix has the order in which a platform sends.";
    let mut table = Table::new("Units by type and batch size", note, &BY_TYPE);
    let (mut executions, mut again) = (Vec::new(), 0.0);
    let types = TYPES.iter().map(|(name, make)| (*name, Some(*make))).chain([("realistic mix", None)]);
    for (name, make) in types {
        for (size, repeats) in BATCHES {
            let (mut cost, mut duplicates) = (Cost::default(), Cost::default());
            for _ in 0..repeats {
                let (before, batch) = match make {
                    Some(make) => batches.of(make, size),
                    None => (vec![], batches.mix(size)),
                };
                consume(&consumer, &before, &Usage::default()).await;
                pay(&consumer, &store, &batch, &mut cost).await;
                pay(&consumer, &store, &batch, &mut duplicates).await;
            }
            if size >= 10 && name.starts_with("execution") {
                executions.push((name, size, cost.an_event(cost.written)));
            }
            again += duplicates.projections();
            table.rows.push(by_type_row(name, size, &cost, &duplicates));
        }
    }
    report.add(table);
    report.targets.extend(within_promise(&executions));
    let what = "a duplicate writes nothing but the log".to_owned();
    report.targets.push(BenchTarget {
        what,
        met: again == 0.0,
        found: format!("{} projection units", short(again)),
    });
}

/// Write units of one execution event that P3 allows (docs/promises.md), the list of a task's executions included.
const fn promised(failed: bool) -> f64 {
    if failed { 16.0 } else { 14.0 }
}

/// Write units by type and batch size: each on its own, and as often as they come.
fn within_promise(executions: &[(&str, usize, f64)]) -> [BenchTarget; 2] {
    let over = executions.iter().filter(|(name, _, units)| *units > promised(name.contains("failed")));
    let over: Vec<_> = over
        .map(|(name, size, units)| format!("{} for {name} in batches of {size}", short(*units)))
        .collect();
    let most = executions.iter().map(|(.., units)| *units).fold(0.0, f64::max);
    let units = |name: &str, of: usize| {
        executions.iter().find(|(n, size, _)| *n == name && *size == of).map_or(0.0, |(.., units)| *units)
    };
    let mean = |of: usize| {
        let [started, succeeded, failed] = [TYPES[0].0, TYPES[1].0, TYPES[2].0].map(|name| units(name, of));
        (started + 0.97 * succeeded + 0.03 * failed) / 2.0
    };
    let means = [10, 100, 1000].map(mean);
    [
        BenchTarget {
            what: format!(
                "an execution event costs at most {} write units, one of a failure {}, log included, in batches of 10 or more",
                promised(false),
                promised(true)
            ),
            met: over.is_empty(),
            found: if over.is_empty() { format!("at most {}", short(most)) } else { over.join("; ") },
        },
        BenchTarget {
            what: format!("at most {} on average, if 3% of the executions fail", promised(false)),
            met: means.iter().all(|units| *units <= promised(false)),
            found: format!(
                "{} in batches of 10, {} of 100, {} of 1000",
                short(means[0]),
                short(means[1]),
                short(means[2])
            ),
        },
    ]
}

fn by_type_row(name: &str, size: usize, cost: &Cost, duplicates: &Cost) -> Vec<String> {
    vec![
        name.to_owned(),
        size.to_string(),
        cost.events.to_string(),
        short(cost.an_event(cost.projections())),
        short(cost.an_event(cost.log)),
        short(cost.an_event(cost.written)),
        short(cost.an_event(cost.read)),
        short(cost.events as f64 / cost.transactions.max(1) as f64),
        short(duplicates.projections()),
    ]
}

/// The keys that a transaction writes, and whether their items are deleted.
fn written(call: &StoreCall<'_>) -> Option<Vec<(Key, bool)>> {
    let written = |write: &serde_json::Value| {
        let (kind, write) = write.as_object().unwrap().iter().next().unwrap();
        let key = if kind == "Put" { &write["Item"] } else { &write["Key"] };
        let text = |name: &str| key[name]["S"].as_str().unwrap().to_owned();
        (Key::stored(text(PK), text(SK)), kind == "Delete")
    };
    let request = (call.operation == "TransactWriteItems").then(|| call.json())?;
    Some(request["TransactItems"].as_array().unwrap().iter().map(written).collect())
}

/// The kind of an item, as the table of keys names it.
fn kind(key: &Key) -> String {
    let (first, rest) = key.pk.split_once('#').unwrap();
    let list = rest.rsplit_once('#').map_or(rest, |(list, _lane)| list);
    match (first, &key.sk[..1]) {
        ("x", _) => "execution".to_owned(),
        ("t", "c") => "row among the executions of a task".to_owned(),
        ("t", _) => "task (its totals)".to_owned(),
        ("q", _) => "query".to_owned(),
        ("u", "d") => "user's day".to_owned(),
        ("r", _) => format!("row of {list}"),
        ("c", "d") => format!("day node of {list}"),
        ("c", "h") => format!("hour node of {list}"),
        ("c", "n") => format!("minute node of {list}"),
        ("c", "m") => format!("month node of {list}"),
        _ => format!("{first}# {}", key.sk),
    }
}

/// The size of an item with its keys, as DynamoDB counts it.
fn size(item: &RawItem) -> usize {
    let value = |value: &AttributeValue| match value {
        AttributeValue::N(number) => Value::Number(number.parse().unwrap()),
        AttributeValue::B(bytes) => Value::Bytes(bytes.clone().into_inner()),
        other => Value::Text(other.as_s().unwrap().clone()),
    };
    item.iter().map(|(name, of)| name.len() + value_bytes(&value(of))).sum()
}

/// Writes, units and the largest size by kind.
type Kinds = BTreeMap<String, (usize, f64, usize)>;

async fn breakdown(stack: &BenchStack, batches: &mut Batches<'_>, size_of_batch: usize) -> Table {
    let (interceptor, writes) = Interceptor::noting(written);
    let consumer = Consumer::new(Store::new(stack.config().interceptor(interceptor)), || NOW);
    let note = "Writes of each item kind in the transactions; units are twice the item's size in KiB, rounded up \
                (a deleted item counts as one KiB), by the size it had afterwards.";
    let columns = ["event", "item", "writes an event", "units an event", "largest item, bytes"];
    let mut table =
        Table::new(format!("What the units are made of, batches of {size_of_batch}"), note, &columns);
    for (name, make) in TYPES.iter().filter(|(name, _)| name.starts_with("execution")) {
        let (mut kinds, mut events) = (Kinds::new(), 0);
        for _ in 0..10 {
            let (before, batch) = batches.of(*make, size_of_batch);
            consume(&consumer, &before, &Usage::default()).await;
            writes.take();
            consume(&consumer, &batch, &Usage::default()).await;
            events += batch.len();
            count(stack, writes.take().concat(), &mut kinds).await;
        }
        let an_event = |count: f64| short(count / events as f64);
        for (kind, (writes, units, largest)) in kinds {
            let cells = [kind, an_event(writes as f64), an_event(units), largest.to_string()];
            table.rows.push([(*name).to_owned()].into_iter().chain(cells).collect());
        }
    }
    table
}

async fn count(stack: &BenchStack, writes: Vec<(Key, bool)>, kinds: &mut Kinds) {
    let table = keys::projections_table(FIRST_GENERATION);
    for (key, deleted) in writes {
        let kind = format!("{}{}", kind(&key), if deleted { ", deleted" } else { "" });
        let get = stack.client.get_item().table_name(&table);
        let found = get.key(PK, text(&key.pk)).key(SK, text(&key.sk)).send().await.unwrap();
        let bytes = found.item.map_or(1, |item| size(&item));
        let entry = kinds.entry(kind).or_default();
        entry.0 += 1;
        entry.1 += 2.0 * bytes.div_ceil(1024) as f64;
        entry.2 = entry.2.max(bytes);
    }
}

/// Several consumers at once, each with a client of its own, on one stream of batches.
async fn side_by_side(arguments: &Arguments, world: &BenchWorld) -> Table {
    let note = format!(
        "{} events of the realistic mix in batches of 1000, taken in turn; each consumer has its own store client, \
         all share two cores with the embedded store, which runs one transaction at a time.",
        arguments.stream
    );
    let columns = [
        "consumers",
        "events a second",
        "transactions",
        "lost races",
        "lost races a transaction",
        "write units an event",
    ];
    let mut table = Table::new("Consumers side by side", note, &columns);
    for consumers in [1, 4, 16] {
        let stack = BenchStack::with(world, Lanes::new(arguments.lanes).unwrap()).await;
        let events = world.stream(1 << 40, world.hours_ago(8), arguments.stream);
        let waiting = Mutex::new(events.chunks(1000).map(<[String]>::to_vec).rev().collect::<Vec<_>>());
        let (cost, started) = (Mutex::new(Cost::default()), Instant::now());
        let work = (0..consumers).map(|_| async {
            let consumer = Consumer::new(stack.store(), || NOW);
            loop {
                let Some(batch) = waiting.lock().unwrap().pop() else { break };
                let usage = Usage::default();
                let outcome = consume(&consumer, &batch, &usage).await;
                let mut cost = cost.lock().unwrap();
                cost.written += usage.write_units();
                cost.transactions += outcome.transactions;
                cost.lost_races += outcome.lost_races;
            }
        });
        futures::future::join_all(work).await;
        let (cost, seconds) = (cost.into_inner().unwrap(), started.elapsed().as_secs_f64());
        table.rows.push(vec![
            consumers.to_string(),
            format!("{:.0}", events.len() as f64 / seconds),
            cost.transactions.to_string(),
            cost.lost_races.to_string(),
            short(cost.lost_races as f64 / cost.transactions as f64),
            short(cost.written / events.len() as f64),
        ]);
    }
    table
}

/// The consumer's binary with one batch as large as Lambda hands over. It reads the real clock.
async fn memory(report: &mut BenchReport, lanes: Lanes, built: bool) {
    const MOST: usize = 6 * 1024 * 1024;
    if !built {
        lambda::build(["consumer"]);
    }
    let now = clock::system();
    let world = BenchWorld::new(10_000, 1.0, now);
    let note = "The consumer's binary (release build), one batch, records with `messageId`, `eventSource` and `body` alone; \
                10,000 records, or as many as fit into 6 MiB. VmHWM of the process.";
    let columns =
        ["batch", "records", "payload bytes", "seconds", "events a second", "MiB before", "peak MiB"];
    let mut table = Table::new("Memory", note, &columns);
    let mut peak: f64 = 0.0;
    let started = |number: u64| {
        let at = world.hours_ago(4).plus(number as i64 * 1000);
        world.execution_at((1 << 40) | number, at).started(at)
    };
    let only_started: Vec<String> = (0..10_000).map(started).collect();
    for (name, mut bodies) in [
        ("realistic mix", world.stream(1 << 41, world.hours_ago(8), 10_000)),
        ("execution.started", only_started),
    ] {
        while lambda::batch(&bodies).to_string().len() > MOST {
            bodies.truncate(bodies.len() - 50);
        }
        let stack = BenchStack::with(&world, lanes).await;
        let payload = lambda::batch(&bodies);
        let bytes = payload.to_string().len();
        let ran = Lambdas::start(stack.port).await.run("consumer", &[payload]).await;
        let answer: serde_json::Value = serde_json::from_slice(&ran.answers[0]).unwrap();
        assert_eq!(answer["batchItemFailures"].as_array().map(Vec::len), Some(0), "{answer}");
        let seconds = ran.took.as_secs_f64();
        let cells = [bytes.to_string(), short(seconds), format!("{:.0}", bodies.len() as f64 / seconds)];
        let cells = [name.to_owned(), bodies.len().to_string()].into_iter().chain(cells);
        table.rows.push(cells.chain([short(ran.idle), short(ran.peak)]).collect());
        peak = peak.max(ran.peak);
    }
    report.add(table);
    let what = "the consumer fits into 256 MiB with the largest batch".to_owned();
    report.targets.push(BenchTarget { what, met: peak <= 256.0, found: format!("{} MiB", short(peak)) });
}

#[tokio::main]
async fn main() {
    let arguments = Arguments::parse();
    let lanes = Lanes::new(arguments.lanes).expect("1 to 64 lanes");
    let world = BenchWorld::of(arguments.stored);
    let about = format!(
        "What an event costs over the embedded store (dynoxide, in memory) with {} executions in it, {} users, {} tasks, \
         {} lanes. Units as the store reports them, by DynamoDB's rules (a write in a transaction counts twice). Events are \
         {} s apart, of distinct executions of random tasks. Units of transactions that lost a race are not reported by the \
         store and not in these numbers. Speeds are of this machine and this store, for comparison only.",
        arguments.stored,
        world.users,
        world.tasks,
        arguments.lanes,
        GAP as f64 / 1000.0
    );
    let mut report = BenchReport::new("write", about);
    let stack = BenchStack::with(&world, lanes).await;
    let mut batches = Batches::new(&world);
    by_type(&stack, &mut batches, &mut report).await;
    report.add(breakdown(&stack, &mut batches, 10).await);
    report.add(breakdown(&stack, &mut batches, 100).await);
    report.add(side_by_side(&arguments, &world).await);
    if !arguments.no_memory {
        memory(&mut report, lanes, arguments.built).await;
    }
    report.finish();
}
