//! Runs the sync of the platform's Temporal as a Lambda function.

use lambda_runtime::{Error, LambdaEvent};
use serde::de::IgnoredAny;
use std::time::Duration;
use tokio::sync::Mutex;
use tokio::time::Instant;
use torale_platform::queue::MessageQueue;
use torale_platform::start::Parts;
use torale_platform::store::{Generations, Store};
use torale_platform::{clock, config, lambda, logging};
use torale_temporal::connection::TemporalConnection;
use torale_temporal::sync::{SyncMemory, TemporalSync};
use torale_temporal::task_ids::TaskIds;

/// The time after which a run looks at no more schedules.
const HALF: Duration = Duration::from_secs(20);
/// The time after which it reads no more runs: fifteen seconds less than the function's timeout, three times as long as
/// a call of Temporal or of the queue may take.
const TIME: Duration = Duration::from_secs(40);

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    logging::start();
    let sync = &Parts::build(|| async {
        let settings = config::temporal();
        Ok(TemporalSync {
            source: format!("{} {}", settings.address, settings.namespace),
            temporal: TemporalConnection::new(settings),
            tasks: TaskIds::new(config::temporal_schedule_pattern()?),
            store: Store::connect().await,
            generations: Generations::default(),
            events: MessageQueue::connect().await,
            clock: clock::system,
            memory: Mutex::new(SyncMemory::default()),
        })
    });
    lambda::run_job(|_event: LambdaEvent<IgnoredAny>| async move {
        let now = Instant::now();
        temporal_sync::handle(sync.get().await, now + HALF, now + TIME).await
    })
    .await
}
