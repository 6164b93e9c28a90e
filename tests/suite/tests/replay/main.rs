//! P5, P6: generations are rebuilt from the log, compared, repaired, promoted and moved while the system serves.

mod build;
mod compare;
mod earlier_release;
mod extremes;
mod generations;
mod late_batches;
mod live;
mod local_history;
mod poisons;
mod quarantine;
mod restore;
mod steps;
mod transfer;

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;
use torale_domain::projections::generation::Generation;
use torale_domain::storage::keys::Lanes;
use torale_domain::values::time::{HOUR, Timestamp};
use torale_platform::consume::Consumer;
use torale_platform::store::Store;
use torale_replay::build::BuildOutcome;
use torale_replay::{Replay, ReplayError, StopSignal};
use torale_testkit::events;
use torale_testkit::generator::Generator;
use torale_testkit::stack::{self, NOW, Stack, messages};

static TICKS: AtomicI64 = AtomicI64::new(0);

/// A clock that ticks whenever it is read, long after everything that tests send was received.
fn ticking() -> Timestamp {
    NOW.plus(HOUR + TICKS.fetch_add(1, Ordering::Relaxed))
}

/// Long enough for the claims of crashed workers to run out.
fn time_passes() {
    TICKS.fetch_add(2 * HOUR, Ordering::Relaxed);
}

/// Over a store where nothing is being written meanwhile; with small batches and a checkpoint after each.
fn quiet(store: Store) -> Replay {
    let (settle, claim) = (Duration::ZERO, Duration::from_secs(3_600));
    Replay { settle, claim, checkpoint: Duration::ZERO, batch: 7, ..Replay::new(store, ticking) }
}

/// Builds the next generation, or the one that is being built.
async fn rebuild(replay: &Replay, lanes: Lanes) -> Result<Generation, ReplayError> {
    let mut building = None;
    for name in replay.store.generations().await? {
        if replay.board(&name).await?.is_some() && replay.position(&name).await?.is_none() {
            building = Some(replay.generation(&name).await?);
        }
    }
    let generation = match building {
        Some(generation) => generation,
        None => replay.next_generation(lanes).await?,
    };
    replay.begin(&generation).await?;
    let built = replay.build(&generation.name, 2, &StopSignal::default()).await?;
    assert!(matches!(built, BuildOutcome::Finished(_)));
    Ok(generation)
}

/// Sends messages that are received by the clock of the replays.
async fn consume(stack: &Stack, bodies: &[String]) {
    let consumer = Consumer::new(stack.store(), ticking);
    let outcome = stack::consume(&consumer, &messages(bodies)).await;
    assert_eq!(outcome.failed, Vec::<String>::new());
}

/// Both hold the same items.
async fn assert_same(stack: &Stack, one: &str, two: &str) {
    let (one, two) = (stack.generation(one).await, stack.generation(two).await);
    let differing: Vec<_> =
        one.keys().chain(two.keys()).filter(|key| one.get(*key) != two.get(*key)).take(5).collect();
    assert!(differing.is_empty(), "{differing:#?}");
}

/// A store that has received messages of every kind, some of them no events, out of order and twice.
async fn filled(seed: u64, count: usize) -> (Stack, Vec<String>) {
    filled_where(seed, count, |_message| true).await
}

/// The same, of the messages that fulfil a condition.
async fn filled_where(seed: u64, count: usize, holds: impl Fn(&String) -> bool) -> (Stack, Vec<String>) {
    let mut generator = Generator::new(seed);
    let messages = [events::admin(), generator.messages(count)].concat();
    let messages: Vec<String> = messages.into_iter().filter(holds).collect();
    let stack = Stack::start().await;
    for batch in generator.deliveries(&messages) {
        stack.consume(&batch).await;
    }
    (stack, messages)
}
