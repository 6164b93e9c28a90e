//! A generation that is built from the log equals the live one, item by item, whatever fails meanwhile.

use super::{assert_same, filled, quiet, rebuild, time_passes};
use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::AttributeValue;
use serde_json::json;
use std::time::Duration;
use torale_domain::events::{self, ReceivedMessage};
use torale_domain::projections::generation::Generation;
use torale_domain::storage::keys::{self, CONTROL_TABLE, EVENTS_TABLE, Lanes};
use torale_domain::values::ids::{EntityKey, UserId};
use torale_domain::values::time::HOUR;
use torale_platform::consume::Consumer;
use torale_platform::store::Usage;
use torale_platform::store::log::LogEntry;
use torale_replay::build::BuildOutcome;
use torale_replay::{Replay, ReplayError, StopSignal};
use torale_testkit::events::{IntoMessages, admin, event, task, user};
use torale_testkit::faults::Faults;
use torale_testkit::interceptor::Interceptor;
use torale_testkit::stack::{self, NOW, Stack, number, text};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rebuild_equals_the_live_generation_item_by_item() {
    for seed in 3000..3008 {
        let (stack, _) = filled(seed, 120).await;
        let replay = quiet(stack.store_as("Operator"));
        let generation = rebuild(&replay, Lanes::DEFAULT).await.unwrap();
        assert_same(&stack, &generation.name, "g1").await;
        assert_eq!(replay.pointer().await.unwrap().live, Generation::first());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rebuild_splits_a_unit_that_does_not_fit_into_memory() {
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
async fn rebuild_fails_for_a_unit_that_cannot_be_split_any_more() {
    let (stack, _) = filled(3101, 20).await;
    let replay = Replay { memory: 16, ..quiet(stack.store_as("Operator")) };
    let failed = rebuild(&replay, Lanes::DEFAULT).await;

    assert!(matches!(failed, Err(ReplayError::TooLarge(_))), "{failed:?}");
}

/// The store is lost after any number of calls, before or after a call took effect; then another process continues.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rebuild_that_dies_at_any_call_is_continued_by_another_process() {
    let (stack, _) = filled(3200, 30).await;
    let live = stack.projections().await;
    let calls = Faults::none();
    let replay = quiet(stack.faulty_store(&calls));
    let generation = rebuild(&replay, Lanes::DEFAULT).await.unwrap();

    assert!(replay.drop_generation(&generation.name).await.unwrap());

    let mut died = 0;

    for at in (0..calls.calls()).step_by(29) {
        let dying = quiet(stack.faulty_store(&Faults::new(at, at % 2 == 0, true)));
        died += u64::from(rebuild(&dying, Lanes::DEFAULT).await.is_err());
        time_passes();
        let replay = quiet(stack.store_as("Operator"));
        let generation = rebuild(&replay, Lanes::DEFAULT).await.unwrap();
        assert!(stack.generation(&generation.name).await == live, "died at call {at}");
        let runs = stack.scan(CONTROL_TABLE).await.into_iter();
        let runs = runs.filter(|item| item["pk"].as_s().is_ok_and(|pk| pk.starts_with("runs#")));
        assert_eq!(runs.count(), 0, "intermediate subtotals are removed");
        assert!(replay.drop_generation(&generation.name).await.unwrap());
    }

    assert!(died > 2, "{died} died");
}

/// The process that continues begins at the last checkpoint, not at the beginning.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rebuild_that_is_continued_does_not_write_items_again() {
    let (stack, _) = filled(3250, 100).await;
    let calls = Faults::none();
    let whole = quiet(stack.faulty_store(&calls));
    let generation = whole.next_generation(Lanes::DEFAULT).await.unwrap();
    whole.begin(&generation).await.unwrap();
    let begun = calls.calls();
    whole.build(&generation.name, 1, &StopSignal::default()).await.unwrap();
    let (items, calls) = (whole.meter.items(), calls.calls());
    whole.drop_generation(&generation.name).await.unwrap();

    let dying = quiet(stack.faulty_store(&Faults::new(begun + (calls - begun) * 2 / 3, false, true)));
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

/// Events of a type or version that was unknown when they came are folded with all others of their entities.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rebuild_folds_events_whose_type_has_become_known_with_the_others() {
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

/// A log whose beginning was lost is searched for it, also if a consumer has noted a later hour since.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rebuild_of_a_log_whose_beginning_was_lost_starts_at_its_first_part() {
    let (stack, _) = filled(3270, 40).await;
    stack.delete(CONTROL_TABLE, &keys::log_beginning()).await;
    let later = Consumer::new(stack.store_as("Consumer"), || NOW.plus(3 * HOUR));
    let late = task("22222222-0000-4000-8000-000000000077").paused().at(NOW.plus(HOUR)).message();
    assert_eq!(stack::consume(&later, &stack::messages(&[late])).await.failed, Vec::<String>::new());
    let replay = Replay { clock: || NOW.plus(4 * HOUR), ..quiet(stack.store_as("Operator")) };

    assert_eq!(replay.beginning().await.unwrap(), NOW.hour());

    let generation = rebuild(&replay, Lanes::DEFAULT).await.unwrap();
    assert_same(&stack, &generation.name, "g1").await;
}

/// Nor does the search end with a later hour where its own instance has noted the first one before the loss.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn search_for_the_lost_beginning_of_a_log_notes_the_hour_that_it_has_found() {
    let stack = Stack::start().await;
    let at = |hours| Replay { clock: hours, ..quiet(stack.store_as("Operator")) };
    let warm = at(|| NOW.plus(4 * HOUR));
    let entry = LogEntry { lane: 0, body: &event("first", NOW, "user.created", json!({})) };
    warm.store.append(&[entry], NOW, "first", &Usage::default()).await.unwrap();
    stack.delete(CONTROL_TABLE, &keys::log_beginning()).await;
    stack.store().append(&[entry], NOW.plus(3 * HOUR), "later", &Usage::default()).await.unwrap();

    assert_eq!(warm.beginning().await.unwrap(), NOW.hour());
    assert_eq!(at(|| NOW.plus(4 * HOUR)).beginning().await.unwrap(), NOW.hour());

    // Where an earlier hour is noted than any part that is found yet, it stays.
    stack.delete(CONTROL_TABLE, &keys::log_beginning()).await;
    stack.store().note_beginning(NOW.plus(-HOUR), &Usage::default()).await.unwrap();
    at(|| NOW.plus(4 * HOUR)).beginning().await.unwrap();
    assert_eq!(at(|| NOW.plus(4 * HOUR)).beginning().await.unwrap(), NOW.plus(-HOUR).hour());
}

/// P6: a rebuild writes its own generation and its own plan; it sends no command and leaves no record.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rebuild_writes_only_its_own_generation_and_plan() {
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rebuild_that_is_stopped_early_is_completed_by_the_next_runs() {
    let (stack, _) = filled(3400, 100).await;
    let replay = quiet(stack.store_as("Operator"));
    let generation = replay.next_generation(Lanes::DEFAULT).await.unwrap();
    replay.begin(&generation).await.unwrap();
    let stop = StopSignal::default();
    stop.request();

    assert_eq!(replay.build(&generation.name, 2, &stop).await.unwrap(), BuildOutcome::OutOfTime);

    let built = replay.build(&generation.name, 2, &StopSignal::default()).await.unwrap();
    let BuildOutcome::Finished(tally) = built else { panic!("not built") };
    let again = replay.build(&generation.name, 2, &StopSignal::default()).await.unwrap();

    assert_eq!(again, BuildOutcome::Finished(tally));
    assert_same(&stack, &generation.name, "g1").await;
}

async fn put_record(stack: &Stack, writer: &str, events: Option<&[u8]>, n: i64) {
    let key = keys::log(NOW, 0, writer, 0);
    let events = events.map(|events| ("events", AttributeValue::B(Blob::new(events))));
    stack.put(EVENTS_TABLE, &key, [("n", number(n))].into_iter().chain(events)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rebuild_reports_and_counts_what_it_cannot_read_and_builds_the_rest() {
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
async fn rebuild_by_two_workers_does_no_unit_twice() {
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

/// Puts this progress in place of that of a generation's first unit.
async fn put_progress(stack: &Stack, replay: &Replay, generation: &str, progress: &str) {
    let board = replay.board(generation).await.unwrap().unwrap();
    let unit = board.units.keys().next().unwrap();
    stack
        .put(CONTROL_TABLE, &keys::rebuild_unit(generation, &unit.name()), [("progress", text(progress))])
        .await;
}

/// A worker that was taken for crashed finds its unit taken over, and leaves it alone.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rebuild_leaves_a_unit_alone_that_another_worker_has_claimed() {
    let (stack, _) = filled(3700, 40).await;
    let replay = quiet(stack.store_as("Operator"));
    let generation = replay.next_generation(Lanes::DEFAULT).await.unwrap();
    replay.begin(&generation).await.unwrap();
    // A claim of someone else's that never ends.
    let progress = format!(r#"{{"state":"open","sources":0,"claim":["other",{}],"tally":{{}}}}"#, i64::MAX);
    put_progress(&stack, &replay, &generation.name, &progress).await;
    let stop = StopSignal::at(tokio::time::Instant::now() + Duration::from_millis(700));

    assert_eq!(replay.build(&generation.name, 2, &stop).await.unwrap(), BuildOutcome::OutOfTime);

    let board = replay.board(&generation.name).await.unwrap().unwrap();
    let open = board.units.values().filter(|progress| progress.claim.is_some()).count();

    assert_eq!(open, 1, "all other units of the stage are done, and none is claimed");
}

/// An earlier release counted what is written in another order.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rebuild_that_an_earlier_release_has_begun_is_refused() {
    let (stack, _) = filled(3701, 40).await;
    let replay = quiet(stack.store_as("Operator"));
    let generation = replay.next_generation(Lanes::DEFAULT).await.unwrap();
    replay.begin(&generation).await.unwrap();
    let progress = r#"{"state":"open","written":3,"claim":null,"tally":{}}"#;
    put_progress(&stack, &replay, &generation.name, progress).await;

    let refused = replay.build(&generation.name, 2, &StopSignal::default()).await;

    assert!(matches!(refused, Err(ReplayError::Refused(_))), "{refused:?}");
    replay.drop_generation(&generation.name).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_of_one_entity_are_shown_newest_last() {
    let stack = Stack::start().await;
    let id = "11111111-0000-4000-8000-000000000001";
    let hours_ago = |hours: i64| NOW.plus(-hours * HOUR);
    let messages = [
        user(id).logged_in().at(hours_ago(1)).message(),
        user(id).deactivated().at(hours_ago(3)).message(),
        user(id).reactivated().at(hours_ago(2)).message(),
    ];
    stack.consume(&(messages.to_vec(), admin()).into_messages()).await;

    let entity = EntityKey::User(UserId::parse(id).unwrap());
    let found = quiet(stack.store_as("Operator")).events_of(&entity).await.unwrap();
    let found: Vec<&String> = found.iter().map(|logged| &logged.message).collect();

    assert_eq!(found, [&messages[1], &messages[2], &messages[0]]);
}

/// Two workers that end a build at once may cancel each other's transactions, so that neither has noted its position.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rebuild_whose_last_transactions_cancel_each_other_ends_with_a_position() {
    let (stack, _) = filled(1210, 20).await;
    let replay = quiet(stack.store_with(Interceptor::losing_transactions(3, "built_at")));

    let second = rebuild(&replay, Lanes::DEFAULT).await.unwrap();

    assert!(replay.position(&second.name).await.unwrap().is_some());
    // A second worker that comes later leaves it as it is.
    let noted = replay.position(&second.name).await.unwrap();
    replay.build(&second.name, 1, &StopSignal::default()).await.unwrap();
    assert_eq!(replay.position(&second.name).await.unwrap(), noted);
}
