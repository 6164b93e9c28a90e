//! Finds a smaller schedule that fails as well: fewer kinds of faults, then fewer messages.
//!
//! What is left out changes every later random choice, so that a smaller schedule need not fail where the larger one
//! did. Each is therefore tried with several seeds' choices.

use crate::faults::Fault;
use crate::schedule::{Simulation, run};

/// A smaller schedule that fails; the given one if there is none.
pub fn shrink(schedule: &Simulation) -> Simulation {
    let mut smallest = schedule.clone();
    for fault in Fault::ALL {
        let mut smaller = smallest.clone();
        smaller.without.push(fault);
        smallest = failing(smaller).unwrap_or(smallest);
    }
    if smallest.only.is_empty() {
        smallest.only = (0..run(&smallest).messages).collect();
    }
    let mut size = smallest.only.len().div_ceil(2);
    while size > 0 {
        let mut start = 0;
        while start < smallest.only.len() && smallest.only.len() > 1 {
            let mut smaller = smallest.clone();
            smaller.only.drain(start..(start + size).min(smallest.only.len()));
            match (!smaller.only.is_empty()).then(|| failing(smaller)).flatten() {
                Some(smaller) => smallest = smaller,
                None => start += size,
            }
        }
        size /= 2;
    }
    smallest
}

/// How many random choices are tried with each smaller schedule.
const CHOICES: u64 = 40;

/// The schedule with choices by which it fails.
fn failing(schedule: Simulation) -> Option<Simulation> {
    let candidates = (0..CHOICES).map(|choice| Simulation { choice, ..schedule.clone() });
    candidates.into_iter().find(|candidate| run(candidate).failure.is_some())
}
