//! From a batch of messages to the event log and the projections.
//!
//! A message may be deleted from the queue only after its event is in the log *and* folded into the projections, or
//! after the message is in the quarantine. Whatever fails in between is returned to the queue and comes again. Nothing
//! counts twice then, since folding an event again changes nothing (`docs/contract/events.md`, "Delivery").
//!
//! | module | what it does |
//! |---|---|
//! | `received` | reads messages: events by entity, and messages for the quarantine |
//! | `lanes` | folds events into one generation of projections, lane by lane |
//! | `commit` | the transactions of one lane |
//! | `links` | brings the links between users and identities up to date |
//! | `late` | the late rule: stops what a deactivated user gets |

mod commit;
mod lanes;
mod late;
mod links;
mod received;

pub use crate::sqs::QueueMessage;

use crate::clock::{self, Clock};
use crate::config::WRITING_TIME;
use crate::store::log::LogEntry;
use crate::store::{Generation, GenerationPointer, Generations, Store, StoreError, Usage};
use commit::CommitReport;
use futures::future::{self, Either};
use futures::stream::{self, StreamExt};
use lanes::commit_by_lane;
use late::LateRule;
pub use links::USERS_PAGE;
use links::{LinkReport, LinkWriter};
use received::{Batch, EntityBatch};
use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::pin::pin;
use tokio::time::{Duration, Instant, sleep_until};
use torale_domain::events::{Event, Excerpt, QuarantineReason};
use torale_domain::values::ids::EntityKey;
use torale_domain::values::time::Timestamp;
use torale_domain::values::trace::TraceParent;

/// The result of a batch.
#[derive(Debug, Default)]
pub struct BatchOutcome {
    /// The ids of the messages that must come again.
    pub failed: Vec<String>,
    /// Numbers of events by type; those of unknown types under `unknown`.
    pub events: BTreeMap<&'static str, u64>,
    /// Events that changed nothing.
    pub without_effect: u64,
    /// Numbers of quarantined messages by reason.
    pub quarantined: BTreeMap<&'static str, u64>,
    /// Outbox entries written by the late rule.
    pub late_entries: u64,
    /// Transactions that were written.
    pub transactions: u64,
    /// Transactions that lost a race and were planned again.
    pub lost_races: u64,
    /// The ids of the traces that the events belong to, 50 at most.
    pub traces: BTreeSet<String>,
}

/// The consumer of one function instance.
#[derive(Debug)]
pub struct Consumer {
    store: Store,
    generations: Generations,
    clock: Clock,
    users_page: usize,
}

/// The part of a batch's time that is reserved for the response.
const RESERVE: Duration = Duration::from_secs(1);
/// The most traces of a batch that are named.
const TRACES: usize = 50;
/// The most messages that are written to the quarantine at once.
const PARALLEL: usize = 16;

impl Consumer {
    /// A consumer that writes to this store.
    pub fn new(store: Store, clock: Clock) -> Self {
        Self { store, generations: Generations::default(), clock, users_page: USERS_PAGE }
    }

    /// The same consumer, which reads so many users of one identity at once.
    #[must_use]
    pub fn with_users_page(self, users: usize) -> Self {
        Self { users_page: users, ..self }
    }

    /// The current time.
    pub fn now(&self) -> Timestamp {
        (self.clock)()
    }

    /// Consumes a batch. By the deadline, every message is processed or reported as failed.
    pub async fn consume(&self, messages: &[QueueMessage], deadline: Instant, usage: &Usage) -> BatchOutcome {
        let deadline = deadline.min(Instant::now() + WRITING_TIME);
        let deadline = deadline.checked_sub(RESERVE).unwrap_or(deadline);
        let now = self.now();
        let mut batch = Batch::read(messages, now);
        let mut outcome = BatchOutcome {
            events: std::mem::take(&mut batch.event_counts),
            quarantined: batch.quarantine_counts(),
            traces: batch.traces.values().map(|trace| trace.trace_id().to_owned()).take(TRACES).collect(),
            ..BatchOutcome::default()
        };
        let mut failed = self.make_durable(&batch.logged, &batch.quarantined, now, deadline, usage).await;
        let durable = |entity: &EntityBatch| entity.messages.iter().all(|index| !failed.contains(index));
        let entities: Vec<EntityBatch> = batch.entities.into_values().filter(durable).collect();
        match in_time(deadline, self.generations.pointer(&self.store, usage)).await {
            Ok(pointer) => {
                let step = DurableBatch { pointer, entities, traces: &batch.traces, deadline, usage };
                let report = self.write_generations(step, now, &mut outcome).await;
                failed.extend(report.failed);
                // They are in the log, and in no projection: in quarantine as well, they are seen.
                let unwritable: Vec<_> = report
                    .unwritable
                    .into_iter()
                    .filter_map(|(index, reason)| Some((index, messages.get(index)?, reason)))
                    .collect();
                if let Some((.., reason)) = unwritable.first() {
                    *outcome.quarantined.entry(reason.code()).or_default() += count(unwritable.len());
                }
                failed.extend(self.make_durable(&[], &unwritable, now, deadline, usage).await);
            }
            Err(error) => {
                tracing::error!(%error, "the live generation can't be read");
                failed.extend(entities.iter().flat_map(|entity| entity.messages.iter().copied()));
            }
        }
        outcome.failed =
            failed.into_iter().filter_map(|i| messages.get(i)).map(|message| message.id.clone()).collect();
        outcome
    }

    /// Folds events that are in the log already into every generation that is written, with all that follows from an
    /// event: links, commands, the late rule. Returns whether nothing has to be tried again.
    ///
    /// # Errors
    /// If the live generation can't be read.
    pub async fn project(
        &self,
        events: Vec<Event>,
        deadline: Instant,
        usage: &Usage,
    ) -> Result<bool, StoreError> {
        let pointer = in_time(deadline, self.generations.pointer(&self.store, usage)).await?;
        let (entities, traces) = (received::by_entity(events), BTreeMap::new());
        let step = DurableBatch { pointer, entities, traces: &traces, deadline, usage };
        let report = self.write_generations(step, self.now(), &mut BatchOutcome::default()).await;
        Ok(report.failed.is_empty())
    }

    /// Makes every message durable: events in the log, other messages in the quarantine, both in parallel. Returns the
    /// messages for which this failed.
    async fn make_durable(
        &self,
        logged: &[(usize, LogEntry<'_>)],
        quarantined: &[(usize, &QueueMessage, QuarantineReason)],
        now: Timestamp,
        deadline: Instant,
        usage: &Usage,
    ) -> BTreeSet<usize> {
        let (indexes, logged): (Vec<usize>, Vec<LogEntry<'_>>) = logged.iter().copied().unzip();
        let writer = clock::unique();
        let append = in_time(deadline, self.store.append(&logged, now, &writer, usage));
        let quarantine: Vec<_> = quarantined
            .iter()
            .map(|(index, message, reason)| async move {
                tracing::warn!(message_id = message.id, code = reason.code(), "message quarantined");
                (*index, in_time(deadline, self.store.quarantine(&message.body, reason, now, usage)).await)
            })
            .collect();
        let quarantine = stream::iter(quarantine).buffer_unordered(PARALLEL).collect::<Vec<_>>();
        let (appended, quarantined) = futures::join!(append, quarantine);
        let appended = indexes.into_iter().map(|index| (index, appended.as_ref().map(|_| ())));
        let quarantined = quarantined.iter().map(|(index, result)| (*index, result.as_ref().map(|_| ())));
        let results = appended.chain(quarantined);
        let lost = results.filter_map(|(index, result)| result.err().map(|error| (index, error)));
        lost.inspect(|(_, error)| tracing::error!(%error, "a message could not be made durable"))
            .map(|(index, _)| index)
            .collect()
    }

    /// Folds events into every generation that is written, and applies the late rule. Returns the messages for which
    /// this failed.
    async fn write_generations(
        &self,
        step: DurableBatch<'_>,
        now: Timestamp,
        outcome: &mut BatchOutcome,
    ) -> ProjectionFailures {
        let DurableBatch { pointer, entities, traces, deadline, usage } = step;
        let candidates = late::candidates(&entities, traces);
        let people = links::people(&entities);
        let mut failures = ProjectionFailures::default();
        // The shadow generation first: what has been visible in the live one is there after a cut-over. It gets half of
        // the time. What fails there comes again, and the live generation is written all the same.
        if let Some(shadow) = &pointer.shadow {
            let half = Instant::now() + deadline.saturating_duration_since(Instant::now()) / 2;
            let report = commit_by_lane(&self.store, &shadow.generation, entities.clone(), half, usage).await;
            failures.add(&report);
            let links = LinkWriter {
                store: &self.store,
                generation: &shadow.generation,
                commands: None,
                now,
                deadline: half,
                page: self.users_page,
                usage,
            };
            failures.add_links(links.write(&people).await);
        }
        let report = commit_by_lane(&self.store, &pointer.live, entities, deadline, usage).await;
        failures.add(&report);
        let links = LinkWriter {
            store: &self.store,
            generation: &pointer.live,
            commands: Some(&pointer),
            now,
            deadline,
            page: self.users_page,
            usage,
        };
        let rule = LateRule { store: &self.store, pointer: &pointer, now, deadline, usage };
        // Links first: one may make a user active again. Those that take half of the time do not take the rest of it.
        let linking = pin!(links.write(&people));
        let half = Instant::now() + deadline.saturating_duration_since(Instant::now()) / 2;
        let stop = rule.stop(&self.generations, &candidates);
        let (linked, stopped) = match future::select(linking, pin!(sleep_until(half))).await {
            Either::Left((linked, _half)) => (linked, stop.await),
            Either::Right(((), linking)) => future::join(linking, stop).await,
        };
        outcome.without_effect = report.without_effect;
        outcome.transactions = report.transactions;
        outcome.lost_races = report.lost_races;
        outcome.late_entries = stopped.entries;
        failures.add_links(linked);
        failures.failed.extend(stopped.failed);
        failures
    }
}

/// The step of a batch that follows once its messages are durable.
struct DurableBatch<'a> {
    pointer: GenerationPointer,
    entities: Vec<EntityBatch>,
    traces: &'a BTreeMap<usize, TraceParent>,
    deadline: Instant,
    usage: &'a Usage,
}

/// The messages whose events are not in every generation.
#[derive(Debug, Default)]
struct ProjectionFailures {
    /// Those that must come again.
    failed: BTreeSet<usize>,
    /// Those of entities that can never be written.
    unwritable: BTreeMap<usize, QuarantineReason>,
}

impl ProjectionFailures {
    fn add(&mut self, report: &CommitReport) {
        self.failed.extend(&report.failed);
        for (entity, reason) in &report.unwritable {
            let reason = QuarantineReason::Unwritable(reason.clone());
            self.unwritable.extend(entity.messages.iter().map(|message| (*message, reason.clone())));
        }
    }

    fn add_links(&mut self, report: LinkReport) {
        self.failed.extend(report.failed);
        for (_, messages, reason) in report.unwritable {
            let reason = QuarantineReason::Unwritable(reason);
            self.unwritable.extend(messages.into_iter().map(|message| (message, reason.clone())));
        }
    }
}

fn count(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}

/// What came of folding events of the log into a generation.
#[derive(Debug, Default)]
pub struct CatchUpReport {
    /// Whether all events are in it, but for those of entities that can never be written.
    pub complete: bool,
    /// The entities that can never be written, with the reason.
    pub unwritable: Vec<(EntityKey, Excerpt)>,
}

/// Folds events of the log into a generation, as a consumer does. Reads so many users of one identity at once.
pub async fn catch_up(
    store: &Store,
    generation: &Generation,
    events: Vec<Event>,
    page: usize,
    deadline: Instant,
    usage: &Usage,
) -> CatchUpReport {
    let entities = received::by_entity(events);
    let people = links::people(&entities);
    let report = commit_by_lane(store, generation, entities, deadline, usage).await;
    let now = Timestamp::EARLIEST;
    let links = LinkWriter { store, generation, commands: None, now, deadline, page, usage };
    let unlinked = links.write(&people).await;
    let unwritable = report.unwritable.into_iter().map(|(batch, reason)| (batch.entity, reason));
    let unlinkable = unlinked.unwritable.into_iter().map(|(entity, _, reason)| (entity, reason));
    let complete = report.failed.is_empty() && unlinked.failed.is_empty();
    CatchUpReport { complete, unwritable: unwritable.chain(unlinkable).collect() }
}

/// Abandons a call of the store at the deadline.
async fn in_time<T>(
    deadline: Instant,
    call: impl Future<Output = Result<T, StoreError>>,
) -> Result<T, StoreError> {
    let timed_out = |_elapsed| Err(StoreError::no_time_left());
    tokio::time::timeout_at(deadline, call).await.unwrap_or_else(timed_out)
}
