//! The SQS-compatible queue, and what brings its messages to the functions.
//!
//! | file | what lives there |
//! |---|---|
//! | [`server`] | the queue's process: ministack, in a Python environment under the target folder |
//! | [`client`] | one queue: create, send, receive, delete, release |
//! | [`poller`] | Lambda's event source mapping: batches, invocation, partial failures |
//!
//! Uses [`functions`](crate::functions) to invoke.

pub mod client;
pub mod poller;
pub mod server;
