//! Runs the relay of the platform's PostgreSQL as a Lambda function.

use lambda_runtime::{Error, LambdaEvent};
use serde::de::IgnoredAny;
use std::time::Duration;
use tokio::time::Instant;
use torale_platform::queue::MessageQueue;
use torale_platform::start::Parts;
use torale_platform::{clock, config, lambda, logging};
use torale_source_outbox::connect::SourceDatabase;

/// The time after which a run takes no more rows.
const TIME: Duration = Duration::from_secs(35);
/// The longest time for a run: ten seconds less than the function's timeout.
const END: Duration = Duration::from_secs(45);

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    logging::start();
    let parts = &Parts::build(|| async {
        let settings = config::postgres();
        let certificates = settings.certificates.as_deref();
        let database = SourceDatabase::new(&settings.url, certificates, &settings.schema)?;
        Ok((database, MessageQueue::connect().await))
    });
    lambda::run_job(|_event: LambdaEvent<IgnoredAny>| async move {
        let now = Instant::now();
        let (database, events) = parts.get().await;
        postgres_relay::handle(database, events, clock::system, now + TIME, now + END).await
    })
    .await
}
