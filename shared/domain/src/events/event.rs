//! One event: its order, and how it is kept in the state of an entity.

use super::kinds::{Body, EventType};
use super::upcast;
use crate::values::json;
use crate::values::time::Timestamp;
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::cmp::Ordering;

/// One event of a known type, upcast to the newest version of that type.
#[derive(Debug, Clone)]
pub struct Event {
    /// Moment of the fact, as its sender states it.
    pub time: Timestamp,
    /// Chosen by the sender; 1 to 128 characters.
    pub id: String,
    /// The sending system; 1 to 256 characters.
    pub source: String,
    /// What happened.
    pub body: Body,
    /// The envelope's version of `data`, as received.
    pub version: u32,
    /// `data` as received; decides between events that are equal in all else.
    pub data: Data,
}

/// Largest canonical `data` that an entity's state keeps whole, in bytes. With this bound, what a user's own events say
/// and what those of all identities say fit into one item (`ENTITY_BUDGET` in `projections/entity.rs`).
pub const MAX_KEPT_DATA: usize = 2 * 1024;

/// The canonical form of `data`: names sorted, no blanks. Longer than [`MAX_KEPT_DATA`], only its beginning
/// and its digest are kept: enough to order events, while the log has the whole.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Data {
    /// The text, or its first [`MAX_KEPT_DATA`] bytes (cut at a character).
    pub text: Box<str>,
    /// SHA-256 of the whole text where `text` is only its beginning.
    pub digest: Option<Box<str>>,
}

impl Event {
    /// Its type.
    pub fn event_type(&self) -> EventType {
        self.body.event_type()
    }

    /// About how many bytes it takes in memory: the body's texts are those of `data`.
    pub(crate) fn weight(&self) -> usize {
        size_of::<Self>() + self.id.len() + self.source.len() + 2 * self.data.text.len()
    }

    /// The order in which a register prefers events; the greatest wins.
    fn stamp(&self) -> (Timestamp, EventType, &str, &str, &Data, u32) {
        (self.time, self.event_type(), &self.id, &self.source, &self.data, self.version)
    }
}

impl PartialEq for Event {
    fn eq(&self, other: &Self) -> bool {
        self.stamp() == other.stamp()
    }
}

impl Eq for Event {}

impl PartialOrd for Event {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// `time`, rank of the type, `id`, `source`, canonical `data` (event contract, "How events merge"); should two
/// events differ in nothing but their version, the newer wins.
impl Ord for Event {
    fn cmp(&self, other: &Self) -> Ordering {
        self.stamp().cmp(&other.stamp())
    }
}

impl Data {
    /// The canonical form of a JSON object.
    pub fn of(value: &serde_json::Value) -> Self {
        let text = value.to_string();
        if text.len() <= MAX_KEPT_DATA {
            return Self { text: text.into(), digest: None };
        }
        let digest = crate::values::digest::sha256_hex(&[text.as_bytes()]);
        Self {
            text: text.get(..text.floor_char_boundary(MAX_KEPT_DATA)).unwrap_or_default().into(),
            digest: Some(digest.into()),
        }
    }
}

/// How an event stands in a stored entity: enough to rebuild it and to order it.
#[derive(serde::Serialize, serde::Deserialize)]
pub(crate) struct StoredEvent<'a> {
    r#type: &'a str,
    time: i64,
    id: Cow<'a, str>,
    source: Cow<'a, str>,
    #[serde(default = "one", skip_serializing_if = "is_one")]
    version: u32,
    #[serde(borrow)]
    data: &'a RawValue,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    order: Option<TieBreak>,
}

/// What orders an event whose data was cut.
#[derive(serde::Serialize, serde::Deserialize)]
struct TieBreak {
    text: String,
    digest: String,
    version: u32,
}

impl StoredEvent<'_> {
    /// What the event says. Only data of an older version becomes a tree of values first, for the upcast.
    fn body(&self, kind: EventType) -> Result<Body, UnreadableEvent> {
        let unreadable = |e: serde_json::Error| UnreadableEvent::new(&e);
        if self.version == kind.newest_version() {
            return kind.body_of_text(self.data.get()).map_err(unreadable);
        }
        let value = json::parse(self.data.get()).map_err(unreadable)?;
        let value =
            upcast::upcast(kind, self.version, value).ok_or_else(|| UnreadableEvent("version".to_owned()))?;
        kind.body(&value).map_err(UnreadableEvent)
    }
}

fn one() -> u32 {
    1
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_one(version: &u32) -> bool {
    *version == 1
}

/// A stored entity that this release cannot read: a defect or a newer release's item.
#[derive(Debug, thiserror::Error)]
#[error("stored event cannot be read: {0}")]
pub struct UnreadableEvent(String);

impl UnreadableEvent {
    pub(crate) fn new(fault: &dyn std::fmt::Display) -> Self {
        Self(fault.to_string())
    }
}

impl Event {
    /// Writes the event as one JSON object into a stored entity.
    pub(crate) fn store(&self) -> Result<String, UnreadableEvent> {
        let unreadable = |e: serde_json::Error| UnreadableEvent::new(&e);
        // Data that was cut no longer is JSON: its listed fields stand in for it, in the newest version.
        let (data, version, order) = match &self.data.digest {
            None => (Cow::Borrowed(&*self.data.text), self.version, None),
            Some(digest) => {
                let (text, digest) = (self.data.text.to_string(), digest.to_string());
                let order = Some(TieBreak { text, digest, version: self.version });
                let listed = self.body.to_json().map_err(unreadable)?;
                (Cow::Owned(listed), self.event_type().newest_version(), order)
            }
        };
        let data: &RawValue = serde_json::from_str(&data).map_err(unreadable)?;
        let stored = StoredEvent {
            r#type: self.event_type().name(),
            time: self.time.millis(),
            id: self.id.as_str().into(),
            source: self.source.as_str().into(),
            version,
            data,
            order,
        };
        serde_json::to_string(&stored).map_err(unreadable)
    }

    /// Reads what [`Event::store`] wrote.
    pub(crate) fn load(stored: &StoredEvent<'_>) -> Result<Self, UnreadableEvent> {
        let kind =
            EventType::from_name(stored.r#type).ok_or_else(|| UnreadableEvent(stored.r#type.to_owned()))?;
        let time = Timestamp::from_millis(stored.time);
        let (data, version) = match &stored.order {
            None => (Data { text: stored.data.get().into(), digest: None }, stored.version),
            Some(TieBreak { text, digest, version }) => {
                (Data { text: text.as_str().into(), digest: Some(digest.as_str().into()) }, *version)
            }
        };
        let body = stored.body(kind)?;
        Ok(Self { time, id: stored.id.to_string(), source: stored.source.to_string(), body, version, data })
    }
}
