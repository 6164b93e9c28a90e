//! A batch of queue messages as Lambda passes it to a function: its deadline, and which messages to return to the
//! queue.

use crate::clock;
use aws_lambda_events::sqs::{BatchItemFailure, SqsBatchResponse, SqsEvent};
use tokio::time::Duration;
use torale_domain::values::time::Timestamp;

/// The time for a batch whose deadline is not in the future. `cargo lambda watch` passes a constant deadline.
const DEFAULT_TIME: Duration = Duration::from_secs(25);

/// The attribute with the time at which a message was sent, in milliseconds since 1970.
const SENT: &str = "SentTimestamp";
/// The attribute with the number of times that a message has been received.
const RECEIVED: &str = "ApproximateReceiveCount";
/// A message that has been received this often is left out of SQS's own metric of the oldest message.
const LEFT_OUT: u32 = 3;

/// A message of the queue.
#[derive(Debug, Clone)]
pub struct QueueMessage {
    /// The id that the queue gave the message.
    pub id: String,
    /// Its body.
    pub body: String,
    /// When it was sent, if the queue states it.
    pub sent_at: Option<Timestamp>,
    /// How often it has been received, this time included.
    pub received: u32,
}

/// The messages of an invocation.
pub fn messages(event: SqsEvent) -> Vec<QueueMessage> {
    let records = event.records.into_iter();
    records
        .map(|record| QueueMessage {
            id: record.message_id.unwrap_or_default(),
            body: record.body.unwrap_or_default(),
            sent_at: record.attributes.get(SENT).and_then(|at| at.parse().ok()).map(Timestamp::from_millis),
            received: record.attributes.get(RECEIVED).and_then(|count| count.parse().ok()).unwrap_or(1),
        })
        .collect()
}

/// The time until an invocation's deadline, which is given in milliseconds since 1970.
pub fn time_left(deadline: u64) -> Duration {
    let left = i64::try_from(deadline).unwrap_or(0) - clock::system().millis();
    u64::try_from(left).ok().filter(|left| *left > 0).map_or(DEFAULT_TIME, Duration::from_millis)
}

/// The age in seconds of the oldest message that has been received three times or more; 0 if there is none. SQS reports
/// the age of messages that have been received less often.
pub fn stuck<'a>(messages: impl IntoIterator<Item = &'a QueueMessage>, now: Timestamp) -> u64 {
    let again = messages.into_iter().filter(|message| message.received >= LEFT_OUT);
    let oldest = again.filter_map(|message| message.sent_at).min();
    oldest.map_or(0, |at| u64::try_from((now.millis() - at.millis()) / 1000).unwrap_or(0))
}

/// The response that returns messages, by their ids, to the queue.
pub fn return_to_queue(ids: impl IntoIterator<Item = String>) -> SqsBatchResponse {
    let failure = |id| {
        let mut failure = BatchItemFailure::default();
        failure.item_identifier = id;
        failure
    };
    let mut response = SqsBatchResponse::default();
    response.batch_item_failures = ids.into_iter().map(failure).collect();
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stuck_is_the_age_of_the_oldest_message_received_three_times() {
        let records = r#"{ "Records": [
            { "attributes": { "SentTimestamp": "1774953000500", "ApproximateReceiveCount": "2" } },
            { "attributes": { "SentTimestamp": "1774953030500", "ApproximateReceiveCount": "3" } },
            { "attributes": { "SentTimestamp": "1774953090500", "ApproximateReceiveCount": "60" } },
            { "attributes": { "SentTimestamp": "yesterday", "ApproximateReceiveCount": "4" } },
            { "body": "{}" }
        ] }"#;
        let messages = messages(serde_json::from_str(records).unwrap());
        let now = Timestamp::from_millis(1_774_953_150_999);
        assert_eq!(stuck(&messages, now), 120);
        assert_eq!(stuck(messages.iter().skip(2), now), 60);
        assert_eq!(stuck(messages.iter().skip(3), now), 0, "no time is stated");
        assert_eq!(stuck(messages.iter().take(1), now), 0, "received twice");
        assert_eq!(stuck(&messages, Timestamp::EARLIEST), 0, "the sender's clock is ahead");
    }
}
