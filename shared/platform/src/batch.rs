//! A batch of messages as Lambda brings it from a queue: until when it must be done, and which messages come again.

use crate::clock;
use aws_lambda_events::sqs::{BatchItemFailure, SqsBatchResponse, SqsEvent};
use tokio::time::Duration;
use torale_domain::values::time::Timestamp;

/// Without a deadline that lies ahead (`cargo lambda watch` tells a constant one) a batch gets this long.
const DEFAULT_TIME: Duration = Duration::from_secs(25);

/// The attribute that says when the queue took a message, in milliseconds since 1970.
const SENT: &str = "SentTimestamp";
/// The attribute that says how often it has been handed out.
const RECEIVED: &str = "ApproximateReceiveCount";
/// Handed out so often, a message is no longer in the age that SQS tells of its oldest one.
const FORGOTTEN: u32 = 3;

/// A message of the queue.
#[derive(Debug, Clone)]
pub struct QueueMessage {
    /// The queue's id of the message.
    pub id: String,
    /// Its text.
    pub body: String,
    /// When the queue took it, as far as the queue says.
    pub sent_at: Option<Timestamp>,
    /// How often it has been handed out, this time included.
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

/// The time until an invocation's deadline, which is in milliseconds since 1970.
pub fn time_left(deadline: u64) -> Duration {
    let left = i64::try_from(deadline).unwrap_or(0) - clock::system().millis();
    u64::try_from(left).ok().filter(|left| *left > 0).map_or(DEFAULT_TIME, Duration::from_millis)
}

/// How long ago the queue took the oldest of those messages that were handed out three times or more, in seconds; 0 if
/// none was. What was held up once or twice goes through with its next try, and SQS knows its age.
pub fn stuck<'a>(messages: impl IntoIterator<Item = &'a QueueMessage>, now: Timestamp) -> u64 {
    let again = messages.into_iter().filter(|message| message.received >= FORGOTTEN);
    let oldest = again.filter_map(|message| message.sent_at).min();
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_came_three_times_has_an_age() {
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
        assert_eq!(stuck(messages.iter().skip(3), now), 0, "nobody knows");
        assert_eq!(stuck(messages.iter().take(1), now), 0, "it may go through with the next try");
        assert_eq!(stuck(&messages, Timestamp::EARLIEST), 0, "another's clock is ahead");
    }
}
