//! A rebuild always ends: what can't be read or written is named and left out, and everything else is built (issue
//! 16, numbers 1 and 2).

use super::{filled, quiet, rebuild};
use executions::Executions;
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use torale_domain::projections::generation::Generation;
use torale_domain::replay::rebuild::Tally;
use torale_domain::storage::item::Key;
use torale_domain::storage::keys::{self, Lanes};
use torale_domain::storage::limits::ItemLimits;
use torale_domain::values::ids::{ApiKeyHash, ApiKeyId, EntityKey, TaskId, UserId};
use torale_domain::values::time::DAY;
use torale_platform::store::Usage;
use torale_platform::store::log::LogEntry;
use torale_replay::Replay;
use torale_replay::build::BuildOutcome;
use torale_replay::compare::{Comparison, Expected};
use torale_replay::promotion::{Promotion, PromotionStep};
use torale_testkit::events::{self, event};
use torale_testkit::request::get;
use torale_testkit::stack::{NOW, Stack, text};

const LARGE_TASK: &str = "22222222-0000-4000-8000-0000000000f2";
const USER: &str = "11111111-0000-4000-8000-0000000000f1";
const TASK: &str = "22222222-0000-4000-8000-0000000000f1";

fn entity_of_user() -> EntityKey {
    EntityKey::User(UserId::parse(USER).unwrap())
}

/// The first poison: its sort keys were over 1,024 bytes, so that it was accepted and could not be projected.
fn longest_key() -> (ApiKeyId, String) {
    let id = "🙂".repeat(256);
    let data = json!({ "key_id": id, "user_id": USER, "key_hash": "ab".repeat(32), "key_prefix": "sk_" });
    (ApiKeyId::parse(&id).unwrap(), event("poison-1", NOW.plus(-DAY), "api_key.created", data))
}

/// The second poison: a wrong field of 220 KB, whose reason quoted all of it.
fn wrong_field() -> String {
    let data = json!({ "execution_id": TASK, "task_id": TASK, "user_id": USER,
        "started_at": "2026-03-01T08:00:00Z", "condition_met": "x".repeat(220_000) });
    event("poison-2", NOW.plus(-DAY), "execution.succeeded", data)
}

/// A user whose state takes some 16 KB more than any other's.
fn large_user() -> String {
    let data = json!({ "user_id": USER, "clerk_user_id": "user_large", "email": "l@example.com",
        "role": "🙂".repeat(2_000) });
    event("large", NOW.plus(-DAY), "user.created", data)
}

/// A task of the same size: no other entity depends on it, as an identity does on the users who name it.
fn large_task() -> String {
    let data = json!({ "task_id": LARGE_TASK, "user_id": USER, "search_query": "large", "name": "🙂".repeat(2_000) });
    event("large-task", NOW.plus(-DAY), "task.created", data)
}

/// Puts a message into the log as a consumer of this name does, and nowhere else.
async fn append(stack: &Stack, writer: &str, lane: u32, body: &str) {
    let entry = LogEntry { lane, body };
    stack.store().append(&[entry], NOW, writer, &Usage::default()).await.unwrap();
}

/// What the building of a generation has found.
async fn found(replay: &Replay, generation: &Generation) -> Tally {
    match replay.build(&generation.name, 1, &Default::default()).await.unwrap() {
        BuildOutcome::Finished(tally) => tally,
        BuildOutcome::OutOfTime => panic!("there is no deadline"),
    }
}

async fn compare(replay: &Replay, expected: Expected<'_>, found: &Generation) -> Comparison {
    replay.compare(expected, found, Duration::ZERO, || async { Ok(()) }).await.unwrap()
}

async fn verify(replay: &Replay, generation: &Generation) -> Comparison {
    compare(replay, Expected::Log(generation.lanes), generation).await
}

fn keys_of(comparison: &Comparison) -> BTreeSet<Key> {
    comparison.differences.iter().map(|difference| difference.key.clone()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_with_both_poisons_is_rebuilt_and_everything_else_is_equal() {
    let (stack, _) = filled(9000, 80).await;
    let (id, first) = longest_key();
    append(&stack, "first", keys::log_lane(&EntityKey::ApiKey(id.clone())), &first).await;
    append(&stack, "second", 0, &wrong_field()).await;
    let replay = quiet(stack.store_as("Operator"));

    let rebuilt = rebuild(&replay, Lanes::DEFAULT).await.unwrap();

    // The second is named as what can't be read, and the first is projected now: these items, and no others, are what
    // the live generation lacks.
    let tally = found(&replay, &rebuilt).await;
    assert_eq!((tally.undecodable, tally.undecodable_in.len(), tally.unwritable), (1, 1, 0));
    assert!(tally.undecodable_in[0].contains("#second#"), "{tally:?}");
    let live = replay.pointer().await.unwrap().live;
    let compared = compare(&replay, Expected::Table(&live), &rebuilt).await;
    let hash = ApiKeyHash::parse(&"ab".repeat(32)).unwrap();
    let user = UserId::parse(USER).unwrap();
    let of_the_key = [
        keys::entity(&EntityKey::ApiKey(id.clone())),
        keys::key_lookup(&hash, &id, false),
        keys::live_key(user, &id),
        keys::user_key(user, &id),
    ];
    assert_eq!(keys_of(&compared), BTreeSet::from(of_the_key.clone()));
    assert!(compared.differences.iter().all(|difference| difference.expected.is_none()));

    // The live generation is found to lack them, and gets them: on demand, since what can't be read may be of the key.
    assert_eq!(keys_of(&verify(&replay, &live).await), BTreeSet::from(of_the_key));
    assert!(replay.repair(&live, Duration::ZERO, false).await.is_err());
    let (repaired, left) = replay.repair(&live, Duration::ZERO, true).await.unwrap();
    assert_eq!((repaired, left.is_equal(), left.tally.is_complete()), (4, true, false));
}

/// As an entity of an older log would be that exceeds an item: here, since the limit is set lower.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_entity_that_cannot_be_written_is_named_and_left_out() {
    let (stack, _) = filled(9100, 80).await;
    let task = EntityKey::Task(TaskId::parse(LARGE_TASK).unwrap());
    append(&stack, "first", keys::log_lane(&task), &large_task()).await;
    let limits = ItemLimits { item: 10_000, ..ItemLimits::STORE };
    let replay = Replay { limits, ..quiet(stack.store_as("Operator")) };

    let rebuilt = rebuild(&replay, Lanes::DEFAULT).await.unwrap();

    let tally = found(&replay, &rebuilt).await;
    assert_eq!((tally.undecodable, tally.unwritable), (0, 1));
    let named = &tally.unwritable_entities[0];
    assert_eq!(named.pk, format!("t#{LARGE_TASK}"));
    assert!(named.reason.contains("of 10000 at most"), "{}", named.reason);
    // Everything else is built, and the comparisons know of it.
    assert!(stack.generation(&rebuilt.name).await == stack.projections().await);
    let live = replay.pointer().await.unwrap().live;
    assert!(compare(&replay, Expected::Table(&live), &rebuilt).await.is_equal());
    let verified = verify(&replay, &rebuilt).await;
    assert_eq!((verified.is_equal(), verified.tally.unwritable), (true, 1));
    // It does not stand in the way of a promotion.
    let mut promotion = Promotion::new(&replay, &rebuilt.name);
    while let PromotionStep::Wait(left) = promotion.step().await.unwrap() {
        tokio::time::sleep(left).await;
    }
    assert_eq!(replay.pointer().await.unwrap().live.name, rebuilt.name);
}

/// Written when it was smaller, say, an entity may lie in the one generation that is missing in the other.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_item_of_an_entity_that_cannot_be_written_is_a_known_difference() {
    let (stack, _) = filled(9200, 60).await;
    stack.consume(&[large_user()]).await;
    let limits = ItemLimits { item: 10_000, ..ItemLimits::STORE };
    let replay = Replay { limits, ..quiet(stack.store_as("Operator")) };
    let live = replay.pointer().await.unwrap().live;
    let own = keys::entity(&entity_of_user());

    let verified = verify(&replay, &live).await;
    assert_eq!(verified.known.iter().map(|one| &one.key).collect::<Vec<_>>(), [&own]);
    assert!(!verified.differences.is_empty() && !keys_of(&verified).contains(&own), "its rows and counters");

    // Those are taken back, and its item stays as it is: nothing is deleted unasked, and nothing stops.
    let (repaired, left) = replay.repair(&live, Duration::ZERO, false).await.unwrap();
    assert!(repaired > 0 && left.is_equal());
    assert_eq!(left.known.len(), 1);
    let rebuilt = rebuild(&replay, Lanes::DEFAULT).await.unwrap();
    let compared = compare(&replay, Expected::Table(&live), &rebuilt).await;
    assert_eq!((compared.is_equal(), compared.known.len()), (true, 1));
}

/// Issue 16, number 2.
#[tokio::test]
async fn a_message_with_a_wrong_field_of_220_kb_is_quarantined() {
    let stack = Stack::start().await;
    for field in ["condition_met", "state"] {
        let body = if field == "state" {
            let data = json!({ "task_id": TASK, "user_id": USER, "search_query": "q", "state": "x".repeat(220_000) });
            event("state", NOW.plus(-DAY), "task.created", data)
        } else {
            wrong_field()
        };
        let outcome = stack.consume(&[body]).await;
        assert_eq!(outcome.quarantined, BTreeMap::from([("data", 1)]), "{field}");
    }
    let quarantined = quiet(stack.store_as("Operator")).quarantined().await.unwrap();
    assert_eq!(quarantined.len(), 2);
    for message in quarantined {
        assert!(message.complete && message.bytes > 220_000);
        assert!(message.reason.len() < 1_000, "{}", message.reason.len());
    }
}

/// An event whose entity can't be written is seen in the quarantine, instead of going round sixty times.
#[tokio::test]
async fn an_event_whose_task_exceeds_an_item_is_quarantined_and_not_lost() {
    let stack = Stack::start().await;
    let task = json!({ "task_id": TASK, "user_id": USER, "search_query": "q" });
    stack.consume(&[events::admin(), vec![event("t", NOW.plus(-DAY), "task.created", task)]].concat()).await;
    // Somebody gives the task 250,000 days of executions, from the year 2562 on: with one of today the days between
    // would exceed the item.
    let key = keys::entity(&EntityKey::Task(TaskId::parse(TASK).unwrap()));
    let table = keys::projections_table(keys::FIRST_GENERATION);
    let totals = format!("[[375000,0,0,0],\"216436:{}\"]", "12".repeat(125_000));
    let mut item = stack.item(&table, &key).await.unwrap();
    item.insert("totals".to_owned(), text(&totals));
    stack.client.put_item().table_name(&table).set_item(Some(item)).send().await.unwrap();

    let run = json!({ "execution_id": TASK, "task_id": TASK, "user_id": USER });
    let outcome = stack.consume(&[event("x", NOW.plus(-DAY), "execution.started", run)]).await;

    assert_eq!(outcome.quarantined, BTreeMap::from([("unwritable", 1)]));
    let replay = quiet(stack.store_as("Operator"));
    let quarantined = replay.quarantined().await.unwrap();
    assert_eq!((quarantined.len(), quarantined[0].code.as_str()), (1, "unwritable"));
    assert!(
        quarantined[0].reason.contains(&format!("the item of t#{TASK} / e")),
        "{}",
        quarantined[0].reason
    );
    // It is in the log: the projections are mended from there.
    let live = replay.pointer().await.unwrap().live;
    let (_, left) = replay.repair(&live, Duration::ZERO, false).await.unwrap();
    assert!(left.is_equal() && left.tally.is_complete());
    assert_eq!(stack.read(&get::<Executions>("hours=8760")).await["total"], json!(1));
}
