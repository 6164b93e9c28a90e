//! SQS: sends messages to the queues of events and of commands.

use crate::aws::causes;
use crate::{aws, clock, config};
use aws_sdk_sqs::Client;
use aws_sdk_sqs::config::retry::RetryConfig;
use aws_sdk_sqs::config::timeout::TimeoutConfig;
use aws_sdk_sqs::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_sqs::types::{QueueAttributeName, SendMessageBatchRequestEntry};
use std::collections::BTreeSet;
use std::error::Error;
use tokio::sync::OnceCell;

/// Most messages of one `SendMessageBatch`.
const BATCH: usize = 10;
/// Most bytes of one: an account may have kept the old limit of 256 KiB.
const BATCH_BYTES: usize = 256 * 1024;
/// How often messages that a batch left behind are sent again.
const MAX_ATTEMPTS: u32 = 4;

/// Why the queue has not taken every message. No text of these holds a message's body.
#[derive(Debug, thiserror::Error)]
pub enum QueueError {
    /// It can't be reached, or not in time, or has handed messages back again and again.
    #[error("queue unavailable: {0}")]
    Unavailable(String),
    /// It does not exist or will never take a message such as this.
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
        // SQS names some errors in two ways: as its present protocol does and as its former one did.
        match code.as_deref().map(|code| code.trim_start_matches("AWS.SimpleQueueService.")) {
            Some(
                "QueueDoesNotExist" | "NonExistentQueue" | "InvalidMessageContents" | "BatchRequestTooLong",
            ) => Self::Refused(text),
            Some(_) | None => Self::Unavailable(text),
        }
    }
}

/// A queue, for sending: a client with its time limits.
#[derive(Debug)]
pub struct MessageQueue {
    client: Client,
    name: &'static str,
    url: OnceCell<String>,
}

impl MessageQueue {
    /// With the account's or the local stack's SQS, as the environment says.
    pub async fn connect() -> Self {
        Self::new(aws::shared().await.into(), config::events_queue_url())
    }

    /// Like [`MessageQueue::connect`], but for the queue of commands.
    pub async fn connect_commands() -> Self {
        let queue = Self::new(aws::shared().await.into(), config::commands_queue_url());
        Self { name: config::COMMANDS_QUEUE, ..queue }
    }

    /// Like [`MessageQueue::connect`], but for the queue of that URL.
    pub async fn connect_to(url: String) -> Self {
        Self::new(aws::shared().await.into(), Some(url))
    }

    /// With a client configuration of one's own; sets time limits and retries. Without a URL, the first sending
    /// asks SQS for it once.
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

    /// How many messages wait here or are being worked on, as SQS estimates it.
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
        let told = call.send().await.map_err(QueueError::from_sdk)?.attributes.unwrap_or_default();
        let number = |state| told.get(state).and_then(|number: &String| number.parse::<u64>().ok());
        let numbers: Option<Vec<u64>> = states.iter().map(number).collect();
        let numbers =
            numbers.ok_or_else(|| QueueError::Unavailable("no numbers in the answer".to_owned()))?;
        Ok(numbers.into_iter().sum())
    }

    /// Sends messages; good only once SQS has taken every one of them. After an error some may have been sent.
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

    /// Sends one batch and what it leaves behind, until nothing is left.
    async fn send_batch(&self, url: &str, batch: &[String]) -> Result<(), QueueError> {
        let mut left: BTreeSet<usize> = (0..batch.len()).collect();
        let mut reason = String::new();
        for attempt in 0..MAX_ATTEMPTS {
            if attempt > 0 {
                tokio::time::sleep(clock::backoff(attempt)).await;
            }
            let mut call = self.client.send_message_batch().queue_url(url);
            for (position, body) in batch.iter().enumerate().filter(|(position, _)| left.contains(position)) {
                let entry = SendMessageBatchRequestEntry::builder().id(position.to_string());
                let entry = entry.message_body(body).build();
                call = call.entries(entry.map_err(|e| QueueError::Refused(e.to_string()))?);
            }
            let answer = call.send().await.map_err(QueueError::from_sdk)?;
            // What the answer does not name as taken counts as left behind.
            let taken: BTreeSet<&str> = answer.successful().iter().map(|taken| taken.id()).collect();
            left.retain(|position| !taken.contains(position.to_string().as_str()));
            if left.is_empty() {
                return Ok(());
            }
            if let Some(failed) = answer.failed().iter().find(|failed| failed.sender_fault()) {
                return Err(QueueError::Refused(failed.code().to_owned()));
            }
            reason = answer.failed().first().map_or("no reason", |failed| failed.code()).to_owned();
        }
        Err(QueueError::Unavailable(format!("messages were handed back again and again: {reason}")))
    }
}

/// Cuts messages into batches that SQS takes at once, in order.
fn batches(bodies: &[String]) -> Vec<&[String]> {
    let mut batches = Vec::new();
    let mut rest = bodies;
    while !rest.is_empty() {
        let mut bytes = 0_usize;
        let fitting = rest.iter().take(BATCH).take_while(|body| {
            bytes = bytes.saturating_add(body.len());
            bytes <= BATCH_BYTES
        });
        // A message that is too large by itself goes alone, for SQS to refuse.
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
    fn a_batch_has_at_most_ten_messages_and_256_kib() {
        assert_eq!(sizes(&[]), [0; 0]);
        assert_eq!(sizes(&[1; 10]), [10]);
        assert_eq!(sizes(&[1; 21]), [10, 10, 1]);
        assert_eq!(sizes(&[BATCH_BYTES - 1, 1, 1]), [2, 1]);
        assert_eq!(sizes(&[1, BATCH_BYTES, BATCH_BYTES + 1, 1]), [1, 1, 1, 1]);
    }
}
