//! A bounded number of schedules; `TORALE_CASES` asks for more, and `cargo simulate` is faster.

use torale_simulate::faults::{self, Fault};
use torale_simulate::schedule::{Simulation, run};
use torale_testkit::switches;

#[test]
fn schedules_under_faults_end_as_a_fresh_fold_says() {
    for seed in 0..switches::number("TORALE_CASES", 150) {
        let outcome = run(&Simulation { seed, ..Simulation::default() });
        assert_eq!(outcome.failure, None, "cargo simulate --seed {seed}");
    }

    let seen = faults::take_coverage();
    let times =
        |fault| seen.iter().filter(|((_, of), _)| *of == Some(fault)).map(|(_, times)| times).sum::<u64>();
    let untested: Vec<Fault> = Fault::ALL.into_iter().filter(|fault| times(*fault) == 0).collect();
    // The consumer and replay read strongly consistent; readers, who do not, are no actors yet.
    assert_eq!(untested, [Fault::StaleRead], "{}", faults::print(&seen));
}
