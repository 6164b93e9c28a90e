//! From a log that was just written to projections that are live.

use crate::BackfillError;
use crate::backfill::BackfillProgress;
use std::time::Duration;
use tokio::time::Instant;
use torale_domain::replay::rebuild::Tally;
use torale_replay::build::BuildOutcome;
use torale_replay::promotion::{Promotion, PromotionStep, generation_number};
use torale_replay::status::{GenerationRole, GenerationStatus};
use torale_replay::{Replay, StopSignal};

/// Work units that are built at once.
const WORKERS: usize = 4;
/// How often a promotion checks whether it may continue.
const POLL: Duration = Duration::from_secs(1);

/// Builds a generation from the log and makes it live; continues the one that an earlier call with this progress has
/// begun, built or promoted, and no other: that may have been built before all rows were in the log. Does nothing if
/// that one is live, or one that was begun after it. First waits until everything that was written is settled, so that
/// all of it is built and not caught up with. `None` if it was stopped.
///
/// # Errors
/// If the store fails, or another process moves the pointer.
pub async fn build_and_promote(
    replay: &Replay,
    progress: &mut BackfillProgress,
    stop: &StopSignal,
) -> Result<Option<Tally>, BackfillError> {
    let own = own_generation(replay, progress).await?;
    if let Some(own) = own.as_ref().filter(|own| own.role == GenerationRole::Live) {
        return Ok(Some(own.tally.clone().unwrap_or_default()));
    }
    let live = replay.pointer().await?.live.name;
    // What was rebuilt and promoted since has all that its own has.
    if let Some(own) = own.as_ref().filter(|own| generation_number(&live) > generation_number(&own.name)) {
        return Ok(Some(own.tally.clone().unwrap_or_default()));
    }
    if !wait_until_settled(replay.settle, stop).await {
        return Ok(None);
    }
    let name = match own {
        Some(own) => own.name,
        None => begin_generation(replay, progress).await?,
    };
    let tally = match replay.build(&name, WORKERS, stop).await? {
        BuildOutcome::Finished(tally) => tally,
        BuildOutcome::OutOfTime => return Ok(None),
    };
    Ok(promote(replay, &name, stop).await?.then_some(tally))
}

/// The state of the generation that this progress names, unless it was dropped since.
async fn own_generation(
    replay: &Replay,
    progress: &BackfillProgress,
) -> Result<Option<GenerationStatus>, BackfillError> {
    let Some(name) = progress.generation() else { return Ok(None) };
    let all = replay.status().await?.generations.into_iter();
    Ok(all.filter(|one| one.role != GenerationRole::Unknown).find(|one| one.name == name))
}

/// Begins the next generation. Its name is in the progress before: one that is interrupted in between is taken up.
async fn begin_generation(replay: &Replay, progress: &mut BackfillProgress) -> Result<String, BackfillError> {
    let generation = replay.next_generation(replay.pointer().await?.live.lanes).await?;
    progress.set_generation(&generation.name)?;
    replay.begin(&generation).await?;
    Ok(generation.name)
}

async fn wait_until_settled(settle: Duration, stop: &StopSignal) -> bool {
    let settled = Instant::now() + settle;
    while Instant::now() < settled {
        if stop.is_due() {
            return false;
        }
        tokio::time::sleep(settle.min(POLL)).await;
    }
    true
}

/// Makes a generation live that is built; false if it was stopped, between two steps. Called again, it continues.
///
/// # Errors
/// If the store fails, or another process moves the pointer.
pub async fn promote(replay: &Replay, generation: &str, stop: &StopSignal) -> Result<bool, BackfillError> {
    let mut promotion = Promotion::new(replay, generation);
    while !stop.is_due() {
        match promotion.step().await? {
            PromotionStep::Live(_) => return Ok(true),
            PromotionStep::Wait(left) => tokio::time::sleep(left.min(POLL)).await,
        }
    }
    Ok(false)
}
