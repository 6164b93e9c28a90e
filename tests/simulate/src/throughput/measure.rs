//! One run, and what came of it.

use super::limits::AccountLimits;
use super::mapping::EventQueue;
use super::meters::{MeterReading, Meters, RefusalCause};
use super::platform::{EventsToCome, PlatformLife};
use super::service::LimitedTables;
use crate::network::SharedTables;
use crate::tables::Tables;
use crate::trace;
use std::cell::Cell;
use tokio::time::{Duration, Instant, sleep, sleep_until, timeout};
use torale_domain::projections::generation::{Generation, GenerationPointer};
use torale_domain::storage::keys::{self, CONTROL_TABLE, Lanes};
use torale_domain::values::time::Timestamp;
use torale_platform::clock;
use torale_platform::consume::Consumer;
use torale_platform::store::Usage;
use torale_testkit::parts;
use torale_testkit::present::NOW;

/// How often events are sent, in milliseconds.
const TICK_MS: u64 = 5;
/// The time for a batch, as the template says.
const BATCH_TIME: Duration = Duration::from_secs(58);
/// Messages of a batch of what is there from the beginning.
const BEGINNING_BATCH: usize = 1_000;
/// A run ends early once a message has waited for so long.
const HOPELESS: Duration = Duration::from_secs(20);
/// A lag below this holds.
pub const LAG: Duration = Duration::from_secs(10);
/// The lag may grow by so many seconds in a second, and still count as steady: batches are waited for in steps.
const STEADY: f64 = 0.04;
/// So much longer than the time that is measured, events go on: until those that are measured are consumed.
const AFTERWARDS: Duration = Duration::from_secs(25);

/// A run: a platform, and an installation.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ThroughputRun {
    /// What happens.
    pub life: PlatformLife,
    /// Lanes of the generation.
    pub lanes: Lanes,
    /// Batches that are consumed at once.
    pub consumers: usize,
    /// Messages of a batch, at most (`ConsumerBatchSize`).
    pub batch: usize,
    /// How long a batch waits for more messages (`ConsumerWindow`).
    pub window: Duration,
    /// The consumer's processor time for an event.
    pub computing: Duration,
    /// The limits of the account.
    pub limits: AccountLimits,
    /// The time before anything is measured.
    pub warm_up: Duration,
    /// The time that is measured.
    pub measured: Duration,
    /// The most time until everything is consumed after the last event, if that is waited for. Otherwise events go on
    /// until those that are measured are consumed.
    pub drain: Option<Duration>,
}

/// What came of a run. Lags are from a message's sending to its deletion.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ThroughputOutcome {
    /// Messages that were sent, all in all.
    pub sent: usize,
    /// Those that were not consumed in the end.
    pub unfinished: usize,
    /// How many messages were sent in the time that was measured.
    pub measured: usize,
    /// The lag of half of these, of 99 %, and the longest.
    pub lags: [Duration; 3],
    /// By how many seconds the lag grew in a second: 0 is steady, 1 is that nothing was consumed.
    pub growth: f64,
    /// The share of time in which consumers had a batch.
    pub busy: f64,
    /// Messages that were handed back to the queue.
    pub handed_back: usize,
    /// The most messages in flight, and how often the limit of that held a receive back.
    pub in_flight: (usize, u64),
    /// What was used and refused while it was measured.
    pub meters: MeterReading,
    /// The seconds that were measured.
    pub seconds: f64,
}

impl ThroughputOutcome {
    /// Whether the lag of what was measured stays below [`LAG`].
    pub fn holds(&self) -> bool {
        self.measured > 0 && self.lags[2] < LAG && self.growth < STEADY && self.handed_back == 0
    }

    /// Refusals of a cause, with the kind of key that most of them were of.
    pub fn refusals(&self, cause: RefusalCause) -> (u64, String) {
        let of_cause: Vec<_> = self.meters.refused.iter().filter(|((of, _), _)| *of == cause).collect();
        let most = of_cause.iter().max_by_key(|(_, count)| **count).map(|((_, kind), _)| kind.clone());
        (of_cause.iter().map(|(_, count)| **count).sum(), most.unwrap_or_default())
    }

    /// What there is too little of.
    pub fn first_limit(&self) -> String {
        let causes =
            [RefusalCause::Table, RefusalCause::Partition, RefusalCause::Conflict, RefusalCause::Condition];
        let attempts = self.meters.transactions + self.meters.refused.values().sum::<u64>();
        let worst = causes.map(|cause| (self.refusals(cause), cause));
        let worst = worst.into_iter().max_by_key(|((count, _), _)| *count);
        match worst {
            _ if self.in_flight.1 > 0 => "messages in flight".to_owned(),
            Some(((count, kind), cause)) if count * 3 > attempts => {
                let what = match cause {
                    RefusalCause::Partition => "throttled",
                    RefusalCause::Table => "quota of the table",
                    RefusalCause::Conflict | RefusalCause::Condition => "conflicts",
                };
                format!("{what}: {kind}")
            }
            Some(_) | None if self.busy > 0.9 => "time of consumers".to_owned(),
            Some(_) | None => String::new(),
        }
    }
}

fn now() -> Timestamp {
    NOW.plus(trace::elapsed())
}

fn in_simulated_time<T>(seed: u64, doing: impl Future<Output = T>) -> T {
    clock::follow(seed);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    runtime.expect("a runtime").block_on(doing)
}

/// The tables of an installation with the users, tasks and executions that are there when a run begins.
///
/// # Panics
/// If an event can't be consumed.
pub fn beginning(life: PlatformLife, lanes: Lanes) -> Tables {
    in_simulated_time(life.seed, async {
        trace::begin(false);
        let mut tables = Tables::of(&keys::tables()).always_read_now();
        let first = GenerationPointer { live: Generation::first(), shadow: None };
        let live = Generation { lanes, ..Generation::first() };
        let pointer = first.replace(&GenerationPointer { live, shadow: None });
        tables.commit(&[(CONTROL_TABLE.to_owned(), pointer)], 0).expect("a pointer");
        let tables = SharedTables::new(tables);
        let consumer = Consumer::new(LimitedTables::new(tables.clone(), AccountLimits::NONE).store(), now);
        let before = life.events(-1).take_until(-1);
        let events: Vec<String> = life.beginning().chain(before).collect();
        for batch in events.chunks(BEGINNING_BATCH) {
            let outcome = parts::consume(&consumer, &parts::messages(batch)).await;
            assert!(outcome.failed.is_empty(), "events of the beginning failed: {outcome:?}");
        }
        std::mem::take(&mut *tables.lock())
    })
}

/// What happens while consumers consume.
struct Progress {
    began: Instant,
    /// How many consumers have a batch, and since when.
    active: Cell<(u32, Instant)>,
    /// How long consumers have had batches, all in all.
    busy: Cell<Duration>,
    handed_back: Cell<usize>,
}

impl Progress {
    fn new() -> Self {
        let began = Instant::now();
        Self { began, active: Cell::new((0, began)), busy: Cell::default(), handed_back: Cell::default() }
    }

    /// So many consumers have a batch now.
    fn set_active(&self, active: u32) {
        let (before, since) = self.active.replace((active, Instant::now()));
        self.busy.set(self.busy.get() + since.elapsed() * before);
    }

    /// How long consumers have had batches since this was asked last.
    fn take_busy(&self) -> Duration {
        self.set_active(self.active.get().0);
        self.busy.take()
    }
}

/// Runs over tables that [`beginning`] made for the same platform and lanes.
pub fn run(setup: &ThroughputRun, tables: Tables) -> ThroughputOutcome {
    in_simulated_time(setup.life.seed, async {
        trace::begin(false);
        let tables = LimitedTables::new(SharedTables::new(tables), setup.limits);
        let queue = EventQueue::default();
        let progress = Progress::new();
        let consumers = (0..setup.consumers).map(|_| consume(setup, &tables, &queue, &progress));
        let consumers = futures::future::join_all(consumers);
        tokio::select! {
            biased;
            outcome = watch(setup, &tables, &queue, &progress) => outcome,
            _never = consumers => ThroughputOutcome::default(),
        }
    })
}

/// One consumer: one batch after another.
async fn consume(setup: &ThroughputRun, tables: &LimitedTables, queue: &EventQueue, progress: &Progress) {
    let consumer = Consumer::new(tables.store(), now);
    loop {
        let batch = queue.collect(&setup.limits, setup.batch, setup.window).await;
        progress.set_active(progress.active.get().0 + 1);
        sleep(setup.computing * u32::try_from(batch.len()).unwrap_or(u32::MAX)).await;
        let bodies: Vec<_> = batch.iter().map(|message| (message.number, &message.body)).collect();
        let messages = messages(&bodies);
        let outcome = consumer.consume(&messages, Instant::now() + BATCH_TIME, &Usage::default()).await;
        progress.handed_back.set(progress.handed_back.get() + outcome.failed.len());
        queue.acknowledge(batch, &outcome.failed);
        progress.set_active(progress.active.get().0 - 1);
    }
}

fn messages(bodies: &[(usize, &String)]) -> Vec<torale_platform::consume::QueueMessage> {
    let message = |(number, body): &(usize, &String)| torale_platform::consume::QueueMessage {
        id: number.to_string(),
        body: (*body).clone(),
        sent_at: None,
        received: 1,
    };
    bodies.iter().map(message).collect()
}

/// Sends what happens, and looks at how the consumers get on.
async fn watch(
    setup: &ThroughputRun,
    tables: &LimitedTables,
    queue: &EventQueue,
    progress: &Progress,
) -> ThroughputOutcome {
    let end = setup.warm_up + setup.measured;
    let until = end + if setup.drain.is_none() { AFTERWARDS } else { Duration::ZERO };
    let until = i64::try_from(until.as_millis()).unwrap_or(i64::MAX) - 1;
    let mut coming = setup.life.events(until);
    // What happened before is in the tables.
    drop(coming.take_until(-1));
    let from = progress.began + setup.warm_up;
    let mut sent = send(&mut coming, queue, from).await;
    tables.with_meters(|meters| drop(meters.read()));
    progress.take_busy();
    sent += send(&mut coming, queue, progress.began + end).await;
    let stopped = Instant::now();
    let seconds = (stopped - from).as_secs_f64();
    let meters = tables.with_meters(Meters::read);
    let busy = progress.take_busy().as_secs_f64() / (seconds * setup.consumers as f64);
    match setup.drain {
        Some(drain) => drop(timeout(drain, drained(queue)).await),
        None => {
            let (measured, last) = (sent, stopped + AFTERWARDS);
            while queue.first_unfinished() < measured && Instant::now() < last && queue.oldest() < HOPELESS {
                sent += send(&mut coming, queue, Instant::now() + Duration::from_millis(100)).await;
            }
        }
    }
    let half = from + (stopped - from) / 2;
    let growth = (mean(&queue.lags(half, stopped)) - mean(&queue.lags(from, half))) / (seconds / 2.0);
    let mut lags = queue.lags(from, stopped);
    lags.sort_unstable();
    let lag =
        |percent: usize| lags.get((lags.len() * percent / 100).min(lags.len().saturating_sub(1))).copied();
    ThroughputOutcome {
        sent,
        unfinished: queue.unfinished(),
        measured: lags.len(),
        lags: [50, 99, 100].map(|percent| lag(percent).unwrap_or_default()),
        growth,
        busy,
        handed_back: progress.handed_back.get(),
        in_flight: queue.in_flight(),
        meters,
        seconds,
    }
}

fn mean(lags: &[Duration]) -> f64 {
    lags.iter().map(Duration::as_secs_f64).sum::<f64>() / (lags.len() as f64).max(1.0)
}

async fn drained(queue: &EventQueue) {
    while queue.unfinished() > 0 {
        sleep(Duration::from_millis(TICK_MS)).await;
    }
}

/// Sends what happens until a moment, and returns how much that was.
async fn send(coming: &mut EventsToCome, queue: &EventQueue, until: Instant) -> usize {
    let mut sent = 0;
    while Instant::now() < until && queue.oldest() < HOPELESS {
        let next = (Instant::now() + Duration::from_millis(TICK_MS)).min(until);
        sleep_until(next).await;
        let events = coming.take_until(trace::elapsed());
        if !events.is_empty() {
            sent += events.len();
            queue.send(events);
        }
    }
    sent
}
