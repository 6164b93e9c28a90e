//! One schedule: what a seed makes happen, and whether what must hold does.

use crate::caller::{Answered, call};
use crate::check::check;
use crate::clocks;
use crate::defects::{self, Defect};
use crate::faults::{self, Fault, Odds};
use crate::installation::Installation;
use crate::jobs::{consume, execute, relay, seal_now_and_then};
use crate::operator::operate;
use crate::trace;
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Once;
use tokio::time::{Duration, sleep, timeout};
use torale_domain::events::parse;
use torale_domain::values::time::{DAY, Timestamp};
use torale_platform::clock;
use torale_platform::consume::Consumer;
use torale_testkit::generator::Generator;
use torale_testkit::present::NOW;
use torale_testkit::{events, parts};

/// The most simulated time of a schedule. Whoever is not done by then never will be.
const LONGEST: Duration = Duration::from_secs(30 * 86_400);
/// After this time, whatever was under way has arrived.
const LATEST: Duration = Duration::from_secs(60);

/// What the messages of a schedule are about. Races need many events of few kinds.
const FOCUSES: [&[&str]; 6] = [
    &[""],
    &[""],
    &["ai.torale.user.created", "ai.torale.identity."],
    &["ai.torale.user.", "ai.torale.identity.", "ai.torale.api_key."],
    &["ai.torale.task.", "ai.torale.execution."],
    &["ai.torale.task.", "ai.torale.temporal."],
];

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
    clock::follow(schedule.seed ^ schedule.choice.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    defects::plant(schedule.defect);
    let messages = messages(schedule);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    let runtime = runtime.expect("a runtime");
    let result = catch_unwind(AssertUnwindSafe(|| {
        runtime.block_on(async {
            trace::begin(schedule.trace);
            let odds = Odds::random(&schedule.without);
            trace::note(|| format!("seed {}, {} messages, {odds:?}", schedule.seed, messages.len()));
            faults::replace(odds);
            simulate(&messages).await
        })
    }));
    drop(runtime);
    defects::plant(None);
    let panic = PANIC.take();
    let failure = panic.or_else(|| result.map_or_else(|_panic| Some("a panic".to_owned()), Result::err));
    SIMULATES.set(false);
    let (trace, digest) = trace::end();
    SimulationOutcome { failure, messages: messages.len(), trace, digest }
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

/// The messages of a seed. Those that are events today and none tomorrow, or the other way round, are left out: whether
/// they count depends on when they are received.
fn messages(schedule: &Simulation) -> Vec<String> {
    let mut generator = Generator::new(schedule.seed);
    let count = usize::try_from(5 + generator.below(40)).unwrap_or(0);
    let kinds = generator.pick(&FOCUSES);
    let mut messages = Vec::new();
    while messages.len() < count {
        let more = generator.messages(count);
        messages.extend(more.into_iter().filter(|body| kinds.iter().any(|kind| body.contains(kind))));
    }
    messages.truncate(count);
    let is_event = |body: &str, at: Timestamp| parse(body, Some(at)).is_ok();
    messages.retain(|body| is_event(body, NOW.plus(-DAY / 24)) == is_event(body, NOW.plus(40 * DAY)));
    match schedule.only.as_slice() {
        [] => messages,
        only => only.iter().filter_map(|position| messages.get(*position).cloned()).collect(),
    }
}

/// Everything happens until nothing is left to do, and then what must hold is checked.
async fn simulate(messages: &[String]) -> Result<(), String> {
    let world = Installation::default();
    let odds = faults::replace(Odds::none());
    let consumer = Consumer::new(world.tables.store("beginning"), || NOW);
    if !parts::consume(&consumer, &parts::messages(&events::admin())).await.failed.is_empty() {
        return Err("the administrator is not there".to_owned());
    }
    faults::replace(odds);
    clocks::set();
    messages.iter().for_each(|body| world.events.push(body.clone()));
    let answered = timeout(LONGEST, happen(&world, messages)).await;
    let answered = answered.map_err(|_elapsed| "the queues or the outbox do not become empty".to_owned())?;
    let damages = faults::happens(Fault::Damage, "projections");
    faults::replace(Odds::none());
    check(&world, &answered, damages).await
}

/// Lets all processes run until everything is quiet.
async fn happen(world: &Installation, messages: &[String]) -> Answered {
    let mut answered = Answered::default();
    let visits = async {
        if faults::happens(Fault::Replay, "operator") {
            world.keep_busy(operate(&world.tables, clocks::OPERATOR)).await;
        }
    };
    let requests = async {
        if faults::happens(Fault::Caller, "caller") {
            let calling = async { answered = call(world, messages).await };
            let sealing = seal_now_and_then(world);
            let both = async {
                futures::join!(calling, sealing);
            };
            world.keep_busy(both).await;
        }
    };
    let visits = futures::future::join(visits, requests);
    futures::future::join(visits, work(world)).await;
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
    let consumers = consumers.map(|(number, clock)| consume(world, number, *clock));
    futures::join!(futures::future::join_all(consumers), relay(world), execute(world));
}
