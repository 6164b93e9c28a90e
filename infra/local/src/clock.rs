//! The clock of the local stack, read here only.

use chrono::{DateTime, Utc};

/// The present time in UTC.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "the local stack depends on no product crate but the domain")]
pub fn now() -> DateTime<Utc> {
    Utc::now()
}

/// Milliseconds since 1970, as AWS writes times into payloads.
#[must_use]
pub fn now_ms() -> i64 {
    now().timestamp_millis()
}
