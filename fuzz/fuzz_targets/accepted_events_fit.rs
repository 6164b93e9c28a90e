//! What the intake accepts can be stored: its keys, its items and its transactions are within the store's limits.
//!
//! An input is a message a line. Each is tried as it is, and stretched: every text in it is repeated up to its bound.
#![no_main]

use libfuzzer_sys::fuzz_target;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use torale_domain::entities::fold::State;
use torale_domain::events::intake::{MAX_MESSAGE_BYTES, MAX_REASON_CHARS};
use torale_domain::events::{Body, Event, MAX_KEPT_DATA, QuarantineReason, ReceivedMessage, parse};
use torale_domain::projections::build::Subtotals;
use torale_domain::projections::plan::{EntityReads, FoundItems};
use torale_domain::projections::views::TaskTotals;
use torale_domain::storage::item::{Attributes, Item, Value as Stored};
use torale_domain::storage::keys::{self, Lanes, StoppableRow};
use torale_domain::storage::limits::ItemLimits;
use torale_domain::storage::write::{Action, Write};
use torale_domain::values::ids::{EntityKey, ApiKeyId};
use torale_domain::values::json;
use torale_domain::values::time::Timestamp;

const NOW: Timestamp = Timestamp::from_millis(1_774_953_030_500);
/// Messages of one input that are tried: each costs two plans.
const MESSAGES: usize = 8;
/// DynamoDB's limits of a transaction.
const TRANSACTION: (usize, usize) = (100, 4 * 1024 * 1024);

fuzz_target!(|input: &[u8]| {
    let text = String::from_utf8_lossy(input);
    let mut stored = FoundItems::new();
    let mut states: BTreeMap<EntityKey, State> = BTreeMap::new();
    for line in text.lines().take(MESSAGES) {
        for message in [Some(line.to_owned()), stretched(line)].into_iter().flatten() {
            match parse(&message, Some(NOW)) {
                Ok(ReceivedMessage::Known(event)) => {
                    keys_fit(&event);
                    states.entry(event.entity()).or_default().fold((*event).clone());
                    planned(&mut stored, *event);
                }
                Ok(ReceivedMessage::Unknown { .. }) => {}
                Err(reason) => bounded(&reason),
            }
        }
    }
    for (entity, state) in states {
        let items = Subtotals::default().entity(&entity, state, TaskTotals::default(), Lanes::DEFAULT);
        assert!(items.expect("an accepted entity fits").iter().all(|item| stored_alike(&stored, item)));
    }
});

/// The message with every text at its bound, and with data that is cut; `None` for what is no object.
fn stretched(line: &str) -> Option<String> {
    let Value::Object(mut message) = json::parse(line).ok()? else { return None };
    for (name, bound) in [("id", 128), ("source", 256)] {
        if let Some(text) = message.get(name).and_then(Value::as_str) {
            message.insert(name.to_owned(), json!(repeated(text, bound)));
        }
    }
    let data = message.get_mut("data")?.as_object_mut()?;
    for (name, value) in data.iter_mut() {
        let Some(text) = value.as_str() else { continue };
        let bound = match name.as_str() {
            "key_id" | "clerk_user_id" | "notification_id" | "workflow_id" | "run_id" | "schedule_id" => 256,
            "cron" | "schedule" => 256,
            "search_query" => 500,
            "error_type" | "status" | "timezone" => 64,
            "email" | "role" | "by" | "reason" | "key_prefix" | "name" | "channel" => 2_000,
            "workflow_type" | "error_message" => 2_000,
            _ids_times_and_unlisted => continue,
        };
        *value = json!(repeated(text, bound));
    }
    data.insert("!".to_owned(), json!("\"".repeat(MAX_KEPT_DATA)));
    let message = Value::Object(message).to_string();
    (message.len() <= MAX_MESSAGE_BYTES).then_some(message)
}

fn repeated(text: &str, characters: usize) -> String {
    text.chars().cycle().take(characters).collect()
}

/// Whatever the message, its reason and 300 KiB of its body fit into an item.
fn bounded(reason: &QuarantineReason) {
    assert!(reason.to_string().chars().count() <= MAX_REASON_CHARS, "{reason}");
}

/// The keys that are made outside of plans; those that hold only the beginning of an id still lead to it.
fn keys_fit(event: &Event) {
    let (key_id, owner) = match &event.body {
        Body::ApiKeyCreated(data) => (&data.key_id, data.user_id),
        Body::ApiKeyRevoked(data) => (&data.key_id, data.user_id),
        _other_types => return,
    };
    let target = format!("{} api_key.revoke {}", event.time.millis(), key_id.as_str());
    for key in [keys::key_used(key_id), keys::outbox(&event.id, &target), keys::live_key(owner, key_id)] {
        assert_eq!(ItemLimits::STORE.check(&Item { key, attributes: Attributes::new() }), Ok(()));
    }
    let live = Item { key: keys::live_key(owner, key_id), attributes: with_whole_id(key_id) };
    assert_eq!(keys::parse_stoppable_row(&live), Some(StoppableRow::Key(key_id.clone())));
    assert!(keys::next(&live.key.sk).len() <= keys::MAX_SK_BYTES);
}

fn with_whole_id(id: &ApiKeyId) -> Attributes {
    let whole = keys::whole_id(id).map(|id| (keys::WHOLE_ID.to_owned(), Stored::Text(id.to_owned())));
    whole.into_iter().collect()
}

/// The writes that an event leads to, after those before it.
fn planned(stored: &mut FoundItems, event: Event) {
    let read = EntityReads::new(Lanes::DEFAULT, Default::default(), Vec::new(), vec![event]);
    let tasks = read.fold(stored).expect("what was stored is read");
    let ranking = tasks.diff(stored).expect("what is accepted is stored");
    let plan = ranking.rank(stored.clone()).into_writes(stored.clone());
    assert!(plan.writes.len() <= TRANSACTION.0);
    assert!(plan.writes.iter().map(Write::size).sum::<usize>() <= TRANSACTION.1);
    for write in plan.writes {
        assert_eq!(ItemLimits::STORE.check_write(&write), Ok(()));
        applied(stored, write);
    }
}

fn applied(stored: &mut FoundItems, write: Write) {
    let before = stored.remove(&write.key).map(|item| item.attributes).unwrap_or_default();
    let attributes = match write.action {
        Action::Delete => return,
        Action::Put(attributes) => attributes,
        Action::Check => before,
        Action::Update { add, set, remove } => {
            let mut attributes = before;
            for (name, amount) in add {
                let sum = match attributes.get(&name) {
                    Some(Stored::Number(number)) => number + amount,
                    _none => amount,
                };
                attributes.insert(name, Stored::Number(sum));
            }
            attributes.extend(set);
            remove.iter().for_each(|name| drop(attributes.remove(name)));
            attributes
        }
    };
    stored.insert(write.key.clone(), Item { key: write.key, attributes });
}

/// One by one, events lead to the items of an entity that a build makes at once; a task's also have totals.
fn stored_alike(stored: &FoundItems, item: &Item) -> bool {
    let found = stored.get(&item.key);
    found.is_some_and(|found| {
        item.attributes.iter().all(|(name, value)| found.attributes.get(name) == Some(value))
    })
}
