//! A queue on this machine.

use aws_sdk_sqs::config::{BehaviorVersion, Builder, Credentials, Region};
use torale_platform::queue::MessageQueue;

/// The queue of events of a local SQS, with any credentials.
pub fn local_queue(url: &str) -> MessageQueue {
    let credentials = Credentials::new("local", "local", None, None, "local");
    let config = Builder::new().behavior_version(BehaviorVersion::latest()).endpoint_url(url);
    MessageQueue::new(config.region(Region::from_static("us-east-1")).credentials_provider(credentials), None)
}
