//! What runs by itself: consumers, the relay of the outbox, the command executor, the sealing of the audit trail. A
//! process dies amid some of its work, and starts again with nothing but its name.

use crate::clocks;
use crate::faults;
use crate::installation::{Installation, mortal};
use crate::outside::SCHEDULES;
use crate::trace;
use command_executor::Executor;
use command_executor::rest::TemporalRest;
use tokio::time::{Duration, Instant, sleep};
use torale_domain::audit::seal::MAX_RECORD_DELAY;
use torale_domain::deactivation::commands::{Command, SchedulePattern};
use torale_platform::audit::seal::{SealError, Sealer};
use torale_platform::clock::Clock;
use torale_platform::consume::{Consumer, QueueMessage};
use torale_platform::outbox::Relay;
use torale_platform::store::{Generations, Usage};
use torale_testkit::parts;

/// The time for a batch, a run of the relay, a batch of commands, and a run of the sealing job, as the template says.
const BATCH_TIME: Duration = Duration::from_secs(65);
const RELAY_TIME: Duration = Duration::from_secs(45);
const COMMANDS_TIME: Duration = Duration::from_secs(29);
const SEALING_TIME: Duration = Duration::from_secs(50);
/// The most messages of one batch of events, and of commands.
const EVENTS: usize = 30;
const COMMANDS: usize = 10;
/// How soon the executor begins.
const START_MS: u64 = 20;
/// How often the relay and the sealing job run, and how soon the stream of the control table wakes the relay.
const SCHEDULE_MS: u64 = 60_000;
const STREAM_MS: u64 = 2_000;
/// The longest pause of the sealing job after it has failed again and again.
const LONGEST_PAUSE_MS: u64 = 30 * SCHEDULE_MS;
/// The longest life of a process that dies amid its work.
const LIFE: Duration = Duration::from_millis(200);
const LONG_LIFE: Duration = Duration::from_secs(2);

/// A pause before what was announced begins.
async fn pause(longest_ms: u64) {
    sleep(Duration::from_millis(fastrand::u64(..longest_ms))).await;
}

/// A consumer.
pub async fn consume(world: &Installation, number: usize, clock: Clock) {
    let name = format!("consumer {number}");
    let start_consumer = || {
        let is_earlier = number == 0 && world.has_earlier_release.get();
        let store = match is_earlier {
            true => world.tables.store_of_earlier_release(&name),
            false => world.tables.store(&name),
        };
        let consumer = Consumer::new(store, clock);
        match world.users_page {
            Some(users) => consumer.with_users_page(users),
            None => consumer,
        }
    };
    let mut consumer = start_consumer();
    while world.wait(|| world.events.next()).await {
        pause(world.window).await;
        let batch = world.events.receive(EVENTS);
        if batch.is_empty() {
            continue;
        }
        note(&name, &batch);
        let usage = Usage::default();
        let consuming = consumer.consume(&batch, Instant::now() + BATCH_TIME, &usage);
        match mortal("consumer", LIFE, consuming).await {
            Some(outcome) => world.events.acknowledge(&batch, &outcome.failed),
            None => consumer = start_consumer(),
        }
    }
}

fn note(name: &str, batch: &[QueueMessage]) {
    trace::note(|| {
        let ids: Vec<_> = batch.iter().map(|message| message.id.as_str()).collect();
        format!("{name} receives {}", ids.join(" "))
    });
}

/// A relay of the outbox: soon after an entry was written, and sometimes late, by its schedule. Two may run at once.
pub async fn relay(world: &Installation, number: usize, clock: Clock) {
    let due = || {
        let longest = if fastrand::u8(..4) == 0 { SCHEDULE_MS } else { STREAM_MS << number };
        let pause = Duration::from_millis(fastrand::u64(..longest));
        world.has_outbox_entries().then(|| Instant::now() + pause)
    };
    while world.wait(due).await {
        let (store, usage, generations) =
            (world.tables.store("relay"), Usage::default(), Generations::default());
        let (commands, events) = (world.commands.client("relay"), world.events.client("relay"));
        let relay = Relay::new(&store, &generations, &commands, &usage).with_events(&events);
        let run = relay.run(clock, Instant::now() + RELAY_TIME);
        if let Some(report) = mortal("relay", LIFE, run).await {
            trace::note(|| format!("relay: {report:?}"));
        }
    }
}

/// A command executor. What it has learned of Temporal it forgets when it dies.
pub async fn execute(world: &Installation, clock: Clock) {
    let start_executor = || Executor {
        clerk: world.outside.client("executor"),
        temporal: world.outside.client("executor"),
        temporal_rest: TemporalRest::default(),
        events: world.events.client("executor"),
        forward: None,
        handled: Command::KINDS.to_vec(),
        schedules: SchedulePattern::parse(SCHEDULES).expect("a pattern"),
        clock,
    };
    let mut executor = start_executor();
    while world.wait(|| world.commands.next()).await {
        pause(START_MS).await;
        let batch = world.commands.receive(COMMANDS);
        if batch.is_empty() {
            continue;
        }
        note("executor", &batch);
        let executing = executor.execute_all(&batch, Instant::now() + COMMANDS_TIME);
        let Some(outcomes) = mortal("executor", LONG_LIFE, executing).await else {
            executor = start_executor();
            continue;
        };
        for (message, outcome) in &outcomes {
            if let Ok(outcome) = outcome
                && let Err(what) = world.outside.lock().check_outcome(&message.body, *outcome)
            {
                world.violation(what);
            }
        }
        let failed = outcomes.iter().filter(|(_, outcome)| outcome.is_err());
        let failed: Vec<String> = failed.map(|(message, _)| message.id.clone()).collect();
        trace::note(|| format!("executor: {failed:?} failed"));
        world.commands.acknowledge(&batch, &failed);
    }
}

/// The sealing job, while somebody makes requests. In half of the cases two runs begin at once, as when the schedule
/// starts one twice.
pub async fn seal_now_and_then(world: &Installation) {
    let [first, second] = clocks::SEALERS;
    for _ in 0..fastrand::u32(..4) {
        pause(SCHEDULE_MS).await;
        match fastrand::bool() {
            true => drop(futures::join!(run_sealer(world, first), run_sealer(world, second))),
            false => drop(run_sealer(world, first).await),
        }
    }
}

/// The sealing job, once nobody makes requests any more: all records have arrived by then, so one run that does not
/// fail covers the rest.
pub async fn seal_the_rest(world: &Installation) {
    sleep(Duration::from_millis(2 * MAX_RECORD_DELAY.unsigned_abs())).await;
    let mut longest_ms = SCHEDULE_MS;
    while !run_sealer(world, clocks::SEALERS[0]).await {
        pause(longest_ms).await;
        // An outage may last for hours, in which one run is like the other.
        longest_ms = (2 * longest_ms).min(LONGEST_PAUSE_MS);
    }
}

/// One run. False if it fails, or dies.
async fn run_sealer(world: &Installation, clock: Clock) -> bool {
    let run = seal(world, clock);
    let Some(sealed) = mortal("sealer", LIFE, run).await else { return false };
    trace::note(|| format!("sealer: {sealed:?}"));
    faults::count(if sealed.is_ok() { "sealed" } else { "not sealed" }, None);
    sealed.is_ok()
}

async fn seal(world: &Installation, clock: Clock) -> Result<(), SealError> {
    let (store, key, usage) = (world.tables.store("sealer"), parts::audit_key(), Usage::default());
    Sealer::new(&store, &key, clock, &usage).run(Instant::now() + SEALING_TIME).await.1
}
