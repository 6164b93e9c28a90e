//! Runs the metrics as a Lambda function.

use lambda_runtime::{Error, LambdaEvent};
use metrics::MetricSources;
use metrics::cloudwatch::CloudWatch;
use serde::de::IgnoredAny;
use torale_platform::queue::MessageQueue;
use torale_platform::start::Parts;
use torale_platform::store::{Generations, Store};
use torale_platform::{aws, clock, lambda, logging};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    logging::start();
    let sources = &Parts::build(|| async {
        let (store, events) = (Store::connect().await, MessageQueue::connect().await);
        let cloudwatch = CloudWatch::new(aws::shared().await.into());
        Ok(MetricSources {
            store,
            generations: Generations::default(),
            events,
            cloudwatch,
            clock: clock::system,
        })
    });
    lambda::run_job(
        |_event: LambdaEvent<IgnoredAny>| async move { metrics::handle(sources.get().await).await },
    )
    .await
}
