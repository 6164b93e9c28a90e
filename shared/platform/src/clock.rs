//! The clock and randomness.
#![allow(clippy::disallowed_methods, reason = "the one place that may")]

use std::time::Duration;
use torale_domain::values::time::Timestamp;

/// A source of the present time; tests bring their own.
pub type Clock = fn() -> Timestamp;

/// The present time of this machine.
pub fn system() -> Timestamp {
    Timestamp::from_millis(chrono::Utc::now().timestamp_millis())
}

/// An id that no other writer has.
pub fn unique() -> String {
    uuid::Uuid::new_v4().simple().to_string()
}

/// How long to wait before trying a lost race again: anything up to twice as long each time, 1 s at most.
pub fn backoff(attempt: u32) -> Duration {
    let longest = 10_u64.saturating_mul(1 << attempt.min(7)).min(1000);
    Duration::from_millis(fastrand::u64(0..=longest))
}
