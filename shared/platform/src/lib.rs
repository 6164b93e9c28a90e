//! The edges: everything that touches the network, the clock, the environment or randomness.
//!
//! | module | what |
//! |---|---|
//! | [`serve`] | the one wrapper around every endpoint: authenticate, handle, answer |
//! | [`consume`] | from a batch of messages to the log and the projections |
//! | [`identity`] | who asks: API keys, session tokens, roles |
//! | [`store`] | DynamoDB: reads, transactions, the event log, the quarantine, the pointer to the live generation |
//! | [`metrics`] | metrics as log lines |
//! | [`outbox`] | sends what deactivations still have to command |
//! | [`audit`] | the audit trail: one record a request, and the job that seals them |
//! | [`batch`] | a batch of messages in, and which of them come again |
//! | [`queue`] | SQS: sending to the queue of events |
//! | [`respond`], [`routes`] | what every answer has, and which paths there are |
//! | [`start`] | puts a function's parts together beside its first poll |
//! | [`config`] | the only reader of the environment |
//! | [`aws`] | what all AWS clients of a process share |
//! | [`clock`] | the only reader of the clock and of randomness |
#![warn(missing_docs)]

pub mod audit;
pub mod aws;
pub mod batch;
pub mod clock;
pub mod config;
pub mod consume;
mod deactivation;
pub mod error;
pub mod identity;
mod key_use;
mod limit;
pub mod metrics;
pub mod outbox;
mod plan;
pub mod queue;
pub mod respond;
pub mod routes;
pub mod serve;
pub mod start;
pub mod store;
