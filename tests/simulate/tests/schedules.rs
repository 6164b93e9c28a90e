//! 20,000 schedules; `TORALE_CASES` is another number, and `cargo simulate` is faster.

use std::sync::Mutex;
use std::thread::available_parallelism;
use torale_simulate::faults::{self, Fault};
use torale_simulate::schedule::{Simulation, in_threads, run};
use torale_testkit::switches;

/// What must have happened in them besides every fault: without it, a check would have had nothing to look at.
const HAPPENED: [&str; 65] = [
    "change with a record",
    "received twice at once",
    "relays at once",
    "executors at once",
    "sealers at once",
    "deactivated",
    "bulk deactivated",
    "bulk: already",
    "bulk: not found",
    "bulk: refused",
    "bulk: not known",
    "absent login",
    "absent schedule",
    "absent and alive",
    "page of links",
    "pages of links found",
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
    "trail: foreign item",
    "trail: record forged",
    "trail: record twice",
    "trail: late record",
    "trail: young record",
    "trail: signature forged",
    "trail: heads forged",
    "trail: head dropped",
    "trail: seal signed anew",
    "trail: seal twice",
    "message replaced",
    "quarantine restored",
    "callers at once",
    "user as the model",
    "task as the model",
    "execution as the model",
    "built in parts",
    "trail: seals exchanged",
    "denied access",
    "over a limit",
    "wrong guess",
    "reactivation in the log",
    "index rebuilt",
    "reindexing interrupted",
    "restore interrupted",
    "repair interrupted",
];

/// What goes wrong with a call of any service.
const LOST: [Fault; 4] = [Fault::LostRequest, Fault::LostAnswer, Fault::LateRequest, Fault::Throttled];
/// Which faults must have hit which calls: those that happen often enough not to depend on the seeds.
const PAIRS: [(&str, &[Fault]); 39] = [
    ("create_table", &LOST),
    ("receive", &[Fault::Duplicate]),
    ("ban", &LOST),
    ("ban", &[Fault::Outage, Fault::BusyOutside]),
    ("consumer", &[Fault::Death]),
    ("deactivate", &[Fault::Death]),
    ("deactivate many", &[Fault::Death]),
    ("deliver", &[Fault::Duplicate, Fault::LateMessage]),
    ("describe_table", &[Fault::LostRequest, Fault::LostAnswer, Fault::Throttled]),
    ("drop", &[Fault::Death]),
    ("executor", &[Fault::Death]),
    ("get", &LOST),
    ("get", &[Fault::Outage]),
    ("get_batch", &LOST),
    ("get_batch", &[Fault::StaleRead, Fault::Unprocessed, Fault::TornRead, Fault::Outage]),
    ("pause", &LOST),
    ("pause", &[Fault::Outage, Fault::BusyOutside]),
    ("promote", &[Fault::Death]),
    ("put", &LOST),
    ("put", &[Fault::Outage]),
    ("query", &LOST),
    ("query", &[Fault::StaleRead, Fault::ShortPage, Fault::Outage]),
    ("reactivate", &[Fault::Death]),
    ("read", &[Fault::Death]),
    ("relay", &[Fault::Death]),
    ("rollback", &[Fault::Death]),
    ("scan", &LOST),
    ("scan", &[Fault::ShortPage]),
    ("sealer", &[Fault::Death]),
    ("send_batch", &LOST),
    ("send_batch", &[Fault::Unprocessed]),
    ("tables", &LOST),
    ("transact", &LOST),
    ("transact", &[Fault::LongTransaction, Fault::Outage]),
    ("update", &LOST),
    ("update", &[Fault::Outage]),
    ("webhook", &[Fault::Death, Fault::Duplicate]),
    ("write_batch", &LOST),
    ("write_batch", &[Fault::Unprocessed, Fault::Outage]),
];

#[test]
fn what_must_hold_does_at_the_end_of_schedules_under_faults() {
    let jobs = available_parallelism().map_or(1, usize::from);
    let failed = Mutex::new(Vec::new());
    let seen = in_threads(jobs, 0..switches::number("TORALE_CASES", 20_000), |seed| {
        let outcome = run(&Simulation { seed, ..Simulation::default() });
        let failure = outcome.failure.map(|failure| format!("cargo simulate --seed {seed}: {failure}"));
        let goes_on = failure.is_none();
        failed.lock().unwrap().extend(failure);
        goes_on
    });
    assert_eq!(failed.into_inner().unwrap(), [""; 0]);

    let times =
        |fault| seen.iter().filter(|((_, of), _)| *of == Some(fault)).map(|(_, times)| times).sum::<u64>();
    let untested: Vec<Fault> = Fault::ALL.into_iter().filter(|fault| times(*fault) == 0).collect();
    assert_eq!(untested, [], "{}", faults::print(&seen));
    let missing: Vec<&str> = HAPPENED.into_iter().filter(|name| !seen.contains_key(&(name, None))).collect();
    assert_eq!(missing, [""; 0], "{}", faults::print(&seen));
    let pairs = PAIRS.iter().flat_map(|(call, faults)| faults.iter().map(move |fault| (*call, Some(*fault))));
    let missing: Vec<_> = pairs.filter(|pair| seen.get(pair).is_none_or(|times| *times == 0)).collect();
    assert_eq!(missing, [], "{}", faults::print(&seen));
}
