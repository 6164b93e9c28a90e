//! Runs the outbox relay as a Lambda function.
#![recursion_limit = "256"]

use lambda_runtime::{Error, LambdaEvent};
use serde::de::IgnoredAny;
use std::time::Duration;
use tokio::time::Instant;
use torale_platform::queue::MessageQueue;
use torale_platform::start::Parts;
use torale_platform::store::Store;
use torale_platform::{clock, lambda, logging};

/// The longest time for a run: ten seconds less than the function's timeout.
const TIME: Duration = Duration::from_secs(45);

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    logging::start();
    let parts = &Parts::build(|| async {
        let (commands, events) = (MessageQueue::connect_commands().await, MessageQueue::connect().await);
        Ok((Store::connect().await, commands, events))
    });
    lambda::run_job(|_event: LambdaEvent<IgnoredAny>| async move {
        let deadline = Instant::now() + TIME;
        let (store, commands, events) = parts.get().await;
        outbox_relay::handle(store, commands, events, clock::system, deadline).await
    })
    .await
}
