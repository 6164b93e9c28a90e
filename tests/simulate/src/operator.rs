//! An operator who builds generations, makes them live, goes back and drops them while events come in.

use crate::faults::{self, Fault};
use crate::installation::Installation;
use crate::network::SharedTables;
use crate::outages;
use crate::tables::{AsOf, NO_TABLE};
use crate::trace;
use std::collections::BTreeSet;
use tokio::time::{Duration, sleep, timeout};
use torale_domain::projections::generation::Generation;
use torale_domain::replay::rebuild::{RebuildUnit, Slice};
use torale_domain::storage::item::Key;
use torale_domain::storage::keys::{self, CONTROL_TABLE, Lanes};
use torale_domain::storage::read::Range;
use torale_platform::clock::Clock;
use torale_platform::store::StoreError;
use torale_replay::compare::Comparison;
use torale_replay::promotion::{Promotion, PromotionStep};
use torale_replay::{Replay, ReplayError, StopSignal};

/// The most that an operator does in one schedule.
const ROUNDS: u32 = 4;
/// The longest pause before each, and the longest life of a process that dies.
const PAUSE_MS: u64 = 20_000;
const LIFE_MS: u64 = 300_000;
/// The most workers of a build.
const WORKERS: usize = 3;
/// What memory each worker may have, in bytes: plenty, or so little that units are split and subtotals cut. All workers
/// of a schedule have the same, as those with less than 128 MB must (docs/adr/0011-replay.md).
const MEMORIES: [usize; 2] = [1 << 20, 1 << 14];

/// What memory the workers of a schedule have.
pub fn memory() -> usize {
    MEMORIES[fastrand::usize(..MEMORIES.len())]
}

/// Does some things, one after another. What fails is left as it is: the next one finds it so.
pub async fn operate(world: &Installation, clock: Clock, memory: usize) {
    let tables = &world.tables;
    for _ in 0..fastrand::u32(..=ROUNDS) {
        sleep(Duration::from_millis(fastrand::u64(..PAUSE_MS))).await;
        let mut replay = Replay { memory, ..replay(tables, clock) };
        replay.users_page = world.users_page.unwrap_or(replay.users_page);
        let name = ["promote", "promote", "rollback", "drop"][fastrand::usize(..4)];
        faults::count(name, None);
        trace::note(|| format!("operator: {name}"));
        let doing = async {
            match name {
                "promote" => promote(tables, &replay).await,
                "rollback" => replay.rollback().await.map(drop),
                _ => drop_one(&replay).await,
            }
        };
        let done = if faults::happens(Fault::Death, name) {
            timeout(Duration::from_millis(fastrand::u64(..LIFE_MS)), doing).await.ok()
        } else {
            Some(doing.await)
        };
        trace::note(|| format!("operator: {name}: {done:?}"));
        if let Some(Err(error)) = &done {
            assert!(may_happen(error), "operator: {name}: {error:?}");
        }
        if matches!(done, Some(Ok(()))) {
            faults::count(
                match name {
                    "promote" => "promoted",
                    "rollback" => "rolled back",
                    _ => "dropped",
                },
                None,
            );
        }
    }
}

/// Whether something outside can be the cause: the store does not answer, others are at work, or the request does not
/// fit the present state.
pub fn may_happen(error: &ReplayError) -> bool {
    match error {
        // Another operator has dropped the generation. Any other request that is refused is a defect.
        ReplayError::Store(StoreError::Refused(why)) => why.starts_with(NO_TABLE),
        ReplayError::Store(StoreError::Unavailable(_))
        | ReplayError::Refused(_)
        | ReplayError::TakenOver
        | ReplayError::NotFolded(_) => true,
        ReplayError::Store(StoreError::Corrupt(_))
        | ReplayError::UnreadableEvent(_)
        | ReplayError::TooLarge(_)
        | ReplayError::File(..)
        | ReplayError::InvalidFile(..)
        | ReplayError::WorkerFailed(_) => false,
    }
}

/// What `verify` finds in a generation once everything is quiet.
///
/// # Errors
/// If it fails, though nothing goes wrong meanwhile.
pub async fn verify(replay: &Replay, generation: &Generation) -> Result<Comparison, String> {
    replay.verify(generation, Duration::ZERO).await.map_err(|error| error.to_string())
}

/// The keys that a comparison names.
pub fn named(comparison: &Comparison) -> BTreeSet<Key> {
    comparison.differences.iter().map(|difference| difference.key.clone()).collect()
}

/// Whether a comparison names these keys: all of them, or some if it says that there are more.
///
/// # Errors
/// If not.
pub fn check_named(comparison: &Comparison, differ: &BTreeSet<Key>) -> Result<(), String> {
    let named = named(comparison);
    let is_right = match comparison.more {
        true => !named.is_empty() && named.is_subset(differ),
        false => named == *differ,
    };
    match is_right {
        true => Ok(()),
        false => Err(format!("{differ:?} differ, named were {named:?}, more: {}", comparison.more)),
    }
}

/// What verifies and repairs once everything is quiet: nothing is under way that it has to wait for.
pub fn verifier(tables: &SharedTables, clock: Clock) -> Replay {
    Replay { settle: Duration::ZERO, ..Replay::new(tables.store("verifier"), clock) }
}

/// What an operator works with: small batches, so that there are many.
pub fn replay(tables: &SharedTables, clock: Clock) -> Replay {
    Replay { batch: 40, memory: 1 << 20, ..Replay::new(tables.store("operator"), clock) }
}

/// Builds a new generation, makes it live, and drops all others.
///
/// # Errors
/// If anything of it fails.
pub async fn rebuild(replay: &Replay) -> Result<(), ReplayError> {
    drop_others(replay).await?;
    let generation = replay.next_generation(Lanes::DEFAULT).await?;
    replay.begin(&generation).await?;
    build(replay, &generation).await?;
    make_live(replay, &generation).await?;
    drop_others(replay).await
}

async fn drop_others(replay: &Replay) -> Result<(), ReplayError> {
    for name in others(replay).await? {
        replay.drop_generation(&name).await?;
    }
    Ok(())
}

async fn make_live(replay: &Replay, generation: &Generation) -> Result<(), ReplayError> {
    let mut promotion = Promotion::new(replay, &generation.name);
    loop {
        match promotion.step().await? {
            PromotionStep::Wait(time) => sleep(time).await,
            PromotionStep::Live(_) => return Ok(()),
        }
    }
}

/// Builds a generation, or goes on with one that is there, and makes it live.
async fn promote(tables: &SharedTables, replay: &Replay) -> Result<(), ReplayError> {
    let generation = match others(replay).await?.pop().filter(|_| fastrand::bool()) {
        Some(other) => replay.generation(&other).await?,
        None => replay.next_generation(Lanes::DEFAULT).await?,
    };
    if !is_built(replay, &generation).await? {
        replay.begin(&generation).await?;
        build(replay, &generation).await?;
        count_splits(tables, &generation);
    }
    make_live(replay, &generation).await
}

/// Builds a generation to its end: nobody asks the workers to stop. Each has the operator's memory.
async fn build(replay: &Replay, generation: &Generation) -> Result<(), ReplayError> {
    outages::may_begin_amid_work();
    let workers = fastrand::usize(1..=WORKERS);
    let replay = Replay { memory: replay.memory * workers, ..replay.clone() };
    replay.build(&generation.name, workers, &StopSignal::default()).await.map(drop)
}

/// Counts the generations of which units were split.
fn count_splits(tables: &SharedTables, generation: &Generation) {
    let range = Range { pk: keys::rebuild_partition(&generation.name), ..Range::default() };
    let units = tables.lock().query(CONTROL_TABLE, &range, None, AsOf::NOW).map(|page| page.items);
    let names = units.iter().flatten().filter_map(|item| item.key.sk.strip_prefix(keys::UNITS));
    if names.filter_map(RebuildUnit::parse).any(|unit| unit.slice != Slice::ALL) {
        faults::count("built in parts", None);
    }
}

async fn is_built(replay: &Replay, generation: &Generation) -> Result<bool, ReplayError> {
    let pointer = replay.pointer().await?;
    let is_written = pointer.written_generations().any(|written| written.name == generation.name);
    Ok(is_written || replay.position(&generation.name).await?.is_some())
}

async fn drop_one(replay: &Replay) -> Result<(), ReplayError> {
    match others(replay).await?.first() {
        Some(name) => replay.drop_generation(name).await.map(drop),
        None => Ok(()),
    }
}

/// The generations that have a table and are not live.
async fn others(replay: &Replay) -> Result<Vec<String>, ReplayError> {
    let live = replay.pointer().await?.live.name;
    let mut names = replay.store.generations().await?;
    names.retain(|name| *name != live);
    Ok(names)
}
