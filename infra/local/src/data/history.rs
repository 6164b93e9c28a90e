//! `--history N`: a history of any size. Its events are written into the log of an empty store, as a consumer
//! writes them; the live generation is then built from the log, as a replay builds one.
//!
//! ```text
//! SeedEvents ▸ chunks ▸ parse, append ▸ log ▸ fold, make every item ▸ import
//! one thread            WRITERS tasks         one thread              one thread
//! ```
//!
//! The queue would take an hour for a million executions. Nothing else may write meanwhile.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::sync_channel;
use std::time::Duration;

use tokio::sync::{Mutex, mpsc};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::task::AbortOnDropHandle;
use torale_domain::events::{self, ReceivedMessage};
use torale_domain::storage::keys::EVENTS_TABLE;
use torale_platform::aws::causes;
use torale_platform::clock::{self, Clock};
use torale_platform::store::log::LogEntry;
use torale_platform::store::{Store, Usage};
use torale_replay::Replay;
use torale_replay::build::build_in_memory;

use super::seed::{SeedCounts, SeedEvent, SeedEvents, SeedPlan};
use crate::console::Console;
use crate::error::LocalError;
use crate::store::{self, Database};

/// Events that are appended to the log at once.
const CHUNK: usize = 4_000;
/// Chunks that wait for a writer.
const WAITING: usize = 4;
/// Tasks that write the log.
const WRITERS: usize = 3;
/// Batches of some 800 items that wait to be imported: enough work for the time in which the next lane is read.
const BATCHES: usize = 512;
/// The most bytes of memory that the fold of a lane takes, beside the store. With less, a lane is read several times.
const MEMORY: usize = 2 * 1024 * 1024 * 1024;
/// How often progress is shown.
const TICK: Duration = Duration::from_millis(200);

/// What was made, and how long it took.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HistoryReport {
    /// Users, tasks and executions.
    pub counts: SeedCounts,
    /// Events in the log.
    pub events: u64,
    /// The time for writing the log.
    pub log: Duration,
    /// The time for building the projections.
    pub build: Duration,
}

/// Where a history is made: an empty store, which this process serves.
pub struct HistoryStore {
    /// A client of the store.
    pub store: Store,
    /// Its database.
    pub database: Database,
    /// The time of receipt of all events.
    pub clock: Clock,
}

impl HistoryStore {
    /// Makes a history. If it fails, or is dropped before its end, the store holds a part of it.
    ///
    /// # Errors
    /// If the log is not empty, or the store fails.
    pub async fn make(&self, plan: SeedPlan, console: &Console) -> Result<HistoryReport, LocalError> {
        let began = Instant::now();
        let (counts, events) = self.write_log(plan, console).await?;
        let log = began.elapsed();
        let began = Instant::now();
        self.build(events, console).await?;
        Ok(HistoryReport { counts, events, log, build: began.elapsed() })
    }

    /// Writes all events into the log; returns their number.
    async fn write_log(&self, plan: SeedPlan, console: &Console) -> Result<(SeedCounts, u64), LocalError> {
        let (store, usage) = (&self.store, Usage::default());
        if !store.is_empty(EVENTS_TABLE).await.map_err(store_error)? {
            return Err(LocalError::Data(
                "the log is not empty: a history must be all that it holds".to_owned(),
            ));
        }
        // Known here, so that nobody has to search for the beginning of the log.
        store.note_searched((self.clock)().hour(), &usage).await.map_err(store_error)?;
        let (send, chunks) = mpsc::channel(WAITING);
        let written = Arc::new(WrittenLog::default());
        let generating = tokio::task::spawn_blocking(move || generate(plan, &send));
        let chunks = Arc::new(Mutex::new(chunks));
        let mut writers = JoinSet::new();
        for _ in 0..WRITERS {
            let (store, chunks, written) = (store.clone(), Arc::clone(&chunks), Arc::clone(&written));
            writers.spawn(write_chunks(store, chunks, written, self.clock));
        }
        // When all writers have ended, also by an error, the generator cannot send any more.
        drop(chunks);
        let writing = async {
            while let Some(ended) = writers.join_next().await {
                ended.map_err(|error| store_error(&error))??;
            }
            Ok(())
        };
        let executions = || written.executions.load(Ordering::Relaxed);
        watch(console, "executions in the log", plan.executions.into(), executions, writing).await?;
        let counts = generating.await.map_err(|error| store_error(&error))?;
        Ok((counts, written.events.load(Ordering::Relaxed)))
    }

    /// Folds the log and imports every item that follows from it into the live generation, which is empty.
    async fn build(&self, events: u64, console: &Console) -> Result<(), LocalError> {
        let replay = Replay { memory: MEMORY, ..Replay::new(self.store.clone(), self.clock) };
        let live = replay.pointer().await.map_err(store_error)?.live;
        let (send, batches) = sync_channel(BATCHES);
        let (database, table) = (self.database.clone(), live.table());
        let importing = tokio::task::spawn_blocking(move || {
            batches.into_iter().try_for_each(|items| store::import(&database, &table, items))
        });
        let (fold, lanes) = (replay.clone(), live.lanes);
        let building = tokio::spawn(async move {
            // If the import has failed nobody receives any more; it says why.
            build_in_memory(&fold, lanes, move |items| drop(send.send(items))).await
        });
        let done = || replay.meter.events() + replay.meter.items();
        let work = AbortOnDropHandle::new(building);
        // At most so many items come of many events; a few events have more.
        let built = watch(console, "building the projections", events + events / 4 * 5, done, work).await;
        importing.await.map_err(|error| store_error(&error))??;
        let built = built.map_err(|error| store_error(&error))?.map_err(store_error)?;
        if built.tally.events == events && built.left_out.is_empty() {
            return Ok(());
        }
        Err(LocalError::Data(format!(
            "of {events} events in the log, the projections hold {:?}",
            built.tally
        )))
    }
}

/// What is in the log.
#[derive(Default)]
struct WrittenLog {
    events: AtomicU64,
    executions: AtomicU64,
}

/// Some events, and how many executions begin in them.
struct Chunk {
    events: Vec<SeedEvent>,
    executions: u32,
}

/// Sends all events of a plan, until the last one or until nobody receives them.
fn generate(plan: SeedPlan, send: &mpsc::Sender<Chunk>) -> SeedCounts {
    let mut source = SeedEvents::new(plan);
    loop {
        let before = source.counts().executions;
        let events: Vec<SeedEvent> = source.by_ref().take(CHUNK).collect();
        let counts = source.counts();
        let is_last = events.len() < CHUNK;
        let chunk = Chunk { events, executions: counts.executions - before };
        if send.blocking_send(chunk).is_err() || is_last {
            return counts;
        }
    }
}

/// Appends chunks to the log until there are no more.
async fn write_chunks(
    store: Store,
    chunks: Arc<Mutex<mpsc::Receiver<Chunk>>>,
    written: Arc<WrittenLog>,
    clock: Clock,
) -> Result<(), LocalError> {
    let usage = Usage::default();
    loop {
        let chunk = chunks.lock().await.recv().await;
        let Some(Chunk { events, executions }) = chunk else { return Ok(()) };
        let bodies: Vec<String> = events.iter().map(SeedEvent::body).collect();
        let now = clock();
        let entries = bodies.iter().map(|body| {
            let received = events::parse(body, Some(now));
            received.map(|received: ReceivedMessage| LogEntry::of(body, &received))
        });
        let entries: Result<Vec<_>, _> = entries.collect();
        let entries = entries.map_err(|reason| LocalError::Data(format!("a seeded event: {reason}")))?;
        store.append(&entries, now, &clock::unique(), &usage).await.map_err(store_error)?;
        written.events.fetch_add(u64::try_from(bodies.len()).unwrap_or(0), Ordering::Relaxed);
        written.executions.fetch_add(executions.into(), Ordering::Relaxed);
    }
}

/// Shows how far some work is until it ends.
async fn watch<T>(
    console: &Console,
    label: &'static str,
    length: u64,
    done: impl Fn() -> u64,
    work: impl Future<Output = T>,
) -> T {
    let mut progress = console.progress(label, length);
    let mut ticks = tokio::time::interval(TICK);
    let mut work = std::pin::pin!(work);
    loop {
        tokio::select! {
            result = &mut work => {
                progress.finish();
                return result;
            }
            _ = ticks.tick() => progress.advance_to(done()),
        }
    }
}

fn store_error(error: impl std::error::Error) -> LocalError {
    LocalError::Store(causes(&error))
}
