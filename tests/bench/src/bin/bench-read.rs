//! `cargo bench-read`: what each endpoint costs at 10 thousand, 100 thousand and a million executions.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::as_conversions,
    clippy::print_stdout,
    reason = "a benchmark stops at the first surprise, computes with rounded numbers and talks to its user"
)]

use clap::Parser;
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
use torale_testkit::request::{TestedEndpoint, reading};
use torale_testkit::stack::{ADMIN_KEY, InstanceBuilder};

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
/// A list that is paged: its name in the report, its endpoint, and the parameters besides page and limit.
type PagedList = (&'static str, TestedEndpoint, &'static str);

fn paged() -> [PagedList; 7] {
    [
        ("queries", reading::<queries::Queries>(), ""),
        ("executions", reading::<executions::Executions>(), "hours=720&"),
        ("executions, status=failed", reading::<executions::Executions>(), "hours=720&status=failed&"),
        ("temporal/workflows", reading::<temporal_workflows::Workflows>(), ""),
        ("temporal/schedules", reading::<temporal_schedules::Schedules>(), ""),
        ("errors", reading::<errors::Errors>(), "hours=720&"),
        ("users", reading::<users::Users>(), ""),
    ]
}

/// An instance over one store, with what authentication costs there.
struct MeasuredInstance {
    app: App,
    authentication: Cost,
}

/// One request, measured.
struct MeasuredRequest {
    after: Cost,
    all: Cost,
    body: String,
}

impl MeasuredInstance {
    async fn over(stack: &BenchStack) -> Self {
        let app = InstanceBuilder::over(stack.store()).start();
        let authentication = cost::around_handlers(&app).await;
        Self { app, authentication }
    }

    /// The body of a good answer.
    async fn body(&self, endpoint: &TestedEndpoint, query: &str) -> String {
        endpoint.request(query).send(&self.app).await.with_status(200).text
    }

    async fn measure(&self, endpoint: &TestedEndpoint, query: &str) -> MeasuredRequest {
        let body = self.body(endpoint, query).await;
        let all = cost::last();
        let Cost { trips, units, written } = self.authentication;
        let after =
            Cost { trips: all.trips - trips, units: all.units - units, written: all.written - written };
        MeasuredRequest { after, all, body }
    }

    /// Milliseconds of some calls, sorted.
    async fn times(&self, endpoint: &TestedEndpoint, query: &str, calls: usize) -> Vec<f64> {
        let mut times = Vec::new();
        for _ in 0..calls {
            let started = Instant::now();
            self.body(endpoint, query).await;
            times.push(started.elapsed().as_secs_f64() * 1000.0);
        }
        times.sort_by(f64::total_cmp);
        times
    }
}

/// After authentication, by endpoint: trips and units of every page that was measured, and which page.
type CostsByEndpoint = BTreeMap<String, Vec<(u64, Cost)>>;

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

async fn measure(size: u64, arguments: &Arguments, found: &mut CostsByEndpoint) -> (Table, Table) {
    let world = BenchWorld::of(size);
    let started = Instant::now();
    let stack = BenchStack::with(&world, Lanes::new(arguments.lanes).unwrap()).await;
    let filled = started.elapsed().as_secs();
    let instance = MeasuredInstance::over(&stack).await;
    let BenchWorld { users, tasks, queries, .. } = world;
    let note = format!(
        "{users} users, {tasks} tasks with a schedule each, at most {queries} queries, one workflow run an execution, \
         30 days that end at {NOW}; filled in {filled} s. Authentication, limit and audit record together add {} round trips, \
         {} read units and {} write units to a request.",
        instance.authentication.trips,
        short(instance.authentication.units),
        short(instance.authentication.written)
    );
    let mut table = Table::new(format!("{size} executions"), note, &COLUMNS);
    let mut deep = Table::new(
        format!("{size} executions: 20 pages spread evenly from the second to the last full one"),
        "After authentication; shows that the page at 90% is typical.",
        &["endpoint", "pages", "least units", "greatest units", "at page", "greatest round trips"],
    );
    let stats = ("stats", reading::<stats::Stats>(), "");
    one(&instance, size, &stats, 1, (arguments, found, &mut table)).await;
    for list in paged() {
        let first = one(&instance, size, &list, 1, (arguments, found, &mut table)).await;
        let total = serde_json::from_str::<Value>(&first).unwrap()["total"].as_u64().unwrap();
        let page = (total * 9 / 10).div_ceil(LIMIT).max(2);
        one(&instance, size, &list, page, (arguments, found, &mut table)).await;
        let costs = spread(&instance, &list, total / LIMIT).await;
        deep.rows.push(spread_row(list.0, total / LIMIT, &costs));
        found.entry(list.0.to_owned()).or_default().extend(costs);
    }
    (table, deep)
}

/// Measures one page and returns its answer.
async fn one(
    instance: &MeasuredInstance,
    size: u64,
    (name, endpoint, query): &PagedList,
    page: u64,
    (arguments, found, table): (&Arguments, &mut CostsByEndpoint, &mut Table),
) -> String {
    let query = format!("{query}page={page}&limit={LIMIT}");
    let MeasuredRequest { after, all, body } = instance.measure(endpoint, &query).await;
    let times = instance.times(endpoint, &query, arguments.calls).await;
    found.entry((*name).to_owned()).or_default().push((page, after));
    table.rows.push(vec![
        size.to_string(),
        (*name).to_owned(),
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
async fn spread(
    instance: &MeasuredInstance,
    (_, endpoint, query): &PagedList,
    last: u64,
) -> Vec<(u64, Cost)> {
    let mut costs = Vec::new();
    for step in 0..20 {
        let page = 2 + (last.saturating_sub(2)) * step / 19;
        let query = format!("{query}page={page}&limit={LIMIT}");
        costs.push((page, instance.measure(endpoint, &query).await.after));
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

fn targets(found: &CostsByEndpoint) -> Vec<BenchTarget> {
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
    let mut found = CostsByEndpoint::new();
    for size in &arguments.sizes {
        let (table, deep) = measure(*size, &arguments, &mut found).await;
        report.add(table);
        report.add(deep);
    }
    report.targets = targets(&found);
    memory(&mut report, Lanes::new(arguments.lanes).unwrap(), arguments.built).await;
    report.finish();
}
