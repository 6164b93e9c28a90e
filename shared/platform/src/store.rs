//! DynamoDB: executes the reads and writes that the domain has planned, and decides nothing.
//!
//! | module | what it does |
//! |---|---|
//! | [`calls`] | the port: the calls on tables that all others come down to |
//! | `dynamodb` | the port's implementation by the SDK |
//! | `client` | the store of a function instance, and calls on single items |
//! | [`generation`] | which generation of projections is live |
//! | `reader` | planned reads of one table |
//! | `transact` | planned transactions |
//! | [`log`], `quarantine` | the event log, and the messages that are no valid events |
//! | `outbox`, `audit`, `limit`, `key_use`, [`temporal`] | the items of these features |
//! | `health` | counts and ages for metrics |
//! | [`bulk`], [`tables`] | whole tables, for rebuilds and restores |
//! | `usage`, `error` | what the others build on |

mod audit;
pub mod bulk;
pub mod calls;
mod client;
mod dynamodb;
mod error;
pub mod generation;
mod health;
mod key_use;
mod limit;
mod link_progress;
pub mod log;
mod outbox;
mod quarantine;
mod reader;
pub mod tables;
pub mod temporal;
mod transact;
mod usage;

pub use client::Store;
pub use error::{StoreError, TransactError};
pub use generation::{Generation, GenerationPointer, Generations};
pub use reader::TableReader;
pub use usage::Usage;
