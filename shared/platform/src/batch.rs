//! A batch of messages as Lambda brings it from a queue: until when it must be done, and which messages come again.

use crate::clock;
use aws_lambda_events::sqs::{BatchItemFailure, SqsBatchResponse, SqsEvent};
use tokio::time::Duration;

/// Without a deadline that lies ahead (`cargo lambda watch` tells a constant one) a batch gets this long.
const DEFAULT_TIME: Duration = Duration::from_secs(25);

/// A message of the queue.
#[derive(Debug, Clone)]
pub struct Message {
    /// The queue's id of the message.
    pub id: String,
    /// Its text.
    pub body: String,
}

/// The messages of an invocation.
pub fn messages(event: SqsEvent) -> Vec<Message> {
    let records = event.records.into_iter();
    records
        .map(|record| Message {
            id: record.message_id.unwrap_or_default(),
            body: record.body.unwrap_or_default(),
        })
        .collect()
}

/// The time until an invocation's deadline, which is in milliseconds since 1970.
pub fn time_left(deadline: u64) -> Duration {
    let left = i64::try_from(deadline).unwrap_or(0) - clock::system().millis();
    u64::try_from(left).ok().filter(|left| *left > 0).map_or(DEFAULT_TIME, Duration::from_millis)
}

/// The answer that hands messages back by their ids.
pub fn hand_back(ids: impl IntoIterator<Item = String>) -> SqsBatchResponse {
    let failure = |id| {
        let mut failure = BatchItemFailure::default();
        failure.item_identifier = id;
        failure
    };
    let mut response = SqsBatchResponse::default();
    response.batch_item_failures = ids.into_iter().map(failure).collect();
    response
}
