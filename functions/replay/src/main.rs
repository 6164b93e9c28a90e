//! Wires rebuilds to Lambda: the state machine of `infra/template.yaml (ReplayMachine)` calls it step by step.

use lambda_runtime::{Error, LambdaEvent, service_fn};
use replay::ReplayRequest;
use tokio::runtime::Runtime;
use tokio::sync::OnceCell;
use torale_platform::batch::time_left;
use torale_platform::start::Parts;
use torale_platform::store::Store;
use torale_platform::{clock, config};
use torale_replay::Replay;
use tracing::Instrument;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    config::start_logging();
    let replay = &Parts::build(|| async {
        let replay = Replay::new(Store::connect().await, clock::system);
        // The rest is for what is read, packed and sent.
        let memory = config::function_memory().map_or(replay.memory, |memory| memory / 2);
        Ok(Replay { memory, ..replay })
    });
    // A rebuild has use for each processor that Lambda gives; polling has not.
    let threads = &OnceCell::new();
    lambda_runtime::run(service_fn(|event: LambdaEvent<ReplayRequest>| async move {
        let threads: &Runtime = threads.get_or_try_init(|| async { Runtime::new() }).await?;
        let step = replay::handle(replay.get().await, event.payload, time_left(event.context.deadline));
        threads.spawn(step.in_current_span()).await?.map_err(Error::from)
    }))
    .await
}
