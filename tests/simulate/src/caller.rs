//! An administrator who deactivates and reactivates users and reads pages while events come in.

use crate::clocks;
use crate::faults;
use crate::installation::{Installation, mortal};
use crate::theme::Theme;
use crate::trace;
use crate::webhooks::DeliveredWebhooks;
use deactivate_user::DeactivateUser;
use errors::Errors;
use executions::Executions;
use queries::Queries;
use reactivate_user::ReactivateUser;
use serde_json::Value;
use stats::Stats;
use stats_series::StatsSeries;
use std::collections::{BTreeMap, BTreeSet};
use tasks::Tasks;
use temporal_schedules::Schedules;
use temporal_workflows::Workflows;
use tokio::time::{Duration, sleep};
use torale_domain::values::ids::UserId;
use torale_platform::serve::App;
use torale_testkit::events::ADMIN;
use torale_testkit::parts::{LIMITS, keys_only, temporal_ui};
use torale_testkit::request::{ApiAnswer, ApiRequest, get, patch};
use users::Users;

/// The longest life of a function that dies amid a request.
const LIFE: Duration = Duration::from_millis(300);

/// What was answered, and must hold from then on.
#[derive(Debug, Default)]
pub struct Answered {
    /// Users of whom a deactivation was answered with 200.
    pub deactivated: BTreeSet<UserId>,
    /// Users of whom a reactivation was answered with 200, and whether a deactivation of them had been before.
    pub reactivated: BTreeMap<UserId, bool>,
    /// The ids of the requests that were answered with something else than 503.
    pub recorded: BTreeSet<String>,
    /// Clerk's webhooks.
    pub webhooks: DeliveredWebhooks,
}

/// An instance of the endpoints.
pub fn instance(world: &Installation) -> App {
    let store = world.tables.observed_store("endpoint", &world.reads);
    App::new(store, keys_only(), LIMITS, temporal_ui(), clocks::ENDPOINTS)
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

/// The users that messages name, as far as they have ids of this form.
fn users_of(messages: &[String]) -> Vec<String> {
    let bodies = messages.iter().filter_map(|body| serde_json::from_str::<Value>(body).ok());
    let ids: BTreeSet<UserId> =
        bodies.filter_map(|event| event["data"]["user_id"].as_str().and_then(UserId::parse)).collect();
    ids.iter().map(ToString::to_string).collect()
}

/// Makes some requests, one after another.
pub async fn call(world: &Installation, messages: &[String], theme: Theme) -> Answered {
    let mut answered = Answered::default();
    let users = users_of(messages);
    let mut app = instance(world);
    let (requests, pause) = theme.requests();
    for _ in 0..fastrand::u32(..=requests) {
        sleep(Duration::from_millis(fastrand::u64(..pause))).await;
        let user = match fastrand::usize(..10) {
            0 => ADMIN.to_owned(),
            _ => fastrand::choice(&users).cloned().unwrap_or_else(|| ADMIN.to_owned()),
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
        let commands = world.commands.client("endpoint");
        world.reads.clear();
        let Some(answer) = mortal(name, LIFE, request.send_with(&app, &commands)).await else {
            app = instance(world);
            continue;
        };
        trace::note(|| format!("caller: {name} answered {} {}", answer.status, answer.text));
        judge(world, name, &user, &answer, &mut answered);
    }
    answered
}

/// Notes what an answer promises, and whether it may be one.
fn judge(world: &Installation, name: &'static str, user: &str, answer: &ApiAnswer, answered: &mut Answered) {
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
    let generations = world.reads.tables();
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
            let was_deactivated = answered.deactivated.contains(&user);
            *answered.reactivated.entry(user).or_default() |= was_deactivated;
        }
    }
    if answer.status != 503 {
        answered.recorded.extend(answer.header("x-request-id").map(str::to_owned));
    }
}
