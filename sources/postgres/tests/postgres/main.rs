//! The source's SQL, backfill and relay against a real PostgreSQL.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "test code fails by panicking, and says when it is skipped"
)]

mod ages;
mod backfill;
mod changes;
mod encodings;
mod endpoints;
mod histories;
mod installing;
mod platform;
mod pooling;
mod relaying;
mod server;
mod settling;
mod troubles;
