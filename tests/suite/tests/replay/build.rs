//! A generation that is built from the log is the live one, item by item, whatever stands in the way.

use super::{assert_same, filled, quiet, rebuild, ticking, time_passes};
use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::AttributeValue;
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;
use torale_domain::events::{self, ReceivedMessage};
use torale_domain::projections::generation::Generation;
use torale_domain::storage::item::Attributes;
use torale_domain::storage::keys::{self, CONTROL_TABLE, EVENTS_TABLE, Lanes};
use torale_domain::storage::write::{Action, Write};
use torale_domain::values::ids::EntityKey;
use torale_domain::values::ids::UserId;
use torale_platform::store::Usage;
use torale_platform::store::log::LogEntry;
use torale_replay::build::BuildOutcome;
use torale_replay::{Replay, ReplayError, StopSignal};
use torale_tests::faults::Faults;
use torale_tests::generate::{self, event};
use torale_tests::stack::{NOW, Stack};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rebuilt_generation_is_the_live_one_item_by_item() {
    for seed in 3000..3008 {
        let (stack, _) = filled(seed, 120).await;
        let replay = quiet(stack.store_as("Operator"));
        let generation = rebuild(&replay, Lanes::DEFAULT).await.unwrap();
        assert_same(&stack, &generation.name, "g1").await;
        assert_eq!(replay.pointer().await.unwrap().live, Generation::first());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_does_not_fit_into_memory_is_split() {
    let (stack, _) = filled(3100, 150).await;
    let replay = Replay { memory: 12 * 1024, ..quiet(stack.store_as("Operator")) };
    let generation = rebuild(&replay, Lanes::DEFAULT).await.unwrap();
    let board = replay.board(&generation.name).await.unwrap().unwrap();
    assert!(board.units.len() > 20, "{} units", board.units.len());
    assert_same(&stack, &generation.name, "g1").await;
    let live = stack.projections().await;
    assert_eq!(board.tally().items, u64::try_from(live.len()).unwrap());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_split_any_more_is_an_error_that_says_so() {
    let (stack, _) = filled(3101, 20).await;
    let replay = Replay { memory: 16, ..quiet(stack.store_as("Operator")) };
    let failed = rebuild(&replay, Lanes::DEFAULT).await;
    assert!(matches!(failed, Err(ReplayError::TooLarge(_))), "{failed:?}");
}

/// The store goes away after any number of calls, before or after a call took effect; then another process goes on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_dies_at_any_call_another_goes_on() {
    let (stack, _) = filled(3200, 30).await;
    let live = stack.projections().await;
    let calls = Faults::new(usize::MAX, false, true);
    let replay = quiet(stack.faulty_store(calls.clone()));
    let generation = rebuild(&replay, Lanes::DEFAULT).await.unwrap();
    assert!(replay.drop_generation(&generation.name).await.unwrap());
    let mut died = 0;
    for at in (0..calls.calls()).step_by(29) {
        let dying = quiet(stack.faulty_store(Faults::new(at, at % 2 == 0, true)));
        died += u64::from(rebuild(&dying, Lanes::DEFAULT).await.is_err());
        time_passes();
        let replay = quiet(stack.store_as("Operator"));
        let generation = rebuild(&replay, Lanes::DEFAULT).await.unwrap();
        assert!(stack.generation(&generation.name).await == live, "died at call {at}");
        let runs = stack.scan(CONTROL_TABLE).await.into_iter();
        let runs = runs.filter(|item| item["pk"].as_s().is_ok_and(|pk| pk.starts_with("runs#")));
        assert_eq!(runs.count(), 0, "what was put aside is removed");
        assert!(replay.drop_generation(&generation.name).await.unwrap());
    }
    assert!(died > 2, "{died} died");
}

/// Whoever goes on begins at the last checkpoint, not at the beginning.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_written_is_not_written_again() {
    let (stack, _) = filled(3250, 100).await;
    let calls = Faults::new(usize::MAX, false, true);
    let whole = quiet(stack.faulty_store(calls.clone()));
    let generation = whole.next_generation(Lanes::DEFAULT).await.unwrap();
    whole.begin(&generation).await.unwrap();
    let begun = calls.calls();
    whole.build(&generation.name, 1, &StopSignal::default()).await.unwrap();
    let (items, calls) = (whole.meter.items(), calls.calls());
    whole.drop_generation(&generation.name).await.unwrap();

    let dying = quiet(stack.faulty_store(Faults::new(begun + (calls - begun) * 2 / 3, false, true)));
    let generation = dying.next_generation(Lanes::DEFAULT).await.unwrap();
    dying.begin(&generation).await.unwrap();
    assert!(dying.build(&generation.name, 1, &StopSignal::default()).await.is_err());
    time_passes();
    let rest = quiet(stack.store_as("Operator"));
    rest.build(&generation.name, 1, &StopSignal::default()).await.unwrap();
    let (before, after) = (dying.meter.items(), rest.meter.items());
    assert!(
        before > 0 && after > 0 && before + after <= items + 2 * 7 * 3,
        "{before} and {after} of {items}"
    );
    assert_same(&stack, &generation.name, "g1").await;
}

/// Events of a type or version that was not known when they came are folded with all others of their entities.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_becomes_known_is_projected_with_the_rest() {
    let (known, messages) = filled(3260, 150).await;
    let stack = Stack::start().await;
    let (store, usage) = (stack.store(), Usage::default());
    for (number, body) in messages.iter().enumerate() {
        let Ok(ReceivedMessage::Known(event)) = events::parse(body, Some(NOW)) else { continue };
        let of = keys::log_lane(&event.entity());
        let lane = if number % 2 == 0 { of } else { keys::UNKNOWN_LANE };
        store.append(&[LogEntry { lane, body }], NOW, &format!("w{number}"), &usage).await.unwrap();
        if number % 10 == 0 {
            let found = quiet(stack.store_as("Operator")).events_of(&event.entity()).await.unwrap();
            assert!(found.iter().any(|logged| logged.message == *body));
        }
    }
    let generation = rebuild(&quiet(stack.store_as("Operator")), Lanes::DEFAULT).await.unwrap();
    assert!(stack.generation(&generation.name).await == known.projections().await);
}

/// A log whose beginning nobody has noted is looked through for it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_without_a_noted_beginning_is_built_from_its_first_part() {
    let (stack, _) = filled(3270, 40).await;
    let key = keys::log_beginning();
    let delete = stack.client.delete_item().table_name(CONTROL_TABLE).key("pk", AttributeValue::S(key.pk));
    delete.key("sk", AttributeValue::S(key.sk)).send().await.unwrap();
    let replay = quiet(stack.store_as("Operator"));
    assert!(replay.beginning().await.unwrap() <= NOW.hour());
    assert!(ticking() > NOW);
    let generation = rebuild(&replay, Lanes::DEFAULT).await.unwrap();
    assert_same(&stack, &generation.name, "g1").await;
}

/// P6: what a rebuild writes is its own generation and its own plan; nothing is commanded, nothing is recorded.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rebuild_is_silent() {
    let (stack, _) = filled(3300, 80).await;
    let others = [EVENTS_TABLE, keys::AUDIT_TABLE, keys::AUDIT_INDEX_TABLE, keys::QUARANTINE_TABLE];
    let mut before = Vec::new();
    for table in others {
        before.push(stack.scan(table).await);
    }
    rebuild(&quiet(stack.store_as("Operator")), Lanes::DEFAULT).await.unwrap();
    for (table, before) in others.iter().zip(before) {
        assert!(stack.scan(table).await == before, "{table}");
    }
    for item in stack.scan(CONTROL_TABLE).await {
        let pk = item["pk"].as_s().unwrap();
        assert!(["log", "generation"].contains(&pk.as_str()) || pk.starts_with("rebuild#"), "{pk}");
    }
}

/// Stopped again and again, it still ends, and the work of before is not done again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn time_that_is_up_again_and_again_is_enough() {
    let (stack, _) = filled(3400, 100).await;
    let replay = quiet(stack.store_as("Operator"));
    let generation = replay.next_generation(Lanes::DEFAULT).await.unwrap();
    replay.begin(&generation).await.unwrap();
    let told = StopSignal::default();
    told.request();
    assert_eq!(replay.build(&generation.name, 2, &told).await.unwrap(), BuildOutcome::OutOfTime);
    let built = replay.build(&generation.name, 2, &StopSignal::default()).await.unwrap();
    let BuildOutcome::Finished(tally) = built else { panic!("not built") };
    let again = replay.build(&generation.name, 2, &StopSignal::default()).await.unwrap();
    assert_eq!(again, BuildOutcome::Finished(tally));
    assert_same(&stack, &generation.name, "g1").await;
}

async fn put_record(stack: &Stack, writer: &str, events: Option<&[u8]>, n: i64) {
    let key = keys::log(NOW, 0, writer, 0);
    let text = |text: String| AttributeValue::S(text);
    let put = stack.client.put_item().table_name(EVENTS_TABLE);
    let mut put =
        put.item("pk", text(key.pk)).item("sk", text(key.sk)).item("n", AttributeValue::N(n.to_string()));
    if let Some(events) = events {
        put = put.item("events", AttributeValue::B(Blob::new(events)));
    }
    put.send().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_read_is_reported_and_counted_and_the_rest_is_built() {
    let (stack, _) = filled(3500, 60).await;
    let unknown = event("future", NOW, "moon.rose", json!({ "phase": "full" }));
    stack.consume(&[unknown.clone(), unknown]).await;
    put_record(&stack, "not-zstd", Some(b"what is this"), 1).await;
    put_record(&stack, "nothing", None, 3).await;
    let messages = zstd::bulk::compress(b"\x1e{\"id\":\"no event\"}\n\x1e{}\n", 3).unwrap();
    put_record(&stack, "no-events", Some(&messages), 2).await;
    let replay = quiet(stack.store_as("Operator"));
    let generation = rebuild(&replay, Lanes::DEFAULT).await.unwrap();
    let tally = replay.board(&generation.name).await.unwrap().unwrap().tally();
    assert_eq!(tally.undecodable, 4, "two records, two messages");
    let named = |writer: &str| tally.undecodable_in.iter().any(|key| key.contains(writer));
    assert!(["not-zstd", "nothing", "no-events"].into_iter().all(named), "{:?}", tally.undecodable_in);
    let unknown = tally.unknown.iter().find(|(name, _)| name.ends_with("moon.rose"));
    assert_eq!(unknown.map(|(_, count)| *count), Some(2));
    assert_same(&stack, &generation.name, "g1").await;
}

/// Two workers on two machines build one generation together.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn workers_share_the_work_and_no_unit_is_done_twice() {
    let (stack, _) = filled(3600, 120).await;
    let patient = || Replay { claim: Duration::from_secs(36_000_000), ..quiet(stack.store_as("Operator")) };
    let (one, two) = (patient(), patient());
    let generation = one.next_generation(Lanes::DEFAULT).await.unwrap();
    let begun = futures::join!(one.begin(&generation), two.begin(&generation));
    assert_eq!(begun.0.unwrap(), begun.1.unwrap());
    let stop = StopSignal::default();
    let built = futures::join!(one.build(&generation.name, 1, &stop), two.build(&generation.name, 1, &stop));
    let (BuildOutcome::Finished(tally), BuildOutcome::Finished(_)) = (built.0.unwrap(), built.1.unwrap())
    else {
        panic!("not built")
    };
    let live = stack.projections().await;
    assert!(stack.generation(&generation.name).await == live);
    assert_eq!(tally.items, u64::try_from(live.len()).unwrap());
    assert_eq!(one.meter.items() + two.meter.items(), tally.items, "each item was written once");
}

/// Whoever was taken for dead and comes back finds its unit taken over, and leaves it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_unit_that_was_taken_over_is_left_alone() {
    let (stack, _) = filled(3700, 40).await;
    let replay = quiet(stack.store_as("Operator"));
    let generation = replay.next_generation(Lanes::DEFAULT).await.unwrap();
    let board = replay.begin(&generation).await.unwrap();
    let unit = board.units.keys().next().unwrap();
    // A claim of someone else's that never ends.
    let progress = format!(r#"{{"state":"open","written":0,"claim":["other",{}],"tally":{{}}}}"#, i64::MAX);
    let attributes =
        Attributes::from([("progress".to_owned(), torale_domain::storage::item::Value::Text(progress))]);
    let key = keys::rebuild_unit(&generation.name, &unit.name());
    let write = Write { key, action: Action::Put(attributes), conditions: Vec::new() };
    replay.store.transact(CONTROL_TABLE, vec![write], &Arc::default()).await.unwrap();
    let stop = StopSignal::at(tokio::time::Instant::now() + Duration::from_millis(700));
    assert_eq!(replay.build(&generation.name, 2, &stop).await.unwrap(), BuildOutcome::OutOfTime);
    let board = replay.board(&generation.name).await.unwrap().unwrap();
    let open = board.units.values().filter(|progress| progress.claim.is_some()).count();
    assert_eq!(open, 1, "all other units of the stage are done, and none is claimed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_log_of_one_entity_is_shown_newest_last() {
    let stack = Stack::start().await;
    let user = "11111111-0000-4000-8000-000000000001";
    let told = |id: &str, hours: i64, kind: &str| {
        event(id, NOW.plus(-3_600_000 * hours), kind, json!({ "user_id": user }))
    };
    let messages =
        [told("c", 1, "user.logged_in"), told("a", 3, "user.deactivated"), told("b", 2, "user.reactivated")];
    stack.consume(&[&messages[..], &generate::admin()].concat()).await;
    let entity = EntityKey::User(UserId::parse(user).unwrap());
    let found = quiet(stack.store_as("Operator")).events_of(&entity).await.unwrap();
    let found: Vec<&String> = found.iter().map(|logged| &logged.message).collect();
    assert_eq!(found, [&messages[1], &messages[2], &messages[0]]);
}
