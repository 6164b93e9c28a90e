//! The queues: sends messages to the event queue and the command queue.
//!
//! | module | what it does |
//! |---|---|
//! | `calls` | the port: the calls on a queue |
//! | `sqs` | the calls by SQS's SDK |

pub mod calls;
mod sqs;

use crate::retry::Retries;
use crate::{aws, config};
use calls::QueueCalls;
use futures::stream::{self, StreamExt, TryStreamExt};
use sqs::Sqs;
use std::borrow::Cow;
use std::collections::BTreeSet;
use std::sync::Arc;

/// The most messages of one `SendMessageBatch`.
const BATCH: usize = 10;
/// The most bytes of one. SQS's former limit, which some accounts may still have.
const BATCH_BYTES: usize = 256 * 1024;
/// The characters that SQS refuses, beside control characters, which JSON always escapes.
const REFUSED: [char; 2] = ['\u{fffe}', '\u{ffff}'];
/// Messages that are sent batch after batch while others are sent beside them, and how many such sendings there are at
/// once.
const SENT_TOGETHER: usize = 50;
const SENDERS: usize = 8;
/// How often messages are sent that SQS does not take with the rest of their batch.
const MAX_ATTEMPTS: u32 = 4;

/// Why the queue has not taken every message. The texts contain no message bodies.
#[derive(Debug, thiserror::Error)]
pub enum QueueError {
    /// The queue can't be reached, does not answer in time, or refuses messages temporarily.
    #[error("queue unavailable: {0}")]
    Unavailable(String),
    /// The queue does not exist or will never take such a message.
    #[error("queue refused: {0}")]
    Refused(String),
}

/// A queue to send messages to.
#[derive(Debug, Clone)]
pub struct MessageQueue {
    calls: Arc<dyn QueueCalls>,
}

impl MessageQueue {
    /// The event queue of the account or of the local stack, as the environment says.
    pub async fn connect() -> Self {
        Self::new(aws::shared().await.into(), config::events_queue_url())
    }

    /// The command queue of the account or of the local stack, as the environment says.
    pub async fn connect_commands() -> Self {
        let (config, url) = (aws::shared().await.into(), config::commands_queue_url());
        Self::over(Arc::new(Sqs::new(config, config::COMMANDS_QUEUE, url)))
    }

    /// The queue with this URL.
    pub async fn connect_to(url: String) -> Self {
        Self::new(aws::shared().await.into(), Some(url))
    }

    /// A queue with this client configuration, to which time limits and retries are added. Without a URL, SQS is asked
    /// for the event queue's URL when the first messages are sent.
    pub fn new(config: aws_sdk_sqs::config::Builder, url: Option<String>) -> Self {
        Self::over(Arc::new(Sqs::new(config, config::EVENTS_QUEUE, url)))
    }

    /// Another queue than one of SQS: that of a simulation.
    pub fn over(calls: Arc<dyn QueueCalls>) -> Self {
        Self { calls }
    }

    /// The number of messages that are in the queue or being processed, as SQS estimates it.
    pub async fn waiting(&self) -> Result<u64, QueueError> {
        self.calls.waiting().await
    }

    /// The queue's URL, which names its account and region.
    pub async fn url(&self) -> Result<String, QueueError> {
        self.calls.url().await
    }

    /// Sends messages. Returns when SQS has taken all of them; after an error, it may have taken some.
    pub async fn send(&self, bodies: &[String]) -> Result<(), QueueError> {
        let bodies: Vec<_> = bodies.iter().map(|body| accepted(body)).collect();
        for batch in batches(&bodies) {
            self.send_batch(batch).await?;
        }
        Ok(())
    }

    /// Sends messages, several batches at once and in any order. Returns when SQS has taken all of them; after an
    /// error, it may have taken some.
    pub async fn send_all(&self, bodies: &[String]) -> Result<(), QueueError> {
        let parts: Vec<_> = bodies.chunks(SENT_TOGETHER).map(|bodies| self.send(bodies)).collect();
        stream::iter(parts).buffer_unordered(SENDERS).try_collect().await
    }

    /// Sends one batch, and the messages that SQS does not take again.
    async fn send_batch(&self, batch: &[Cow<'_, str>]) -> Result<(), QueueError> {
        let mut left: BTreeSet<usize> = (0..batch.len()).collect();
        let mut retries = Retries::attempts(MAX_ATTEMPTS);
        loop {
            let numbered = batch.iter().enumerate().filter(|(position, _)| left.contains(position));
            let messages = numbered.map(|(position, body)| (position, body.as_ref())).collect();
            let answer = self.calls.send_batch(messages).await?;
            left.retain(|position| !answer.taken.contains(position));
            if left.is_empty() {
                return Ok(());
            }
            if let Some(failed) = answer.failed.iter().find(|failed| failed.sender_fault) {
                return Err(QueueError::Refused(failed.code.clone()));
            }
            if !retries.pause().await {
                let reason = answer.failed.first().map_or("no reason", |failed| failed.code.as_str());
                return Err(QueueError::Unavailable(format!("messages were not taken: {reason}")));
            }
        }
    }
}

/// The JSON text of a message in a form that SQS accepts: of the characters that JSON may have as they are, it refuses
/// two, which can stand in texts alone.
fn accepted(body: &str) -> Cow<'_, str> {
    if !body.contains(REFUSED) {
        return Cow::Borrowed(body);
    }
    Cow::Owned(body.replace(REFUSED[0], "\\ufffe").replace(REFUSED[1], "\\uffff"))
}

/// Cuts messages into batches that SQS takes, in order.
fn batches<'b, 'c>(bodies: &'b [Cow<'c, str>]) -> Vec<&'b [Cow<'c, str>]> {
    let mut batches = Vec::new();
    let mut rest = bodies;
    while !rest.is_empty() {
        let mut bytes = 0_usize;
        let fitting = rest.iter().take(BATCH).take_while(|body| {
            bytes = bytes.saturating_add(body.len());
            bytes <= BATCH_BYTES
        });
        // A message that is too large by itself is sent alone, and SQS refuses it.
        let (batch, later) = rest.split_at(fitting.count().max(1));
        batches.push(batch);
        rest = later;
    }
    batches
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sizes(bodies: &[usize]) -> Vec<usize> {
        let bodies: Vec<Cow<'_, str>> = bodies.iter().map(|bytes| "x".repeat(*bytes).into()).collect();
        let cut = batches(&bodies);
        assert_eq!(cut.concat(), bodies);
        cut.iter().map(|batch| batch.len()).collect()
    }

    #[test]
    fn characters_that_sqs_refuses_are_escaped() {
        let text = "\u{fffd}\u{fffe}é\u{ffff}\u{10ffff}";
        let body = serde_json::json!({ "id": text }).to_string();

        let sent = accepted(&body);

        assert!(!sent.contains(REFUSED));
        assert_eq!(serde_json::from_str::<serde_json::Value>(&sent).unwrap()["id"], text);
        assert!(matches!(accepted("{}"), Cow::Borrowed("{}")));
    }

    #[test]
    fn batches_have_at_most_ten_messages_and_256_kib() {
        assert_eq!(sizes(&[]), [0; 0]);
        assert_eq!(sizes(&[1; 10]), [10]);
        assert_eq!(sizes(&[1; 21]), [10, 10, 1]);
        assert_eq!(sizes(&[BATCH_BYTES - 1, 1, 1]), [2, 1]);
        assert_eq!(sizes(&[1, BATCH_BYTES, BATCH_BYTES + 1, 1]), [1, 1, 1, 1]);
    }
}
