//! A bounded number of schedules; `TORALE_CASES` asks for more, and `cargo simulate` is faster.

use torale_simulate::faults::{self, Fault};
use torale_simulate::schedule::{Simulation, run};
use torale_testkit::switches;

/// What must have happened in them besides every fault: without it, a check would have had nothing to look at.
const HAPPENED: [&str; 28] = [
    "deactivated",
    "reactivated",
    "page read",
    "sealed",
    "promoted",
    "rolled back",
    "dropped",
    "ban",
    "pause",
    "stays deactivated",
    "login of the deactivated",
    "webhook accepted",
    "webhook refused",
    "row of before",
    "clock has jumped",
    "dead event",
    "dead command",
    "redriven event",
    "redriven command",
    "log restored",
    "trail restored",
    "control restored",
    "trail: lost",
    "trail: changed",
    "trail: added",
    "callers at once",
    "detail as the model",
    "built in parts",
];

#[test]
fn what_must_hold_does_at_the_end_of_schedules_under_faults() {
    for seed in 0..switches::number("TORALE_CASES", 300) {
        let outcome = run(&Simulation { seed, ..Simulation::default() });
        assert_eq!(outcome.failure, None, "cargo simulate --seed {seed}");
    }

    let seen = faults::take_coverage();
    let times =
        |fault| seen.iter().filter(|((_, of), _)| *of == Some(fault)).map(|(_, times)| times).sum::<u64>();
    let untested: Vec<Fault> = Fault::ALL.into_iter().filter(|fault| times(*fault) == 0).collect();
    assert_eq!(untested, [], "{}", faults::print(&seen));
    let missing: Vec<&str> = HAPPENED.into_iter().filter(|name| !seen.contains_key(&(name, None))).collect();
    assert_eq!(missing, [""; 0], "{}", faults::print(&seen));
}
