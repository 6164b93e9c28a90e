//! A batch of messages as Lambda brings it from a queue: until when it must be done, and which messages come again.

use crate::clock;
use aws_lambda_events::sqs::{BatchItemFailure, SqsBatchResponse, SqsEvent};
use tokio::time::Duration;
use torale_domain::time::Timestamp;

/// Without a deadline that lies ahead (`cargo lambda watch` tells a constant one) a batch gets this long.
const DEFAULT_TIME: Duration = Duration::from_secs(25);

/// The attribute that says when the queue took a message, in milliseconds since 1970.
const SENT: &str = "SentTimestamp";

/// A message of the queue.
#[derive(Debug, Clone)]
pub struct Message {
    /// The queue's id of the message.
    pub id: String,
    /// Its text.
    pub body: String,
    /// When the queue took it, as far as the queue says.
    pub sent_at: Option<Timestamp>,
}

/// The messages of an invocation.
pub fn messages(event: SqsEvent) -> Vec<Message> {
    let records = event.records.into_iter();
    records
        .map(|record| Message {
            id: record.message_id.unwrap_or_default(),
            body: record.body.unwrap_or_default(),
            sent_at: record.attributes.get(SENT).and_then(|at| at.parse().ok()).map(Timestamp::from_millis),
        })
        .collect()
}

/// The time until an invocation's deadline, which is in milliseconds since 1970.
pub fn time_left(deadline: u64) -> Duration {
    let left = i64::try_from(deadline).unwrap_or(0) - clock::system().millis();
    u64::try_from(left).ok().filter(|left| *left > 0).map_or(DEFAULT_TIME, Duration::from_millis)
}

/// How long ago the queue took the oldest of some messages, in seconds; 0 of none.
pub fn age<'a>(messages: impl IntoIterator<Item = &'a Message>, now: Timestamp) -> u64 {
    let oldest = messages.into_iter().filter_map(|message| message.sent_at).min();
    oldest.map_or(0, |at| u64::try_from((now.millis() - at.millis()) / 1000).unwrap_or(0))
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
