//! The product's clock, as the local stack writes times.

use chrono::{DateTime, Utc};
use torale_platform::clock::system;

/// Milliseconds since 1970, as AWS writes times into payloads.
#[must_use]
pub fn now_ms() -> i64 {
    system().millis()
}

/// The present time in UTC, to the millisecond.
#[must_use]
pub fn now() -> DateTime<Utc> {
    DateTime::from_timestamp_millis(now_ms()).unwrap_or_default()
}
