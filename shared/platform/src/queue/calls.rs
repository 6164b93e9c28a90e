//! The calls on a queue that everything else here comes down to: a port, with SQS behind it (`sqs.rs`) or a
//! simulated queue (docs/adr/0023-simulation.md). One call is one request to the service.

use super::QueueError;
use futures::future::BoxFuture;
use std::collections::BTreeSet;
use std::fmt;

/// A call, and its answer.
pub type QueueCall<'a, T> = BoxFuture<'a, Result<T, QueueError>>;

/// The calls on one queue.
pub trait QueueCalls: fmt::Debug + Send + Sync {
    /// Sends at most ten messages of together at most 256 KiB, each under a number that is its own.
    fn send_batch<'a>(&'a self, messages: Vec<(usize, &'a str)>) -> QueueCall<'a, BatchAnswer>;

    /// The number of messages that are in the queue or being processed, as the service estimates it.
    fn waiting(&self) -> QueueCall<'_, u64>;

    /// The queue's URL, which names its account and region.
    fn url(&self) -> QueueCall<'_, String>;
}

/// The answer to a batch. A message that it does not mention counts as not taken.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BatchAnswer {
    /// The numbers of the messages that the queue took.
    pub taken: BTreeSet<usize>,
    /// Why it did not take others.
    pub failed: Vec<MessageFailure>,
}

/// Why a queue did not take a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MessageFailure {
    /// The service's code for the reason.
    pub code: String,
    /// Whether the queue will never take such a message.
    pub sender_fault: bool,
}
