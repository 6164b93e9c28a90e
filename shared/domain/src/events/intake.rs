//! Intake: from a message body to an event, or to the reason why the message must be quarantined.

use super::{Data, Event, EventType, TYPE_PREFIX, types, upcast};
use crate::events::kinds::Body;
use crate::values::time::{DAY, Timestamp};
use serde_json::{Map, Value};

/// Largest message, in bytes.
pub const MAX_MESSAGE_BYTES: usize = 256 * 1024;

/// A message that is a valid event.
#[derive(Debug, Clone)]
pub enum ReceivedMessage {
    /// Of a type and version this release knows.
    Known(Box<Event>),
    /// Of another type or version: kept in the log, counted, without effect until a release knows
    /// it.
    Unknown {
        /// The whole type, prefix included.
        event_type: String,
    },
}

/// Why a message can't be an event. The text may quote the message, so it is stored with the
/// message and never logged.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum QuarantineReason {
    /// Over [`MAX_MESSAGE_BYTES`].
    #[error("the message is larger than 256 KiB")]
    TooLarge,
    /// Not JSON at all.
    #[error("the message is not JSON: {0}")]
    NotJson(String),
    /// A needed field of the envelope is missing, of the wrong kind or outside its range.
    #[error("envelope: {0}")]
    Envelope(&'static str),
    /// A listed field of `data` is missing, of the wrong kind or outside its range.
    #[error("data of {event_type}: {fault}")]
    Data {
        /// The type whose rules are broken.
        event_type: &'static str,
        /// The rule.
        fault: String,
    },
    /// A listed time is before 2015 or more than 24 hours ahead.
    #[error("a time is before 2015 or more than 24 hours ahead")]
    TimeOutOfRange,
}

impl QuarantineReason {
    /// The code of the reason, for counting.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::TooLarge => "too_large",
            Self::NotJson(_) => "not_json",
            Self::Envelope(_) => "envelope",
            Self::Data { .. } => "data",
            Self::TimeOutOfRange => "time_out_of_range",
        }
    }
}

/// Reads a message. `received_at` limits how far ahead times may be; a replay passes `None`, since
/// that limit was applied when the message was received.
pub fn parse(body: &str, received_at: Option<Timestamp>) -> Result<ReceivedMessage, QuarantineReason> {
    if body.len() > MAX_MESSAGE_BYTES {
        return Err(QuarantineReason::TooLarge);
    }
    let value: Value = serde_json::from_str(body).map_err(|e| QuarantineReason::NotJson(e.to_string()))?;
    let Value::Object(mut fields) = value else { return Err(QuarantineReason::Envelope("not an object")) };
    let envelope = Envelope::read(&fields)?;
    let data = match fields.remove("data") {
        Some(data @ Value::Object(_)) => data,
        Some(_) | None => return Err(QuarantineReason::Envelope("data: an object is needed")),
    };
    let received = envelope.with(data)?;
    let mut times = vec![envelope.time];
    if let ReceivedMessage::Known(event) = &received {
        times.extend(listed_times(&event.body));
    }
    let latest = received_at.map_or(Timestamp::from_millis(i64::MAX), |now| now.plus(DAY));
    if times.iter().any(|time| *time < Timestamp::EARLIEST || *time > latest) {
        return Err(QuarantineReason::TimeOutOfRange);
    }
    Ok(received)
}

struct Envelope {
    id: String,
    source: String,
    event_type: String,
    time: Timestamp,
    version: Option<u32>,
}

impl Envelope {
    fn read(fields: &Map<String, Value>) -> Result<Self, QuarantineReason> {
        let text = |name: &str, max: usize, fault: &'static str| {
            let text = fields.get(name).and_then(Value::as_str).ok_or(QuarantineReason::Envelope(fault))?;
            if text.is_empty() || text.chars().take(max + 1).count() > max {
                return Err(QuarantineReason::Envelope(fault));
            }
            Ok(text.to_owned())
        };
        if fields.get("specversion").and_then(Value::as_str) != Some("1.0") {
            return Err(QuarantineReason::Envelope("specversion: 1.0 is needed"));
        }
        let time = fields.get("time").and_then(Value::as_str).and_then(Timestamp::parse);
        Ok(Self {
            id: text("id", 128, "id: 1 to 128 characters are needed")?,
            source: text("source", 256, "source: 1 to 256 characters are needed")?,
            event_type: text("type", usize::MAX - 1, "type: a text is needed")?,
            time: time.ok_or(QuarantineReason::Envelope("time: an RFC 3339 time is needed"))?,
            version: match fields.get("dataschema") {
                None => Some(1),
                Some(schema) => schema_version(schema.as_str().unwrap_or_default())?,
            },
        })
    }

    fn with(&self, data: Value) -> Result<ReceivedMessage, QuarantineReason> {
        let kind = self.event_type.strip_prefix(TYPE_PREFIX).and_then(EventType::from_name);
        let unknown = || ReceivedMessage::Unknown { event_type: self.event_type.clone() };
        let (Some(kind), Some(version)) = (kind, self.version) else { return Ok(unknown()) };
        let kept = Data::of(&data);
        let Some(data) = upcast::upcast(kind, version, data) else { return Ok(unknown()) };
        let body =
            kind.body(&data).map_err(|fault| QuarantineReason::Data { event_type: kind.name(), fault })?;
        let (time, id, source) = (self.time, self.id.clone(), self.source.clone());
        Ok(ReceivedMessage::Known(Box::new(Event { time, id, source, body, version, data: kept })))
    }
}

/// The digits after the last colon; `None` where they are too many for a version that could be
/// known.
fn schema_version(schema: &str) -> Result<Option<u32>, QuarantineReason> {
    match schema.rsplit_once(':') {
        Some((_, digits)) if !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()) => {
            Ok(digits.parse().ok())
        }
        Some(_) | None => {
            Err(QuarantineReason::Envelope("dataschema: a text that ends in `:<version>` is needed"))
        }
    }
}

/// The times among an event's listed fields, apart from the envelope's.
fn listed_times(body: &Body) -> Vec<Timestamp> {
    match body {
        Body::UserCreated(types::UserCreated { created_at, .. }) => created_at.iter().copied().collect(),
        Body::ExecutionStarted(data) => data.started_at.iter().copied().collect(),
        Body::ExecutionFailed(data) => std::iter::once(data.started_at).chain(data.completed_at).collect(),
        Body::ExecutionSucceeded(data) => std::iter::once(data.started_at).chain(data.completed_at).collect(),
        Body::WorkflowStarted(data) => data.start_time.iter().copied().collect(),
        Body::WorkflowClosed(data) => std::iter::once(data.start_time).chain(data.close_time).collect(),
        Body::UserUpdated(_)
        | Body::UserLoggedIn(_)
        | Body::UserDeactivated(_)
        | Body::UserReactivated(_)
        | Body::ApiKeyCreated(_)
        | Body::ApiKeyRevoked(_)
        | Body::TaskCreated(_)
        | Body::TaskUpdated(_)
        | Body::TaskPaused(_)
        | Body::TaskResumed(_)
        | Body::TaskCompleted(_)
        | Body::TaskDeleted(_)
        | Body::NotificationSent(_)
        | Body::ScheduleCreated(_)
        | Body::ScheduleUpdated(_)
        | Body::SchedulePaused(_)
        | Body::ScheduleUnpaused(_)
        | Body::ScheduleDeleted(_) => Vec::new(),
    }
}
