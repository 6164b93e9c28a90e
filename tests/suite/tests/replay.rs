//! P5, P6: a generation that is rebuilt from the log is the live one, item by item.

use aws_sdk_dynamodb::types::AttributeValue;
use std::collections::BTreeMap;
use std::time::Duration;
use torale_domain::generation::Generation;
use torale_domain::keys::{self, Lanes};
use torale_domain::time::{HOUR, Timestamp};
use torale_platform::store::Usage;
use torale_replay::build::Built;
use torale_replay::flip::Step;
use torale_replay::{Failure, Replay, Stop};
use torale_tests::generate::{self, Generator};
use torale_tests::stack::{self, NOW, Stack};

/// Long after everything that these tests send: nothing is being written any more.
fn later() -> Timestamp {
    NOW.plus(HOUR)
}

fn replay(stack: &Stack) -> Replay {
    Replay { settle: Duration::ZERO, ..Replay::new(stack.store(), later) }
}

async fn rebuild(replay: &Replay, lanes: Lanes) -> Generation {
    let generation = replay.next_generation(lanes).await.unwrap();
    replay.begin(&generation).await.unwrap();
    let built = replay.build(&generation.name, 2, &Stop::default()).await.unwrap();
    assert!(matches!(built, Built::Finished(_)));
    generation
}

async fn filled(seed: u64, count: usize) -> Stack {
    let mut generator = Generator::new(seed);
    let messages = [generate::admin(), generator.messages(count)].concat();
    let stack = Stack::start().await;
    for batch in generator.deliveries(&messages) {
        stack.consume(&batch).await;
    }
    stack
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rebuilt_generation_is_the_live_one_item_by_item() {
    for seed in 3000..3030 {
        let stack = filled(seed, 120).await;
        let replay = replay(&stack);
        let generation = rebuild(&replay, Lanes::DEFAULT).await;
        assert_eq!(stack.generation(&generation.name).await, stack.projections().await, "seed {seed}");
        let live = replay.pointer().await.unwrap().live;
        assert_eq!(live, Generation::first());
    }
}

/// Memory for one entity at a time: every unit is split many times.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_does_not_fit_into_memory_is_split() {
    let stack = filled(3100, 150).await;
    let replay = Replay { memory: 24 * 1024, ..replay(&stack) };
    let generation = rebuild(&replay, Lanes::DEFAULT).await;
    let board = replay.board(&generation.name).await.unwrap().unwrap();
    assert!(board.units.len() > 40, "{} units", board.units.len());
    assert_eq!(stack.generation(&generation.name).await, stack.projections().await);
    let tally = board.tally();
    let live = stack.projections().await;
    assert_eq!(tally.items, u64::try_from(live.len()).unwrap());
    let too_small = Replay { memory: 16, ..replay };
    let other = too_small.next_generation(Lanes::DEFAULT).await.unwrap();
    too_small.begin(&other).await.unwrap();
    let failed = too_small.build(&other.name, 1, &Stop::default()).await;
    assert!(matches!(failed, Err(Failure::TooLarge(_))), "{failed:?}");
}
