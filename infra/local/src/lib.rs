//! The local stack behind `cargo dev`: a store, a queue, a gateway and every function, on loopback.
//!
//! Read it in the order in which it starts: [`args`] (what was asked), [`stack`] (start order and
//! shutdown), then the parts: [`store`] (DynamoDB), [`queue`] (SQS), [`gateway`] with [`runtime`] and
//! [`payload`] (API Gateway and the Lambda Runtime API), [`functions`] (build and supervise the
//! binaries), [`poller`] with [`invoke`] (event source mapping), [`seed`] and [`load`] (history through the queue),
//! [`standins`] (Clerk and Temporal, for the commands), [`watch`] (rebuild on change).
//!
//! Nothing here is deployed, and nothing that is deployed depends on it.

pub mod args;
pub mod clock;
pub mod console;
pub mod data;
pub mod failure;
pub mod functions;
pub mod gateway;
pub mod http;
pub mod invoke;
pub mod load;
pub mod payload;
pub mod poller;
pub mod process;
pub mod project;
pub mod queue;
pub mod runtime;
pub mod seed;
pub mod send;
pub mod stack;
pub mod standins;
pub mod store;
pub mod summary;
pub mod watch;
