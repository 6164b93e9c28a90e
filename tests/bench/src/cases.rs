//! The requests that `cargo bench-read` measures.

use crate::world::BenchWorld;
use std::fmt::Write;
use torale_testkit::request::{ApiRequest, TestedEndpoint, reading};

/// Rows a page.
pub const LIMIT: u64 = 50;

/// What a request should cost after authentication; the CPU time is that of the whole request. Round trips are those of
/// docs/promises.md, "P2. Flat reads"; read units and CPU time are what is wanted, and for most of them less than what
/// is promised.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Sequential round trips of page 1, and of any other page.
    pub trips: (u64, u64),
    /// Read units of page 1, and of any other page.
    pub units: (f64, f64),
    /// CPU time of the function, in milliseconds.
    pub cpu: f64,
}

/// A page of a list: at most two round trips near the top, five anywhere else.
const PAGE: Limits = Limits { trips: (2, 5), units: (70.0, 70.0), cpu: 3.0 };
/// A page of executions or errors: its rows are few attributes, and its tasks and users are half a unit each.
const EXECUTIONS: Limits = Limits { units: (65.0, 70.0), ..PAGE };
/// A page of users, who are a unit each.
const USERS: Limits = Limits { units: (56.0, 56.0), ..PAGE };
/// A page of a list whose rows are small, or few of what they show is read besides.
const LIGHT_PAGE: Limits = Limits { cpu: 2.0, ..PAGE };
/// A page of tasks: what it shows is of three kinds of items, each known from the one before.
const TASKS: Limits = Limits { trips: (3, 5), ..PAGE };
/// The executions of one task: its rows carry nothing.
const EXECUTIONS_OF_TASK: Limits = Limits { trips: TASKS.trips, ..EXECUTIONS };
/// The errors of one task: one round trip more for each further thousand of its executions.
const ERRORS_OF_TASK: Limits = Limits { trips: (4, 5), ..EXECUTIONS };
/// One round trip more if a popular query is too long for its row.
const STATS: Limits = Limits { trips: (2, 2), units: (16.0, 16.0), cpu: 1.5 };
const SERIES: Limits = Limits { trips: (1, 1), units: (10.0, 10.0), cpu: 3.0 };
/// One entity with what surrounds it.
const DETAIL: Limits = Limits { trips: (3, 3), ..PAGE };

/// A request that is measured.
#[derive(Debug, Clone)]
pub struct ReadCase {
    /// Its name in the report.
    pub name: &'static str,
    /// Whether it has pages.
    pub paged: bool,
    /// What it may cost.
    pub limits: Limits,
    endpoint: TestedEndpoint,
    /// The id in the path, if it has one.
    about: String,
    /// Its parameters, without those of the page.
    query: String,
}

impl ReadCase {
    /// The request, of a page if it has pages.
    pub fn request(&self, page: u64) -> ApiRequest {
        self.endpoint.request(&self.parameters(page)).about(&self.about)
    }

    /// The path of its endpoint.
    pub fn path(&self) -> &'static str {
        self.endpoint.endpoint.path
    }

    /// The same request as a URI without its host.
    pub fn uri(&self, page: u64) -> String {
        format!("{}?{}", self.path().replace("{id}", &self.about), self.parameters(page))
    }

    fn parameters(&self, page: u64) -> String {
        let mut query = self.query.clone();
        if self.paged {
            let separator = if query.is_empty() { "" } else { "&" };
            write!(query, "{separator}page={page}&limit={LIMIT}").unwrap();
        }
        query
    }
}

fn list(name: &'static str, endpoint: TestedEndpoint, query: impl Into<String>) -> ReadCase {
    ReadCase { name, paged: true, limits: PAGE, endpoint, about: String::new(), query: query.into() }
}

fn light_list(name: &'static str, endpoint: TestedEndpoint) -> ReadCase {
    ReadCase { limits: LIGHT_PAGE, ..list(name, endpoint, "") }
}

fn one(name: &'static str, limits: Limits, endpoint: TestedEndpoint, about: impl Into<String>) -> ReadCase {
    ReadCase { name, paged: false, limits, endpoint, about: about.into(), query: String::new() }
}

fn series(name: &'static str, query: &str) -> ReadCase {
    let endpoint = reading::<stats_series::StatsSeries>();
    ReadCase { query: query.to_owned(), ..one(name, SERIES, endpoint, "") }
}

fn executions(name: &'static str, query: impl Into<String>) -> ReadCase {
    ReadCase { limits: EXECUTIONS, ..list(name, reading::<executions::Executions>(), query) }
}

fn errors(name: &'static str, query: impl Into<String>) -> ReadCase {
    ReadCase { limits: EXECUTIONS, ..list(name, reading::<errors::Errors>(), query) }
}

fn tasks(name: &'static str, query: impl Into<String>) -> ReadCase {
    ReadCase { limits: TASKS, ..list(name, reading::<tasks::Tasks>(), query) }
}

fn users(name: &'static str, query: impl Into<String>) -> ReadCase {
    ReadCase { limits: USERS, ..list(name, reading::<users::Users>(), query) }
}

/// A request to every endpoint that reads projections, and one with every filter.
pub fn all(world: &BenchWorld) -> Vec<ReadCase> {
    // The first task and user of the world, and its most frequent query.
    let (task, user) = (BenchWorld::task_id(0), BenchWorld::user_id(0));
    let query = world.query(0).replace(' ', "%20").replace('?', "%3F");
    vec![
        one("stats", STATS, reading::<stats::Stats>(), ""),
        series("stats/series, 24 hours by minute", "metric=executions&bucket=minute&hours=24"),
        series("stats/series, 744 hours by hour", "metric=executions&bucket=hour&hours=744"),
        series("stats/series, 365 days by day", "metric=executions&bucket=day&hours=8760"),
        light_list("queries", reading::<queries::Queries>()),
        executions("executions, 24 hours", ""),
        executions("executions, 30 days", "hours=720"),
        executions("executions, status=failed", "hours=720&status=failed"),
        ReadCase {
            limits: EXECUTIONS_OF_TASK,
            ..executions("executions, task_id", format!("hours=720&task_id={task}"))
        },
        one("executions/{id}", DETAIL, reading::<execution::ReadExecution>(), BenchWorld::execution_id(0)),
        light_list("temporal/workflows", reading::<temporal_workflows::Workflows>()),
        light_list("temporal/schedules", reading::<temporal_schedules::Schedules>()),
        errors("errors, 24 hours", ""),
        errors("errors, 30 days", "hours=720"),
        errors("errors, error_type", "hours=720&error_type=RateLimitError"),
        ReadCase { limits: ERRORS_OF_TASK, ..errors("errors, task_id", format!("hours=720&task_id={task}")) },
        tasks("tasks", ""),
        tasks("tasks, state=active", "state=active"),
        tasks("tasks, user_id", format!("user_id={user}")),
        tasks("tasks, search_query", format!("search_query={query}")),
        one("tasks/{id}", DETAIL, reading::<task::ReadTask>(), task),
        users("users", ""),
        users("users, active_only", "active_only=true"),
        // Everybody's email begins with this.
        users("users, q=u", "q=u"),
        one("users/{id}", DETAIL, reading::<user::ReadUser>(), user),
    ]
}

/// Every schedule in one answer, which grows with them.
pub fn all_schedules() -> ReadCase {
    let limits = Limits { trips: (u64::MAX, u64::MAX), units: (f64::MAX, f64::MAX), cpu: f64::MAX };
    one("temporal/schedules, all at once", limits, reading::<temporal_schedules::Schedules>(), "")
}

/// The lists whose rows share a minute where all executions begin at once: a page in it is found by its seconds, in
/// one round trip more.
pub fn of_the_crowd() -> Vec<ReadCase> {
    let lists = vec![
        executions("executions, 24 hours", ""),
        executions("executions, status=failed", "status=failed"),
        errors("errors, 24 hours", ""),
        list("temporal/workflows", reading::<temporal_workflows::Workflows>(), ""),
    ];
    let limits = Limits { trips: (2, 6), units: (80.0, 80.0), ..PAGE };
    lists.into_iter().map(|list| ReadCase { limits, ..list }).collect()
}
