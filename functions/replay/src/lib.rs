//! Rebuilds in steps that each fit into the time of one invocation; the engine is `shared/replay`, the order of the steps
//! is that of `infra/template.yaml (ReplayMachine)`. Any number of invocations may build at once.

use serde::{Deserialize, Serialize};
use std::time::Duration;
use tokio::sync::Mutex;
use tokio::time::Instant;
use torale_domain::storage::keys::Lanes;
use torale_replay::build::BuildOutcome;
use torale_replay::compare::Expected;
use torale_replay::promotion::{Promotion, PromotionStep};
use torale_replay::tail::Tail;
use torale_replay::{Replay, ReplayError, StopSignal};

/// What is left of an invocation's time when a step stops: a checkpoint and an answer.
const RESERVE: Duration = Duration::from_secs(20);
/// Units that one invocation works on at once.
const WORKERS: usize = 2;
/// Between looking twice at what differs.
const PAUSE: Duration = Duration::from_secs(2);

/// One step.
#[derive(Debug, Clone, Deserialize)]
#[serde(tag = "step", rename_all = "snake_case")]
pub enum ReplayRequest {
    /// Begin to build the next generation.
    Begin {
        /// How many lanes it has; as many as the live one without it.
        #[serde(default)]
        lanes: Option<u32>,
    },
    /// Build, until it is built or time is up.
    Build {
        /// Its name.
        generation: String,
    },
    /// Catch up with the log.
    CatchUp {
        /// Its name.
        generation: String,
    },
    /// Compare it with the live one.
    Compare {
        /// Its name.
        generation: String,
    },
    /// The next step of making it live.
    Promote {
        /// Its name.
        generation: String,
    },
}

/// What a step came to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ReplayAnswer {
    /// The generation.
    pub generation: String,
    /// Whether the step is done, and the next may follow; else it is to be called again, after `wait_seconds`.
    pub done: bool,
    /// How long to wait before.
    pub wait_seconds: u64,
    /// Of a comparison: whether nothing differs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub equal: Option<bool>,
}

/// Why a step failed; Step Functions tries it again.
#[derive(Debug, thiserror::Error)]
pub enum StepError {
    /// The replay failed.
    #[error(transparent)]
    Replay(#[from] ReplayError),
    /// The number of lanes is none.
    #[error("a generation has 1 to {} lanes", Lanes::MAX)]
    Lanes,
    /// A comparison takes longer than an invocation: `cargo replay diff` has all the time in the world.
    #[error("there is too much to compare within the time of one invocation")]
    OutOfTime,
}

/// Carries out a step.
///
/// # Errors
/// If it failed; the same step may be tried again.
pub async fn handle(
    replay: &Replay,
    request: ReplayRequest,
    time: Duration,
) -> Result<ReplayAnswer, StepError> {
    let deadline = Instant::now() + time.saturating_sub(RESERVE);
    let answer = match request {
        ReplayRequest::Begin { lanes } => begin(replay, lanes).await?,
        ReplayRequest::Build { generation } => {
            let built = replay.build(&generation, WORKERS, &StopSignal::at(deadline)).await?;
            if let BuildOutcome::Finished(tally) = &built {
                tracing::info!(generation, ?tally, "built");
            }
            answer(generation, built != BuildOutcome::OutOfTime, 0)
        }
        ReplayRequest::CatchUp { generation } => {
            let built = replay.generation(&generation).await?;
            let mut tail = Tail::resume(replay, &built).await?;
            // What is folded when time is up stays folded, and every pass that ended is noted.
            let done = match tokio::time::timeout_at(deadline, tail.catch_up()).await {
                Ok(passes) => passes.map(|_| true)?,
                Err(_elapsed) => false,
            };
            answer(generation, done, 0)
        }
        ReplayRequest::Compare { generation } => {
            let (live, other) = (replay.pointer().await?.live, replay.generation(&generation).await?);
            let expected =
                if live.lanes == other.lanes { Expected::Table(&live) } else { Expected::Log(other.lanes) };
            let tail = Mutex::new(Tail::resume(replay, &other).await?);
            let meanwhile = || async { tail.lock().await.catch_up().await.map(drop) };
            let comparing = replay.compare(expected, &other, PAUSE, meanwhile);
            let compared = tokio::time::timeout_at(deadline, comparing).await;
            let compared = compared.map_err(|_elapsed| StepError::OutOfTime)??;
            let (differing, in_motion) = (compared.differences.len(), compared.in_motion);
            tracing::info!(generation, differing, in_motion, more = compared.more, "compared");
            ReplayAnswer { equal: Some(compared.is_equal()), ..answer(generation, true, 0) }
        }
        ReplayRequest::Promote { generation } => match Promotion::new(replay, &generation).step().await? {
            PromotionStep::Live(_) => answer(generation, true, 0),
            PromotionStep::Wait(left) => answer(generation, false, left.as_secs() + 1),
        },
    };
    tracing::info!(?answer, "step");
    Ok(answer)
}

const fn answer(generation: String, done: bool, wait_seconds: u64) -> ReplayAnswer {
    ReplayAnswer { generation, done, wait_seconds, equal: None }
}

async fn begin(replay: &Replay, lanes: Option<u32>) -> Result<ReplayAnswer, StepError> {
    let live = replay.pointer().await?.live;
    let lanes = match lanes {
        Some(lanes) => Lanes::new(lanes).ok_or(StepError::Lanes)?,
        None => live.lanes,
    };
    let generation = replay.next_generation(lanes).await?;
    replay.begin(&generation).await?;
    Ok(answer(generation.name, true, 0))
}
