//! One schedule: what a seed makes happen, and whether what must hold does.

use crate::defects::{self, Defect};
use crate::faults::{self, Fault, Odds};
use crate::network::SharedTables;
use crate::operator::operate;
use crate::queue::Queue;
use crate::tables::{AsOf, Tables};
use crate::trace;
use std::cell::Cell;
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Once;
use tokio::time::{Duration, Instant, sleep, sleep_until, timeout};
use torale_domain::events;
use torale_domain::storage::item::{Item, Value};
use torale_domain::storage::keys::{self, CONTROL_TABLE, EVENTS_TABLE, QUARANTINE_TABLE};
use torale_domain::values::time::{DAY, Timestamp};
use torale_platform::clock::{self, Clock};
use torale_platform::consume::Consumer;
use torale_platform::store::{GenerationPointer, Usage, log};
use torale_testkit::generator::Generator;
use torale_testkit::present::NOW;
use torale_testkit::{rebuild, stack};

/// The time of a batch, as the template says for the consumer.
const BATCH_TIME: Duration = Duration::from_secs(65);
/// The most simulated time of a schedule. Whoever is not done by then never will be.
const LONGEST: Duration = Duration::from_secs(30 * 86_400);
/// How far clocks are off.
const SKEW: i64 = 5_000;

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
    static SKEWS: Cell<[i64; 3]> = const { Cell::new([0; 3]) };
}

fn time(process: usize) -> Timestamp {
    let [first, second, third] = SKEWS.get();
    let skew = [first, second, third].get(process).copied().unwrap_or(0);
    NOW.plus(trace::elapsed() + skew)
}

/// The clocks of processes: each may be off by its own.
const CLOCKS: [Clock; 3] = [|| time(0), || time(1), || time(2)];

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
            faults::set(odds);
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
    let is_event = |body: &str, at: Timestamp| events::parse(body, Some(at)).is_ok();
    messages.retain(|body| is_event(body, NOW.plus(-DAY / 24)) == is_event(body, NOW.plus(40 * DAY)));
    match schedule.only.as_slice() {
        [] => messages,
        only => only.iter().filter_map(|position| messages.get(*position).cloned()).collect(),
    }
}

async fn simulate(messages: &[String]) -> Result<(), String> {
    SKEWS.set([0; 3].map(|_: i64| match faults::happens(Fault::SkewedClock, "process") {
        true => fastrand::i64(-SKEW..SKEW),
        false => 0,
    }));
    let tables = SharedTables::new(Tables::of(&keys::tables()));
    let queue = Queue::new(messages);
    let processes = CLOCKS.iter().enumerate().map(|(number, clock)| process(number, *clock, &tables, &queue));
    let all = futures::future::join(futures::future::join_all(processes), async {
        if faults::happens(Fault::Replay, "operator") {
            operate(&tables, CLOCKS[2]).await;
        }
    });
    timeout(LONGEST, all).await.map_err(|_elapsed| "the queue does not become empty".to_owned())?;
    // What was sent late is served late.
    sleep(Duration::from_secs(60)).await;
    faults::set(Odds::none());
    check(&tables, messages)
}

/// A consumer's process: it dies amid some batches, and starts again with nothing but its name.
async fn process(number: usize, clock: Clock, tables: &SharedTables, queue: &Queue) {
    let name = format!("consumer {number}");
    let mut consumer = Consumer::new(tables.store(&name), clock);
    while let Some(next) = queue.next() {
        sleep_until(next).await;
        sleep(Duration::from_millis(fastrand::u64(..20))).await;
        let batch = queue.receive();
        if batch.is_empty() {
            continue;
        }
        faults::count("process", None);
        trace::note(|| {
            let ids: Vec<_> = batch.iter().map(|message| message.id.as_str()).collect();
            format!("{name} receives {}", ids.join(" "))
        });
        let usage = Usage::default();
        let consuming = consumer.consume(&batch, Instant::now() + BATCH_TIME, &usage);
        if faults::happens(Fault::Death, "process") {
            let life = Duration::from_millis(fastrand::u64(..200));
            if timeout(life, consuming).await.is_err() {
                trace::note(|| format!("{name} dies"));
            }
            consumer = Consumer::new(tables.store(&name), clock);
            continue;
        }
        let outcome = consuming.await;
        queue.acknowledge(&batch, &outcome.failed);
    }
}

/// What must hold once everything is quiet.
fn check(tables: &SharedTables, messages: &[String]) -> Result<(), String> {
    let tables = tables.lock();
    let pointer = tables.get(CONTROL_TABLE, &keys::live_generation(), AsOf::NOW);
    let pointer = pointer.map_err(|error| error.to_string())?;
    let pointer = GenerationPointer::load(pointer.as_ref()).map_err(|error| error.to_string())?;
    let expected = rebuild::items(messages, Some(NOW));
    // A shadow generation whose promotion was never completed need not have everything.
    let complete = pointer.shadow.iter().filter(|shadow| shadow.complete).map(|shadow| &shadow.generation);
    for generation in complete.chain([&pointer.live]) {
        let found: BTreeMap<String, String> =
            tables.items(&generation.table()).iter().map(stack::print_item).collect();
        if found != expected {
            return Err(difference(&generation.name, &found, &expected));
        }
    }
    let logged = logged(&tables.items(EVENTS_TABLE))?;
    let quarantined: Vec<String> = tables.items(QUARANTINE_TABLE).iter().filter_map(body).collect();
    for message in messages {
        let is_event = events::parse(message, Some(NOW)).is_ok();
        let place = if is_event { &logged } else { &quarantined };
        if !place.contains(message) {
            return Err(format!("lost, event: {is_event}: {message}"));
        }
    }
    Ok(())
}

fn body(item: &Item) -> Option<String> {
    item.text("body").map(str::to_owned)
}

fn logged(items: &[Item]) -> Result<Vec<String>, String> {
    let mut logged = Vec::new();
    for item in items {
        let Some(Value::Bytes(packed)) = item.attributes.get("events") else {
            return Err(format!("no record of the log: {:?}", item.key));
        };
        logged.extend(log::unpack(packed).map_err(|error| error.to_string())?);
    }
    Ok(logged)
}

fn difference(
    generation: &str,
    found: &BTreeMap<String, String>,
    expected: &BTreeMap<String, String>,
) -> String {
    let mut lines = vec![format!("items of {generation} are not those of a fresh fold:")];
    for key in found.keys().chain(expected.keys()).collect::<std::collections::BTreeSet<_>>() {
        let (found, expected) = (found.get(key), expected.get(key));
        if found != expected {
            lines.push(format!("  {key}\n       found: {found:?}\n    expected: {expected:?}"));
        }
    }
    lines.join("\n")
}
