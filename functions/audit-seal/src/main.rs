//! Runs the sealing of the audit trail as a Lambda function.

use audit_seal::SealingKey;
use lambda_runtime::{Error, LambdaEvent};
use serde::de::IgnoredAny;
use std::time::Duration;
use tokio::time::Instant;
use torale_platform::start::Parts;
use torale_platform::store::Store;
use torale_platform::{clock, config, lambda, logging};

/// The longest time for a run, loading the key included: ten seconds less than the function's timeout.
const TIME: Duration = Duration::from_secs(45);

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    logging::start();
    let build = || async { Ok((Store::connect().await, SealingKey::load(config::audit_key()).await?)) };
    let parts = &Parts::build(build);
    lambda::run_job(|_event: LambdaEvent<IgnoredAny>| async move {
        let deadline = Instant::now() + TIME;
        let (store, key) = parts.get().await;
        audit_seal::handle(store, key, clock::system, deadline).await
    })
    .await
}
