//! `cargo bench-replay`: how fast a log is read, folded and rebuilt, compared with the consumer on the same events.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::as_conversions,
    clippy::print_stdout,
    reason = "a benchmark stops at the first surprise and talks to its user"
)]

use clap::Parser;
use std::time::Duration;
use tokio::time::Instant;
use torale_bench::report::{BenchReport, BenchTarget, Table};
use torale_bench::serving::{ServedStore, peak_kilobytes, serve};
use torale_bench::world::BenchWorld;
use torale_bench::{NOW, short};
use torale_domain::events::{self, Event, ReceivedMessage};
use torale_domain::projections::generation::Generation;
use torale_domain::replay::rebuild::fold::EntityFold;
use torale_domain::replay::rebuild::{Slice, Tally};
use torale_domain::storage::keys::{self, Lanes};
use torale_domain::values::time::{DAY, Timestamp};
use torale_platform::consume::Consumer;
use torale_platform::store::log::LogEntry;
use torale_platform::store::{Store, Usage};
use torale_replay::build::{BuildOutcome, build_in_memory};
use torale_replay::compare::Expected;
use torale_replay::log::{LogSpan, known};
use torale_replay::{Replay, StopSignal};
use torale_testkit::stack::messages;

/// Rebuilds a log of some size.
#[derive(Debug, Parser)]
#[command(name = "cargo bench-replay", bin_name = "cargo bench-replay")]
struct Arguments {
    /// Events in the log
    #[arg(long, default_value_t = 1_000_000)]
    events: usize,
    /// Of these, how many go through the consumer for comparison
    #[arg(long, default_value_t = 40_000)]
    consumed: usize,
    /// Units that are worked on at once
    #[arg(long, default_value_t = 2)]
    workers: usize,
    /// Serve a store on this port, and do nothing else
    #[arg(long, hide = true)]
    store: Option<u16>,
}

/// Messages that come in one batch.
const BATCH: usize = 1_000;
/// Items for measuring the store alone, and about how large items are on the average.
const RAW_ITEMS: usize = 100_000;
const ITEM_BYTES: usize = 180;
/// Events that are in memory at once while the log is filled.
const CHUNK: usize = 100_000;
/// The best published figures of a rebuild that we know of: Marten, events a second of one projection, and event
/// applications a second over eight projections together.
const MARTEN: (f64, f64) = (11_000.0, 38_000.0);
/// Lists and counters that an event of the mix is applied to here: executions, errors, users, logins, notifications,
/// workflows, schedules, tasks with their users, and queries with their ranking.
const PROJECTIONS: f64 = 9.0;

/// The events of the benchmark in the order of a platform, chunk by chunk: users, tasks and schedules first.
fn chunks(count: usize) -> impl Iterator<Item = Vec<String>> {
    let world = BenchWorld::new(0, (count as f64 / 40_000.0).powf(2.0_f64.log10()), NOW);
    let first: Vec<String> = world.entities().flatten().take(count).collect();
    let left = count - first.len();
    let streamed = (0..left.div_ceil(CHUNK)).map(move |chunk| {
        let executions = (chunk * CHUNK / 4) as u64;
        let from = NOW.plus(-29 * DAY + i64::try_from(executions).unwrap() * 5_500);
        world.stream(executions, from, CHUNK.min(left - chunk * CHUNK))
    });
    std::iter::once(first).chain(streamed)
}

fn parsed(message: &str) -> Event {
    match events::parse(message, None) {
        Ok(ReceivedMessage::Known(event)) => *event,
        other => panic!("{other:?}"),
    }
}

/// Appends to the log as a consumer does, received when it happened; returns its bytes as text.
async fn fill(store: &Store, count: usize) -> usize {
    let (usage, mut bytes) = (Usage::default(), 0);
    for chunk in chunks(count) {
        for (number, batch) in chunk.chunks(BATCH).enumerate() {
            let events: Vec<Event> = batch.iter().map(|message| parsed(message)).collect();
            let received_at = events.last().map_or(NOW, |event| event.time).max(NOW.plus(-40 * DAY)).min(NOW);
            let logged: Vec<LogEntry<'_>> = events
                .iter()
                .zip(batch)
                .map(|(event, body)| LogEntry { lane: keys::log_lane(&event.entity()), body })
                .collect();
            bytes += batch.iter().map(String::len).sum::<usize>();
            store.append(&logged, received_at, &format!("bench{number}"), &usage).await.unwrap();
        }
    }
    bytes
}

fn later() -> Timestamp {
    NOW.plus(DAY)
}

/// Reads and decodes all lanes, one after the other; returns events and seconds, and the seconds of folding alone.
async fn read_and_fold(replay: &Replay, fold: bool) -> (usize, f64, f64) {
    let (started, mut count, mut folding_time) = (Instant::now(), 0, Duration::ZERO);
    let mut tally = Tally::default();
    let from = replay.beginning().await.unwrap().start();
    for lane in keys::log_lanes() {
        let mut folding = EntityFold::new(Slice::ALL);
        let mut pages = replay.read(LogSpan { lane, from, before: None, last: later().hour() });
        while let Some(page) = pages.recv().await {
            for item in page.unwrap() {
                let events = known(&item, &mut tally);
                count += events.len();
                if fold {
                    let began = Instant::now();
                    events.into_iter().for_each(|event| folding.add(event));
                    folding_time += began.elapsed();
                }
            }
        }
    }
    assert_eq!(tally, Tally::default());
    (count, started.elapsed().as_secs_f64(), folding_time.as_secs_f64())
}

/// The same events through consumers, as many at once as are fastest here; events a second.
async fn consume(consumers: usize, count: usize) -> f64 {
    let serving = ServedStore::start().await;
    let events: Vec<String> = chunks(count).flatten().collect();
    let batches: Vec<Vec<String>> = events.chunks(BATCH).map(<[String]>::to_vec).collect();
    let next = std::sync::atomic::AtomicUsize::new(0);
    let started = Instant::now();
    let work = (0..consumers).map(|_| async {
        let consumer = Consumer::new(serving.store(), || NOW);
        while let Some(batch) = batches.get(next.fetch_add(1, std::sync::atomic::Ordering::Relaxed)) {
            let usage = Usage::default();
            let deadline = Instant::now() + Duration::from_secs(300);
            let outcome = consumer.consume(&messages(batch), deadline, &usage).await;
            assert_eq!(outcome.failed, Vec::<String>::new());
        }
    });
    futures::future::join_all(work).await;
    count as f64 / started.elapsed().as_secs_f64()
}

/// What was measured of a rebuild.
struct RebuildFigures {
    events: usize,
    read: f64,
    folded: f64,
    made: f64,
    rebuilt: f64,
    /// Items a second that the store takes from a client that does nothing else.
    raw: f64,
    verified: Option<f64>,
    tally: Tally,
    memory: (f64, f64),
}

impl RebuildFigures {
    fn rate(&self, seconds: f64) -> f64 {
        self.events as f64 / seconds
    }

    fn units(&self) -> f64 {
        self.tally.write_halves as f64 / 2.0
    }

    fn stages(&self, workers: usize) -> Table {
        let note = format!(
            "All but the rebuild on one core; that with {workers} workers. Of its time, the store alone takes {:.0} %: it \
             accepts {:.0} items a second from a client that does nothing but put items of that size.",
            100.0 * self.tally.items as f64 / self.raw / self.rebuilt,
            self.raw
        );
        let mut table = Table::new("Stages", note, &["stage", "seconds", "events a second"]);
        for (stage, seconds) in [
            ("read and decode alone", self.read),
            ("fold alone", self.folded),
            ("read, fold and make every item, without writing any", self.made),
            ("the whole rebuild: read, fold, write", self.rebuilt),
        ]
        .into_iter()
        .chain(self.verified.map(|seconds| ("verify: read, fold, compare with every item", seconds)))
        {
            let rate = format!("{:.0}", self.rate(seconds));
            table.rows.push(vec![stage.to_owned(), short(seconds), rate]);
        }
        table
    }

    fn costs(&self) -> Table {
        let columns =
            ["items", "items an event", "write units", "write units an event", "MiB before", "peak MiB"];
        let note = "VmHWM of the process that rebuilds, without the store.";
        let mut table = Table::new("What it writes and takes", note, &columns);
        let (items, units, events) = (self.tally.items as f64, self.units(), self.events as f64);
        let (before, peak) = (self.memory.0 / 1024.0, self.memory.1 / 1024.0);
        let numbers = [items, items / events, units, units / events, before, peak];
        table.rows.push(numbers.map(short).to_vec());
        table
    }

    fn targets(&self, consumer: f64) -> Vec<BenchTarget> {
        let target = |what: &str, met: bool, found: f64| {
            let (what, found) = (what.to_owned(), short(found));
            BenchTarget { what, met, found }
        };
        let (rate, fold) = (self.rate(self.rebuilt), self.rate(self.folded));
        let an_event = self.units() / self.events as f64;
        vec![
            target("fold: 500,000 events a second a core", fold >= 500_000.0, fold.round()),
            target(
                "the whole rebuild is 10 times faster than the consumer",
                rate / consumer >= 10.0,
                rate / consumer,
            ),
            target("less than one write unit an event", an_event < 1.0, an_event),
            target(
                "more than the 11,000 events a second that Marten publishes for one projection (its own machine, PostgreSQL; \
                 here all projections at once)",
                rate > MARTEN.0,
                rate.round(),
            ),
            target(
                "more than the 38,000 event applications a second that it publishes over eight projections (here nine, counted \
                 alike: events times projections)",
                rate * PROJECTIONS > MARTEN.1,
                (rate * PROJECTIONS).round(),
            ),
        ]
    }
}

async fn measure(arguments: &Arguments) -> RebuildFigures {
    let serving = ServedStore::start().await;
    let (events, filled) = (arguments.events, Instant::now());
    let bytes = fill(&serving.store(), events).await;
    println!(
        "rebuilding; log filled in {:.0} s: {} MB of text",
        filled.elapsed().as_secs_f64(),
        bytes / 1_000_000
    );
    let replay = Replay { settle: Duration::ZERO, ..Replay::new(serving.store(), later) };
    let (count, read, _) = read_and_fold(&replay, false).await;
    assert_eq!(count, events);
    let (_, _, folded) = read_and_fold(&replay, true).await;

    let started = Instant::now();
    build_in_memory(&replay, Lanes::DEFAULT, |items| assert!(!items.is_empty())).await.unwrap();
    let made = started.elapsed().as_secs_f64();
    let raw = serving.raw_speed(RAW_ITEMS, ITEM_BYTES).await;

    std::fs::write("/proc/self/clear_refs", "5").unwrap();
    let (before, started) = (peak_kilobytes(), Instant::now());
    let generation = Generation { name: "g2".to_owned(), lanes: Lanes::DEFAULT };
    replay.begin(&generation).await.unwrap();
    let built = replay.build("g2", arguments.workers, &StopSignal::default()).await.unwrap();
    let BuildOutcome::Finished(tally) = built else { panic!("not built") };
    let (rebuilt, memory) = (started.elapsed().as_secs_f64(), (before, peak_kilobytes()));
    assert_eq!(tally.events, events as u64);

    let started = Instant::now();
    let (expected, nothing) = (Expected::Log(generation.lanes), || async { Ok(()) });
    // Of a large table the embedded store needs longer for a page than a call may take; then there is no figure.
    let verified = match replay.compare(expected, &generation, Duration::ZERO, nothing).await {
        Ok(compared) => {
            assert!(compared.is_equal(), "{:?}", compared.differences.first());
            Some(started.elapsed().as_secs_f64())
        }
        Err(error) => {
            println!("not verified: {error}");
            None
        }
    };
    RebuildFigures { events, read, folded, made, rebuilt, raw, verified, tally, memory }
}

#[tokio::main]
async fn main() {
    let arguments = Arguments::parse();
    if let Some(port) = arguments.store {
        return serve(port).await;
    }
    let about = format!(
        "How fast a log of {} events of the realistic mix is rebuilt into the embedded store, which runs in a process of \
         its own on the same two cores and takes writes one at a time. Times are of this machine and this store, for \
         comparison only; write units as the store reports them, by DynamoDB's rules.",
        arguments.events
    );
    let mut report = BenchReport::new("replay", about);
    let measured = measure(&arguments).await;
    report.add(measured.stages(arguments.workers));
    report.add(measured.costs());
    let consumed = arguments.consumed;
    let note = format!(
        "The first {consumed} of these events in batches of {BATCH}, into an empty store of the same kind."
    );
    let columns = ["consumers", "events a second", "the rebuild is faster by"];
    let mut table = Table::new("The consumer on the same events", note, &columns);
    let mut fastest = 0.0_f64;
    for consumers in [1, 4] {
        let speed = consume(consumers, consumed).await;
        fastest = fastest.max(speed);
        let times = short(measured.rate(measured.rebuilt) / speed);
        table.rows.push(vec![consumers.to_string(), format!("{speed:.0}"), times]);
    }
    report.add(table);
    report.targets = measured.targets(fastest);
    report.finish();
}
