//! History: which events say what an answer shows of an entity (docs/contract/http.md, "History").

use crate::entities::fold::Register;
use crate::entities::history;
use crate::events::Event;
use crate::values::time::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

/// An event that decides fields of an answer.
#[derive(Debug, Serialize, JsonSchema)]
pub struct HistoryEntry {
    /// The type of the event, in full.
    #[serde(rename = "type")]
    pub event_type: String,
    /// Its id, which its sender chose.
    pub id: String,
    /// The system that sent it.
    pub source: String,
    /// Its time, as its sender states it.
    pub time: Timestamp,
    /// The fields of the answer that it decides, by name.
    #[schemars(with = "Vec<String>")]
    pub fields: Vec<&'static str>,
}

/// The events that decide some fields, the greatest first. `winner` finds the event that holds a register,
/// and `decides` names the fields of the answer that each register decides; one that no event has written
/// is left out.
pub(super) fn history<'a>(
    winner: impl Fn(Register) -> Option<&'a Event>,
    decides: &[(Register, &[&'static str])],
) -> Vec<HistoryEntry> {
    let mut entries = Vec::new();
    for (event, mut fields) in history::holders(winner, decides) {
        fields.sort_unstable();
        entries.push(HistoryEntry {
            event_type: event.event_type().full_name(),
            id: event.id.clone(),
            source: event.source.clone(),
            time: event.time,
            fields,
        });
    }
    entries
}
