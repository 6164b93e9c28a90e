//! Wires the executor to Lambda.

use command_executor::Executor;
use command_executor::clerk::Clerk;
use command_executor::temporal::Temporal;
use lambda_runtime::{Error, LambdaEvent, service_fn};
use torale_platform::identity::Settings;
use torale_platform::queue::Queue;
use torale_platform::start::Parts;
use torale_platform::{clock, config};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    config::start_logging();
    let executor = &Parts::build(executor);
    lambda_runtime::run(service_fn(|event: LambdaEvent<_>| async move {
        Ok::<_, Error>(command_executor::handle(executor.get().await, event).await)
    }))
    .await
}

async fn executor() -> Result<Executor<Clerk, Temporal, Queue>, Error> {
    let clerk = Clerk::new(&Settings { timeout: config::COMMAND_TIMEOUT, ..config::identity() });
    let forward = match config::commands_forward_queue_url() {
        Some(url) => Some(Queue::connect_to(url).await),
        None => None,
    };
    Ok(Executor {
        clerk,
        temporal: Temporal::new(config::temporal()),
        events: Queue::connect().await,
        forward,
        handled: config::commands_handled()?,
        clock: clock::system,
    })
}
