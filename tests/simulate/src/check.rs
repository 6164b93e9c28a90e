//! What must hold once everything is quiet.

use crate::administrators;
use crate::audited;
use crate::caller::{self, Answered};
use crate::clocks;
use crate::damage::{damage, logged};
use crate::deactivated;
use crate::faults;
use crate::installation::Installation;
use crate::outside::schedules_of;
use crate::reads::ReadLog;
use crate::restoring::damage_and_restore;
use crate::tables::{AsOf, Tables};
use crate::trace;
use crate::upgrade::{self, Leftover};
use crate::webhooks;
use serde_json::Value;
use stats::Stats;
use std::collections::{BTreeMap, BTreeSet};
use torale_domain::deactivation::commands::{Command, ReceivedCommand};
use torale_domain::events::{self, ReceivedMessage};
use torale_domain::storage::item::Item;
use torale_domain::storage::keys::{self, CONTROL_TABLE, EVENTS_TABLE, QUARANTINE_TABLE};
use torale_domain::values::ids::ScheduleId;
use torale_model::{Message, ModelTemporalUi};
use torale_platform::store::GenerationPointer;
use torale_testkit::present::NOW;
use torale_testkit::request::get;
use torale_testkit::{parts, rebuild};

/// How the paths of single entities begin, and how a right answer is counted.
const DETAILS: [(&str, &str); 3] = [
    ("/admin/users/", "user as the model"),
    ("/admin/tasks/", "task as the model"),
    ("/admin/executions/", "execution as the model"),
];

/// What goes wrong once everything is quiet.
#[derive(Debug, Clone, Copy)]
pub struct LastFaults {
    /// Whether the projections are damaged and repaired.
    pub damages: bool,
    /// Whether another table is damaged and restored.
    pub restores: bool,
}

/// Whether all of it holds.
///
/// # Errors
/// What does not.
pub async fn check(world: &Installation, answered: &Answered, last: LastFaults) -> Result<(), String> {
    if let Some(violation) = world.violations.borrow().first() {
        return Err(violation.clone());
    }
    check_positions(&world.tables.lock())?;
    let mut pointer = live_pointer(&world.tables.lock())?;
    let (logged, events) = check_messages(world)?;
    let parsed = logged.iter().map(|body| serde_json::from_str(body)).collect::<Result<Vec<Value>, _>>();
    let parsed = parsed.map_err(text)?;
    webhooks::check(&answered.webhooks, &parsed)?;
    answered.access.check_limits(&world.limits)?;
    // Before the pages below are read, which nobody seals.
    audited::check(world, answered, &parsed)?;
    let mut expected = rebuild::folded(events);
    expected.sort_by(|a, b| a.key.cmp(&b.key));
    if world.has_earlier_release.get() {
        if upgrade::verify(world, &pointer.live, &expected).await? == Leftover::EmptyRows {
            check_answers(world, &logged, &parsed).await?;
        }
        upgrade::rebuild(world).await?;
        pointer = live_pointer(&world.tables.lock())?;
    }
    check_projections(&world.tables.lock(), &pointer, &expected)?;
    if last.damages {
        damage(world, &pointer.live).await?;
        check_projections(&world.tables.lock(), &pointer, &expected)?;
    }
    if last.restores {
        damage_and_restore(world, &pointer.live).await?;
    }
    check_commands(world, &parsed)?;
    deactivated::check(world, &pointer, &parsed, answered)?;
    check_denied(world, answered).await?;
    check_answers(world, &logged, &parsed).await
}

/// A generation that was dropped has no position: it could be promoted.
fn check_positions(tables: &Tables) -> Result<(), String> {
    let names = tables.names();
    for item in tables.items(CONTROL_TABLE) {
        let name = item.key.pk.strip_prefix("rebuild#").filter(|name| item.key == keys::position(name));
        if let Some(name) = name.filter(|name| !names.contains(&keys::projections_table(name))) {
            return Err(format!("{name} has a position and no table"));
        }
    }
    Ok(())
}

fn live_pointer(tables: &Tables) -> Result<GenerationPointer, String> {
    let pointer = tables.get(CONTROL_TABLE, &keys::live_generation(), AsOf::NOW).map_err(text)?;
    GenerationPointer::load(pointer.as_ref()).map_err(text)
}

fn text(error: impl ToString) -> String {
    error.to_string()
}

/// Every event that was sent is in the log, and every other message in quarantine. Returns the log, and its events.
fn check_messages(world: &Installation) -> Result<(Vec<String>, Vec<ReceivedMessage>), String> {
    let tables = world.tables.lock();
    let logged = logged(&tables.items(EVENTS_TABLE))?;
    let now = NOW.plus(trace::elapsed());
    let parse = |body: &String| events::parse(body, Some(now)).map_err(|_| format!("no event: {body}"));
    let parsed = logged.iter().map(parse).collect::<Result<Vec<_>, _>>()?;
    let quarantined = tables.items(QUARANTINE_TABLE);
    let in_log: BTreeSet<&str> = logged.iter().map(String::as_str).collect();
    let quarantined: BTreeSet<&str> = quarantined.iter().filter_map(|item| item.text("body")).collect();
    for message in world.events.taken() {
        if in_log.contains(message.as_str()) {
            continue;
        }
        let is_event = events::parse(&message, Some(now)).is_ok();
        if is_event || !quarantined.contains(message.as_str()) {
            return Err(format!("lost, event: {is_event}: {message}"));
        }
    }
    Ok((logged, parsed))
}

/// The items of the live generation, and of a complete shadow generation, are those of a fresh fold of the log. A
/// shadow generation whose promotion was never completed need not have everything.
fn check_projections(tables: &Tables, pointer: &GenerationPointer, expected: &[Item]) -> Result<(), String> {
    let complete = pointer.shadow.iter().filter(|shadow| shadow.complete).map(|shadow| &shadow.generation);
    for generation in complete.chain([&pointer.live]) {
        if !tables.has_exactly(&generation.table(), expected) {
            let printed = |items: &[Item]| items.iter().map(parts::print_item).collect();
            let found = tables.items(&generation.table());
            return Err(difference(&generation.name, &printed(&found), &printed(expected)));
        }
    }
    Ok(())
}

fn difference(
    generation: &str,
    found: &BTreeMap<String, String>,
    expected: &BTreeMap<String, String>,
) -> String {
    let mut lines = vec![format!("items of {generation} are not those of a fresh fold:")];
    for key in found.keys().chain(expected.keys()).collect::<BTreeSet<_>>() {
        let (found, expected) = (found.get(key), expected.get(key));
        if found != expected {
            lines.push(format!("  {key}\n       found: {found:?}\n    expected: {expected:?}"));
        }
    }
    lines.join("\n")
}

/// Each command has taken effect, and is confirmed by one event for each of its effects, whatever came twice. What does
/// not exist at Clerk or Temporal counts as done, and is not confirmed.
fn check_commands(world: &Installation, logged: &[Value]) -> Result<(), String> {
    let mut confirmed: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for event in logged {
        let (id, subject) =
            (event["id"].to_string(), event["type"].to_string() + &event["subject"].to_string());
        confirmed.entry(id).or_default().insert(subject);
    }
    let effects = world.outside.lock();
    let (mut banned, mut paused) = (BTreeSet::new(), BTreeSet::new());
    for body in world.commands.taken() {
        let received = Command::receive(&body).map_err(text)?;
        let schedules = schedules_of(&received.command);
        let has_effect = match &received.command {
            Command::BanUser { clerk_user_id, .. } => effects.is_banned(clerk_user_id.as_str()),
            Command::PauseTask { .. } => schedules.iter().all(|one| effects.is_paused(one.as_str())),
            Command::RevokeKey { .. } => true,
        };
        if let Command::BanUser { clerk_user_id, .. } = &received.command {
            banned.insert(clerk_user_id.as_str().to_owned());
        }
        paused.extend(schedules.iter().map(|one| one.as_str().to_owned()));
        if !has_effect {
            return Err(format!("a command has no effect: {body}"));
        }
        let existing: Vec<_> = schedules.into_iter().filter(|one| effects.exists(one.as_str())).collect();
        for id in confirming_ids(&received, &existing) {
            if confirmed.get(&id).map(BTreeSet::len) != Some(1) {
                return Err(format!("{:?} confirm {body}", confirmed.get(&id)));
            }
        }
    }
    let unnamed_logins = effects.banned.union(&effects.absent_logins).find(|one| !banned.contains(*one));
    let mut schedules = effects.paused.union(&effects.absent_schedules);
    if let Some(one) = unnamed_logins.or_else(|| schedules.find(|one| !paused.contains(*one))) {
        return Err(format!("{one} was banned or paused, which no command names"));
    }
    effects.check_pauses(logged)
}

/// The ids of the events that confirm a command of which these schedules exist at Temporal.
fn confirming_ids(received: &ReceivedCommand, schedules: &[ScheduleId]) -> Vec<String> {
    let events = received.confirming_events(schedules, NOW);
    let events = events.iter().filter_map(|body| serde_json::from_str::<Value>(body).ok());
    events.map(|event| event["id"].to_string()).collect()
}

/// Whoever was deactivated is denied access, also after a reactivation: their key stays revoked.
async fn check_denied(world: &Installation, answered: &Answered) -> Result<(), String> {
    let app = caller::instance(world, &ReadLog::default(), 0, parts::LIMITS);
    for administrator in answered.access.denied() {
        let answer = get::<Stats>("").by(administrator.key).send(&app).await;
        if answer.status != 401 {
            return Err(format!("{administrator:?} was deactivated, and is answered with {}", answer.status));
        }
    }
    Ok(())
}

/// Pairs of a name and a value, as an object.
fn object(pairs: &Value) -> Value {
    let pairs = pairs.as_array().into_iter().flatten();
    pairs.map(|pair| (pair[0].as_str().unwrap_or_default().to_owned(), pair[1].clone())).collect()
}

/// An answer without what no event says: when a key was last used, and how many tasks a request for a deactivation has
/// paused.
fn without_requests(mut answer: Value) -> Value {
    for key in answer.get_mut("api_keys").and_then(Value::as_array_mut).into_iter().flatten() {
        key.get_mut("last_used_at").into_iter().for_each(|last| *last = Value::Null);
    }
    if let Some(tasks) = answer.get_mut("deactivation").and_then(|of| of.get_mut("tasks_paused")) {
        *tasks = Value::Null;
    }
    answer
}

/// Pages, and what is said of a user, a task and an execution, are those of the model.
async fn check_answers(world: &Installation, logged: &[String], parsed: &[Value]) -> Result<(), String> {
    let received_at_ms = i64::MAX / 2;
    let messages: Vec<Message> =
        logged.iter().map(|body| Message { body: body.clone(), received_at_ms }).collect();
    let model = torale_model::World::of(&messages);
    let ui = parts::temporal_ui();
    let ui = ModelTemporalUi { url: ui.url, namespace: ui.namespace };
    let app = caller::instance(world, &ReadLog::default(), 0, parts::LIMITS);
    let administrator = administrators::active(world.administrators, parsed)?;
    // Each in a sixth of the schedules, to save time: every item is compared with a fresh fold already.
    let requests = caller::pages().into_iter().chain(caller::details(parsed));
    for request in requests.filter(|_| fastrand::u8(..6) == 0) {
        let request = request.by(administrator.key);
        let payload = request.payload();
        let (path, query) = (payload["rawPath"].as_str(), payload["rawQueryString"].as_str());
        let (path, query) = path.zip(query).expect("a request");
        let before = clocks::CALLERS[0]();
        let answer = request.send_with(&app, &world.commands.client("endpoint")).await;
        let (status, mut body) = model.get(path, query, before.millis(), &ui);
        if let Some(types) = body.get_mut("error_types") {
            *types = object(types);
        }
        let found = without_requests(answer.json());
        if (answer.status, &found) != (status, &body) {
            return Err(format!("{path}?{query} at {before}\n  answered {}\n  expected {body}", answer.text));
        }
        trace::note(|| format!("{path}?{query} as the model"));
        let detail = DETAILS.iter().find(|(of, _)| answer.status == 200 && path.starts_with(of));
        detail.into_iter().for_each(|(_, name)| faults::count(name, None));
    }
    Ok(())
}
