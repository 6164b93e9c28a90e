//! From a log that was just written to projections that are live.

use crate::BackfillError;
use std::time::Duration;
use tokio::time::Instant;
use torale_domain::projections::generation::Generation;
use torale_domain::replay::rebuild::Tally;
use torale_replay::build::BuildOutcome;
use torale_replay::promotion::{Promotion, PromotionStep};
use torale_replay::status::{GenerationRole, GenerationStatus};
use torale_replay::{Replay, StopSignal};

/// Work units that are built at once.
const WORKERS: usize = 4;
/// How often a promotion checks whether it may continue.
const POLL: Duration = Duration::from_secs(1);

/// Builds a generation from the log and makes it live; continues one that an earlier call has begun, built or begun to
/// promote. First waits until everything that was written is settled, so that all of it is built and not caught up
/// with. `None` if it was stopped.
///
/// # Errors
/// If the store fails, or another process moves the pointer.
pub async fn build_and_promote(replay: &Replay, stop: &StopSignal) -> Result<Option<Tally>, BackfillError> {
    if !wait_until_settled(replay.settle, stop).await {
        return Ok(None);
    }
    let (generation, joining) = begun_or_next(replay).await?;
    // A generation that is written already has been built.
    if !joining {
        replay.begin(&generation).await?;
    }
    let tally = match replay.build(&generation.name, WORKERS, stop).await? {
        BuildOutcome::Finished(tally) => tally,
        BuildOutcome::OutOfTime => return Ok(None),
    };
    Ok(promote(replay, &generation.name, stop).await?.then_some(tally))
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

/// The generation that an earlier call has left, and whether its promotion has begun; or the next one.
async fn begun_or_next(replay: &Replay) -> Result<(Generation, bool), BackfillError> {
    let status = replay.status().await?;
    let begun = status.generations.iter().rev().find(|one| is_begun(one));
    match begun {
        Some(one) => Ok((replay.generation(&one.name).await?, one.role == GenerationRole::Joining)),
        None => Ok((replay.next_generation(replay.pointer().await?.live.lanes).await?, false)),
    }
}

/// One that was live before may be built, too, but has no board: nobody has built it from the log.
fn is_begun(generation: &GenerationStatus) -> bool {
    match generation.role {
        GenerationRole::Building | GenerationRole::Joining => true,
        GenerationRole::Built => generation.units.is_some(),
        GenerationRole::Live | GenerationRole::Shadow | GenerationRole::Unknown => false,
    }
}
