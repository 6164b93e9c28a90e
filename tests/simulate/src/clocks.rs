//! The clocks of processes: each may be off by its own, and may jump, as when NTP sets it.

use crate::faults::{self, Fault};
use crate::trace;
use std::cell::RefCell;
use torale_domain::values::time::Timestamp;
use torale_platform::clock::Clock;
use torale_testkit::present::NOW;

/// How far clocks are off at most, before and after a jump, in milliseconds. One that jumps moves by twice that at
/// most, which is less than the minute that `SETTLED` leaves for clocks that differ.
const SKEW: i64 = 5_000;
/// The most jumps of a clock, and the longest times until each, in milliseconds: amid the first batches, a promotion,
/// or what comes late.
const JUMPS: usize = 3;
const JUMPS_WITHIN: [i64; 3] = [20_000, 300_000, 3_600_000];
/// How many clocks there are.
const COUNT: usize = 16;

/// How far a clock is off.
#[derive(Debug, Default)]
struct Skew {
    now: i64,
    /// The jumps to come, the next one last: when they are due, in milliseconds of the schedule, and how far it is off
    /// from then on.
    jumps: Vec<(i64, i64)>,
}

impl Skew {
    fn random() -> Self {
        let off = || fastrand::i64(-SKEW..SKEW);
        let now = if faults::happens(Fault::SkewedClock, "process") { off() } else { 0 };
        let mut jumps = Vec::new();
        if faults::happens(Fault::JumpingClock, "process") {
            let due = || fastrand::i64(0..JUMPS_WITHIN[fastrand::usize(..JUMPS_WITHIN.len())]);
            jumps.extend((0..fastrand::usize(1..=JUMPS)).map(|_| (due(), off())));
            jumps.sort_unstable_by(|a, b| b.cmp(a));
        }
        Self { now, jumps }
    }

    /// How far it is off at a time of the schedule.
    fn at(&mut self, elapsed: i64) -> i64 {
        while let Some((_, off)) = self.jumps.pop_if(|(due, _)| *due <= elapsed) {
            faults::count("clock has jumped", None);
            trace::note(|| format!("a clock jumps from {} to {off} ms", self.now));
            self.now = off;
        }
        self.now
    }
}

thread_local! {
    static SKEWS: RefCell<[Skew; COUNT]> = RefCell::default();
}

/// Sets the clocks of this thread.
pub fn set() {
    SKEWS.set(std::array::from_fn(|_| Skew::random()));
}

/// From now on, no clock jumps any more.
pub fn hold() {
    SKEWS.with_borrow_mut(|skews| skews.iter_mut().for_each(|skew| skew.jumps.clear()));
}

fn time(process: usize) -> Timestamp {
    let elapsed = trace::elapsed();
    let skew = SKEWS.with_borrow_mut(|skews| skews.get_mut(process).map_or(0, |skew| skew.at(elapsed)));
    NOW.plus(elapsed + skew)
}

/// The clocks of the consumers.
pub const CONSUMERS: [Clock; 3] = [|| time(0), || time(1), || time(2)];
/// The clocks of the operators.
pub const OPERATORS: [Clock; 2] = [|| time(3), || time(4)];
/// The clocks of the administrators' instances of the endpoints.
pub const CALLERS: [Clock; 3] = [|| time(5), || time(6), || time(7)];
/// The clocks of the command executors.
pub const EXECUTORS: [Clock; 2] = [|| time(8), || time(13)];
/// The clock of the function for webhooks.
pub const WEBHOOK: Clock = || time(9);
/// The clocks of the runs of the sealing job.
pub const SEALERS: [Clock; 2] = [|| time(10), || time(14)];
/// The clocks of the relays: of the one that the stream of the control table wakes, and of the one that is scheduled.
pub const RELAYS: [Clock; 2] = [|| time(11), || time(15)];
/// The clock of Clerk.
pub const CLERK: Clock = || time(12);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::faults::Odds;

    #[test]
    fn a_clock_jumps_amid_a_schedule_and_stays_within_five_seconds() {
        let mut odds = Odds::none();
        odds.raise(Fault::JumpingClock, 1000, &[]);
        faults::replace(odds);
        for seed in 0..100 {
            fastrand::seed(seed);
            let mut skew = Skew::random();

            let first = skew.jumps.last().expect("a jump").0;

            assert!(first >= 0, "{first}");
            assert_eq!(skew.at(first - 1), 0);
            assert_ne!(skew.at(first), 0);
            assert!((-SKEW..SKEW).contains(&skew.at(3_600_000)));
            assert!(skew.jumps.is_empty());
        }
        faults::replace(Odds::none());
    }
}
