//! The simulator finds what is wrong, and says the same of the same seed.

use torale_simulate::defects::Defect;
use torale_simulate::schedule::{Simulation, run};

/// Defects that show soon, and within how many seeds they must. Which seed shows one changes with the code; those that
/// need a long user or a late event are rarer.
const DEFECTS: [(Defect, u64); 30] = [
    (Defect::DiffersIsIgnored, 3_000),
    (Defect::ChecksAreIgnored, 2_000),
    (Defect::UpdatesOfAnythingHold, 60),
    (Defect::ClaimsAreIgnored, 6_000),
    (Defect::EqualsIsIgnored, 200),
    (Defect::AbsentItemIsIgnored, 30),
    (Defect::TransactionsTear, 30),
    (Defect::TransactionsAreNotIsolated, 600),
    (Defect::LostRacesCountAsWritten, 30),
    (Defect::UnprocessedKeysAreLost, 30),
    (Defect::LaterPagesAreLost, 300),
    (Defect::LogRecordsAreLost, 30),
    (Defect::QueuedEventsAreLost, 200),
    (Defect::OutboxEntriesAreLost, 600),
    (Defect::AuditRecordsAreLost, 30),
    (Defect::AuditRecordsAreChanged, 60),
    (Defect::RefusedMessagesCountAsTaken, 200),
    (Defect::UnprocessedWritesAreLost, 60),
    (Defect::GenerationsMix, 100),
    (Defect::CommandsAreDeletedFirst, 300),
    (Defect::FailedCommandsAreDeleted, 300),
    (Defect::PausesAreLost, 300),
    (Defect::AbsentIdsCountAsDone, 150),
    (Defect::AccessIsKept, 1_500),
    (Defect::GuessesAreKept, 1_500),
    (Defect::LimitsAreIgnored, 600),
    (Defect::AuditRowsAreLost, 30),
    (Defect::WebhooksAreMisdated, 100),
    (Defect::InterruptedCountsAsDone, 600),
    (Defect::ItemsAfterAFailedOneCountAsDone, 60),
];

#[test]
fn defects_that_show_soon_are_found() {
    let mut missed = Vec::new();

    for (defect, seeds) in DEFECTS {
        let schedule = |seed| Simulation { seed, defect: Some(defect), ..Simulation::default() };
        match (0..seeds).find(|seed| run(&schedule(*seed)).failure.is_some()) {
            Some(seed) => println!("{defect:?}: seed {seed}"),
            None => missed.push(defect),
        }
    }

    assert!(missed.is_empty(), "{missed:?}");
}

#[test]
fn the_same_seed_makes_the_same_run() {
    for seed in 0..20 {
        let schedule = Simulation { seed, trace: true, ..Simulation::default() };
        let (first, second) = (run(&schedule), run(&schedule));
        assert!(first.trace.len() > 10, "seed {seed}");
        assert_eq!(first.trace, second.trace, "seed {seed}");
        assert_eq!(first.digest, second.digest, "seed {seed}");
    }
}
