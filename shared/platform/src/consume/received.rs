//! Reads the messages of a batch.

use crate::sqs::QueueMessage;
use crate::store::log::LogEntry;
use std::collections::BTreeMap;
use torale_domain::events::{self, Event, QuarantineReason, ReceivedMessage};
use torale_domain::values::ids::EntityKey;
use torale_domain::values::time::Timestamp;
use torale_domain::values::trace::TraceParent;

/// The events of one entity in a batch, and the positions of the messages that contained them.
#[derive(Debug, Clone)]
pub(super) struct EntityBatch {
    pub(super) entity: EntityKey,
    pub(super) events: Vec<Event>,
    pub(super) messages: Vec<usize>,
}

impl EntityBatch {
    const fn new(entity: EntityKey) -> Self {
        Self { entity, events: Vec::new(), messages: Vec::new() }
    }

    fn push(&mut self, event: Event, message: usize) {
        self.events.push(event);
        self.messages.push(message);
    }

    /// Leaves the events before a position, and returns the others.
    pub(super) fn split_off(&mut self, at: usize) -> Self {
        let (events, messages) = (self.events.split_off(at), self.messages.split_off(at));
        Self { entity: self.entity.clone(), events, messages }
    }
}

/// The messages of a batch, read. Messages are referred to by their positions.
#[derive(Debug, Default)]
pub(super) struct Batch<'a> {
    /// The events of known types, by entity.
    pub(super) entities: BTreeMap<EntityKey, EntityBatch>,
    /// The messages for the log: events, also those of unknown types.
    pub(super) logged: Vec<(usize, LogEntry<'a>)>,
    /// The messages for the quarantine.
    pub(super) quarantined: Vec<(usize, &'a QueueMessage, QuarantineReason)>,
    /// The traces that messages belong to.
    pub(super) traces: BTreeMap<usize, TraceParent>,
    /// Numbers of events by type; those of unknown types under `unknown`.
    pub(super) event_counts: BTreeMap<&'static str, u64>,
}

impl<'a> Batch<'a> {
    /// Reads messages that were received now.
    pub(super) fn read(messages: &'a [QueueMessage], now: Timestamp) -> Self {
        let mut batch = Self::default();
        for (index, message) in messages.iter().enumerate() {
            batch.traces.extend(TraceParent::of_message(&message.body).map(|trace| (index, trace)));
            match events::parse(&message.body, Some(now)) {
                Ok(received) => {
                    batch.logged.push((index, LogEntry::of(&message.body, &received)));
                    batch.received(received, index);
                }
                Err(reason) => batch.quarantined.push((index, message, reason)),
            }
        }
        batch
    }

    fn received(&mut self, received: ReceivedMessage, message: usize) {
        match received {
            ReceivedMessage::Known(event) => {
                count(&mut self.event_counts, event.event_type().name());
                let entity = event.entity();
                let entities = self.entities.entry(entity.clone());
                entities.or_insert_with(|| EntityBatch::new(entity)).push(*event, message);
            }
            ReceivedMessage::Unknown { .. } => count(&mut self.event_counts, "unknown"),
        }
    }

    /// Numbers of messages for the quarantine, by reason.
    pub(super) fn quarantine_counts(&self) -> BTreeMap<&'static str, u64> {
        let mut counts = BTreeMap::new();
        for (_, _, reason) in &self.quarantined {
            count(&mut counts, reason.code());
        }
        counts
    }
}

/// Events by entity.
pub(super) fn by_entity(events: Vec<Event>) -> Vec<EntityBatch> {
    let mut entities: BTreeMap<EntityKey, EntityBatch> = BTreeMap::new();
    for (index, event) in events.into_iter().enumerate() {
        let entity = event.entity();
        entities.entry(entity.clone()).or_insert_with(|| EntityBatch::new(entity)).push(event, index);
    }
    entities.into_values().collect()
}

fn count(counts: &mut BTreeMap<&'static str, u64>, name: &'static str) {
    *counts.entry(name).or_default() += 1;
}
