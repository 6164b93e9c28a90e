//! Sizes at their extremes: whatever the intake accepts can be stored. Issue 16, "a budget of sizes".
//!
//! Every entity is made of the events that hold its registers, each at every bound at once: the
//! longest ids and texts, in the characters that take the most bytes, and data that is cut.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "test code fails by panicking"
)]

use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use torale_domain::entities::fold::{MAX_KEY_CLAIMS, State};
use torale_domain::entities::linkage::{self, KnownIdentity, Linkage};
use torale_domain::events::intake::MAX_MESSAGE_BYTES;
use torale_domain::events::{self, Body, Event, EventType, ReceivedMessage, SOURCE};
use torale_domain::projections::build::Subtotals;
use torale_domain::projections::entity::{ENTITY_BUDGET, Entity, EntityBudget, LINKED_BUDGET};
use torale_domain::projections::plan::{EntityReads, FoundItems};
use torale_domain::projections::views::TaskTotals;
use torale_domain::storage::item::Item;
use torale_domain::storage::keys::{self, Lanes};
use torale_domain::storage::limits::{ItemLimits, MAX_ITEM_BYTES, item_bytes};
use torale_domain::storage::write::{Action, Write};
use torale_domain::values::ids::{ApiKeyHash, ClerkUserId, EntityKey, UserId};
use torale_domain::values::time::{MINUTE, Timestamp};

const NOW: Timestamp = Timestamp::from_millis(1_774_953_030_500);
const ID: &str = "ffffffff-ffff-4fff-bfff-ffffffffffff";
/// DynamoDB's limits of a transaction: 100 items, 4 MB.
const TRANSACTION: (usize, usize) = (100, 4 * 1024 * 1024);

/// Characters of one to four bytes; those that JSON or a key escapes.
const CHARACTERS: [char; 7] = ['x', 'é', '漢', '🙂', '\u{1}', '"', '\\'];

fn field(name: &str, character: char) -> Option<Value> {
    let text = |length: usize| json!(character.to_string().repeat(length));
    Some(match name {
        "user_id" | "task_id" | "execution_id" => json!(ID),
        "key_id" | "clerk_user_id" | "external_id" | "notification_id" | "workflow_id" | "run_id"
        | "schedule_id" => text(256),
        "search_query" => text(500),
        "email" | "role" | "by" | "reason" | "key_prefix" | "name" | "channel" | "workflow_type" => {
            text(2_000)
        }
        "error_message" | "cron" | "timezone" | "schedule" => text(2_000),
        "key_hash" => json!("f".repeat(64)),
        "error_type" => json!("E".repeat(64)),
        "status" => json!("S".repeat(64)),
        "state" => json!("completed"),
        "duration_ms" | "retry_count" => json!((1_u64 << 53) - 1),
        "will_retry" | "condition_met" | "paused" => json!(true),
        "created_at" | "started_at" | "completed_at" | "start_time" | "close_time" => json!(NOW),
        _unlisted => return None,
    })
}

/// Every listed field of a type, as its schema names them.
fn fields(kind: EventType) -> Vec<String> {
    let path = format!("{}/../../events/schemas/{}.json", env!("CARGO_MANIFEST_DIR"), kind.name());
    let schema: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    schema["properties"]["data"]["properties"].as_object().unwrap().keys().cloned().collect()
}

/// An event with every field at its bound but those that are omitted, so many minutes before now. Its data begins with
/// quotes, which JSON escapes once in the message and once more in the stored entity. Without its `source`, it is one
/// of this system.
fn event(kind: EventType, minutes: i64, character: char, omitted: &str) -> Event {
    let names = fields(kind).into_iter().filter(|name| !omitted.split(' ').any(|one| one == name));
    let mut data: Map<String, Value> =
        names.filter_map(|name| Some((name.clone(), field(&name, character)?))).collect();
    data.insert("\"".to_owned(), json!("\"".repeat(20_000)));
    let source = if omitted == "source" { SOURCE.to_owned() } else { character.to_string().repeat(256) };
    let message = json!({
        "specversion": "1.0", "id": character.to_string().repeat(128), "source": source,
        "type": format!("ai.torale.{}", kind.name()), "time": NOW.plus(-minutes * MINUTE), "data": data,
    });
    let message = message.to_string();
    assert!(message.len() <= MAX_MESSAGE_BYTES, "{}: {}", kind.name(), message.len());
    // As a replay reads it: earlier releases took longer texts of schedules.
    match events::parse(&message, None) {
        Ok(ReceivedMessage::Known(event)) => *event,
        other => panic!("{}: {other:?}", kind.name()),
    }
}

/// The types whose events hold all registers of an entity at once, the latest first. Where an update has
/// several fields, each later one lacks what the earlier one holds.
fn holders(entity: &str) -> Vec<(EventType, &'static str)> {
    use EventType::{
        ApiKeyCreated, ApiKeyRevoked, ExecutionFailed, IdentityCreated, IdentityDeleted, IdentityLoggedIn,
        IdentityUpdated, NotificationSent, ScheduleCreated, ScheduleDeleted, SchedulePaused, ScheduleUpdated,
        TaskCreated, TaskDeleted, TaskPaused, TaskUpdated, UserCreated, UserDeactivated, UserLoggedIn,
        UserReactivated, UserUpdated, WorkflowClosed,
    };
    let whole = |kinds: &[EventType]| kinds.iter().map(|kind| (*kind, "")).collect();
    match entity {
        "user" => {
            let updated = [(UserUpdated, "email"), (UserUpdated, "")];
            let created = [(UserCreated, "role"), (UserCreated, "")];
            let first: Vec<_> = whole(&[UserDeactivated, UserReactivated, UserLoggedIn]);
            [first, vec![(UserDeactivated, "source")], created.into(), updated.into()].concat()
        }
        "identity" => {
            let updated =
                [(IdentityUpdated, "role external_id"), (IdentityUpdated, "role"), (IdentityUpdated, "")];
            [whole(&[IdentityDeleted, IdentityLoggedIn]), updated.into(), whole(&[IdentityCreated])].concat()
        }
        "API key" => whole(&[ApiKeyRevoked, ApiKeyCreated]),
        "task" => {
            let updated =
                [(TaskUpdated, "search_query schedule"), (TaskUpdated, "search_query"), (TaskUpdated, "")];
            [whole(&[TaskDeleted, TaskPaused]), updated.into(), whole(&[TaskCreated])].concat()
        }
        "execution" => whole(&[ExecutionFailed]),
        "notification" => whole(&[NotificationSent]),
        "run" => whole(&[WorkflowClosed]),
        "schedule" => {
            let updated = [(ScheduleUpdated, "timezone"), (ScheduleUpdated, "")];
            let first: Vec<_> = whole(&[ScheduleDeleted, SchedulePaused]);
            [first, updated.into(), whole(&[ScheduleCreated])].concat()
        }
        other => panic!("{other}: which events hold its registers?"),
    }
}

/// The events of an entity at its extremes.
fn extreme(entity: &str, character: char) -> Vec<Event> {
    let holders = (0..).zip(holders(entity));
    let mut events: Vec<Event> =
        holders.map(|(minutes, (kind, omitted))| event(kind, minutes, character, omitted)).collect();
    if entity == "API key" {
        events.extend((1..MAX_KEY_CLAIMS).map(|number| claiming(number, character)));
    }
    events
}

/// An `api_key.created` event, earlier than the one that holds the facts, with a hash and a user of its own.
fn claiming(number: usize, character: char) -> Event {
    let minutes = 10 + i64::try_from(number).unwrap();
    let mut event = event(EventType::ApiKeyCreated, minutes, character, "");
    if let Body::ApiKeyCreated(data) = &mut event.body {
        data.key_hash = ApiKeyHash::parse(&format!("{number:064x}")).unwrap();
        data.user_id = UserId::parse(&format!("00000000-0000-4000-8000-{number:012}")).unwrap();
    }
    event
}

fn folded(events: &[Event]) -> (EntityKey, State) {
    let mut state = State::default();
    assert!(
        events.iter().all(|event| state.fold(event.clone())),
        "each event holds a register, or makes a claim"
    );
    (events[0].entity(), state)
}

/// The greatest totals by day that a task can have by the year 2100.
fn greatest_totals() -> TaskTotals {
    let count = (1_u64 << 30) - 1;
    let days: Vec<String> = (0..31_046).map(|day| format!("[0,1,{}]", count - day % 2)).collect();
    let text =
        format!("[[{count},{count},{count},{}],[[16436,1,{count}],{}]]", u128::MAX >> 40, days.join(","));
    TaskTotals::load(&text).unwrap()
}

fn totals_of(entity: &str) -> TaskTotals {
    if entity == "task" { greatest_totals() } else { TaskTotals::default() }
}

#[test]
fn the_items_of_every_entity_fit_into_its_budget_and_into_the_store() {
    for EntityBudget { entity, events, state, totals } in ENTITY_BUDGET {
        assert!(state + totals + 2_048 <= MAX_ITEM_BYTES, "{entity}");
        let mut greatest = 0;
        for character in CHARACTERS {
            let (key, folded) = folded(&extreme(entity, character));
            assert!(State::load(&folded.store().unwrap()).unwrap() == folded, "{entity}, {character:?}");
            greatest = greatest.max(folded.store().unwrap().len());
            let items = Subtotals::default().entity(&key, folded, totals_of(entity), Lanes::DEFAULT);
            let own = items.unwrap().into_iter().last().unwrap();
            assert!(
                item_bytes(&own.key, &own.attributes) <= state + totals + 2_048,
                "{entity}, {character:?}"
            );
        }
        assert_eq!(holders(entity).len(), *events, "{entity}");
        assert!(greatest <= *state, "{entity}: {greatest} of {state}");
        assert!(greatest > state - state / 20, "{entity}: {greatest} of {state}: is this the extreme?");
    }
    assert!(greatest_totals().store().len() <= 200_000);
}

/// The events that hold all that a user's identities say: their own, and those that name the id derived from one.
fn shown(character: char) -> State {
    use EventType::{
        IdentityCreated, IdentityDeleted, IdentityLoggedIn, IdentityUpdated, UserDeactivated, UserReactivated,
    };
    let state = |holders: &[(i64, EventType, &str)]| {
        let mut state = State::default();
        for (minutes, kind, omitted) in holders {
            assert!(state.fold(event(*kind, *minutes, character, omitted)), "{}", kind.name());
        }
        state
    };
    let of_derived =
        state(&[(2, UserReactivated, ""), (1, UserDeactivated, "source"), (0, UserDeactivated, "")]);
    let identity = state(&[
        (7, IdentityCreated, ""),
        (6, IdentityUpdated, ""),
        (5, IdentityUpdated, "email"),
        (4, IdentityLoggedIn, ""),
        (3, IdentityDeleted, ""),
    ]);
    let clerk = ClerkUserId::parse(&character.to_string().repeat(256)).unwrap();
    let identity = KnownIdentity { clerk: &clerk, state: &identity, users: 1 };
    identity.says(&linkage::of_derived(&of_derived))
}

/// Issue 17: a user whose identities say too much was left out, or kept what they said before.
#[test]
fn what_a_users_own_events_and_those_of_all_identities_say_fits_into_one_item() {
    let (events, budget) = LINKED_BUDGET;
    let (mut greatest, mut whole) = (0, 0);
    for character in CHARACTERS {
        let linked = shown(character);
        let stored = linked.store().unwrap();
        assert_eq!(stored.matches("\"type\":\"").count(), events, "{character:?}");
        greatest = greatest.max(stored.len());
        let (key, state) = folded(&extreme("user", character));
        let linkage = Linkage { linked, links: u64::MAX, users: 0 };
        let attributes = Entity { state, linkage, ..Entity::default() }.store().unwrap();
        let item = Item { key: keys::entity(&key), attributes };
        ItemLimits::STORE.check(&item).unwrap();
        whole = whole.max(item_bytes(&item.key, &item.attributes));
    }
    let own = ENTITY_BUDGET.iter().find(|budget| budget.entity == "user").unwrap().state;
    assert!(own + budget + 2_048 <= MAX_ITEM_BYTES, "{own} and {budget}");
    assert!(greatest <= budget && greatest > budget - budget / 20, "{greatest} of {budget}");
    assert!(whole <= own + budget + 2_048, "{whole}");
}

/// What the planner writes when an entity comes to be, and when it changes in everything at once.
#[test]
fn the_transaction_of_one_entity_fits() {
    for EntityBudget { entity, .. } in ENTITY_BUDGET {
        for character in CHARACTERS {
            let events = extreme(entity, character);
            // The earliest first: then every later one changes what is there.
            let mut found = FoundItems::new();
            for event in events.iter().rev() {
                for write in writes(&found, vec![event.clone()]) {
                    apply(&mut found, write);
                }
            }
            let at_once = writes(&FoundItems::new(), events);
            assert!(!at_once.is_empty());
        }
    }
}

/// The writes of some events, which must fit into one transaction.
fn writes(found: &FoundItems, events: Vec<Event>) -> Vec<Write> {
    let read = EntityReads::new(Lanes::DEFAULT, Default::default(), Vec::new(), events);
    let tasks = read.fold(found).unwrap();
    let plan = tasks.diff(found).unwrap().rank(found.clone()).into_writes(found.clone());
    let (items, bytes) = TRANSACTION;
    assert!(plan.writes.len() <= items, "{} writes", plan.writes.len());
    assert!(plan.writes.iter().map(Write::size).sum::<usize>() <= bytes);
    plan.writes.iter().for_each(|write| ItemLimits::STORE.check_write(write).unwrap());
    plan.writes
}

fn apply(found: &mut FoundItems, write: Write) {
    let attributes = match write.action {
        Action::Put(attributes) => attributes,
        Action::Delete => {
            found.remove(&write.key);
            return;
        }
        Action::Check => return,
        Action::Update { add, set, remove } => {
            let mut attributes: BTreeMap<_, _> =
                found.get(&write.key).map(|item| item.attributes.clone()).unwrap_or_default();
            for (name, amount) in add {
                let sum = found.get(&write.key).map_or(0, |item| item.number(&name)) + amount;
                attributes.insert(name, torale_domain::storage::item::Value::Number(sum));
            }
            attributes.extend(set);
            remove.iter().for_each(|name| drop(attributes.remove(name)));
            attributes
        }
    };
    found.insert(write.key.clone(), Item { key: write.key, attributes });
}

/// Every field that the contract lists has a value here: one that is listed one day must be tried, too.
#[test]
fn every_listed_field_is_tried_at_its_bound() {
    for kind in EventType::ALL {
        for name in fields(*kind) {
            assert!(field(&name, 'x').is_some(), "{}: {name}", kind.name());
        }
    }
}
