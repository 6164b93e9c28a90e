//! Sending on what was done, or what somebody else is to do.

use std::future::Future;
use torale_platform::queue::{Queue, QueueError};

/// Takes messages.
pub trait Outlet: Sync {
    /// Sends messages; good once every one of them is taken.
    fn send(&self, messages: &[String]) -> impl Future<Output = Result<(), QueueError>> + Send;
}

impl Outlet for Queue {
    async fn send(&self, messages: &[String]) -> Result<(), QueueError> {
        Self::send(self, messages).await
    }
}
