//! Sending on what was done, or what somebody else is to do.

use std::future::Future;
use torale_platform::queue::{MessageQueue, QueueError};

/// Takes messages.
pub trait ConfirmationSink: Sync {
    /// Sends messages; good once every one of them is taken.
    fn send(&self, messages: &[String]) -> impl Future<Output = Result<(), QueueError>> + Send;
}

impl ConfirmationSink for MessageQueue {
    async fn send(&self, messages: &[String]) -> Result<(), QueueError> {
        Self::send(self, messages).await
    }
}
