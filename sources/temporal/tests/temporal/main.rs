//! The sync of Temporal: against a real server, and against answers that fail.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "test code fails by panicking, and says when it is skipped"
)]

mod api_key;
mod connections;
mod failures;
mod fake;
mod real;
mod rights;
mod server;
mod tls;
