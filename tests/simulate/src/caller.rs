//! Administrators who deactivate and reactivate users and read pages while events come in, each by an instance of the
//! endpoints.

use crate::clocks;
use crate::faults;
use crate::installation::{Installation, all, mortal};
use crate::network::ReadLog;
use crate::theme::Theme;
use crate::trace;
use crate::webhooks::DeliveredWebhooks;
use deactivate_user::DeactivateUser;
use errors::Errors;
use execution::ReadExecution;
use executions::Executions;
use futures::FutureExt;
use queries::Queries;
use reactivate_user::ReactivateUser;
use serde_json::Value;
use stats::Stats;
use stats_series::StatsSeries;
use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use task::ReadTask;
use tasks::Tasks;
use temporal_schedules::Schedules;
use temporal_workflows::Workflows;
use tokio::time::{Duration, sleep};
use torale_domain::values::ids::UserId;
use torale_platform::serve::App;
use torale_testkit::events::ADMIN;
use torale_testkit::parts::{LIMITS, keys_only, temporal_ui};
use torale_testkit::request::{ApiAnswer, ApiRequest, get, patch};
use user::ReadUser;
use users::Users;

/// The longest life of a function that dies amid a request.
const LIFE: Duration = Duration::from_millis(300);

/// What was answered, and must hold from then on.
#[derive(Debug, Default)]
pub struct Answered {
    /// Users of whom a deactivation was answered with 200.
    pub deactivated: BTreeSet<UserId>,
    /// Users of whom a reactivation was answered with 200, and whether a deactivation of them had been answered
    /// before it was sent.
    pub reactivated: BTreeMap<UserId, bool>,
    /// The ids of the requests that were answered with something else than 503.
    pub recorded: BTreeSet<String>,
    /// Clerk's webhooks.
    pub webhooks: DeliveredWebhooks,
}

/// An administrator's instance of the endpoints, which notes what it reads of the projections.
pub fn instance(world: &Installation, reads: &ReadLog, number: usize) -> App {
    let store = world.tables.observed_store("endpoint", reads);
    App::new(store, keys_only(), LIMITS, temporal_ui(), clocks::CALLERS[number])
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
    let about = |name: &str, request: fn(&str) -> ApiRequest| {
        let ids: BTreeSet<&str> = logged.iter().filter_map(|event| event["data"][name].as_str()).collect();
        let ids: Vec<&str> = ids.into_iter().filter(|id| UserId::parse(id).is_some()).collect();
        fastrand::choice(ids).map(request)
    };
    let requests = [
        about("user_id", |id| get::<ReadUser>("").about(id)),
        about("task_id", |id| get::<ReadTask>("").about(id)),
        about("execution_id", |id| get::<ReadExecution>("").about(id)),
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

/// Some administrators make requests at once, each one after another.
pub async fn call(world: &Installation, messages: &[String], theme: Theme) -> Answered {
    let answered = RefCell::default();
    let users = users_of(messages);
    let callers = theme.callers();
    let under_way = Cell::new(0);
    let one = |number| {
        let caller = Caller { number, callers, theme, under_way: &under_way };
        call_alone(world, &users, caller, &answered).boxed_local()
    };
    all((0..callers).map(one)).await;
    answered.into_inner()
}

/// One of the administrators.
#[derive(Debug, Clone, Copy)]
struct Caller<'a> {
    number: usize,
    callers: usize,
    theme: Theme,
    /// How many requests of all of them are under way.
    under_way: &'a Cell<u32>,
}

/// Makes the requests of one administrator.
async fn call_alone(
    world: &Installation,
    users: &[String],
    Caller { number, callers, theme, under_way }: Caller<'_>,
    answered: &RefCell<Answered>,
) {
    let reads = ReadLog::default();
    let mut app = instance(world, &reads, number);
    let (requests, pause) = theme.requests();
    for _ in 0..fastrand::u32(..=requests.div_ceil(u32::try_from(callers).unwrap_or(1))) {
        sleep(Duration::from_millis(fastrand::u64(..pause))).await;
        let user = match fastrand::usize(..10) {
            0 => ADMIN.to_owned(),
            _ => fastrand::choice(users).cloned().unwrap_or_else(|| ADMIN.to_owned()),
        };
        let (name, request) = match fastrand::u8(..6) {
            0..3 => ("deactivate", patch::<DeactivateUser>(&user)),
            3 => ("reactivate", patch::<ReactivateUser>(&user)),
            _ => {
                let mut pages = pages();
                ("read", pages.swap_remove(fastrand::usize(..pages.len())))
            }
        };
        trace::note(|| format!("caller: {name} {user}"));
        let id = UserId::parse(&user);
        let is_deactivated = id.is_some_and(|user| answered.borrow().deactivated.contains(&user));
        let sent = SentRequest { name, user: &user, is_deactivated };
        let commands = world.commands.client("endpoint");
        reads.clear();
        if under_way.get() > 0 {
            faults::count("callers at once", None);
        }
        under_way.set(under_way.get() + 1);
        let answer = mortal(name, LIFE, request.send_with(&app, &commands)).await;
        under_way.set(under_way.get() - 1);
        let Some(answer) = answer else {
            app = instance(world, &reads, number);
            continue;
        };
        trace::note(|| format!("caller: {name} answered {} {}", answer.status, answer.text));
        judge(world, (&sent, &reads), &answer, &mut answered.borrow_mut());
    }
}

/// A request that an administrator has sent.
struct SentRequest<'a> {
    name: &'static str,
    user: &'a str,
    /// Whether a deactivation of the user had been answered before it was sent. One that others make meanwhile may come
    /// after it.
    is_deactivated: bool,
}

/// Notes what an answer promises, and whether it may be one.
fn judge(
    world: &Installation,
    (sent, reads): (&SentRequest<'_>, &ReadLog),
    answer: &ApiAnswer,
    answered: &mut Answered,
) {
    let SentRequest { name, user, is_deactivated } = *sent;
    let allowed: &[u16] = match name {
        "deactivate" | "reactivate" => &[200, 404, 409, 503],
        _ => &[200, 503],
    };
    if !allowed.contains(&answer.status) {
        world.violation(format!("{name} {user} was answered with {}: {}", answer.status, answer.text));
    }
    let outcome = match (name, answer.status) {
        ("deactivate", 200) => "deactivated",
        ("reactivate", 200) => "reactivated",
        (_, 200) => "page read",
        (_, 503) => "answered 503",
        _refused => "refused",
    };
    faults::count(outcome, None);
    let generations = reads.tables();
    if name == "read" && answer.status == 200 && generations.is_empty() {
        world.violation("a page was answered and nobody has looked which generation is live".to_owned());
    }
    // Whoever changes something writes the shadow generation as well.
    if name == "read" && generations.len() > 1 {
        world.violation(format!("a page was read of several generations: {generations:?}"));
    }
    if let (200, Some(user)) = (answer.status, UserId::parse(user)) {
        if name == "deactivate" {
            answered.deactivated.insert(user);
        }
        if name == "reactivate" {
            *answered.reactivated.entry(user).or_default() |= is_deactivated;
        }
    }
    if answer.status != 503 {
        answered.recorded.extend(answer.header("x-request-id").map(str::to_owned));
    }
}
