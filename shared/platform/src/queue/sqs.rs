//! The calls on a queue by the SDK: nothing else in this crate speaks SQS.

use super::QueueError;
use super::calls::{BatchAnswer, MessageFailure, QueueCall, QueueCalls};
use crate::aws::causes;
use crate::config;
use aws_sdk_sqs::Client;
use aws_sdk_sqs::config::retry::RetryConfig;
use aws_sdk_sqs::config::timeout::TimeoutConfig;
use aws_sdk_sqs::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_sqs::types::{QueueAttributeName, SendMessageBatchRequestEntry};
use std::error::Error;
use tokio::sync::OnceCell;

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

/// A queue at SQS: a client with time limits.
#[derive(Debug)]
pub(super) struct Sqs {
    client: Client,
    name: &'static str,
    url: OnceCell<String>,
}

impl Sqs {
    /// A queue with this client configuration, to which time limits and retries are added. Without a URL, SQS is asked
    /// for the one of this name at the first call.
    pub(super) fn new(config: aws_sdk_sqs::config::Builder, name: &'static str, url: Option<String>) -> Self {
        let limits = TimeoutConfig::builder()
            .operation_timeout(config::QUEUE_TIMEOUT)
            .operation_attempt_timeout(config::QUEUE_ATTEMPT_TIMEOUT)
            .build();
        let config =
            config.timeout_config(limits).retry_config(RetryConfig::standard().with_max_attempts(3)).build();
        Self { client: Client::from_conf(config), name, url: OnceCell::new_with(url) }
    }

    async fn known_url(&self) -> Result<&String, QueueError> {
        let ask = || async {
            let call = self.client.get_queue_url().queue_name(self.name);
            let answer = call.send().await.map_err(QueueError::from_sdk)?;
            answer.queue_url.ok_or_else(|| QueueError::Unavailable("no URL in the answer".to_owned()))
        };
        self.url.get_or_try_init(ask).await
    }

    async fn send_message_batch(&self, messages: Vec<(usize, &str)>) -> Result<BatchAnswer, QueueError> {
        let mut call = self.client.send_message_batch().queue_url(self.known_url().await?);
        for (number, body) in messages {
            let entry = SendMessageBatchRequestEntry::builder().id(number.to_string()).message_body(body);
            call = call.entries(entry.build().map_err(|e| QueueError::Refused(e.to_string()))?);
        }
        let answer = call.send().await.map_err(QueueError::from_sdk)?;
        let failure = |failed: &aws_sdk_sqs::types::BatchResultErrorEntry| MessageFailure {
            code: failed.code().to_owned(),
            sender_fault: failed.sender_fault(),
        };
        Ok(BatchAnswer {
            taken: answer.successful().iter().filter_map(|taken| taken.id().parse().ok()).collect(),
            failed: answer.failed().iter().map(failure).collect(),
        })
    }

    async fn approximate_number(&self) -> Result<u64, QueueError> {
        use QueueAttributeName::{
            ApproximateNumberOfMessages, ApproximateNumberOfMessagesDelayed,
            ApproximateNumberOfMessagesNotVisible,
        };
        let states = [
            ApproximateNumberOfMessages,
            ApproximateNumberOfMessagesNotVisible,
            ApproximateNumberOfMessagesDelayed,
        ];
        let call = self.client.get_queue_attributes().queue_url(self.known_url().await?);
        let call = call.set_attribute_names(Some(states.to_vec()));
        let attributes = call.send().await.map_err(QueueError::from_sdk)?.attributes.unwrap_or_default();
        let number = |state| attributes.get(state).and_then(|number: &String| number.parse::<u64>().ok());
        let numbers: Option<Vec<u64>> = states.iter().map(number).collect();
        let numbers =
            numbers.ok_or_else(|| QueueError::Unavailable("no numbers in the answer".to_owned()))?;
        Ok(numbers.into_iter().sum())
    }
}

impl QueueCalls for Sqs {
    fn send_batch<'a>(&'a self, messages: Vec<(usize, &'a str)>) -> QueueCall<'a, BatchAnswer> {
        Box::pin(self.send_message_batch(messages))
    }

    fn waiting(&self) -> QueueCall<'_, u64> {
        Box::pin(self.approximate_number())
    }

    fn url(&self) -> QueueCall<'_, String> {
        Box::pin(async { self.known_url().await.cloned() })
    }
}
