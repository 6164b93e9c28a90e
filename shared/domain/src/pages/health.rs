//! GET /admin/health: what operators watch (docs/contract/http.md, "GET /admin/health").

use crate::projections::generation::GenerationPointer;
use crate::values::time::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

/// What operators watch, as it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Operations {
    /// The generations in use.
    pub generations: GenerationPointer,
    /// The messages in the event queue, as SQS counts them.
    pub events_waiting: u64,
    /// The number of outbox entries, and whether there may be more.
    pub outbox_entries: (u64, bool),
    /// When the oldest of them was created.
    pub oldest_outbox_entry: Option<Timestamp>,
    /// The number of quarantined messages, and whether there may be more.
    pub quarantined: (u64, bool),
}

/// The answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(rename = "Health")]
pub struct HealthAnswer {
    /// The generation of projections that answers requests.
    pub live_generation: LiveGeneration,
    /// The generation that is written as well: before it is promoted, or to roll back to. Null without one.
    pub shadow_generation: Option<ShadowGenerationStatus>,
    /// Events that are in the queue or being processed, as SQS counts them: within about a minute.
    pub events_waiting: u64,
    /// Deactivations whose commands are still being sent.
    pub outbox: OutboxStatus,
    /// Messages that could not be read or projected.
    pub quarantine: QuarantineStatus,
}

/// The generation of projections that answers requests.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct LiveGeneration {
    /// Its name.
    pub name: String,
    /// The number of its lanes.
    pub lanes: u32,
}

/// A generation that is written besides the live one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(rename = "ShadowGeneration")]
pub struct ShadowGenerationStatus {
    /// Its name.
    pub name: String,
    /// The number of its lanes.
    pub lanes: u32,
    /// Since when every event is written to it.
    pub since: Timestamp,
    /// Whether it holds all earlier events as well, so that it can be promoted.
    pub complete: bool,
}

/// What waits in the outbox.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(rename = "Outbox")]
pub struct OutboxStatus {
    /// The number of entries.
    pub entries: u64,
    /// Whether there may be more entries than are counted, and older ones.
    pub capped: bool,
    /// When the oldest was created; null if there is none.
    pub oldest_at: Option<Timestamp>,
    /// Milliseconds since then; 0 if there is none.
    pub age_ms: u64,
}

/// What is in the quarantine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(rename = "Quarantine")]
pub struct QuarantineStatus {
    /// The number of messages.
    pub messages: u64,
    /// Whether there may be more than are counted.
    pub capped: bool,
}

/// Answers a request at this time.
pub fn answer(operations: Operations, now: Timestamp) -> HealthAnswer {
    let Operations { generations, events_waiting, outbox_entries, oldest_outbox_entry, quarantined } =
        operations;
    let GenerationPointer { live, shadow } = generations;
    let age = oldest_outbox_entry.map_or(0, |at| now.millis() - at.millis());
    HealthAnswer {
        live_generation: LiveGeneration { lanes: live.lanes.count(), name: live.name },
        shadow_generation: shadow.map(|shadow| ShadowGenerationStatus {
            lanes: shadow.generation.lanes.count(),
            name: shadow.generation.name,
            since: shadow.since,
            complete: shadow.complete,
        }),
        events_waiting,
        outbox: OutboxStatus {
            entries: outbox_entries.0,
            capped: outbox_entries.1,
            oldest_at: oldest_outbox_entry,
            // An entry can be from a clock that is ahead.
            age_ms: u64::try_from(age).unwrap_or(0),
        },
        quarantine: QuarantineStatus { messages: quarantined.0, capped: quarantined.1 },
    }
}
