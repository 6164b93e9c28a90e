//! Sends messages: the events that confirm a command, or a command that is forwarded.

use std::future::Future;
use torale_platform::queue::{MessageQueue, QueueError};

/// Where messages are sent.
pub trait ConfirmationSink: Sync {
    /// Sends messages. Returns when all of them are taken.
    fn send(&self, messages: &[String]) -> impl Future<Output = Result<(), QueueError>> + Send;
}

impl ConfirmationSink for MessageQueue {
    async fn send(&self, messages: &[String]) -> Result<(), QueueError> {
        self.send_all(messages).await
    }
}
