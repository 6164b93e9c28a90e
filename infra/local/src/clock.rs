//! The product's clock, in the forms in which the local stack writes times.

use chrono::{DateTime, Utc};
use torale_platform::clock::system;

/// The present time in milliseconds since 1970, the form of times in AWS's payloads.
#[must_use]
pub fn now_ms() -> i64 {
    system().millis()
}

/// The present time in UTC, to the millisecond.
#[must_use]
pub fn now() -> DateTime<Utc> {
    DateTime::from_timestamp_millis(now_ms()).unwrap_or_default()
}
