//! One schedule: what a seed makes happen, and whether what must hold does.

use crate::administrators::{self, Administrator};
use crate::caller::{Answered, call};
use crate::check::{LastFaults, check};
use crate::clocks;
use crate::defects::{self, Defect};
use crate::faults::{self, Coverage, Fault, Odds};
use crate::installation::{Installation, all};
use crate::jobs::{consume, execute, relay, seal_now_and_then, seal_the_rest};
use crate::network::SharedTables;
use crate::operator::{self, operate};
use crate::outages;
use crate::tables::Tables;
use crate::theme::Theme;
use crate::trace;
use crate::webhooks::{self, DeliveredWebhooks, Webhooks};
use futures::FutureExt;
use std::cell::Cell;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Once, OnceLock};
use tokio::runtime::Runtime;
use tokio::time::{Duration, sleep, timeout};
use torale_domain::events::parse;
use torale_domain::storage::keys;
use torale_domain::values::time::{DAY, Timestamp};
use torale_platform::clock;
use torale_platform::consume::Consumer;
use torale_testkit::parts;
use torale_testkit::present::NOW;

/// The most simulated time of a schedule: dead letters may be redriven some times, each up to two weeks later. Whoever
/// is not done by then never will be.
const LONGEST: Duration = Duration::from_secs(400 * 86_400);
/// So many of ten schedules have few messages. Most defects need few of them, and so more seeds fit into an hour; some
/// races need many, so the others have up to 44.
const SMALL_OF_TEN: u64 = 7;
/// After this time, whatever was under way has arrived.
const LATEST: Duration = Duration::from_secs(60);

/// What is to be run.
#[derive(Debug, Clone, Default)]
pub struct Simulation {
    /// Everything follows from it: the messages, and what happens to them.
    pub seed: u64,
    /// Other random choices for the same messages.
    pub choice: u64,
    /// Positions of the messages that are sent; all of them without any.
    pub only: Vec<usize>,
    /// Faults that do not happen.
    pub without: Vec<Fault>,
    /// A planted defect.
    pub defect: Option<Defect>,
    /// Whether to record a trace.
    pub trace: bool,
}

/// What came of a schedule.
#[derive(Debug)]
pub struct SimulationOutcome {
    /// What did not hold, if something did not.
    pub failure: Option<String>,
    /// How many messages there were.
    pub messages: usize,
    /// What happened, if it was recorded.
    pub trace: Vec<String>,
    /// A digest of all that happened.
    pub digest: u64,
}

/// The seed of the beginning: no schedule is likely to have it.
const BEGINNING_SEED: u64 = 0x5eed_0f7e_be91_0000;

thread_local! {
    static SIMULATES: Cell<bool> = const { Cell::new(false) };
    static PANIC: Cell<Option<String>> = const { Cell::new(None) };
}

/// Runs a schedule in a thread of its own time and randomness. A panic is a failure.
///
/// # Panics
/// If the runtime cannot be made.
pub fn run(schedule: &Simulation) -> SimulationOutcome {
    watch_panics();
    let result = catch_unwind(AssertUnwindSafe(|| {
        let administrators = administrators::of(schedule.seed);
        let tables = beginning(administrators).clone();
        clock::follow(schedule.seed ^ schedule.choice.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        defects::plant(schedule.defect);
        let (theme, messages) = messages(schedule);
        let done = runtime().block_on(async {
            trace::begin(schedule.trace);
            let mut odds = Odds::random(&schedule.without);
            theme.raise(&mut odds, &schedule.without);
            trace::note(|| {
                format!("seed {}, {theme:?}, {} messages, {odds:?}", schedule.seed, messages.len())
            });
            faults::replace(odds);
            simulate(Installation::new(tables, administrators), &messages, theme).await
        });
        (messages.len(), done)
    }));
    defects::plant(None);
    let panic = PANIC.take();
    let (messages, done) = result.unwrap_or_else(|_panic| (0, Err("a panic".to_owned())));
    let failure = panic.or_else(|| done.err());
    SIMULATES.set(false);
    let (trace, digest) = trace::end();
    SimulationOutcome { failure, messages, trace, digest }
}

/// Runs schedules of these seeds in some threads, until one says not to go on. Returns what happened in all of them.
///
/// # Panics
/// If a thread panics.
pub fn in_threads(jobs: usize, seeds: Range<u64>, goes_on: impl Fn(u64) -> bool + Sync) -> Coverage {
    let (next, stop) = (AtomicU64::new(seeds.start), AtomicBool::new(false));
    let run_some = || {
        while !stop.load(Ordering::Relaxed) {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= seeds.end {
                break;
            }
            if !goes_on(seed) {
                stop.store(true, Ordering::Relaxed);
            }
        }
        faults::take_coverage()
    };
    let mut coverage = Coverage::new();
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..jobs).map(|_| scope.spawn(run_some)).collect();
        for (key, count) in threads.into_iter().flat_map(|thread| thread.join().expect("no panic")) {
            *coverage.entry(key).or_default() += count;
        }
    });
    coverage
}

/// A thread with simulated time.
fn runtime() -> Runtime {
    tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().expect("a runtime")
}

/// The tables with which a schedule of these administrators begins. They are made once.
fn beginning(administrators: &[Administrator]) -> &'static Tables {
    static BEGINNINGS: [OnceLock<Tables>; 2] = [OnceLock::new(), OnceLock::new()];
    let [alone, several] = &BEGINNINGS;
    let made = if administrators.len() == 1 { alone } else { several };
    made.get_or_init(|| make_beginning(administrators))
}

/// The administrators exist.
fn make_beginning(administrators: &[Administrator]) -> Tables {
    clock::follow(BEGINNING_SEED);
    faults::replace(Odds::instant());
    outages::end();
    let tables = SharedTables::new(Tables::of(&keys::tables()));
    let consumer = Consumer::new(tables.store("beginning"), || NOW);
    let messages = parts::messages(&administrators::events(administrators));
    let consumed = runtime().block_on(parts::consume(&consumer, &messages));
    assert!(consumed.failed.is_empty(), "the administrators are not there");
    let made = std::mem::take(&mut *tables.lock());
    made.settled()
}

/// From now on, a panic of a thread that simulates is noted and not printed: one in a task of its own would be seen by
/// nobody.
fn watch_panics() {
    static WATCHED: Once = Once::new();
    WATCHED.call_once(|| {
        let others = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| match SIMULATES.get() {
            true => PANIC.set(Some(info.to_string())),
            false => others(info),
        }));
    });
    SIMULATES.set(true);
}

/// The theme of a seed and its messages. Those that are events today and none tomorrow, or the other way round, are
/// left out: whether they count depends on when they are received.
fn messages(schedule: &Simulation) -> (Theme, Vec<String>) {
    let (theme, mut generator) = Theme::of(schedule.seed);
    let more = if generator.below(10) < SMALL_OF_TEN { 10 } else { 40 };
    let count = usize::try_from(5 + generator.below(more)).unwrap_or(0);
    let mut messages = generator.messages(count);
    let is_event = |body: &str, at: Timestamp| parse(body, Some(at)).is_ok();
    // What is an event at a time is one at every later time.
    messages.retain(|body| is_event(body, NOW.plus(-DAY / 24)) || !is_event(body, NOW.plus(410 * DAY)));
    let messages = match schedule.only.as_slice() {
        [] => messages,
        only => only.iter().filter_map(|position| messages.get(*position).cloned()).collect(),
    };
    (theme, messages)
}

/// Everything happens until nothing is left to do, and then what must hold is checked.
async fn simulate(world: Installation, messages: &[String], theme: Theme) -> Result<(), String> {
    clocks::set();
    outages::set();
    let mut sent = messages.to_vec();
    let webhooks = webhooks::of(&mut sent);
    world.has_earlier_release.set(faults::happens(Fault::EarlierRelease, "process"));
    sent.into_iter().for_each(|body| world.events.push(body));
    let answered = timeout(LONGEST, happen(&world, messages, &webhooks, theme)).await;
    let answered = answered.map_err(|_elapsed| "the queues or the outbox do not become empty".to_owned())?;
    clocks::hold();
    outages::end();
    let last = LastFaults {
        damages: faults::happens(Fault::Damage, "projections"),
        restores: faults::happens(Fault::Restore, "table"),
    };
    faults::replace(Odds::instant());
    check(&world, &answered, last).await
}

/// Lets all processes run until everything is quiet.
async fn happen(world: &Installation, messages: &[String], webhooks: &Webhooks, theme: Theme) -> Answered {
    let mut answered = Answered::default();
    let mut delivered = DeliveredWebhooks::default();
    let webhooks = async {
        let delivering = async { delivered = webhooks.deliver(world).await };
        world.keep_busy(delivering).await;
    };
    let visits = async {
        if faults::happens(Fault::Replay, "operator") {
            let memory = operator::memory();
            let clocks = clocks::OPERATORS.iter().take(theme.operators());
            let operators = clocks.map(|clock| operate(world, *clock, memory).boxed_local());
            world.keep_busy(all(operators)).await;
        }
    };
    let requests = async {
        if faults::happens(Fault::Caller, "caller") {
            let calling = async { answered = call(world, messages, theme).await };
            let calling_and_sealing = async {
                futures::join!(calling, seal_now_and_then(world));
                seal_the_rest(world).await;
            };
            world.keep_busy(calling_and_sealing).await;
        }
    };
    all([visits.boxed_local(), requests.boxed_local(), webhooks.boxed_local(), work(world).boxed_local()])
        .await;
    answered.webhooks = delivered;
    // What was sent late is served late, and may bring new work.
    loop {
        sleep(LATEST).await;
        if world.is_quiet() {
            break;
        }
        work(world).await;
    }
    answered
}

/// What runs by itself, until everything is quiet.
async fn work(world: &Installation) {
    let consumers = clocks::CONSUMERS.iter().enumerate();
    let consumers = consumers.map(|(number, clock)| consume(world, number, *clock).boxed_local());
    let relays = clocks::RELAYS.iter().enumerate();
    let relays = relays.map(|(number, clock)| relay(world, number, *clock).boxed_local());
    let executors = clocks::EXECUTORS.iter().map(|clock| execute(world, *clock).boxed_local());
    world.until_quiet(all(consumers.chain(relays).chain(executors))).await;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::administrators::ADMINISTRATORS;

    /// Another process makes it anew, and must replay a seed all the same.
    #[test]
    fn the_beginning_is_always_the_same() {
        let (one, two) = (make_beginning(&ADMINISTRATORS), make_beginning(&ADMINISTRATORS));
        for spec in keys::tables() {
            assert_eq!(one.items(spec.name.as_ref()), two.items(spec.name.as_ref()), "{}", spec.name);
        }
    }
}
