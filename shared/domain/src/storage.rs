//! Storage: what a stored item looks like, as the pure core sees it.
//!
//! Lives here: items, every key of every table, the sizes that the store takes, the port through which pages read, and
//! the writes of a transaction.
//! Nothing here talks to a store; `shared/platform` does. May use: [`values`](crate::values).

pub mod item;
pub mod keys;
pub mod limits;
pub mod read;
pub mod write;
