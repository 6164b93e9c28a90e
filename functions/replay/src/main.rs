//! Runs the steps of rebuilds as a Lambda function, which the state machine `ReplayMachine` of `infra/template.yaml`
//! calls.

use lambda_runtime::{Error, LambdaEvent};
use replay::{ReplayRequest, StepError};
use tokio::runtime::Runtime;
use tokio::sync::OnceCell;
use torale_platform::sqs::time_left;
use torale_platform::start::Parts;
use torale_platform::store::Store;
use torale_platform::{clock, config, lambda, logging};
use torale_replay::Replay;
use tracing::Instrument;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    logging::start();
    let replay = &Parts::build(|| async {
        let replay = Replay::new(Store::connect().await, clock::system);
        // The other half is for reading, compressing and sending.
        let memory = config::function_memory().map_or(replay.memory, |memory| memory / 2);
        Ok(Replay { memory, ..replay })
    });
    // A rebuild uses every processor that Lambda provides; polling needs only one thread.
    let threads = &OnceCell::new();
    lambda::run_job(|event: LambdaEvent<ReplayRequest>| async move {
        let threads: Result<&Runtime, _> = threads.get_or_try_init(|| async { Runtime::new() }).await;
        let step = replay::handle(replay.get().await, event.payload, time_left(event.context.deadline));
        threads?.spawn(step.in_current_span()).await.map_err(StepError::Aborted)?
    })
    .await
}
