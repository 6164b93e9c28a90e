//! Administrators who deactivate and reactivate users and read pages while events come in, each by an instance of the
//! endpoints.

use crate::administrators::{AccessLog, Administrator};
use crate::bulk::{self, BulkRequest};
use crate::clocks;
use crate::faults;
use crate::installation::{Installation, all, mortal};
use crate::reads::ReadLog;
use crate::theme::Theme;
use crate::trace;
use crate::webhooks::DeliveredWebhooks;
use deactivate_user::DeactivateUser;
use deactivate_users::DeactivateUsers;
use errors::Errors;
use execution::ReadExecution;
use executions::Executions;
use futures::FutureExt;
use queries::Queries;
use reactivate_user::ReactivateUser;
use serde_json::{Value, json};
use stats::Stats;
use stats_series::StatsSeries;
use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use task::ReadTask;
use tasks::Tasks;
use temporal_schedules::Schedules;
use temporal_workflows::Workflows;
use tokio::time::{Duration, sleep};
use torale_domain::access::rate_limits::RateLimits;
use torale_domain::values::ids::{ExecutionId, TaskId, UserId};
use torale_platform::serve::App;
use torale_testkit::parts::{LIMITS, keys_only, temporal_ui};
use torale_testkit::present::NOW;
use torale_testkit::request::{ApiAnswer, ApiRequest, get, patch, post};
use user::ReadUser;
use users::Users;

/// What requests are called.
const DEACTIVATE: &str = "deactivate";
const DEACTIVATE_MANY: &str = "deactivate many";
const REACTIVATE: &str = "reactivate";
const READ: &str = "read";
/// The longest pause between requests that follow each other.
const SHORT_PAUSE_MS: u64 = 50;
/// The longest life of a function that dies amid a request.
const LIFE: Duration = Duration::from_millis(300);

/// What was answered, and must hold from then on.
#[derive(Debug, Default)]
pub struct Answered {
    /// Users of whom a reactivation was answered with 200, and whether a deactivation of them had been answered
    /// before it was sent.
    pub reactivated: BTreeMap<UserId, bool>,
    /// The ids of the requests that were answered with something else than 503.
    pub recorded: BTreeSet<String>,
    /// Those of them that deactivate several users.
    pub bulk: Vec<BulkRequest>,
    /// The requests of administrators.
    pub access: AccessLog,
    /// Clerk's webhooks.
    pub webhooks: DeliveredWebhooks,
}

/// An administrator's instance of the endpoints, which notes what it reads of the projections.
pub fn instance(world: &Installation, reads: &ReadLog, number: usize, limits: RateLimits) -> App {
    let store = world.tables.observed_store("endpoint", reads);
    App::new(store, keys_only(), limits, temporal_ui(), clocks::CALLERS[number])
}

/// The pages that are read, each as a request.
pub fn pages() -> Vec<ApiRequest> {
    let limit = fastrand::u32(1..6);
    let page = format!("limit={limit}&page={}", fastrand::u32(1..4));
    let week = format!("hours=168&{page}");
    vec![
        get::<Stats>(""),
        get::<StatsSeries>("metric=executions&bucket=hour&hours=168"),
        get::<Users>(&page),
        get::<Tasks>(&page),
        get::<Queries>(&page),
        get::<Executions>(&week),
        get::<Errors>(&week),
        get::<Workflows>(&page),
        get::<Schedules>(&format!("{page}&include_paused=true")),
    ]
}

/// Requests for one user, task and execution that events name.
pub fn details(logged: &[Value]) -> Vec<ApiRequest> {
    let named = |name: &str, is_id: fn(&str) -> bool| {
        let ids: BTreeSet<&str> = logged.iter().filter_map(|event| event["data"][name].as_str()).collect();
        fastrand::choice(ids.into_iter().filter(|id| is_id(id)).collect::<Vec<_>>())
    };
    let requests = [
        named("user_id", |id| UserId::parse(id).is_some()).map(|id| get::<ReadUser>("").about(id)),
        named("task_id", |id| TaskId::parse(id).is_some()).map(|id| get::<ReadTask>("").about(id)),
        named("execution_id", |id| ExecutionId::parse(id).is_some())
            .map(|id| get::<ReadExecution>("").about(id)),
    ];
    requests.into_iter().flatten().collect()
}

/// The users that messages name, as far as they have ids of this form.
fn users_of(messages: &[String]) -> Vec<String> {
    let bodies = messages.iter().filter_map(|body| serde_json::from_str::<Value>(body).ok());
    let ids: BTreeSet<UserId> =
        bodies.filter_map(|event| event["data"]["user_id"].as_str().and_then(UserId::parse)).collect();
    ids.iter().map(ToString::to_string).collect()
}

/// Some callers make requests at once, each one after another. Each is an administrator, or all of them are one: where
/// there is no other, and where limits are low in half of the schedules.
pub async fn call(world: &Installation, messages: &[String], theme: Theme) -> Answered {
    let answered = RefCell::new(Answered { access: AccessLog::new(), ..Answered::default() });
    let users = users_of(messages);
    let callers = theme.callers();
    let is_one_user = world.administrators.len() == 1 || (world.limits != LIMITS && fastrand::bool());
    let under_way = Cell::new(0);
    let one = |number| {
        let administrator = world.administrators[if is_one_user { 0 } else { number }];
        let caller = Caller { number, administrator, callers, theme, under_way: &under_way };
        call_alone(world, &users, caller, &answered).boxed_local()
    };
    all((0..callers).map(one)).await;
    answered.into_inner()
}

/// One of the callers.
#[derive(Debug, Clone, Copy)]
struct Caller<'a> {
    number: usize,
    administrator: Administrator,
    callers: usize,
    theme: Theme,
    /// How many requests of all of them are under way.
    under_way: &'a Cell<u32>,
}

/// Makes the requests of one caller.
async fn call_alone(
    world: &Installation,
    users: &[String],
    caller: Caller<'_>,
    answered: &RefCell<Answered>,
) {
    let Caller { number, administrator, callers, theme, under_way } = caller;
    let reads = ReadLog::default();
    let mut app = instance(world, &reads, number, world.limits);
    let (requests, pause) = theme.requests();
    for _ in 0..fastrand::u32(..=requests.div_ceil(u32::try_from(callers).unwrap_or(1))) {
        // Often right after the one before, so that callers are in each other's way.
        let longest = if fastrand::u8(..4) == 0 { SHORT_PAUSE_MS } else { pause };
        sleep(Duration::from_millis(fastrand::u64(..longest))).await;
        let (name, targets, request) = random_request(world.administrators, users);
        trace::note(|| format!("caller: {name} {}", targets.join(" ")));
        let sent = SentRequest::note(name, targets, caller, &mut answered.borrow_mut());
        let commands = world.commands.client("endpoint");
        reads.clear();
        if under_way.get() > 0 {
            faults::count("callers at once", None);
        }
        under_way.set(under_way.get() + 1);
        let request = request.by(administrator.key);
        let answer = mortal(name, LIFE, request.send_with(&app, &commands)).await;
        under_way.set(under_way.get() - 1);
        let deactivated = sent.deactivated(answer.as_ref(), &mut answered.borrow_mut());
        let deactivated = deactivated.unwrap_or_else(|what| {
            world.violation(what);
            Vec::new()
        });
        let ended = (answer.as_ref().map(|answer| answer.status), deactivated.as_slice());
        if let Err(what) = answered.borrow_mut().access.end(sent.number, trace::elapsed(), ended) {
            world.violation(what);
        }
        let Some(answer) = answer else {
            app = instance(world, &reads, number, world.limits);
            continue;
        };
        trace::note(|| format!("caller: {name} answered {} {}", answer.status, answer.text));
        judge(world, (&sent, &reads), &answer, &mut answered.borrow_mut());
    }
}

/// A request by nobody yet: its name, the users whom it changes if it changes any, and what is sent.
fn random_request(
    administrators: &[Administrator],
    users: &[String],
) -> (&'static str, Vec<String>, ApiRequest) {
    let administrator = || administrators[fastrand::usize(..administrators.len())].id.to_owned();
    // Where there are several, they are often about each other.
    let user = match fastrand::usize(..10) {
        0 => administrator(),
        1 if administrators.len() > 1 => administrator(),
        _ => fastrand::choice(users).cloned().unwrap_or_else(administrator),
    };
    let (name, request) = match fastrand::u8(..7) {
        0 => {
            let ids = bulk::random_ids(administrators, users);
            let request = post::<DeactivateUsers>(&json!({ "user_ids": ids }));
            return (DEACTIVATE_MANY, ids, request);
        }
        1..4 => (DEACTIVATE, patch::<DeactivateUser>(&user)),
        4 => (REACTIVATE, patch::<ReactivateUser>(&user)),
        _ => {
            let mut pages = pages();
            (READ, pages.swap_remove(fastrand::usize(..pages.len())))
        }
    };
    (name, vec![user], request)
}

/// A request that an administrator has sent.
struct SentRequest {
    name: &'static str,
    /// The users whom it changes, unless it reads a page.
    targets: Vec<String>,
    /// Whether a deactivation of the first of them had been answered before it was sent. One that others make meanwhile
    /// may come after it.
    is_deactivated: bool,
    /// Its number in the log of access.
    number: usize,
}

impl SentRequest {
    /// Notes that it is sent now.
    fn note(name: &'static str, targets: Vec<String>, caller: Caller<'_>, answered: &mut Answered) -> Self {
        let users: Vec<UserId> = targets.iter().filter_map(|id| UserId::parse(id)).collect();
        let is_deactivated = users.first().is_some_and(|user| answered.access.deactivated().contains(user));
        let deactivates: &[UserId] = if [DEACTIVATE, DEACTIVATE_MANY].contains(&name) { &users } else { &[] };
        let sent = trace::elapsed();
        let skew = clocks::CALLERS[caller.number]().millis() - NOW.millis() - sent;
        let number = answered.access.send(caller.administrator.user(), deactivates, (sent, skew));
        Self { name, targets, is_deactivated, number }
    }

    /// The users whom it has deactivated.
    fn deactivated(
        &self,
        answer: Option<&ApiAnswer>,
        answered: &mut Answered,
    ) -> Result<Vec<UserId>, String> {
        let Some(answer) = answer else { return Ok(Vec::new()) };
        match (self.name, answer.status) {
            (DEACTIVATE, 200) => Ok(self.targets.iter().filter_map(|id| UserId::parse(id)).collect()),
            (DEACTIVATE_MANY, status) if status != 503 => {
                let id = answer.header("x-request-id").unwrap_or_default();
                let request = BulkRequest::read(id, &self.targets, (status, &answer.json()))?;
                request.count();
                let deactivated = request.deactivated();
                answered.bulk.push(request);
                Ok(deactivated)
            }
            _other => Ok(Vec::new()),
        }
    }
}

/// Notes what an answer promises, and whether it may be one.
fn judge(
    world: &Installation,
    (sent, reads): (&SentRequest, &ReadLog),
    answer: &ApiAnswer,
    answered: &mut Answered,
) {
    let SentRequest { name, targets, is_deactivated, .. } = sent;
    let (name, is_deactivated, user) = (*name, *is_deactivated, targets.join(" "));
    let allowed: &[u16] = match name {
        DEACTIVATE | REACTIVATE => &[200, 401, 404, 409, 429, 503],
        _page_or_several_users => &[200, 401, 429, 503],
    };
    if !allowed.contains(&answer.status) {
        world.violation(format!("{name} {user} was answered with {}: {}", answer.status, answer.text));
    }
    let outcome = match (name, answer.status) {
        (DEACTIVATE, 200) => "deactivated",
        (DEACTIVATE_MANY, 200) => "several users answered",
        (REACTIVATE, 200) => "reactivated",
        (_, 200) => "page read",
        (_, 503) => "answered 503",
        _refused => "refused",
    };
    faults::count(outcome, None);
    let generations = reads.tables();
    if name == READ && answer.status == 200 && generations.is_empty() {
        world.violation("a page was answered and nobody has looked which generation is live".to_owned());
    }
    // Whoever changes something writes the shadow generation as well.
    if name == READ && generations.len() > 1 {
        world.violation(format!("a page was read of several generations: {generations:?}"));
    }
    let unconfirmed = reads.unconfirmed();
    if answer.status == 200 && !unconfirmed.is_empty() {
        world.violation(format!("{name} counted on a wrong guess of the live generation: {unconfirmed:?}"));
    }
    if let (REACTIVATE, 200, Some(user)) = (name, answer.status, UserId::parse(&user)) {
        *answered.reactivated.entry(user).or_default() |= is_deactivated;
    }
    if answer.status != 503 {
        answered.recorded.extend(answer.header("x-request-id").map(str::to_owned));
    }
}
