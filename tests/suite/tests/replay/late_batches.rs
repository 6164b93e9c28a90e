//! Batches of a build have no conditions. One that got no answer in time may still take effect, and must not put back
//! what later events have changed (`cargo simulate`, seeds 1957, 16827, 21608 and 24999 of 2026-11-29).

use super::{assert_same, consume, filled, quiet, rebuild, time_passes};
use replay::{ReplayRequest, handle};
use std::time::Duration;
use torale_domain::projections::generation::Generation;
use torale_domain::storage::item::Item;
use torale_domain::storage::keys::Lanes;
use torale_platform::store::{Store, StoreError, Usage};
use torale_replay::build::BuildOutcome;
use torale_replay::tail::Tail;
use torale_replay::{Replay, ReplayError, StopSignal};
use torale_testkit::generator::Generator;
use torale_testkit::interceptor::Interceptor;
use torale_testkit::stack::LONG;

/// What a first pass waits here, so long that the batch comes amid it on a busy machine, too.
const SETTLE: Duration = Duration::from_secs(4);

async fn items(store: &Store, generation: &Generation) -> Vec<Item> {
    let (items, last) = store.scan_page(&generation.table(), (0, 1), None, &Usage::default()).await.unwrap();
    assert!(last.is_none(), "one page holds them");
    items
}

/// Waits until the generation has caught up with something, a second at most.
async fn until_caught_up(replay: &Replay, generation: &Generation) {
    let built = replay.position(&generation.name).await.unwrap();
    for _ in 0..100 {
        tokio::time::sleep(Duration::from_millis(10)).await;
        if replay.position(&generation.name).await.unwrap() != built {
            return;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn batch_of_a_build_that_takes_effect_late_is_caught_up_with() {
    let (stack, _) = filled(3900, 60).await;
    let replay = Replay { settle: SETTLE, ..quiet(stack.store_as("Operator")) };
    let second = rebuild(&replay, Lanes::DEFAULT).await.unwrap();
    let sent = items(&replay.store, &second).await;
    consume(&stack, &Generator::new(3900).messages(120)).await;

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
    let replay = Replay { settle: SETTLE, ..quiet(stack.store_as("Operator")) };
    let second = rebuild(&replay, Lanes::DEFAULT).await.unwrap();
    let catch_up = || ReplayRequest::CatchUp { generation: second.name.clone() };
    let asked = handle(&replay, catch_up(), LONG).await.unwrap();

    assert_eq!((asked.done, asked.wait_seconds), (false, SETTLE.as_secs()), "its state machine waits");

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
    let replay = Replay { claim: Duration::from_millis(300), ..quiet(store) };
    let second = replay.next_generation(Lanes::DEFAULT).await.unwrap();
    replay.begin(&second).await.unwrap();
    let failed = replay.build(&second.name, 1, &StopSignal::default()).await;

    let Err(ReplayError::Store(StoreError::Unavailable(reason))) = failed else { panic!("{failed:?}") };
    assert_eq!(reason, "the claim ended amid a write");

    time_passes();
    let next = quiet(stack.store_as("Operator"));
    let built = next.build(&second.name, 1, &StopSignal::default()).await.unwrap();
    assert!(matches!(built, BuildOutcome::Finished(_)));
    assert_same(&stack, &second.name, "g1").await;
}
