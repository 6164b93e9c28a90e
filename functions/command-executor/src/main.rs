//! Runs the command executor as a Lambda function.

use command_executor::Executor;
use command_executor::clerk::ClerkBans;
use command_executor::rest::TemporalRest;
use command_executor::temporal::TemporalPauses;
use lambda_runtime::Error;
use std::convert::Infallible;
use torale_platform::authentication::IdentityProviderSettings;
use torale_platform::queue::MessageQueue;
use torale_platform::start::Parts;
use torale_platform::{clock, config, lambda, logging};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    logging::start();
    let executor = &Parts::build(executor);
    lambda::run_job(|event| async move {
        Ok::<_, Infallible>(command_executor::handle(executor.get().await, event).await)
    })
    .await
}

async fn executor() -> Result<Executor<ClerkBans, TemporalPauses, MessageQueue>, Error> {
    let clerk = ClerkBans::new(&IdentityProviderSettings {
        timeout: config::COMMAND_TIMEOUT,
        ..config::identity_provider()
    });
    let forward = match config::commands_forward_queue_url() {
        Some(url) => Some(MessageQueue::connect_to(url).await),
        None => None,
    };
    Ok(Executor {
        clerk,
        temporal: TemporalPauses::new(config::temporal()),
        temporal_rest: TemporalRest::default(),
        events: MessageQueue::connect().await,
        forward,
        handled: config::commands_handled()?,
        schedules: config::temporal_schedule_pattern()?,
        clock: clock::system,
    })
}
