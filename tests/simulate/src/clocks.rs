//! The clocks of processes: each may be off by its own.

use crate::faults::{self, Fault};
use crate::trace;
use std::cell::Cell;
use torale_domain::values::time::Timestamp;
use torale_platform::clock::Clock;
use torale_testkit::present::NOW;

/// How far clocks are off.
const SKEW: i64 = 5_000;
/// How many there are.
const COUNT: usize = 7;

thread_local! {
    static SKEWS: Cell<[i64; COUNT]> = const { Cell::new([0; COUNT]) };
}

/// Sets the clocks of this thread.
pub fn set() {
    SKEWS.set([0; COUNT].map(|_: i64| match faults::happens(Fault::SkewedClock, "process") {
        true => fastrand::i64(-SKEW..SKEW),
        false => 0,
    }));
}

fn time(process: usize) -> Timestamp {
    let skew = SKEWS.get().get(process).copied().unwrap_or(0);
    NOW.plus(trace::elapsed() + skew)
}

/// The clocks of the consumers.
pub const CONSUMERS: [Clock; 3] = [|| time(0), || time(1), || time(2)];
/// The clock of the operator, and of the relay.
pub const OPERATOR: Clock = || time(2);
/// The clock of the command executor.
pub const EXECUTOR: Clock = || time(3);
/// The clock of the endpoints.
pub const ENDPOINTS: Clock = || time(4);
/// The clock of the sealing job.
pub const SEALER: Clock = || time(5);
/// The clock of Clerk.
pub const CLERK: Clock = || time(6);
