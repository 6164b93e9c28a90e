//! From a batch of messages to the log and the projections.
//!
//! A message may be forgotten by the queue only after its event is in the log *and* folded into the projections,
//! or after it was set aside. Whatever fails in between is handed back and comes again; nothing it did before
//! counts twice, because folding an event again changes nothing.

mod commit;

use crate::clock::{self, Clock};
use crate::store::log::Logged;
use crate::store::{Generations, Store, StoreError, Usage};
use commit::Committer;
use std::collections::{BTreeMap, BTreeSet};
use tokio::time::{Duration, Instant};
use torale_domain::events::{self, Event, Received, SetAside};
use torale_domain::fold::EntityKey;
use torale_domain::keys::{self, Lane, Lanes};

/// A message of the queue.
#[derive(Debug, Clone)]
pub struct Message {
    /// The queue's id of the message.
    pub id: String,
    /// Its text.
    pub body: String,
}

/// What became of a batch.
#[derive(Debug, Default)]
pub struct Outcome {
    /// The messages that must come again.
    pub failed: Vec<String>,
    /// Events by type, those of unknown types under their own names.
    pub events: BTreeMap<String, u64>,
    /// Events that changed nothing.
    pub without_effect: u64,
    /// Messages set aside, by reason.
    pub set_aside: BTreeMap<&'static str, u64>,
    /// Transactions that took place.
    pub transactions: u64,
    /// Transactions that lost a race and were planned again.
    pub lost_races: u64,
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
struct Unit {
    entity: EntityKey,
    events: Vec<Event>,
    messages: Vec<usize>,
}

/// No new transaction begins in the last part of the time that is left.
const RESERVE: Duration = Duration::from_secs(3);

impl Consumer {
    /// With parts of one's own.
    pub fn new(store: Store, clock: Clock) -> Self {
        Self { store, generations: Generations::default(), clock }
    }

    /// Takes in a batch. Until `deadline` everything is done or handed back.
    pub async fn consume(&self, messages: &[Message], deadline: Instant, usage: &Usage) -> Outcome {
        let mut outcome = Outcome::default();
        let mut failed = BTreeSet::new();
        let units = self.take_in(messages, &mut outcome, &mut failed, usage).await;
        match self.generations.read(&self.store, usage).await {
            Ok(generation) => {
                let committer = Committer::new(&self.store, &generation, usage, deadline - RESERVE);
                let lanes = by_lane(units, generation.lanes);
                let done =
                    futures::future::join_all(lanes.into_values().map(|units| committer.commit(units))).await;
                for lane in done {
                    failed.extend(lane.failed);
                    outcome.without_effect += lane.without_effect;
                    outcome.transactions += lane.transactions;
                    outcome.lost_races += lane.lost_races;
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

    /// Reads the messages and makes them durable: events in the log, the rest set aside.
    async fn take_in(
        &self,
        messages: &[Message],
        outcome: &mut Outcome,
        failed: &mut BTreeSet<usize>,
        usage: &Usage,
    ) -> Vec<Unit> {
        let now = (self.clock)();
        let mut units: BTreeMap<EntityKey, Unit> = BTreeMap::new();
        let mut logged = Vec::new();
        let mut aside: Vec<(usize, SetAside)> = Vec::new();
        for (index, message) in messages.iter().enumerate() {
            match events::parse(&message.body, Some(now)) {
                Ok(Received::Known(event)) => {
                    count(&mut outcome.events, event.event_type().name());
                    let entity = event.entity();
                    logged.push((index, Logged { lane: keys::log_lane(&entity), body: &message.body }));
                    let unit = Unit { entity: entity.clone(), events: Vec::new(), messages: Vec::new() };
                    let unit = units.entry(entity).or_insert(unit);
                    unit.events.push(*event);
                    unit.messages.push(index);
                }
                Ok(Received::Unknown { event_type }) => {
                    count(&mut outcome.events, &event_type);
                    logged.push((index, Logged { lane: 0, body: &message.body }));
                }
                Err(reason) => {
                    *outcome.set_aside.entry(reason.code()).or_default() += 1;
                    aside.push((index, reason));
                }
            }
        }
        for (index, reason) in aside {
            let Some(message) = messages.get(index) else { continue };
            tracing::warn!(message_id = message.id, code = reason.code(), "message set aside");
            keep_on_failure(self.store.set_aside(&message.body, &reason, now, usage).await, [index], failed);
        }
        let (indexes, logged): (Vec<usize>, Vec<_>) = logged.into_iter().unzip();
        let appended = self.store.append(&logged, now, &clock::unique(), usage).await;
        if appended.is_err() {
            units.clear();
        }
        keep_on_failure(appended, indexes, failed);
        units.into_values().collect()
    }
}

fn count(counts: &mut BTreeMap<String, u64>, name: &str) {
    *counts.entry(name.to_owned()).or_default() += 1;
}

fn keep_on_failure(
    result: Result<(), StoreError>,
    messages: impl IntoIterator<Item = usize>,
    failed: &mut BTreeSet<usize>,
) {
    if let Err(error) = result {
        tracing::error!(%error, "messages could not be made durable");
        failed.extend(messages);
    }
}

/// Units by lane, those of one task beside each other: a lane's transactions follow one another, lanes run in parallel.
fn by_lane(units: Vec<Unit>, lanes: Lanes) -> BTreeMap<Lane, Vec<Unit>> {
    let mut by_lane: BTreeMap<Lane, Vec<(String, Unit)>> = BTreeMap::new();
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
fn neighbour(unit: &Unit) -> String {
    match &unit.entity {
        EntityKey::Task(id) => id.to_string(),
        EntityKey::User(id) => id.to_string(),
        EntityKey::Execution(_) => {
            unit.events.first().and_then(Event::task).map_or_else(String::new, |id| id.to_string())
        }
        EntityKey::Notification(id) => id.as_str().to_owned(),
        EntityKey::Run(workflow, _) => workflow.as_str().to_owned(),
        EntityKey::Schedule(id) => id.as_str().to_owned(),
        EntityKey::ApiKey(id) => id.as_str().to_owned(),
    }
}
