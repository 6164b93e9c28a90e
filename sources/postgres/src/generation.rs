//! From a log that was just written to projections that are live.

use crate::BackfillError;
use std::time::Duration;
use tokio::time::Instant;
use torale_domain::projections::generation::Generation;
use torale_domain::replay::rebuild::Tally;
use torale_replay::build::BuildOutcome;
use torale_replay::promotion::{Promotion, PromotionStep};
use torale_replay::status::GenerationRole;
use torale_replay::{Replay, StopSignal};

/// Work units that are built at once.
const WORKERS: usize = 4;
/// How often a promotion checks whether it may continue.
const POLL: Duration = Duration::from_secs(1);

/// Builds a generation from the log and makes it live; continues one that is being built. First waits until everything
/// that was written is settled, so that all of it is built and not caught up with. `None` if it was stopped.
///
/// # Errors
/// If the store fails, or another process moves the pointer.
pub async fn build_and_promote(replay: &Replay, stop: &StopSignal) -> Result<Option<Tally>, BackfillError> {
    let settled = Instant::now() + replay.settle;
    while Instant::now() < settled {
        if stop.is_due() {
            return Ok(None);
        }
        tokio::time::sleep(replay.settle.min(POLL)).await;
    }
    let generation = next(replay).await?;
    replay.begin(&generation).await?;
    let tally = match replay.build(&generation.name, WORKERS, stop).await? {
        BuildOutcome::Finished(tally) => tally,
        BuildOutcome::OutOfTime => return Ok(None),
    };
    let mut promotion = Promotion::new(replay, &generation.name);
    while let PromotionStep::Wait(left) = promotion.step().await? {
        tokio::time::sleep(left.min(POLL)).await;
    }
    Ok(Some(tally))
}

async fn next(replay: &Replay) -> Result<Generation, BackfillError> {
    let status = replay.status().await?;
    match status.generations.iter().find(|one| one.role == GenerationRole::Building) {
        Some(begun) => Ok(replay.generation(&begun.name).await?),
        None => Ok(replay.next_generation(replay.pointer().await?.live.lanes).await?),
    }
}
