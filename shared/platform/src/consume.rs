//! From a batch of messages to the log and the projections.
//!
//! A message may be forgotten by the queue only after its event is in the log *and* folded into the projections,
//! or after it was set aside. Whatever fails in between is handed back and comes again; nothing it did before
//! counts twice, because folding an event again changes nothing.

mod commit;
mod late;

pub use crate::batch::QueueMessage;
use crate::clock::{self, Clock};
use crate::config::WRITING_TIME;
use crate::store::log::LogEntry;
use crate::store::{Generation, Generations, Store, StoreError, Usage};
use commit::{CommitReport, Committer};
use futures::stream::{self, StreamExt};
use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use tokio::time::{Duration, Instant};
use torale_domain::events::{self, Event, QuarantineReason, ReceivedMessage};
use torale_domain::storage::keys::{self, Lane, Lanes, UNKNOWN_LANE};
use torale_domain::values::ids::EntityKey;
use torale_domain::values::time::Timestamp;
use torale_domain::values::trace::TraceParent;

/// What became of a batch.
#[derive(Debug, Default)]
pub struct BatchOutcome {
    /// The messages that must come again.
    pub failed: Vec<String>,
    /// Events by type, those of unknown types under `unknown`.
    pub events: BTreeMap<&'static str, u64>,
    /// Events that changed nothing.
    pub without_effect: u64,
    /// Messages set aside, by reason.
    pub set_aside: BTreeMap<&'static str, u64>,
    /// Tasks and keys of deactivated users that came to life, and are ordered to be stopped.
    pub late_orders: u64,
    /// Transactions that took place.
    pub transactions: u64,
    /// Transactions that lost a race and were planned again.
    pub lost_races: u64,
    /// The ids of the traces that its events belong to; some of them, if there are many.
    pub traces: BTreeSet<String>,
}

/// The consumer of one function instance.
#[derive(Debug)]
pub struct Consumer {
    store: Store,
    generations: Generations,
    clock: Clock,
}

/// The events of one entity in a batch, with the messages that brought them.
#[derive(Debug, Clone)]
struct EntityBatch {
    entity: EntityKey,
    events: Vec<Event>,
    messages: Vec<usize>,
}

/// A batch, read: what each message is.
#[derive(Debug, Default)]
struct Batch<'a> {
    units: BTreeMap<EntityKey, EntityBatch>,
    logged: Vec<(usize, LogEntry<'a>)>,
    aside: Vec<(usize, &'a QueueMessage, QuarantineReason)>,
    traces: BTreeMap<usize, TraceParent>,
}

/// What is left of the time when work stops, for the answer.
const RESERVE: Duration = Duration::from_secs(1);
/// Traces that a batch names at most.
const TRACES: usize = 50;
/// Messages set aside at once.
const PARALLEL: usize = 16;

impl Consumer {
    /// With parts of one's own.
    pub fn new(store: Store, clock: Clock) -> Self {
        Self { store, generations: Generations::default(), clock }
    }

    /// The present time.
    pub fn now(&self) -> Timestamp {
        (self.clock)()
    }

    /// Takes in a batch. Until `deadline` everything is done or handed back.
    pub async fn consume(&self, messages: &[QueueMessage], deadline: Instant, usage: &Usage) -> BatchOutcome {
        let deadline = deadline.min(Instant::now() + WRITING_TIME);
        let deadline = deadline.checked_sub(RESERVE).unwrap_or(deadline);
        let now = self.now();
        let mut outcome = BatchOutcome::default();
        let batch = Batch::read(messages, now, &mut outcome);
        let mut failed = self.keep(&batch, now, deadline, usage).await;
        let units = batch.units.into_values();
        let units: Vec<EntityBatch> =
            units.filter(|unit| unit.messages.iter().all(|i| !failed.contains(i))).collect();
        match in_time(deadline, self.generations.pointer(&self.store, usage)).await {
            Ok(pointer) => {
                let awakened = late::awakened(&units, &batch.traces);
                // The one beside first: what was to be seen in the live one is there after a flip. It gets half of the
                // time, and what fails there comes again; the live one is written all the same.
                if let Some(beside) = &pointer.shadow {
                    let half = deadline.saturating_duration_since(Instant::now()) / 2;
                    let half = Instant::now() + half;
                    let done = project(&self.store, &beside.generation, units.clone(), half, usage).await;
                    failed.extend(done.failed);
                }
                let done = project(&self.store, &pointer.live, units, deadline, usage).await;
                failed.extend(done.failed);
                outcome.without_effect = done.without_effect;
                outcome.transactions = done.transactions;
                outcome.lost_races = done.lost_races;
                let stopped = late::stop(&self.store, &self.generations, &pointer, &awakened, now, usage);
                match in_time(deadline, stopped).await {
                    Ok(orders) => outcome.late_orders = orders,
                    Err(error) => {
                        tracing::error!(%error, "what came to life can't be looked at");
                        failed.extend(awakened.iter().flat_map(|one| one.messages.iter().copied()));
                    }
                }
            }
            Err(error) => {
                tracing::error!(%error, "the live generation can't be read");
                failed.extend(units.iter().flat_map(|unit| unit.messages.iter().copied()));
            }
        }
        outcome.failed =
            failed.into_iter().filter_map(|i| messages.get(i)).map(|message| message.id.clone()).collect();
        outcome
    }

    /// Makes a batch durable: events in the log, the rest set aside, neither waiting for the other. Returns the
    /// messages for which that failed.
    async fn keep(
        &self,
        batch: &Batch<'_>,
        now: Timestamp,
        deadline: Instant,
        usage: &Usage,
    ) -> BTreeSet<usize> {
        let (indexes, logged): (Vec<usize>, Vec<LogEntry<'_>>) = batch.logged.iter().copied().unzip();
        let writer = clock::unique();
        let append = in_time(deadline, self.store.append(&logged, now, &writer, usage));
        let aside: Vec<_> = batch
            .aside
            .iter()
            .map(|(index, message, reason)| async move {
                tracing::warn!(message_id = message.id, code = reason.code(), "message set aside");
                (*index, in_time(deadline, self.store.set_aside(&message.body, reason, now, usage)).await)
            })
            .collect();
        let aside = stream::iter(aside).buffer_unordered(PARALLEL).collect::<Vec<_>>();
        let (appended, aside) = futures::join!(append, aside);
        let appended = indexes.into_iter().map(|index| (index, appended.as_ref().map(|_| ())));
        let aside = aside.iter().map(|(index, result)| (*index, result.as_ref().map(|_| ())));
        let kept = appended.chain(aside);
        let lost = kept.filter_map(|(index, result)| result.err().map(|error| (index, error)));
        lost.inspect(|(_, error)| tracing::error!(%error, "a message could not be made durable"))
            .map(|(index, _)| index)
            .collect()
    }
}

/// Folds units into one generation: lane by lane, each in transactions that follow one another.
async fn project(
    store: &Store,
    generation: &Generation,
    units: Vec<EntityBatch>,
    deadline: Instant,
    usage: &Usage,
) -> CommitReport {
    let committer = Committer::new(store, generation, usage, deadline);
    let lanes = by_lane(units, generation.lanes);
    let lanes = lanes.into_values().map(|units| committer.commit(units));
    let mut all = CommitReport::default();
    for done in futures::future::join_all(lanes).await {
        all.failed.extend(done.failed);
        all.without_effect += done.without_effect;
        all.transactions += done.transactions;
        all.lost_races += done.lost_races;
    }
    all
}

/// Folds events of the log into a generation, as a consumer would; true if all of them are in it.
pub async fn catch_up(
    store: &Store,
    generation: &Generation,
    events: Vec<Event>,
    deadline: Instant,
    usage: &Usage,
) -> bool {
    let mut units: BTreeMap<EntityKey, EntityBatch> = BTreeMap::new();
    for (index, event) in events.into_iter().enumerate() {
        let entity = event.entity();
        let unit = units.entry(entity.clone()).or_insert_with(|| EntityBatch {
            entity,
            events: Vec::new(),
            messages: Vec::new(),
        });
        unit.events.push(event);
        unit.messages.push(index);
    }
    project(store, generation, units.into_values().collect(), deadline, usage).await.failed.is_empty()
}

/// A call of the store that is given up at the deadline.
async fn in_time<T>(
    deadline: Instant,
    call: impl Future<Output = Result<T, StoreError>>,
) -> Result<T, StoreError> {
    let timed_out = |_elapsed| Err(StoreError::Unavailable("no time left".to_owned()));
    tokio::time::timeout_at(deadline, call).await.unwrap_or_else(timed_out)
}

impl<'a> Batch<'a> {
    fn read(messages: &'a [QueueMessage], now: Timestamp, outcome: &mut BatchOutcome) -> Self {
        let mut batch = Self::default();
        for (index, message) in messages.iter().enumerate() {
            batch.traces.extend(TraceParent::of_message(&message.body).map(|trace| (index, trace)));
            match events::parse(&message.body, Some(now)) {
                Ok(ReceivedMessage::Known(event)) => {
                    count(&mut outcome.events, event.event_type().name());
                    let entity = event.entity();
                    batch
                        .logged
                        .push((index, LogEntry { lane: keys::log_lane(&entity), body: &message.body }));
                    let unit =
                        EntityBatch { entity: entity.clone(), events: Vec::new(), messages: Vec::new() };
                    let unit = batch.units.entry(entity).or_insert(unit);
                    unit.events.push(*event);
                    unit.messages.push(index);
                }
                Ok(ReceivedMessage::Unknown { .. }) => {
                    count(&mut outcome.events, "unknown");
                    batch.logged.push((index, LogEntry { lane: UNKNOWN_LANE, body: &message.body }));
                }
                Err(reason) => {
                    count(&mut outcome.set_aside, reason.code());
                    batch.aside.push((index, message, reason));
                }
            }
        }
        let traces = batch.traces.values().map(|trace| trace.trace_id().to_owned());
        outcome.traces = traces.take(TRACES).collect();
        batch
    }
}

fn count(counts: &mut BTreeMap<&'static str, u64>, name: &'static str) {
    *counts.entry(name).or_default() += 1;
}

/// Units by lane, those of one task beside each other: a lane's transactions follow one another, lanes run in parallel.
fn by_lane(units: Vec<EntityBatch>, lanes: Lanes) -> BTreeMap<Lane, Vec<EntityBatch>> {
    let mut by_lane: BTreeMap<Lane, Vec<(String, EntityBatch)>> = BTreeMap::new();
    for unit in units {
        let near = neighbour(&unit);
        by_lane.entry(lanes.of(near.as_bytes())).or_default().push((near, unit));
    }
    let sorted = by_lane.into_iter().map(|(lane, mut units)| {
        units.sort_by(|a, b| a.0.cmp(&b.0));
        (lane, units.into_iter().map(|(_, unit)| unit).collect())
    });
    sorted.collect()
}

/// What an entity's writes have in common with others': its task or its user, else itself.
fn neighbour(unit: &EntityBatch) -> String {
    match &unit.entity {
        EntityKey::Task(id) => id.to_string(),
        EntityKey::User(id) => id.to_string(),
        EntityKey::Execution(_) => {
            unit.events.first().and_then(Event::task).map_or_else(String::new, |id| id.to_string())
        }
        EntityKey::Notification(_) => {
            unit.events.first().and_then(Event::user).map_or_else(String::new, |id| id.to_string())
        }
        EntityKey::Run(workflow, _) => workflow.as_str().to_owned(),
        EntityKey::Schedule(id) => id.as_str().to_owned(),
        EntityKey::ApiKey(id) => id.as_str().to_owned(),
    }
}
