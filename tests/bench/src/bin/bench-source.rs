//! `cargo bench-source`: how fast a backfill turns the platform's rows in PostgreSQL into the log of an empty
//! installation, and that log into projections that are live.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::as_conversions,
    clippy::print_stdout,
    reason = "a benchmark stops at the first surprise and talks to its user"
)]

use clap::Parser;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;
use tokio::time::Instant;
use torale_bench::report::{BenchReport, BenchTarget, Table, root};
use torale_bench::serving::{
    ServedStore, cpu_seconds, cpu_seconds_if_running, cpu_seconds_of_ended_children, serve,
};
use torale_bench::short;
use torale_domain::storage::item::Item;
use torale_domain::storage::keys::EVENTS_TABLE;
use torale_platform::clock;
use torale_platform::store::{Store, Usage};
use torale_replay::{Replay, StopSignal};
use torale_simulated_platform::postgres::{PostgresServer, TABLES};
use torale_source::backfill::{self, BackfillMeter, BackfillOutcome, BackfillProgress, BackfillSink};
use torale_source::generation::build_and_promote;
use torale_source_outbox::connect::SourceDatabase;

/// Backfills executions of 5 tasks of each of 1,000 users.
#[derive(Debug, Parser)]
#[command(name = "cargo bench-source", bin_name = "cargo bench-source")]
struct Arguments {
    /// Executions in the platform's table
    #[arg(long, default_value_t = 1_000_000)]
    executions: u32,
    /// Serve a store on this port, and do nothing else
    #[arg(long, hide = true)]
    store: Option<u16>,
}

const DATABASE: &str = "platform";
const SCHEMA: &str = "torale_admin_source";
/// The promise of issue 21: a million executions are in the log within this many seconds, on two cores.
const TARGET: f64 = 180.0;
/// How long the log rests before it is built. Nothing else writes here.
const SETTLE: Duration = Duration::from_secs(1);
/// How often it is waited for: before building, catching up and cutting over.
const WAITS: f64 = 3.0;
/// Items and their size for measuring the store alone.
const RAW_ITEMS: usize = 100_000;
const ITEM_BYTES: usize = 180;

/// Users, tasks and executions by `generate_series`. Of thirteen executions one has failed and one is running; about a
/// third of the others have met their condition.
const ROWS: &str = "
INSERT INTO users (clerk_user_id, email, created_at, updated_at)
SELECT 'user_' || n, 'user' || n || '@example.org', at, at
FROM generate_series(1, 1000) n, (SELECT now() - interval '400 days') AS time (at);
INSERT INTO tasks (user_id, name, schedule, search_query, created_at)
SELECT id, 'task ' || n, '0 9 * * *', 'query ' || row_number() OVER () % 2000, now() - interval '390 days'
FROM users, generate_series(1, 5) n;
INSERT INTO task_executions (task_id, status, started_at, completed_at, created_at, notification, error_message,
  retry_count)
SELECT id, status, at, CASE WHEN status <> 'running' THEN at + interval '4 seconds' END, at,
  CASE WHEN status = 'success' AND n % 3 = 0 THEN 'It has changed.' END,
  CASE WHEN status = 'failed' THEN 'RateLimitError: the search engine allows no more searches' END,
  CASE WHEN status = 'failed' THEN 2 ELSE 0 END
FROM generate_series(0, EXECUTIONS - 1) n
JOIN (SELECT id, row_number() OVER (ORDER BY id) - 1 AS number FROM tasks) task ON number = n % 5000,
  LATERAL (SELECT CASE WHEN n % 13 = 0 THEN 'failed' WHEN n % 13 = 1 THEN 'running' ELSE 'success' END) AS s (status),
  LATERAL (SELECT now() - interval '1 second' * (n * 31536000.0 / EXECUTIONS)) AS time (at);
ANALYZE;";

/// A PostgreSQL of its own with the platform's rows, and the source installed after them.
struct Platform {
    server: PostgresServer,
    folder: PathBuf,
}

impl Platform {
    fn start(executions: u32) -> Self {
        let bin = PostgresServer::programs().unwrap_or_else(|| panic!("PostgreSQL is not installed"));
        let folder = std::env::temp_dir().join(format!("torale-bench-postgres-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let server = PostgresServer::start(&bin, &folder, "").unwrap();
        let this = Self { server, folder };
        this.psql("postgres", &["-c", &format!("CREATE DATABASE {DATABASE}")]);
        this.psql(DATABASE, &["-c", TABLES]);
        this.psql(DATABASE, &["-c", &ROWS.replace("EXECUTIONS", &executions.to_string())]);
        let install = root().join("sources/postgres/install.sql");
        this.psql(DATABASE, &["-f", &install.to_string_lossy()]);
        this
    }

    fn psql(&self, database: &str, arguments: &[&str]) {
        let output = self.server.psql(database).args(arguments).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }

    fn source(&self) -> SourceDatabase {
        SourceDatabase::new(&self.server.url(DATABASE), None, SCHEMA).unwrap()
    }

    /// Seconds of processor time of the server's processes, those that have ended included.
    fn cpu_seconds(&self) -> f64 {
        let pid = std::fs::read_to_string(self.folder.join("data/postmaster.pid")).unwrap();
        let postmaster = pid.lines().next().unwrap().to_owned();
        let children = Command::new("pgrep").args(["-P", &postmaster]).output().unwrap().stdout;
        let children = String::from_utf8(children).unwrap();
        // One that has ended meanwhile is among those that have.
        let running = children.lines().chain([postmaster.as_str()]);
        let running = running.filter_map(|pid| cpu_seconds_if_running(pid.parse().unwrap()));
        running.sum::<f64>() + cpu_seconds_of_ended_children(postmaster.parse().unwrap())
    }
}

/// Time by the clock, and processor time by whom it was used.
struct Stage {
    name: &'static str,
    seconds: f64,
    command: f64,
    postgres: f64,
    store: f64,
}

/// Measures stages over the same platform and store.
struct Measuring<'a> {
    platform: &'a Platform,
    store: &'a ServedStore,
    stages: Vec<Stage>,
}

impl Measuring<'_> {
    fn used(&self) -> [f64; 3] {
        [cpu_seconds(std::process::id()), self.platform.cpu_seconds(), self.store.cpu_seconds()]
    }

    async fn stage<T>(&mut self, name: &'static str, work: impl Future<Output = T>) -> T {
        let (before, started) = (self.used(), Instant::now());
        let done = work.await;
        let seconds = started.elapsed().as_secs_f64();
        let [command, postgres, store] = [0, 1, 2].map(|n| self.used()[n] - before[n]);
        println!("{name}: {seconds:.1} s");
        self.stages.push(Stage { name, seconds, command, postgres: postgres.max(0.0), store });
        done
    }

    fn seconds(&self, name: &str) -> f64 {
        self.stages.iter().find(|stage| stage.name == name).unwrap().seconds
    }

    fn table(&self, rows: u64) -> Table {
        let columns = ["stage", "seconds", "rows a second", "CPU: command", "PostgreSQL", "store"];
        let note = format!(
            "By the clock, and seconds of processor time of the three processes. The machine's load (one minute) was {} at \
             the end.",
            std::fs::read_to_string("/proc/loadavg").unwrap().split(' ').next().unwrap()
        );
        let mut table = Table::new("Stages", note, &columns);
        for Stage { name, seconds, command, postgres, store } in &self.stages {
            let rate = format!("{:.0}", rows as f64 / seconds);
            let used = [*command, *postgres, *store].map(short);
            table.rows.push([vec![(*name).to_owned(), short(*seconds), rate], used.to_vec()].concat());
        }
        table
    }
}

async fn run_backfill(source: &SourceDatabase, sink: &BackfillSink) -> (u64, u64) {
    let (mut progress, meter) = (BackfillProgress::unsaved(), BackfillMeter::default());
    let outcome = backfill::run(source, sink, &mut progress, &meter, clock::system).await.unwrap();
    assert_eq!(outcome, BackfillOutcome::Finished);
    let tables = progress.tables().values();
    assert!(tables.clone().all(|table| table.problems.is_empty()));
    (tables.clone().map(|table| table.rows).sum(), tables.map(|table| table.events).sum())
}

/// All items of the log.
async fn log_items(store: &Store) -> Vec<Item> {
    let (mut all, mut after) = (Vec::new(), None);
    loop {
        let (items, next) =
            store.scan_page(EVENTS_TABLE, (0, 1), after.as_ref(), &Usage::default()).await.unwrap();
        all.extend(items);
        match next {
            Some(next) => after = Some(next),
            None => return all,
        }
    }
}

const DRY: &str = "dry run: read, make and check the events";
const LOG: &str = "into the log";
const PUTS: &str = "of that, the store: putting the same items, nothing else";
const BUILD: &str = "the generation, built and live";

async fn measure(arguments: &Arguments, report: &mut BenchReport) {
    let filling = Instant::now();
    let platform = Platform::start(arguments.executions);
    println!("the platform's tables are filled: {:.0} s", filling.elapsed().as_secs_f64());
    let serving = ServedStore::start().await;
    let mut measuring = Measuring { platform: &platform, store: &serving, stages: Vec::new() };
    let source = platform.source();

    let (rows, events) = measuring.stage(DRY, run_backfill(&source, &BackfillSink::Nowhere)).await;
    let replay = Replay { settle: SETTLE, ..Replay::new(serving.store(), clock::system) };
    replay.begin_import("bench").await.unwrap();
    let sink = BackfillSink::Log(replay.clone());
    assert_eq!(measuring.stage(LOG, run_backfill(&source, &sink)).await, (rows, events));

    let items = log_items(&serving.store()).await;
    let (count, bytes) = (items.len(), items.iter().map(Item::size).sum::<usize>());
    let other = ServedStore::start().await;
    let usage = Usage::default();
    let mut alone = Measuring { platform: &platform, store: &other, stages: Vec::new() };
    alone.stage(PUTS, async { other.store().insert_all(EVENTS_TABLE, items, &usage).await.unwrap() }).await;
    measuring.stages.append(&mut alone.stages);
    drop(other);

    let never = StopSignal::default();
    let mut progress = BackfillProgress::unsaved();
    let tally =
        measuring.stage(BUILD, build_and_promote(&replay, &mut progress, &never)).await.unwrap().unwrap();
    assert_eq!(tally.events, events);
    let raw = serving.raw_speed(RAW_ITEMS, ITEM_BYTES).await;

    report.add(measuring.table(rows));
    let (seconds, built) = (measuring.seconds(LOG), measuring.seconds(BUILD) - WAITS * SETTLE.as_secs_f64());
    let note = format!(
        "The store takes {raw:.0} items a second from a client that does nothing else: {:.0} % of the time of the generation.",
        100.0 * tally.items as f64 / raw / built
    );
    let columns = ["rows", "events", "items of the log", "MB of the log", "items of the generation"];
    let mut table = Table::new("What was written", note, &columns);
    let megabytes = short(bytes as f64 / 1e6);
    table.rows.push(vec![
        rows.to_string(),
        events.to_string(),
        count.to_string(),
        megabytes,
        tally.items.to_string(),
    ]);
    report.add(table);
    let what = "a million executions are in the log in less than 180 seconds, on two cores".to_owned();
    let for_a_million = seconds * 1e6 / f64::from(arguments.executions);
    report.targets = vec![BenchTarget { what, met: for_a_million < TARGET, found: short(for_a_million) }];
}

#[tokio::main]
async fn main() {
    let arguments = Arguments::parse();
    if let Some(port) = arguments.store {
        return serve(port).await;
    }
    let about = format!(
        "How fast a backfill turns {} executions of 5,000 tasks of 1,000 users in a PostgreSQL into the log of an empty \
         installation, and that log into a generation that is live. PostgreSQL, the embedded store and the command are \
         processes on the same two cores; the store takes writes one at a time.",
        arguments.executions
    );
    let mut report = BenchReport::new("source", about);
    measure(&arguments, &mut report).await;
    report.finish();
}
