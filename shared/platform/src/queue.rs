//! SQS: sends messages to the event queue and the command queue.

use crate::aws::causes;
use crate::retry::Retries;
use crate::{aws, config};
use aws_sdk_sqs::Client;
use aws_sdk_sqs::config::retry::RetryConfig;
use aws_sdk_sqs::config::timeout::TimeoutConfig;
use aws_sdk_sqs::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_sqs::types::{QueueAttributeName, SendMessageBatchRequestEntry};
use futures::stream::{self, StreamExt, TryStreamExt};
use std::collections::BTreeSet;
use std::error::Error;
use tokio::sync::OnceCell;

/// The most messages of one `SendMessageBatch`.
const BATCH: usize = 10;
/// The most bytes of one. SQS's former limit, which some accounts may still have.
const BATCH_BYTES: usize = 256 * 1024;
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

impl QueueError {
    fn from_sdk<E>(error: SdkError<E>) -> Self
    where
        E: Error + ProvideErrorMetadata + Send + Sync + 'static,
    {
        let code = error.as_service_error().and_then(|e| e.code().map(str::to_owned));
        let text = causes(&error);
        // SQS has two names for some errors: those of its JSON protocol and those of its query protocol.
        match code.as_deref().map(|code| code.trim_start_matches("AWS.SimpleQueueService.")) {
            Some(
                "QueueDoesNotExist" | "NonExistentQueue" | "InvalidMessageContents" | "BatchRequestTooLong",
            ) => Self::Refused(text),
            Some(_) | None => Self::Unavailable(text),
        }
    }
}

/// A queue to send messages to: a client with time limits.
#[derive(Debug)]
pub struct MessageQueue {
    client: Client,
    name: &'static str,
    url: OnceCell<String>,
}

impl MessageQueue {
    /// The event queue of the account or of the local stack, as the environment says.
    pub async fn connect() -> Self {
        Self::new(aws::shared().await.into(), config::events_queue_url())
    }

    /// The command queue of the account or of the local stack, as the environment says.
    pub async fn connect_commands() -> Self {
        let queue = Self::new(aws::shared().await.into(), config::commands_queue_url());
        Self { name: config::COMMANDS_QUEUE, ..queue }
    }

    /// The queue with this URL.
    pub async fn connect_to(url: String) -> Self {
        Self::new(aws::shared().await.into(), Some(url))
    }

    /// A queue with this client configuration, to which time limits and retries are added. Without a URL, SQS is asked
    /// for the event queue's URL when the first messages are sent.
    pub fn new(config: aws_sdk_sqs::config::Builder, url: Option<String>) -> Self {
        let limits = TimeoutConfig::builder()
            .operation_timeout(config::QUEUE_TIMEOUT)
            .operation_attempt_timeout(config::QUEUE_ATTEMPT_TIMEOUT)
            .build();
        let config =
            config.timeout_config(limits).retry_config(RetryConfig::standard().with_max_attempts(3)).build();
        Self { client: Client::from_conf(config), name: config::EVENTS_QUEUE, url: OnceCell::new_with(url) }
    }

    async fn url(&self) -> Result<&String, QueueError> {
        let ask = || async {
            let call = self.client.get_queue_url().queue_name(self.name);
            let answer = call.send().await.map_err(QueueError::from_sdk)?;
            answer.queue_url.ok_or_else(|| QueueError::Unavailable("no URL in the answer".to_owned()))
        };
        self.url.get_or_try_init(ask).await
    }

    /// The number of messages that are in the queue or being processed, as SQS estimates it.
    pub async fn waiting(&self) -> Result<u64, QueueError> {
        use QueueAttributeName::{
            ApproximateNumberOfMessages, ApproximateNumberOfMessagesDelayed,
            ApproximateNumberOfMessagesNotVisible,
        };
        let states = [
            ApproximateNumberOfMessages,
            ApproximateNumberOfMessagesNotVisible,
            ApproximateNumberOfMessagesDelayed,
        ];
        let call = self.client.get_queue_attributes().queue_url(self.url().await?);
        let call = call.set_attribute_names(Some(states.to_vec()));
        let attributes = call.send().await.map_err(QueueError::from_sdk)?.attributes.unwrap_or_default();
        let number = |state| attributes.get(state).and_then(|number: &String| number.parse::<u64>().ok());
        let numbers: Option<Vec<u64>> = states.iter().map(number).collect();
        let numbers =
            numbers.ok_or_else(|| QueueError::Unavailable("no numbers in the answer".to_owned()))?;
        Ok(numbers.into_iter().sum())
    }

    /// Sends messages. Returns when SQS has taken all of them; after an error, it may have taken some.
    pub async fn send(&self, bodies: &[String]) -> Result<(), QueueError> {
        if bodies.is_empty() {
            return Ok(());
        }
        let url = self.url().await?;
        for batch in batches(bodies) {
            self.send_batch(url, batch).await?;
        }
        Ok(())
    }

    /// Sends messages, several batches at once and in any order. Returns when SQS has taken all of them; after an error, it
    /// may have taken some.
    pub async fn send_all(&self, bodies: &[String]) -> Result<(), QueueError> {
        let parts: Vec<_> = bodies.chunks(SENT_TOGETHER).map(|bodies| self.send(bodies)).collect();
        stream::iter(parts).buffer_unordered(SENDERS).try_collect().await
    }

    /// Sends one batch, and the messages that SQS does not take again.
    async fn send_batch(&self, url: &str, batch: &[String]) -> Result<(), QueueError> {
        let mut left: BTreeSet<usize> = (0..batch.len()).collect();
        let mut retries = Retries::attempts(MAX_ATTEMPTS);
        loop {
            let mut call = self.client.send_message_batch().queue_url(url);
            for (position, body) in batch.iter().enumerate().filter(|(position, _)| left.contains(position)) {
                let entry = SendMessageBatchRequestEntry::builder().id(position.to_string());
                let entry = entry.message_body(body).build();
                call = call.entries(entry.map_err(|e| QueueError::Refused(e.to_string()))?);
            }
            let answer = call.send().await.map_err(QueueError::from_sdk)?;
            // A message that the response does not mention counts as not taken.
            let taken: BTreeSet<&str> = answer.successful().iter().map(|taken| taken.id()).collect();
            left.retain(|position| !taken.contains(position.to_string().as_str()));
            if left.is_empty() {
                return Ok(());
            }
            if let Some(failed) = answer.failed().iter().find(|failed| failed.sender_fault()) {
                return Err(QueueError::Refused(failed.code().to_owned()));
            }
            if !retries.pause().await {
                let reason = answer.failed().first().map_or("no reason", |failed| failed.code());
                return Err(QueueError::Unavailable(format!("messages were not taken: {reason}")));
            }
        }
    }
}

/// Cuts messages into batches that SQS takes, in order.
fn batches(bodies: &[String]) -> Vec<&[String]> {
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
        let bodies: Vec<String> = bodies.iter().map(|bytes| "x".repeat(*bytes)).collect();
        let cut = batches(&bodies);
        assert_eq!(cut.concat(), bodies);
        cut.iter().map(|batch| batch.len()).collect()
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
