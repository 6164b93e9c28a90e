//! An independent, naive model of the admin API.
//!
//! Given the messages as they were received it answers a request by brute force: sort all events
//! by the merge order, apply them one after the other (the last write wins), filter and count. It
//! shares no code with the product; both follow `contract/http.md` and `contract/events.md`.
//!
//! What no answer shows but the contract decides has functions of its own: whom a session or an
//! API key logs in, roles, what a deactivation revokes and bars ([`World::session`],
//! [`World::key`] and beside them), and firings ([`cron`]).
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::as_conversions,
    reason = "test-only crate: short code that can be checked by eye comes first"
)]

mod access;
mod answer;
mod api_keys;
pub mod cron;
mod details;
mod event;
mod facts;
mod fields;
mod fold;
mod history;
mod lists;
mod params;
mod people;
mod search;
mod series;
mod temporal;
mod time;

#[cfg(test)]
mod tests;

pub use access::{ModelKey, ModelSession};
pub use fold::World;
pub use people::derived_id;

/// One message as received: its body and when it was received (that judges the limits of its
/// times).
#[derive(Debug, Clone)]
pub struct Message {
    pub body: String,
    pub received_at_ms: i64,
}

/// Where the Temporal UI is and which namespace it shows.
#[derive(Debug, Clone)]
pub struct ModelTemporalUi {
    pub url: String,
    pub namespace: String,
}
