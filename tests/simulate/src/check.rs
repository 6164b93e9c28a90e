//! What must hold once everything is quiet.

use crate::caller::{self, Answered};
use crate::clocks;
use crate::damage::damage;
use crate::installation::Installation;
use crate::jobs;
use crate::tables::{AsOf, Tables};
use crate::trace;
use std::collections::{BTreeMap, BTreeSet};
use tokio::time::{Duration, sleep};
use torale_domain::audit::ChainedRecord;
use torale_domain::audit::seal::MAX_RECORD_DELAY;
use torale_domain::audit::verify::{HourSpan, TrailVerifier};
use torale_domain::deactivation::causes::{self, CauseRecords, RequestedDeactivation};
use torale_domain::deactivation::commands::{Command, ReceivedCommand};
use torale_domain::events::{self, ReceivedMessage};
use torale_domain::projections::entity::Entity;
use torale_domain::storage::item::{Item, Key, Value};
use torale_domain::storage::keys::{self, AUDIT_TABLE, CONTROL_TABLE, EVENTS_TABLE, QUARANTINE_TABLE};
use torale_domain::storage::read::Range;
use torale_domain::values::ids::{EntityKey, UserId};
use torale_model::{Message, ModelTemporalUi};
use torale_platform::store::{GenerationPointer, log};
use torale_testkit::present::NOW;
use torale_testkit::{parts, rebuild};

/// Whether all of it holds; `damages` if the projections are to be damaged and repaired as well.
///
/// # Errors
/// What does not.
pub async fn check(world: &Installation, answered: &Answered, damages: bool) -> Result<(), String> {
    if let Some(violation) = world.violations.borrow().first() {
        return Err(violation.clone());
    }
    let pointer = pointer(&world.tables.lock())?;
    let logged = check_messages(world)?;
    check_projections(&world.tables.lock(), &pointer, &logged)?;
    if damages {
        damage(world, &pointer.live).await?;
        check_projections(&world.tables.lock(), &pointer, &logged)?;
    }
    check_commands(world, &logged)?;
    check_deactivated(&world.tables.lock(), &pointer, &logged, answered)?;
    check_audit(world, answered).await?;
    check_answers(world, &logged).await
}

fn pointer(tables: &Tables) -> Result<GenerationPointer, String> {
    let pointer = tables.get(CONTROL_TABLE, &keys::live_generation(), AsOf::NOW).map_err(text)?;
    GenerationPointer::load(pointer.as_ref()).map_err(text)
}

fn text(error: impl ToString) -> String {
    error.to_string()
}

/// Every event that was sent is in the log, and every other message in quarantine. Returns the log.
fn check_messages(world: &Installation) -> Result<Vec<String>, String> {
    let tables = world.tables.lock();
    let logged = logged(&tables.items(EVENTS_TABLE))?;
    let quarantined = tables.items(QUARANTINE_TABLE);
    let in_log: BTreeSet<&str> = logged.iter().map(String::as_str).collect();
    let quarantined: BTreeSet<&str> = quarantined.iter().filter_map(|item| item.text("body")).collect();
    let now = NOW.plus(trace::elapsed());
    for message in world.events.taken() {
        let is_event = events::parse(&message, Some(now)).is_ok();
        let place = if is_event { &in_log } else { &quarantined };
        if !place.contains(message.as_str()) {
            return Err(format!("lost, event: {is_event}: {message}"));
        }
    }
    Ok(logged)
}

fn logged(items: &[Item]) -> Result<Vec<String>, String> {
    let mut logged = Vec::new();
    for item in items {
        let Some(Value::Bytes(packed)) = item.attributes.get("events") else {
            return Err(format!("no record of the log: {:?}", item.key));
        };
        logged.extend(log::unpack(packed).map_err(text)?);
    }
    Ok(logged)
}

/// The items of the live generation, and of a complete shadow generation, are those of a fresh fold of the log. A
/// shadow generation whose promotion was never completed need not have everything.
fn check_projections(tables: &Tables, pointer: &GenerationPointer, logged: &[String]) -> Result<(), String> {
    let expected = rebuild::items(logged, None);
    let complete = pointer.shadow.iter().filter(|shadow| shadow.complete).map(|shadow| &shadow.generation);
    for generation in complete.chain([&pointer.live]) {
        let found: BTreeMap<String, String> =
            tables.items(&generation.table()).iter().map(parts::print_item).collect();
        if found != expected {
            return Err(difference(&generation.name, &found, &expected));
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

/// Each command has taken effect, and is confirmed by one event for each of its effects, whatever came twice.
fn check_commands(world: &Installation, logged: &[String]) -> Result<(), String> {
    let mut confirmed: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for body in logged {
        let event: serde_json::Value = serde_json::from_str(body).map_err(text)?;
        let (id, subject) =
            (event["id"].to_string(), event["type"].to_string() + &event["subject"].to_string());
        confirmed.entry(id).or_default().insert(subject);
    }
    let effects = world.outside.lock();
    for body in world.commands.taken() {
        let received = Command::receive(&body).map_err(text)?;
        let has_effect = match &received.command {
            Command::BanUser { clerk_user_id, .. } => effects.banned.contains(clerk_user_id.as_str()),
            Command::PauseTask { schedules, .. } => {
                schedules.ids.iter().all(|schedule| effects.paused.contains(schedule.as_str()))
            }
            Command::RevokeKey { .. } => true,
        };
        if !has_effect {
            return Err(format!("a command has no effect: {body}"));
        }
        for id in confirming_ids(&received) {
            if confirmed.get(&id).map(BTreeSet::len) != Some(1) {
                return Err(format!("{:?} confirm {body}", confirmed.get(&id)));
            }
        }
    }
    Ok(())
}

/// The ids of the events that confirm a command and do not depend on Temporal.
fn confirming_ids(received: &ReceivedCommand) -> Vec<String> {
    let events = received.confirming_events(&[], NOW);
    let events = events.iter().filter_map(|body| serde_json::from_str::<serde_json::Value>(body).ok());
    events.map(|event| event["id"].to_string()).collect()
}

/// What an admin deactivated is noted, and of whom a cause of commands holds, nothing is alive.
fn check_deactivated(
    tables: &Tables,
    pointer: &GenerationPointer,
    logged: &[String],
    answered: &Answered,
) -> Result<(), String> {
    let deactivation = |user: UserId| -> Result<Option<RequestedDeactivation>, String> {
        let item = tables.get(CONTROL_TABLE, &keys::deactivation(user), AsOf::NOW).map_err(text)?;
        item.as_ref().map(RequestedDeactivation::load).transpose().map_err(text)
    };
    let table = pointer.live.table();
    for user in users(logged) {
        let entity = entity(tables, &table, &keys::user(user))?;
        let mut records = CauseRecords::default();
        for other in causes::deactivations_of(user, &entity) {
            records.deactivations.extend(deactivation(other)?.map(|found| (other, found)));
        }
        for origin in causes::origins_of(user, &entity) {
            records.origins.insert(origin, self::entity(tables, &table, &keys::user(origin))?);
        }
        let Some(cause) = causes::effective_cause(user, &entity, &records) else { continue };
        crate::faults::count("stays deactivated", None);
        let range = Range { pk: keys::stoppable_of(user), ..Range::default() };
        let alive = tables.query(&table, &range, None, AsOf::NOW).map_err(text)?.items;
        if let Some(item) = alive.first() {
            return Err(format!("{user} is deactivated by {cause:?}, and {:?} is alive", item.key));
        }
    }
    for user in &answered.deactivated {
        if deactivation(*user)?.is_none() {
            return Err(format!("the deactivation of {user} was answered with 200 and is not noted"));
        }
    }
    Ok(())
}

fn entity(tables: &Tables, table: &str, key: &Key) -> Result<Entity, String> {
    Entity::load(tables.get(table, key, AsOf::NOW).map_err(text)?.as_ref()).map_err(text)
}

/// The users whom events of the log are about.
fn users(logged: &[String]) -> BTreeSet<UserId> {
    let parsed = logged.iter().filter_map(|body| events::parse(body, None).ok());
    parsed
        .filter_map(|message| match message {
            ReceivedMessage::Known(event) => match event.entity() {
                EntityKey::User(user) => Some(user),
                _others => None,
            },
            ReceivedMessage::Unknown { .. } => None,
        })
        .collect()
}

/// The audit trail is intact, seals cover all of it once it has settled, and every answer has its record.
async fn check_audit(world: &Installation, answered: &Answered) -> Result<(), String> {
    if answered.recorded.is_empty() && world.tables.lock().items(AUDIT_TABLE).is_empty() {
        return Ok(());
    }
    sleep(Duration::from_millis(2 * MAX_RECORD_DELAY.unsigned_abs())).await;
    jobs::seal(world, clocks::SEALER).await.map_err(text)?;
    let items = world.tables.lock().items(AUDIT_TABLE);
    let mut verifier = TrailVerifier::new(HourSpan::default());
    items.iter().for_each(|item| verifier.add(item));
    let report =
        verifier.finish(&[*torale_platform::audit::seal::Signer::key(&parts::audit_key())], None, None);
    if !report.faults.is_empty() || report.unsealed > 0 {
        return Err(format!("the audit trail: {report:?}"));
    }
    let recorded: BTreeSet<String> =
        items.iter().filter_map(ChainedRecord::load).map(|link| link.record.entry.request_id).collect();
    match answered.recorded.difference(&recorded).next() {
        Some(request) => Err(format!("the request {request} was answered and is not recorded")),
        None => Ok(()),
    }
}

/// Pages are those of the model.
async fn check_answers(world: &Installation, logged: &[String]) -> Result<(), String> {
    let received_at_ms = i64::MAX / 2;
    let messages: Vec<Message> =
        logged.iter().map(|body| Message { body: body.clone(), received_at_ms }).collect();
    let model = torale_model::World::of(&messages);
    let ui = parts::temporal_ui();
    let ui = ModelTemporalUi { url: ui.url, namespace: ui.namespace };
    let app = caller::instance(world);
    for request in caller::pages() {
        let payload = request.payload();
        let (path, query) = (payload["rawPath"].as_str(), payload["rawQueryString"].as_str());
        let (path, query) = path.zip(query).expect("a request");
        // The simulated time stands still while nothing waits, but not during a request.
        let before = clocks::ENDPOINTS();
        let answer = request.send_with(&app, &world.commands.client("endpoint")).await;
        let (status, body) = model.get(path, query, before.millis(), &ui);
        if (answer.status, answer.json()) != (status, body.clone()) {
            return Err(format!("{path}?{query} at {before}\n  answered {}\n  expected {body}", answer.text));
        }
        trace::note(|| format!("{path}?{query} as the model"));
    }
    Ok(())
}
