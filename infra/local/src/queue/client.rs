//! One queue of the server.

use std::collections::HashMap;
use std::time::Duration;

use aws_sdk_sqs::Client;
use aws_sdk_sqs::config::{BehaviorVersion, Credentials, Region};
use aws_sdk_sqs::types::{
    ChangeMessageVisibilityBatchRequestEntry, DeleteMessageBatchRequestEntry, Message,
    MessageSystemAttributeName, QueueAttributeName, SendMessageBatchRequestEntry,
};
use serde_json::json;
use torale_platform::aws::causes;

use crate::error::LocalError;
use crate::event_sources::EventSource;

/// The most messages of one call of SQS.
pub const MAX_BATCH: usize = 10;

fn queue_error(error: &dyn std::error::Error) -> LocalError {
    LocalError::Queue(causes(error))
}

/// A client of the queue server on a loopback port. It takes any credentials.
#[must_use]
pub fn connect(port: u16) -> Client {
    let config = aws_sdk_sqs::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::from_static("us-east-1"))
        .endpoint_url(format!("http://127.0.0.1:{port}"))
        .credentials_provider(Credentials::new("local", "local", None, None, "local"))
        .http_client(aws_smithy_http_client::Builder::new().build_http())
        .build();
    Client::from_conf(config)
}

/// One queue of the server.
#[derive(Clone)]
pub struct LocalQueue {
    client: Client,
    url: String,
}

/// How many messages a queue holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Depth {
    /// Waiting to be received.
    pub visible: u64,
    /// Received, but neither deleted nor released yet.
    pub in_flight: u64,
}

impl LocalQueue {
    /// Creates the queue of an event source and its dead-letter queue.
    ///
    /// # Errors
    /// If the server refuses.
    pub async fn create(client: &Client, source: &EventSource) -> Result<Self, LocalError> {
        create_queue(client, source.dead_letters, HashMap::new()).await?;
        let redrive = json!({
            "deadLetterTargetArn": arn(source.dead_letters),
            "maxReceiveCount": source.max_receive_count.to_string(),
        });
        let attributes = HashMap::from([
            (QueueAttributeName::VisibilityTimeout, source.visibility().as_secs().to_string()),
            (QueueAttributeName::RedrivePolicy, redrive.to_string()),
        ]);
        create_queue(client, source.queue, attributes).await
    }

    /// Finds an existing queue.
    ///
    /// # Errors
    /// If there is none, or nothing listens on the port.
    pub async fn find(client: &Client, name: &str) -> Result<Self, LocalError> {
        let url = client.get_queue_url().queue_name(name).send().await;
        let url = url.map_err(|error| queue_error(&error))?;
        let url = url.queue_url().unwrap_or_default().to_owned();
        Ok(Self { client: client.clone(), url })
    }

    /// Counts the messages.
    ///
    /// # Errors
    /// If the server refuses.
    pub async fn depth(&self) -> Result<Depth, LocalError> {
        let (visible, in_flight) = (
            QueueAttributeName::ApproximateNumberOfMessages,
            QueueAttributeName::ApproximateNumberOfMessagesNotVisible,
        );
        let response = self
            .client
            .get_queue_attributes()
            .queue_url(&self.url)
            .attribute_names(visible.clone())
            .attribute_names(in_flight.clone())
            .send()
            .await
            .map_err(|error| queue_error(&error))?;
        let number = |name| {
            let text = response.attributes().and_then(|attributes| attributes.get(&name));
            text.and_then(|text| text.parse().ok())
                .ok_or_else(|| LocalError::Queue(format!("{name} is not a number")))
        };
        Ok(Depth { visible: number(visible)?, in_flight: number(in_flight)? })
    }

    /// Sends up to 10 messages.
    ///
    /// # Errors
    /// If the server refuses one of them.
    pub async fn send(&self, bodies: &[String]) -> Result<(), LocalError> {
        let mut batch = self.client.send_message_batch().queue_url(&self.url);
        for (position, body) in bodies.iter().enumerate() {
            let entry = SendMessageBatchRequestEntry::builder().id(position.to_string()).message_body(body);
            batch = batch.entries(entry.build().map_err(|error| queue_error(&error))?);
        }
        let response = batch.send().await.map_err(|error| queue_error(&error))?;
        match response.failed().first() {
            None => Ok(()),
            Some(refused) => Err(LocalError::Queue(format!(
                "a message was refused: {} {}",
                refused.code(),
                refused.message().unwrap_or_default()
            ))),
        }
    }

    /// Receives up to `most` messages (10 at most), waiting for the first one.
    ///
    /// # Errors
    /// If the server refuses.
    pub async fn receive(&self, most: usize, wait: Duration) -> Result<Vec<Message>, LocalError> {
        let response = self
            .client
            .receive_message()
            .queue_url(&self.url)
            .max_number_of_messages(i32::try_from(most).unwrap_or(10).min(10))
            .wait_time_seconds(i32::try_from(wait.as_secs()).unwrap_or(20).min(20))
            .message_system_attribute_names(MessageSystemAttributeName::All)
            .message_attribute_names("All")
            .send()
            .await
            .map_err(|error| queue_error(&error))?;
        Ok(response.messages.unwrap_or_default())
    }

    /// Deletes up to 10 received messages.
    ///
    /// # Errors
    /// If the server refuses. An expired handle is no error: SQS delivers the message again.
    pub async fn delete(&self, handles: &[String]) -> Result<(), LocalError> {
        let mut batch = self.client.delete_message_batch().queue_url(&self.url);
        for (position, handle) in handles.iter().enumerate() {
            let entry = DeleteMessageBatchRequestEntry::builder().id(position.to_string());
            batch = batch.entries(entry.receipt_handle(handle).build().map_err(|error| queue_error(&error))?);
        }
        batch.send().await.map_err(|error| queue_error(&error))?;
        Ok(())
    }

    /// Makes up to 10 received messages visible again after `delay`.
    ///
    /// # Errors
    /// If the server refuses.
    pub async fn release(&self, handles: &[String], delay: Duration) -> Result<(), LocalError> {
        let seconds = i32::try_from(delay.as_secs()).unwrap_or(i32::MAX);
        let mut batch = self.client.change_message_visibility_batch().queue_url(&self.url);
        for (position, handle) in handles.iter().enumerate() {
            let entry = ChangeMessageVisibilityBatchRequestEntry::builder()
                .id(position.to_string())
                .receipt_handle(handle)
                .visibility_timeout(seconds);
            batch = batch.entries(entry.build().map_err(|error| queue_error(&error))?);
        }
        batch.send().await.map_err(|error| queue_error(&error))?;
        Ok(())
    }
}

/// The ARN that the local server gives a queue.
#[must_use]
pub fn arn(queue: &str) -> String {
    format!("arn:aws:sqs:us-east-1:000000000000:{queue}")
}

/// The address that the local server gives a queue.
#[must_use]
pub fn url(port: u16, queue: &str) -> String {
    format!("http://127.0.0.1:{port}/000000000000/{queue}")
}

async fn create_queue(
    client: &Client,
    name: &str,
    attributes: HashMap<QueueAttributeName, String>,
) -> Result<LocalQueue, LocalError> {
    let attributes = (!attributes.is_empty()).then_some(attributes);
    let created = client.create_queue().queue_name(name).set_attributes(attributes).send().await;
    let created = created.map_err(|error| queue_error(&error))?;
    let url = created.queue_url().unwrap_or_default().to_owned();
    Ok(LocalQueue { client: client.clone(), url })
}
