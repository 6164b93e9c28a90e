//! The clock and randomness: the only module that reads either.
#![allow(clippy::disallowed_methods, reason = "the one place that reads the clock and randomness")]

use std::cell::Cell;
use std::time::Duration;
use torale_domain::values::time::Timestamp;

/// A source of the current time. Tests pass their own.
pub type Clock = fn() -> Timestamp;

/// The current time by this machine's clock.
pub fn system() -> Timestamp {
    Timestamp::from_millis(chrono::Utc::now().timestamp_millis())
}

thread_local! {
    static SEEDED: Cell<bool> = const { Cell::new(false) };
}

/// Makes all randomness of this thread follow from a seed from now on: for simulations, never in a function.
pub fn follow(seed: u64) {
    SEEDED.set(true);
    fastrand::seed(seed);
}

/// A unique id: a random UUID (version 4) without hyphens. It comes from the operating system, unless the thread
/// follows a seed: a generator of 64 bits would be too small for ids that must never meet.
pub fn unique() -> String {
    let id = match SEEDED.get() {
        true => uuid::Builder::from_random_bytes(fastrand::u128(..).to_ne_bytes()).into_uuid(),
        false => uuid::Uuid::new_v4(),
    };
    id.simple().to_string()
}

/// A random pause before retry number `attempt` (from 0): 0 to 10 ms, doubled with each attempt, 1 s at most.
pub fn backoff(attempt: u32) -> Duration {
    let longest = 10_u64.saturating_mul(1 << attempt.min(7)).min(1000);
    Duration::from_millis(fastrand::u64(0..=longest))
}
