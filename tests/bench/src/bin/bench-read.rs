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
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use tokio::runtime::{Builder, Runtime};
use tokio::time::{Duration, Instant};
use torale_bench::cases::{self, LIMIT, Limits, ReadCase};
use torale_bench::cost::{self, Cost};
use torale_bench::http::{self, HttpApi};
use torale_bench::lambda::{self, Lambdas};
use torale_bench::report::{BenchReport, BenchTarget, Table};
use torale_bench::serving::{BenchHistory, ServedHistory, serve_history};
use torale_bench::stack::counted_store;
use torale_bench::world::BenchWorld;
use torale_bench::{NOW, percentile, short};
use torale_domain::storage::keys::Lanes;
use torale_platform::clock;
use torale_platform::serve::App;
use torale_testkit::stack::{ADMIN_KEY, InstanceBuilder};

#[derive(Parser)]
struct Arguments {
    /// Executions in the store.
    #[arg(long, value_delimiter = ',', default_value = "10000,100000,1000000")]
    sizes: Vec<u64>,
    /// Executions that begin in one minute; 0 leaves this case out.
    #[arg(long, default_value_t = 30_000)]
    crowd: u64,
    /// Timed calls of each page.
    #[arg(long, default_value_t = 30)]
    calls: usize,
    /// Lanes of the generation.
    #[arg(long, default_value_t = Lanes::DEFAULT.count())]
    lanes: u32,
    /// Take the function binaries in target/fast as they are.
    #[arg(long)]
    built: bool,
    /// Executions in the store that the function binaries are measured over, by their memory and over HTTP.
    #[arg(long, default_value_t = 1_000_000)]
    served: u64,
    /// Another build's function binaries, measured over HTTP in turns with these.
    #[arg(long, value_name = "FOLDER")]
    against: Option<PathBuf>,
    /// Only the cases whose names begin with this text.
    #[arg(long, value_name = "TEXT", default_value = "")]
    only: String,
    /// Leave out the function binaries.
    #[arg(long)]
    no_functions: bool,
    /// Serve a store with this history, and do nothing else.
    #[arg(long, value_name = "JSON", exclusive = true)]
    history: Option<BenchHistory>,
}

/// The most time of a request over HTTP at the median, in milliseconds: of the statistics, of any page, and of all
/// schedules at once.
const HTTP_LIMITS: [f64; 3] = [5.0, 7.0, 80.0];

/// A run that is published has a store with so many executions.
const PUBLISHED: u64 = 1_000_000;

/// Between two requests over HTTP: an administrator is granted a thousand a minute.
const PAUSE: Duration = Duration::from_millis(120);

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
    store_bytes: u64,
}

/// The duration and the CPU time of some calls, in milliseconds.
struct Timing {
    /// Each duration, sorted.
    times: Vec<f64>,
    /// The median CPU time of the thread of the instance.
    cpu: f64,
}

impl MeasuredInstance {
    async fn over(store: &ServedHistory) -> Self {
        let app = InstanceBuilder::over(counted_store(store.port)).start();
        let authentication = cost::around_handlers(&app).await;
        Self { app, authentication }
    }

    /// The body of a good answer.
    async fn body(&self, case: &ReadCase, page: u64) -> String {
        case.request(page).send(&self.app).await.with_status(200).text
    }

    async fn measure(&self, case: &ReadCase, page: u64) -> MeasuredRequest {
        let bytes_before = cost::store_bytes();
        let body = self.body(case, page).await;
        let store_bytes = cost::store_bytes() - bytes_before;
        let all = cost::last();
        let Cost { trips, units, written } = self.authentication;
        let after =
            Cost { trips: all.trips - trips, units: all.units - units, written: all.written - written };
        MeasuredRequest { after, all, body, store_bytes }
    }

    async fn time(&self, case: &ReadCase, page: u64, calls: usize) -> Timing {
        let (mut times, mut cpu_times) = (Vec::new(), Vec::new());
        for _ in 0..calls {
            let (started, cpu_before) = (Instant::now(), cost::thread_cpu_ms());
            self.body(case, page).await;
            cpu_times.push(cost::thread_cpu_ms() - cpu_before);
            times.push(started.elapsed().as_secs_f64() * 1000.0);
        }
        times.sort_by(f64::total_cmp);
        cpu_times.sort_by(f64::total_cmp);
        Timing { times, cpu: percentile(&cpu_times, 0.5) }
    }
}

/// What was found of one case: what it may cost, and the cost of every page that was measured.
struct FoundCosts {
    limits: Limits,
    /// After authentication, by page.
    pages: Vec<(u64, Cost)>,
    /// The greatest CPU time of a request, in milliseconds.
    cpu: f64,
}

type CostsByCase = BTreeMap<String, FoundCosts>;

const COLUMNS: [&str; 12] = [
    "executions stored",
    "endpoint",
    "page",
    "round trips after authentication",
    "round trips in all",
    "read units after authentication",
    "read units in all",
    "bytes from the store",
    "bytes of the answer",
    "CPU ms",
    "median ms",
    "p95 ms",
];

/// A store, an instance over it, and where to note what is found.
struct Bench<'a> {
    arguments: &'a Arguments,
    world: &'a BenchWorld,
    instance: MeasuredInstance,
    table: Table,
    deep: Table,
}

impl<'a> Bench<'a> {
    /// `title` says what is stored.
    fn new(arguments: &'a Arguments, world: &'a BenchWorld, instance: MeasuredInstance, title: &str) -> Self {
        let BenchWorld { users, tasks, queries, .. } = world;
        let Cost { trips, units, written } = instance.authentication;
        let note = format!(
            "{users} users, {tasks} tasks with a schedule each, at most {queries} queries, one workflow run an \
             execution, 30 days that end at {NOW}. Authentication, limit and audit record together add {trips} \
             round trips, {} read units and {} write units to a request; their bytes and CPU time are included.",
            short(units),
            short(written)
        );
        let table = Table::new(title, note, &COLUMNS);
        let deep = Table::new(
            format!("{title}: 20 pages spread evenly from the second to the last full one"),
            "After authentication; shows that the page at 90% is typical.",
            &["endpoint", "pages", "least units", "greatest units", "at page", "greatest round trips"],
        );
        Self { arguments, world, instance, table, deep }
    }

    /// Measures some requests: of a list its first page, the one at 90%, and 20 others.
    async fn measure(mut self, cases: Vec<ReadCase>, found: &mut CostsByCase) -> [Table; 2] {
        for case in cases.into_iter().filter(|case| case.name.starts_with(&self.arguments.only)) {
            let first = self.one(&case, 1, found).await;
            let first = serde_json::from_str::<Value>(&first).unwrap();
            let total = first["total"].as_u64().filter(|_| case.paged).unwrap_or(0);
            let page = (total * 9 / 10).div_ceil(LIMIT);
            if page < 2 {
                continue;
            }
            self.one(&case, page, found).await;
            let costs = self.spread(&case, total / LIMIT).await;
            self.deep.rows.push(spread_row(case.name, total / LIMIT, &costs));
            found.get_mut(case.name).unwrap().pages.extend(costs);
        }
        [self.table, self.deep]
    }

    /// Measures one page and returns its answer.
    async fn one(&mut self, case: &ReadCase, page: u64, found: &mut CostsByCase) -> String {
        let MeasuredRequest { after, all, body, store_bytes } = self.instance.measure(case, page).await;
        let Timing { times, cpu } = self.instance.time(case, page, self.arguments.calls).await;
        let new = || FoundCosts { limits: case.limits, pages: Vec::new(), cpu: 0.0 };
        let costs = found.entry(case.name.to_owned()).or_insert_with(new);
        costs.pages.push((page, after));
        costs.cpu = costs.cpu.max(cpu);
        self.table.rows.push(vec![
            self.world.executions.to_string(),
            case.name.to_owned(),
            page.to_string(),
            after.trips.to_string(),
            all.trips.to_string(),
            short(after.units),
            short(all.units),
            store_bytes.to_string(),
            body.len().to_string(),
            short(cpu),
            short(percentile(&times, 0.5)),
            short(percentile(&times, 0.95)),
        ]);
        body
    }

    /// What 20 pages cost, the cheapest first.
    async fn spread(&self, case: &ReadCase, last: u64) -> Vec<(u64, Cost)> {
        let mut costs = Vec::new();
        for step in 0..20 {
            let page = 2 + (last.saturating_sub(2)) * step / 19;
            costs.push((page, self.instance.measure(case, page).await.after));
        }
        costs.sort_by(|a, b| a.1.units.total_cmp(&b.1.units));
        costs
    }
}

fn spread_row(name: &str, pages: u64, costs: &[(u64, Cost)]) -> Vec<String> {
    let (least, greatest) = (costs[0], costs[costs.len() - 1]);
    let trips = costs.iter().map(|(_, cost)| cost.trips).max().unwrap();
    let cells = [pages.to_string(), short(least.1.units), short(greatest.1.units), greatest.0.to_string()];
    [name.to_owned()].into_iter().chain(cells).chain([trips.to_string()]).collect()
}

/// The read units of first pages or of others, and whether they are within a limit.
fn units_of(pages: &[(u64, Cost)], first: bool, limit: f64) -> (String, bool) {
    let units = pages.iter().filter(|(page, _)| (*page == 1) == first).map(|(_, cost)| cost.units);
    let (most, least) = (units.clone().fold(0.0, f64::max), units.fold(f64::MAX, f64::min));
    let range = if least < most { format!("{} to {}", short(least), short(most)) } else { short(most) };
    (range, most <= limit)
}

/// What is wanted of each case. `of` says of which store.
fn targets(found: &CostsByCase, of: &str) -> Vec<BenchTarget> {
    let mut targets = Vec::new();
    for (name, FoundCosts { limits, pages, cpu }) in found {
        let mut target = |what: String, met: bool, found: String| {
            targets.push(BenchTarget { what: format!("{name}{of}: {what}"), met, found });
        };
        let worst = |first: bool| {
            pages.iter().filter(|(page, _)| (*page == 1) == first).map(|(_, cost)| cost.trips).max()
        };
        let ((first, deep), (limit, others)) =
            ((worst(true).unwrap_or(0), worst(false).unwrap_or(0)), limits.trips);
        target(
            format!("at most {limit} round trips after authentication for page 1, {others} for others"),
            first <= limit && deep <= others,
            format!("{first} and {deep}"),
        );
        let (of_first, of_others) = limits.units;
        let ((first, first_met), (others, others_met)) =
            (units_of(pages, true, of_first), units_of(pages, false, of_others));
        let (of_first, of_others) = (short(of_first), short(of_others));
        target(
            format!("at most {of_first} read units after authentication for page 1, {of_others} for others"),
            first_met && others_met,
            format!("{first} and {others}"),
        );
        target(format!("at most {} ms of CPU", short(limits.cpu)), *cpu <= limits.cpu, short(*cpu));
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

/// The function binaries over a store. They read the real clock, so its history ends now.
async fn functions(report: &mut BenchReport, arguments: &Arguments) {
    let world = BenchWorld { now: clock::system(), ..BenchWorld::of(arguments.served) };
    let cases = cases::all(&world);
    let paths: BTreeSet<&str> = cases.iter().map(ReadCase::path).collect();
    if !arguments.built {
        let names = http::functions(&paths).await;
        lambda::build(names.iter().map(String::as_str));
    }
    let store = ServedHistory::start(&BenchHistory { world: world.clone(), lanes: arguments.lanes }).await;
    memory(report, &world, store.port).await;
    over_http(report, &world, &cases, (&paths, store.port), arguments).await;
}

/// Every case over HTTP, with the binaries of each build in turns.
async fn over_http(
    report: &mut BenchReport,
    world: &BenchWorld,
    cases: &[ReadCase],
    (paths, store): (&BTreeSet<&str>, u16),
    arguments: &Arguments,
) {
    let folder = lambda::folder();
    let folders = [Some(&folder), arguments.against.as_ref()];
    let mut builds = Vec::new();
    for folder in folders.into_iter().flatten() {
        builds.push(HttpApi::start(folder, paths, store).await);
    }
    let note = format!(
        "{} executions, {} users, {} tasks, 30 days that end now; functions of the optimised build behind the local \
         gateway, one process each, one connection, {} requests of each page and build in turns. Function, gateway, \
         store and client share the cores, client and gateway one thread. \"Other\" is the build of --against.",
        world.executions, world.users, world.tasks, arguments.calls
    );
    let columns = ["endpoint", "page", "median ms", "p95 ms", "other: median ms", "other: p95 ms"];
    let mut table = Table::new("Over HTTP", note, &columns);
    let (mut stats, mut pages, mut schedules) = (0.0_f64, 0.0_f64, 0.0_f64);
    let all_schedules = cases::all_schedules();
    for case in cases.iter().chain([&all_schedules]) {
        for page in pages_of(case, &builds[0]).await {
            let medians = over_http_of(case, page, &builds, arguments.calls).await;
            match case.name {
                "stats" => stats = medians[0].0,
                name if name == all_schedules.name => schedules = medians[0].0,
                _page => pages = pages.max(medians[0].0),
            }
            let mut row = vec![case.name.to_owned(), page.to_string()];
            row.extend(medians.into_iter().flat_map(|(median, p95)| [short(median), short(p95)]));
            row.resize(columns.len(), String::new());
            table.rows.push(row);
        }
    }
    report.add(table);
    let found = [("stats", stats), ("any page", pages), (all_schedules.name, schedules)];
    for ((what, found), limit) in found.into_iter().zip(HTTP_LIMITS) {
        let what = format!("over HTTP, {what}: at most {limit} ms at the median");
        report.targets.push(BenchTarget { what, met: found <= limit, found: short(found) });
    }
}

/// The first page of a case and the one at 90 %.
async fn pages_of(case: &ReadCase, api: &HttpApi) -> Vec<u64> {
    let first = api.get(&case.uri(1), ADMIN_KEY).await;
    let first: Value = serde_json::from_slice(&first).unwrap();
    let total = first["total"].as_u64().filter(|_| case.paged).unwrap_or(0);
    let deep = (total * 9 / 10).div_ceil(LIMIT);
    if deep < 2 { vec![1] } else { vec![1, deep] }
}

/// The median and the 95th percentile of each build, in milliseconds.
async fn over_http_of(case: &ReadCase, page: u64, builds: &[HttpApi], calls: usize) -> Vec<(f64, f64)> {
    let mut times = vec![Vec::new(); builds.len()];
    for _ in 0..calls {
        for (api, times) in builds.iter().zip(&mut times) {
            let started = Instant::now();
            api.get(&case.uri(page), ADMIN_KEY).await;
            times.push(started.elapsed().as_secs_f64() * 1000.0);
            tokio::time::sleep(PAUSE).await;
        }
    }
    times.iter_mut().for_each(|times| times.sort_by(f64::total_cmp));
    times.iter().map(|times| (percentile(times, 0.5), percentile(times, 0.95))).collect()
}

/// Each function as a process of its own.
async fn memory(report: &mut BenchReport, world: &BenchWorld, store: u16) {
    let lambdas = Lambdas::start(store).await;
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

const ABOUT: &str = "What a request costs over the embedded store (dynoxide, in memory, in a process of its own; units as \
    it reports them, by DynamoDB's rules). Half of the executions begin in the first minute of an hour, 97% succeed, 3 \
    error types. Pages have 50 rows; `errors`, `executions`, `tasks` and `users` without a page are the first. \"In \
    all\" counts what the store client reports as reads; the write of the rate limit is not among it. Bytes from the \
    store are those of its answers before they are parsed. CPU ms is the median CPU time of the thread that runs the \
    instance and its store client. Times are of this machine and this store, for comparison only.";

/// One thread runs an instance and nothing else meanwhile, so that its CPU time is that of the requests. Afterwards it
/// runs gateway and client over HTTP: a request is not handed between threads of this process.
fn main() {
    let arguments = Arguments::parse();
    if let Some(history) = arguments.history {
        return Runtime::new().unwrap().block_on(serve_history(history));
    }
    cost::listen();
    let mut report = BenchReport::new("read", ABOUT);
    report.is_trial =
        !arguments.only.is_empty() || arguments.no_functions || !arguments.sizes.contains(&PUBLISHED);
    let requests = Builder::new_current_thread().enable_all().build().unwrap();
    let mut run = |world: &BenchWorld, title: &str, cases: Vec<ReadCase>, found: &mut CostsByCase| {
        let tables = requests.block_on(async {
            let history = BenchHistory { world: world.clone(), lanes: arguments.lanes };
            let store = ServedHistory::start(&history).await;
            let instance = MeasuredInstance::over(&store).await;
            Bench::new(&arguments, world, instance, title).measure(cases, found).await
        });
        tables.into_iter().for_each(|table| report.add(table));
    };
    let (mut found, mut crowded) = (CostsByCase::new(), CostsByCase::new());
    for size in &arguments.sizes {
        let world = BenchWorld::of(*size);
        run(&world, &format!("{size} executions"), cases::all(&world), &mut found);
    }
    if arguments.crowd > 0 {
        let world = BenchWorld::crowded(arguments.crowd);
        let title = format!("{} executions in one minute", arguments.crowd);
        run(&world, &title, cases::of_the_crowd(), &mut crowded);
    }
    report.targets = targets(&found, "");
    report.targets.extend(targets(&crowded, ", in a crowded minute"));
    if !arguments.no_functions {
        requests.block_on(functions(&mut report, &arguments));
    }
    report.finish();
}
