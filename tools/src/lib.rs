//! What the operators' commands do, apart from reading their arguments.
#![warn(missing_docs)]

pub mod audit;
pub mod queue;
pub mod terminal;

use std::time::Duration;

/// On one machine there is one clock, and batches are small.
const LOCAL_SETTLE: Duration = Duration::from_secs(10);

/// The time after which every write that was begun has ended: as given in seconds, else by whether the store is on this
/// machine.
pub fn settle_time(seconds: Option<u64>, is_local: bool) -> Duration {
    let default = if is_local { LOCAL_SETTLE } else { torale_platform::config::SETTLED };
    seconds.map_or(default, Duration::from_secs)
}
