//! Deactivates and reactivates users. One transaction holds the event in the log, the user's new state with its diff of
//! the projections, the entry of the outbox and the audit record
//! (`docs/adr/0010-a-deactivation-is-one-transaction.md`).
//!
//! | module | what it does |
//! |---|---|
//! | `context` | who makes the change, and where it is written |
//! | `writer` | deactivates and reactivates: reads, decides, writes, and again after a lost race |
//! | `snapshot` | what a decision is based on |
//! | `event` | the event that is written |
//! | `transaction` | the transaction, which also checks that the snapshot still holds |
//! | `error` | why an attempt failed |

mod context;
mod error;
mod event;
mod snapshot;
mod transaction;
mod writer;

pub(crate) use context::UserStatusWriter;
pub(crate) use writer::DeactivationResult;
