//! Batches of a build have no conditions. One that got no answer in time may still take effect, and must not put back
//! what later events have changed (`cargo simulate`, seeds 1957, 16827, 21608 and 24999 of 2026-11-29).

use super::generations::promote;
use super::{assert_same, filled, quiet, rebuild};
use replay::{ReplayRequest, handle};
use std::sync::LazyLock;
use std::time::Duration;
use tokio::time::Instant;
use torale_domain::projections::generation::Generation;
use torale_domain::storage::item::Item;
use torale_domain::storage::keys::{self, CONTROL_TABLE, Lanes};
use torale_domain::values::time::{HOUR, Timestamp};
use torale_platform::consume::Consumer;
use torale_platform::store::{Store, Usage};
use torale_replay::build::BuildOutcome;
use torale_replay::tail::Tail;
use torale_replay::{Replay, StopSignal};
use torale_testkit::generator::Generator;
use torale_testkit::interceptor::Interceptor;
use torale_testkit::stack::{self, LONG, NOW, messages};

/// What a first pass waits here, so long that the batch comes amid it on a busy machine, too.
const SETTLE: Duration = Duration::from_secs(6);

static BEGAN: LazyLock<Instant> = LazyLock::new(Instant::now);

/// A clock of real seconds, an hour after what the tests send first.
fn clock() -> Timestamp {
    NOW.plus(HOUR + i64::try_from(BEGAN.elapsed().as_millis()).unwrap())
}

fn patient(store: Store) -> Replay {
    Replay { settle: SETTLE, clock, ..quiet(store) }
}

async fn items(store: &Store, generation: &Generation) -> Vec<Item> {
    let (items, last) = store.scan_page(&generation.table(), (0, 1), None, &Usage::default()).await.unwrap();
    assert!(last.is_none(), "one page holds them");
    items
}

/// Sets the time at which the generation was built to now: on a busy machine much of the wait may be over.
async fn built_just_now(replay: &Replay, generation: &Generation) {
    let usage = Usage::default();
    let mut position =
        replay.store.control(&keys::position(&generation.name), &usage).await.unwrap().unwrap();
    assert!(position.attributes.insert("built_at".to_owned(), clock().into()).is_some());
    replay.store.put_all(CONTROL_TABLE, vec![position], &usage).await.unwrap();
}

/// Waits until the generation has caught up with something, a second at most.
async fn until_caught_up(replay: &Replay, generation: &Generation) {
    let built = replay.position(&generation.name).await.unwrap();
    let began = Instant::now();
    while began.elapsed() < Duration::from_secs(1)
        && replay.position(&generation.name).await.unwrap() == built
    {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn batch_of_a_build_that_takes_effect_late_is_caught_up_with() {
    let (stack, _) = filled(3900, 60).await;
    let replay = patient(stack.store_as("Operator"));
    let second = rebuild(&replay, Lanes::DEFAULT).await.unwrap();
    let sent = items(&replay.store, &second).await;
    let later = messages(&Generator::new(3900).messages(120));
    assert_eq!(stack::consume(&Consumer::new(stack.store(), clock), &later).await.failed, [""; 0]);

    built_just_now(&replay, &second).await;
    let mut tail = Tail::resume(&replay, &second).await.unwrap();
    let late = async {
        until_caught_up(&replay, &second).await;
        replay.store.put_all(&second.table(), sent, &Usage::default()).await.unwrap();
    };
    let (caught_up, ()) = futures::join!(tail.catch_up(), late);

    assert!(caught_up.unwrap().events > 0, "there was something to catch up with");
    assert_same(&stack, &second.name, "g1").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_the_first_pass_waits_whoever_makes_it() {
    let (stack, _) = filled(3901, 20).await;
    let replay = patient(stack.store_as("Operator"));
    let second = rebuild(&replay, Lanes::DEFAULT).await.unwrap();
    let catch_up = || ReplayRequest::CatchUp { generation: second.name.clone() };
    let asked = handle(&replay, catch_up(), LONG).await.unwrap();

    assert!(!asked.done && (1..=SETTLE.as_secs() + 1).contains(&asked.wait_seconds), "{asked:?}");

    let mut tail = Tail::resume(&replay, &second).await.unwrap();
    assert!(tail.until_settled() > Duration::ZERO);
    tail.catch_up().await.unwrap();
    assert_eq!(tail.until_settled(), Duration::ZERO);

    let other = Tail::resume(&replay, &second).await.unwrap();
    assert_eq!(other.until_settled(), Duration::ZERO, "it is noted for others, too");
    assert!(handle(&replay, catch_up(), LONG).await.unwrap().done);
}

/// What a worker sends after its claim has ended could take effect when others have long built the generation.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn worker_stops_writing_when_its_claim_ends() {
    let (stack, _) = filled(3902, 20).await;
    let refused = r#"{"__type":"com.amazonaws.dynamodb.v20120810#ProvisionedThroughputExceededException"}"#;
    let store = stack.store_with(Interceptor::answering("BatchWriteItem", refused));
    let busy = Replay { claim: Duration::from_millis(300), clock, ..quiet(store) };
    let second = busy.next_generation(Lanes::DEFAULT).await.unwrap();
    busy.begin(&second).await.unwrap();
    let stop = StopSignal::at(tokio::time::Instant::now() + Duration::from_secs(1));
    let stopped = busy.build(&second.name, 1, &stop).await;

    // By itself the write would be given up as unavailable some seconds later.
    assert_eq!(stopped.unwrap(), BuildOutcome::OutOfTime);

    let next = Replay { clock, ..quiet(stack.store_as("Operator")) };
    let built = next.build(&second.name, 1, &StopSignal::default()).await.unwrap();
    assert!(matches!(built, BuildOutcome::Finished(_)));
    assert_same(&stack, &second.name, "g1").await;
}

/// What was sent for a generation that was dropped may still arrive.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn name_of_a_generation_that_was_dropped_is_not_used_again() {
    let (stack, _) = filled(3903, 10).await;
    let replay = quiet(stack.store_as("Operator"));
    let third = Generation { name: "g3".to_owned(), lanes: Lanes::DEFAULT };

    assert!(!replay.drop_generation("g3").await.unwrap(), "there is none");
    replay.begin(&third).await.unwrap();
    replay.begin(&third).await.unwrap();
    assert!(replay.drop_generation("g3").await.unwrap());
    assert!(!replay.drop_generation("g3").await.unwrap());

    let refused = replay.begin(&third).await.unwrap_err();
    assert!(refused.to_string().starts_with("g3 was dropped: a name is used once"), "{refused}");
    assert_eq!(replay.next_generation(Lanes::DEFAULT).await.unwrap().name, "g4");

    // The last number is lost.
    let usage = Usage::default();
    stack.store().delete_all(CONTROL_TABLE, vec![keys::last_generation()], &usage).await.unwrap();
    for dropped in ["g2", "g4"] {
        replay.begin(&Generation { name: dropped.to_owned(), ..third.clone() }).await.unwrap();
        assert!(replay.drop_generation(dropped).await.unwrap());
    }
    stack.store().delete_all(CONTROL_TABLE, vec![keys::last_generation()], &usage).await.unwrap();
    assert_eq!(replay.next_generation(Lanes::DEFAULT).await.unwrap().name, "g5");
}

/// A pointer that was restored from a copy may name a generation that was dropped since.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn drop_takes_a_generation_that_was_dropped_before_from_the_pointer() {
    let (stack, _) = filled(3904, 10).await;
    let replay = quiet(stack.store_as("Operator"));
    let second = rebuild(&replay, Lanes::DEFAULT).await.unwrap();
    promote(&replay, &second.name).await;
    let copy = replay.store.control(&keys::live_generation(), &Usage::default()).await.unwrap().unwrap();
    assert!(replay.drop_generation("g1").await.unwrap());
    stack.store().put_all(CONTROL_TABLE, vec![copy], &Usage::default()).await.unwrap();
    assert!(replay.pointer().await.unwrap().shadow.is_some());

    replay.drop_generation("g1").await.unwrap();

    assert_eq!(replay.pointer().await.unwrap().shadow, None);
}
