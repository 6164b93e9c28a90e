//! Rebuilds the projections in steps that each fit into one invocation. The work is done by `shared/replay`; the state
//! machine `ReplayMachine` of `infra/template.yaml` calls the steps in their order. Any number of invocations may build
//! in parallel (`docs/adr/0011-replay.md`).

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

/// The part of an invocation's time that is reserved for a checkpoint and the response.
const RESERVE: Duration = Duration::from_secs(20);
/// Units of work that one invocation builds in parallel.
const WORKERS: usize = 2;
/// The pause between two comparisons of a difference.
const PAUSE: Duration = Duration::from_secs(2);

/// One step of a rebuild.
#[derive(Debug, Clone, Deserialize)]
#[serde(tag = "step", rename_all = "snake_case")]
pub enum ReplayRequest {
    /// Start to build the next generation.
    Begin {
        /// Its number of lanes. Default: that of the live generation.
        #[serde(default)]
        lanes: Option<u32>,
    },
    /// Build, until the generation is built or time is up.
    Build {
        /// Its name.
        generation: String,
    },
    /// Fold the events that were received since.
    CatchUp {
        /// Its name.
        generation: String,
    },
    /// Compare the generation with the live one.
    Compare {
        /// Its name.
        generation: String,
    },
    /// Take the next step of making the generation live.
    Promote {
        /// Its name.
        generation: String,
    },
}

/// The response of a step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ReplayAnswer {
    /// The generation.
    pub generation: String,
    /// Whether the step is done and the next one may follow. If not, it must be called again after `wait_seconds`.
    pub done: bool,
    /// Seconds to wait before that.
    pub wait_seconds: u64,
    /// Of a comparison: whether the generations are equal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub equal: Option<bool>,
}

/// Why a step failed. Step Functions retries it.
#[derive(Debug, thiserror::Error)]
pub enum StepError {
    /// The replay failed.
    #[error(transparent)]
    Replay(#[from] ReplayError),
    /// The number of lanes is out of range.
    #[error("a generation has 1 to {} lanes", Lanes::MAX)]
    Lanes,
    /// A comparison takes longer than an invocation. `cargo replay diff` has no time limit.
    #[error("there is too much to compare within the time of one invocation")]
    OutOfTime,
    /// There are no threads to run it on.
    #[error("no threads: {0}")]
    NoThreads(#[from] std::io::Error),
    /// The thread that ran it panicked.
    #[error("the step was aborted: {0}")]
    Aborted(tokio::task::JoinError),
}

/// Executes a step within `time`.
///
/// # Errors
/// If it failed. The same step may be retried.
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
            let wait = tail.until_settled();
            if !wait.is_zero() {
                return Ok(answer(generation, false, wait.as_secs() + 1));
            }
            // Events that are folded when time is up stay folded, and every completed pass is stored.
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
