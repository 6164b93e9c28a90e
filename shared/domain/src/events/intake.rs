//! Intake: from a message body to an event, or to the reason why the message must be quarantined.

use super::types::{MAX_SCHEDULE_CHARS, MAX_ZONE_CHARS, Text};
use super::{Data, Event, EventType, TYPE_PREFIX, types, upcast};
use crate::events::kinds::Body;
use crate::values::json;
use crate::values::text::{excerpt, without_mark};
use crate::values::time::{DAY, Timestamp};
use serde_json::{Map, Value};
use std::fmt;
use std::ops::RangeInclusive;

/// Largest message, in bytes.
pub const MAX_MESSAGE_BYTES: usize = 256 * 1024;
/// Characters of a wrong value that a reason quotes at most.
pub const MAX_QUOTED_CHARS: usize = 200;
/// Longest text of a reason, in characters, whatever the message.
pub const MAX_REASON_CHARS: usize = 500;
/// Characters of what JSON, or the store, says is wrong.
const MAX_FAULT_CHARS: usize = 400;

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
    NotJson(Excerpt),
    /// A needed field of the envelope is missing, of the wrong kind or outside its range.
    #[error("envelope: {0}")]
    Envelope(&'static str),
    /// A listed field of `data` is missing, of the wrong kind or outside its range.
    #[error("data of {event_type}: {fault}")]
    Data {
        /// The type whose rules are broken.
        event_type: &'static str,
        /// The field and the rule; at most [`MAX_QUOTED_CHARS`] characters of the value.
        fault: Excerpt,
    },
    /// A listed time is before 2015 or more than 24 hours ahead.
    #[error("a time is before 2015 or more than 24 hours ahead")]
    TimeOutOfRange,
    /// A valid event, but what follows from it can't be stored. It is in the log, and in no projection.
    #[error("the event can't be projected: {0}")]
    Unwritable(Excerpt),
}

/// A text of at most 400 characters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Excerpt(String);

impl Excerpt {
    /// The beginning of a text.
    pub fn new(text: impl fmt::Display) -> Self {
        Self(excerpt(&text.to_string(), MAX_FAULT_CHARS))
    }
}

impl fmt::Display for Excerpt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
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
            Self::Unwritable(_) => "unwritable",
        }
    }
}

/// Reads a message. `received_at` limits how far ahead times may be, how long the texts of schedules are, and how a
/// task's state is written; a replay passes `None`, since these limits are applied once, by the release that receives
/// the message.
pub fn parse(body: &str, received_at: Option<Timestamp>) -> Result<ReceivedMessage, QuarantineReason> {
    let json = without_mark(body);
    if json.len() > MAX_MESSAGE_BYTES {
        return Err(QuarantineReason::TooLarge);
    }
    let value = json::parse(json).map_err(|e| QuarantineReason::NotJson(Excerpt::new(e)))?;
    let Value::Object(mut fields) = value else { return Err(QuarantineReason::Envelope("not an object")) };
    let envelope = Envelope::read(&fields)?;
    let data = match fields.remove("data") {
        Some(data @ Value::Object(_)) => data,
        Some(_) | None => return Err(QuarantineReason::Envelope("data: an object is needed")),
    };
    let has_state_object = data.get("state").is_some_and(Value::is_object);
    let received = envelope.with(data)?;
    let mut times = vec![envelope.time];
    if let ReceivedMessage::Known(event) = &received {
        times.extend(listed_times(&event.body));
        if let Some(fault) = received_at.and_then(|_| receipt_fault(&event.body, has_state_object)) {
            let event_type = event.event_type().name();
            return Err(QuarantineReason::Data { event_type, fault: Excerpt::new(fault) });
        }
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
        let body = kind.body(&data).map_err(|fault| QuarantineReason::Data {
            event_type: kind.name(),
            fault: Excerpt::new(field_fault(kind, &data).unwrap_or(fault)),
        })?;
        let (time, id, source) = (self.time, self.id.clone(), self.source.clone());
        Ok(ReceivedMessage::Known(Box::new(Event { time, id, source, body, version, data: kept })))
    }
}

/// What is wrong with the first wrong field of `data`, with the field's name and the beginning of its value; `None` if
/// every field that is there is right, and one is missing.
fn field_fault(kind: EventType, data: &Value) -> Option<String> {
    data.as_object()?.iter().find_map(|(name, value)| {
        // Each field by itself: all others are missing then, which is another fault.
        let fault_of = |value: &Value| {
            let alone = Value::Object(Map::from_iter([(name.clone(), value.clone())]));
            kind.body(&alone).err().filter(|fault| !fault.starts_with("missing field"))
        };
        let fault = fault_of(value)?;
        // A shorter value is wrong in the same way, or the fault is its length, and then the fault does not quote it.
        let short = value.as_str().map(|text| Value::String(excerpt(text, MAX_QUOTED_CHARS)));
        let fault = short.as_ref().and_then(fault_of).unwrap_or(fault);
        Some(format!("{name}: {fault}"))
    })
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

/// The first field that the contract does not allow and the types of the fields do, with the rule: a text that is
/// shorter or longer, or a state in an object, as serde reads any enumeration (`{"paused": null}`). Earlier releases
/// took these, and what they stored stays readable.
fn receipt_fault(body: &Body, has_state_object: bool) -> Option<String> {
    let schedule = |text: &Option<Text>| outside("schedule", 1..=MAX_SCHEDULE_CHARS, text.as_ref());
    let cron = |text: Option<&Text>| outside("cron", 0..=MAX_SCHEDULE_CHARS, text);
    let timezone = |text: Option<&Text>| outside("timezone", 0..=MAX_ZONE_CHARS, text);
    match Some(body) {
        Some(Body::TaskCreated(_)) if has_state_object => Some("state: not a text".to_owned()),
        Some(Body::TaskCreated(data)) => schedule(&data.schedule),
        Some(Body::TaskUpdated(data)) => schedule(&data.schedule),
        Some(Body::ScheduleCreated(data)) => {
            cron(Some(&data.cron)).or_else(|| timezone(Some(&data.timezone)))
        }
        Some(Body::ScheduleUpdated(data)) => {
            cron(data.cron.as_ref()).or_else(|| timezone(data.timezone.as_ref()))
        }
        _other_types => None,
    }
}

/// The fault of a text whose number of characters is out of range.
fn outside(field: &str, range: RangeInclusive<usize>, text: Option<&Text>) -> Option<String> {
    let (least, most) = (range.start(), range.end());
    let fault = || format!("{field}: not a text of {least} to {most} characters");
    text.filter(|text| !range.contains(&text.as_str().chars().count())).map(|_| fault())
}

/// The times among an event's listed fields, apart from the envelope's.
fn listed_times(body: &Body) -> Vec<Timestamp> {
    match body {
        Body::UserCreated(types::UserCreated { created_at, .. })
        | Body::IdentityCreated(types::IdentityCreated { created_at, .. }) => {
            created_at.iter().copied().collect()
        }
        Body::ExecutionStarted(data) => data.started_at.iter().copied().collect(),
        Body::ExecutionFailed(data) => std::iter::once(data.started_at).chain(data.completed_at).collect(),
        Body::ExecutionSucceeded(data) => std::iter::once(data.started_at).chain(data.completed_at).collect(),
        Body::WorkflowStarted(data) => data.start_time.iter().copied().collect(),
        Body::WorkflowClosed(data) => std::iter::once(data.start_time).chain(data.close_time).collect(),
        Body::UserUpdated(_)
        | Body::UserLoggedIn(_)
        | Body::UserDeactivated(_)
        | Body::UserReactivated(_)
        | Body::IdentityUpdated(_)
        | Body::IdentityDeleted(_)
        | Body::IdentityLoggedIn(_)
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

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const NOW: Timestamp = Timestamp::from_millis(1_774_953_030_500);
    const ID: &str = "550e8400-e29b-41d4-a716-446655440000";

    fn message(kind: &str, data: &Value) -> String {
        json!({ "specversion": "1.0", "id": "e", "source": "/app", "type": format!("ai.torale.{kind}"),
            "time": "2026-03-01T08:00:00Z", "data": data })
        .to_string()
    }

    fn reason(body: &str) -> QuarantineReason {
        parse(body, Some(NOW)).unwrap_err()
    }

    fn succeeded(condition_met: &Value) -> String {
        let data = json!({ "execution_id": ID, "task_id": ID, "user_id": ID,
            "started_at": "2026-03-01T08:00:00Z", "condition_met": condition_met });
        message("execution.succeeded", &data)
    }

    #[test]
    fn a_reason_names_the_field_and_quotes_a_short_value() {
        let text = reason(&succeeded(&json!("yes"))).to_string();
        assert_eq!(
            text,
            "data of execution.succeeded: condition_met: invalid type: string \"yes\", expected a boolean"
        );
        let missing = reason(&message("task.paused", &json!({}))).to_string();
        assert_eq!(missing, "data of task.paused: missing field `task_id`");
    }

    /// An object with a name that the JSON library uses itself was read as the JSON in its text, with a nesting of its
    /// own: thousands deep, over which a consumer or a rebuild died, and of another kind than it is.
    #[test]
    fn an_object_with_a_name_of_the_json_librarys_own_is_just_an_object() {
        let name = "$serde_json::private::RawValue";
        let fault = reason(&succeeded(&json!({ (name): "true" }))).to_string();
        assert!(fault.contains("expected a boolean"), "{fault}");

        for text in ["{]", "[[1]]"] {
            let body = message("user.logged_in", &json!({ "user_id": ID, "unlisted": { (name): text } }));
            assert!(matches!(parse(&body, Some(NOW)), Ok(ReceivedMessage::Known(_))), "{text}");
        }
    }

    /// Issue 16, number 2: the reason quoted the whole value, so that body and reason exceeded an item.
    #[test]
    fn a_reason_is_bounded_whatever_the_body() {
        let long = "x".repeat(220_000);
        let task = |state: &str| {
            message(
                "task.created",
                &json!({ "task_id": ID, "user_id": ID, "search_query": "q", "state": state }),
            )
        };
        let texts = [
            (
                succeeded(&json!(long)),
                "data of execution.succeeded: condition_met: invalid type: string \"xxx",
            ),
            (task(&long), "data of task.created: state: unknown variant `xxx"),
            (task(&"\u{1b}".repeat(40_000)), "data of task.created: state: unknown variant `\u{1b}"),
            (
                succeeded(&json!("\u{1}".repeat(40_000))),
                "data of execution.succeeded: condition_met: invalid type",
            ),
            (long.clone(), "the message is not JSON: expected value"),
            (format!("{{\"{long}\":1,}}"), "the message is not JSON: trailing comma"),
        ];
        for (body, beginning) in texts {
            let text = reason(&body).to_string();
            assert!(text.starts_with(beginning), "{text}");
            assert!(text.chars().count() <= MAX_REASON_CHARS, "{}", text.chars().count());
            assert!(text.matches('x').count() <= MAX_QUOTED_CHARS + 10, "{text}");
        }
        let text = reason(&succeeded(&json!(long))).to_string();
        assert!(text.ends_with("xxx…\", expected a boolean"), "{text}");
    }

    #[test]
    fn a_field_that_is_too_long_has_a_reason_without_its_value() {
        let id = "k".repeat(257);
        let text = reason(&message("api_key.revoked", &json!({ "key_id": id, "user_id": ID }))).to_string();
        assert_eq!(text, "data of api_key.revoked: key_id: not an id of 1 to 256 characters");
    }

    /// The messages of the events with a field of so many characters.
    fn with_field(field: &str, kinds: [&str; 2], length: usize) -> Vec<String> {
        let data = json!({ "task_id": ID, "user_id": ID, "search_query": "q", "schedule_id": "s", "cron": "",
            field: "é".repeat(length) });
        kinds.map(|kind| message(kind, &data)).to_vec()
    }

    #[test]
    fn texts_of_schedules_are_bounded_when_they_are_received_and_not_in_a_replay() {
        let tasks = ["task.created", "task.updated"];
        let schedules = ["temporal.schedule.created", "temporal.schedule.updated"];
        let fields =
            [("schedule", tasks, 1, 256), ("cron", schedules, 0, 256), ("timezone", schedules, 0, 64)];
        for (field, kinds, least, most) in fields {
            let bodies = |lengths: Vec<usize>| {
                lengths.into_iter().flat_map(|length| with_field(field, kinds, length)).collect::<Vec<_>>()
            };
            for body in bodies(vec![least, most]) {
                assert!(parse(&body, Some(NOW)).is_ok(), "{body}");
            }
            let too_short = (0..least).collect();
            for body in bodies([too_short, vec![most + 1, 2_500]].concat()) {
                let text = reason(&body).to_string();
                let rule = format!("{field}: not a text of {least} to {most} characters");
                assert!(text.ends_with(&rule), "{text}");
                assert!(parse(&body, None).is_ok(), "{body}");
            }
        }
    }

    #[test]
    fn a_byte_order_mark_before_an_event_is_skipped() {
        let body = message("task.paused", &json!({ "task_id": ID }));
        for body in [body.clone(), format!("\u{feff}{body}")] {
            assert!(matches!(parse(&body, Some(NOW)), Ok(ReceivedMessage::Known(_))), "{body:?}");
        }
        assert_eq!(reason(&format!("\u{feff}\u{feff}{body}")).code(), "not_json");
        let filled = |bytes: usize| format!("\u{feff}{body}{}", " ".repeat(bytes - body.len()));
        assert!(parse(&filled(MAX_MESSAGE_BYTES), Some(NOW)).is_ok());
        assert_eq!(reason(&filled(MAX_MESSAGE_BYTES + 1)).code(), "too_large");
    }
}
