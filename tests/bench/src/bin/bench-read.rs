//! `cargo bench-read`: what each endpoint costs at 10 thousand, 100 thousand and a million executions.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::as_conversions,
    clippy::print_stdout,
    reason = "a benchmark stops at the first surprise, computes with rounded numbers and talks to its user"
)]

use clap::Parser;
use lambda_http::http::{Method, Request};
use lambda_http::{Body, Response};
use serde_json::Value;
use std::collections::BTreeMap;
use tokio::time::Instant;
use torale_bench::cost::{self, Cost};
use torale_bench::lambda::{self, Lambdas};
use torale_bench::report::{BenchReport, BenchTarget, Table};
use torale_bench::stack::BenchStack;
use torale_bench::world::BenchWorld;
use torale_bench::{NOW, percentile, short};
use torale_domain::storage::keys::Lanes;
use torale_platform::clock;
use torale_platform::serve::App;
use torale_tests::stack::{ADMIN_KEY, LIMITS, answer, keys_only, temporal_ui, text};

#[derive(Parser)]
struct Arguments {
    /// Executions in the store.
    #[arg(long, value_delimiter = ',', default_value = "10000,100000,1000000")]
    sizes: Vec<u64>,
    /// Timed calls of each page.
    #[arg(long, default_value_t = 30)]
    calls: usize,
    /// Lanes of the generation.
    #[arg(long, default_value_t = Lanes::DEFAULT.count())]
    lanes: u32,
    /// Take the function binaries in target/fast as they are.
    #[arg(long)]
    built: bool,
}

const LIMIT: u64 = 50;
const PAGED: [(&str, &str, &str); 7] = [
    ("queries", "/admin/queries", ""),
    ("executions", "/admin/executions", "hours=720&"),
    ("executions, status=failed", "/admin/executions", "hours=720&status=failed&"),
    ("temporal/workflows", "/admin/temporal/workflows", ""),
    ("temporal/schedules", "/admin/temporal/schedules", ""),
    ("errors", "/admin/errors", "hours=720&"),
    ("users", "/admin/users", ""),
];

/// The endpoints over one store.
struct Asked {
    app: App,
    authentication: Cost,
}

/// One request, measured.
struct Measured {
    after: Cost,
    all: Cost,
    body: String,
}

fn request(path: &str, query: &str) -> Request<Body> {
    let request = Request::builder().method(Method::GET).uri(format!("https://localhost{path}?{query}"));
    request.header("authorization", format!("Bearer {ADMIN_KEY}")).body(Body::Empty).unwrap()
}

fn good(response: Response<Body>) -> String {
    assert_eq!(response.status().as_u16(), 200, "{response:?}");
    text(response)
}

impl Asked {
    async fn over(stack: &BenchStack) -> Self {
        let app = App::new(stack.store(), keys_only(), LIMITS, temporal_ui(), || NOW);
        let authentication = cost::around_handlers(&app).await;
        Self { app, authentication }
    }

    async fn get(&self, path: &str, query: &str) -> Measured {
        let body = good(answer(&self.app, request(path, query)).await);
        let all = cost::last();
        let Cost { trips, units, written } = self.authentication;
        let after =
            Cost { trips: all.trips - trips, units: all.units - units, written: all.written - written };
        Measured { after, all, body }
    }

    /// Milliseconds of some calls, sorted.
    async fn times(&self, path: &str, query: &str, calls: usize) -> Vec<f64> {
        let mut times = Vec::new();
        for _ in 0..calls {
            let started = Instant::now();
            good(answer(&self.app, request(path, query)).await);
            times.push(started.elapsed().as_secs_f64() * 1000.0);
        }
        times.sort_by(f64::total_cmp);
        times
    }
}

/// After authentication, by endpoint: trips and units of every page that was measured, and which page.
type Found = BTreeMap<String, Vec<(u64, Cost)>>;

const COLUMNS: [&str; 10] = [
    "executions stored",
    "endpoint",
    "page",
    "round trips after authentication",
    "round trips in all",
    "read units after authentication",
    "read units in all",
    "bytes",
    "median ms",
    "p95 ms",
];

async fn measure(size: u64, arguments: &Arguments, found: &mut Found) -> (Table, Table) {
    let world = BenchWorld::of(size);
    let started = Instant::now();
    let stack = BenchStack::with(&world, Lanes::new(arguments.lanes).unwrap()).await;
    let filled = started.elapsed().as_secs();
    let asked = Asked::over(&stack).await;
    let BenchWorld { users, tasks, queries, .. } = world;
    let note = format!(
        "{users} users, {tasks} tasks with a schedule each, at most {queries} queries, one workflow run an execution, \
         30 days that end at {NOW}; filled in {filled} s. Authentication, limit and audit record together add {} round trips, \
         {} read units and {} write units to a request.",
        asked.authentication.trips,
        short(asked.authentication.units),
        short(asked.authentication.written)
    );
    let mut table = Table::new(format!("{size} executions"), note, &COLUMNS);
    let mut deep = Table::new(
        format!("{size} executions: 20 pages spread evenly from the second to the last full one"),
        "After authentication; shows that the page at 90% is typical.",
        &["endpoint", "pages", "least units", "greatest units", "at page", "greatest round trips"],
    );
    one(&asked, size, ("stats", "/admin/stats", ""), 1, (arguments, found, &mut table)).await;
    for (name, path, query) in PAGED {
        let first = one(&asked, size, (name, path, query), 1, (arguments, found, &mut table)).await;
        let total = serde_json::from_str::<Value>(&first).unwrap()["total"].as_u64().unwrap();
        let page = (total * 9 / 10).div_ceil(LIMIT).max(2);
        one(&asked, size, (name, path, query), page, (arguments, found, &mut table)).await;
        let costs = spread(&asked, (path, query), total / LIMIT).await;
        deep.rows.push(spread_row(name, total / LIMIT, &costs));
        found.entry(name.to_owned()).or_default().extend(costs);
    }
    (table, deep)
}

/// Measures one page and returns its answer.
async fn one(
    asked: &Asked,
    size: u64,
    (name, path, query): (&str, &str, &str),
    page: u64,
    (arguments, found, table): (&Arguments, &mut Found, &mut Table),
) -> String {
    let query = format!("{query}page={page}&limit={LIMIT}");
    let Measured { after, all, body } = asked.get(path, &query).await;
    let times = asked.times(path, &query, arguments.calls).await;
    found.entry(name.to_owned()).or_default().push((page, after));
    table.rows.push(vec![
        size.to_string(),
        name.to_owned(),
        page.to_string(),
        after.trips.to_string(),
        all.trips.to_string(),
        short(after.units),
        short(all.units),
        body.len().to_string(),
        short(percentile(&times, 0.5)),
        short(percentile(&times, 0.95)),
    ]);
    body
}

/// What 20 pages cost, the cheapest first.
async fn spread(asked: &Asked, (path, query): (&str, &str), last: u64) -> Vec<(u64, Cost)> {
    let mut costs = Vec::new();
    for step in 0..20 {
        let page = 2 + (last.saturating_sub(2)) * step / 19;
        costs.push((page, asked.get(path, &format!("{query}page={page}&limit={LIMIT}")).await.after));
    }
    costs.sort_by(|a, b| a.1.units.total_cmp(&b.1.units));
    costs
}

fn spread_row(name: &str, pages: u64, costs: &[(u64, Cost)]) -> Vec<String> {
    let (least, greatest) = (costs[0], costs[costs.len() - 1]);
    let trips = costs.iter().map(|(_, cost)| cost.trips).max().unwrap();
    let cells = [pages.to_string(), short(least.1.units), short(greatest.1.units), greatest.0.to_string()];
    [name.to_owned()].into_iter().chain(cells).chain([trips.to_string()]).collect()
}

fn targets(found: &Found) -> Vec<BenchTarget> {
    let mut targets = Vec::new();
    for (name, pages) in found {
        let worst = |first: bool| {
            pages.iter().filter(|(page, _)| (*page == 1) == first).map(|(_, cost)| cost.trips).max()
        };
        let (first, deep) = (worst(true).unwrap_or(0), worst(false).unwrap_or(0));
        targets.push(BenchTarget {
            what: format!("{name}: at most 3 round trips after authentication for page 1, 5 for others"),
            met: first <= 3 && deep <= 5,
            found: format!("{first} and {deep}"),
        });
        let units = pages.iter().map(|(_, cost)| cost.units);
        let (most, least) = (units.clone().fold(0.0, f64::max), units.fold(f64::MAX, f64::min));
        let limit = if name == "stats" { 40.0 } else { 100.0 };
        targets.push(BenchTarget {
            what: format!(
                "{name}: at most {limit} read units after authentication, whatever the size and the page"
            ),
            met: most <= limit,
            found: short(most),
        });
        targets.push(BenchTarget {
            what: format!(
                "{name}: read units within a factor of 2 over all sizes and all pages that were measured"
            ),
            met: most <= 2.0 * least,
            found: format!("{} to {}, a factor of {}", short(least), short(most), short(most / least)),
        });
    }
    targets
}

const FUNCTIONS: [(&str, &str, &str); 9] = [
    ("stats", "/admin/stats", ""),
    ("queries", "/admin/queries", "limit=100"),
    ("executions", "/admin/executions", "limit=100&hours=720"),
    ("executions", "/admin/executions", "limit=100&hours=8760"),
    ("temporal-workflows", "/admin/temporal/workflows", "limit=100"),
    ("temporal-schedules", "/admin/temporal/schedules", "limit=100"),
    ("temporal-schedules", "/admin/temporal/schedules", ""),
    ("errors", "/admin/errors", "limit=100&hours=720"),
    ("users", "/admin/users", "limit=100"),
];

/// Each function as a process of its own. It reads the real clock, so this history ends now.
async fn memory(report: &mut BenchReport, lanes: Lanes, built: bool) {
    if !built {
        lambda::build(&FUNCTIONS.map(|(function, ..)| function));
    }
    let world = BenchWorld::new(100_000, 4.0, clock::system());
    let stack = BenchStack::with(&world, lanes).await;
    let lambdas = Lambdas::start(stack.port).await;
    let note = format!(
        "The function binaries (release build), 50 requests each; {} executions, {} users, {} tasks. VmHWM of the process. A 503 means that this machine's store took longer than 2 s for a call.",
        world.executions, world.users, world.tasks
    );
    let columns = [
        "function",
        "query",
        "answered with 200",
        "bytes of an answer",
        "MiB before the first request",
        "peak MiB",
    ];
    let mut table = Table::new("Memory", note, &columns);
    let mut most = (0.0, String::new());
    for (function, path, query) in FUNCTIONS {
        let ran = lambdas.run(function, &vec![lambda::request(path, query, ADMIN_KEY); 50]).await;
        let answers = ran.answers.iter().map(|answer| serde_json::from_slice::<Value>(answer).unwrap());
        let good: Vec<_> = answers.filter(|answer| answer["statusCode"] == 200).collect();
        let bytes = good.first().and_then(|answer| answer["body"].as_str()).map_or(0, str::len);
        let (idle, peak) = (short(ran.idle), short(ran.peak));
        table.rows.push(vec![
            function.to_owned(),
            query.to_owned(),
            good.len().to_string(),
            bytes.to_string(),
            idle,
            peak,
        ]);
        if ran.peak > most.0 {
            most = (ran.peak, format!("{} MiB, {function} with `{query}`", short(ran.peak)));
        }
    }
    report.add(table);
    let what = "every reader fits into 128 MiB".to_owned();
    report.targets.push(BenchTarget { what, met: most.0 <= 128.0, found: most.1 });
}

#[tokio::main]
async fn main() {
    let arguments = Arguments::parse();
    cost::listen();
    let about = "What a request costs over the embedded store (dynoxide, in memory, one process with the handlers; \
        units as it reports them, by DynamoDB's rules). Half of the executions begin in the first minute of an hour, \
        97% succeed, 3 error types. Times are of this machine and this store, for comparison only. \"In all\" counts what the store client reports as reads; the write of the rate limit is not among it.";
    let mut report = BenchReport::new("read", about);
    let mut found = Found::new();
    for size in &arguments.sizes {
        let (table, deep) = measure(*size, &arguments, &mut found).await;
        report.add(table);
        report.add(deep);
    }
    report.targets = targets(&found);
    memory(&mut report, Lanes::new(arguments.lanes).unwrap(), arguments.built).await;
    report.finish();
}
