//! The envelope of a message, and the place of its event in the merge order.

use serde_json::Value;

use crate::Message;
use crate::facts::{self, Fact};
use crate::fields::{self, ModelFields};

/// "An event is at most 256 KiB."
const MOST_BYTES: usize = 256 * 1024;

const BYTE_ORDER_MARK: char = '\u{feff}';

/// The table of types, row by row and from left to right within a row: the position is the rank.
const TYPES: [&str; 28] = [
    "user.created",
    "user.updated",
    "user.logged_in",
    "user.deactivated",
    "user.reactivated",
    "identity.created",
    "identity.updated",
    "identity.deleted",
    "identity.logged_in",
    "api_key.created",
    "api_key.revoked",
    "task.created",
    "task.updated",
    "task.paused",
    "task.resumed",
    "task.completed",
    "task.deleted",
    "execution.started",
    "execution.failed",
    "execution.succeeded",
    "notification.sent",
    "temporal.workflow.started",
    "temporal.workflow.closed",
    "temporal.schedule.created",
    "temporal.schedule.updated",
    "temporal.schedule.paused",
    "temporal.schedule.unpaused",
    "temporal.schedule.deleted",
];

/// "(`time`, rank of the type, `id`, `source`, `data` written with sorted names and no blanks),
/// texts compared as UTF-8 bytes". The derived order compares field by field, from the first to
/// the last.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct MergeKey {
    pub(crate) time: i64,
    rank: usize,
    pub(crate) id: String,
    pub(crate) source: String,
    data: String,
    /// Not in the contract: only so that the order is total if all else is equal.
    version: u64,
}

pub(crate) struct ModelEvent {
    pub(crate) key: MergeKey,
    pub(crate) fact: Fact,
}

impl ModelEvent {
    /// Its type without the prefix; nothing for one that is not known.
    pub(crate) fn name(&self) -> &'static str {
        TYPES.get(self.key.rank).copied().unwrap_or_default()
    }
}

/// `None`: the message must be quarantined.
pub(crate) fn read(message: &Message) -> Option<ModelEvent> {
    // "A byte order mark before the JSON is skipped": one, and it is no part of the event's 256
    // KiB.
    let json = message.body.strip_prefix(BYTE_ORDER_MARK).unwrap_or(&message.body);
    if json.len() > MOST_BYTES {
        return None;
    }
    let body: Value = serde_json::from_str(json).ok()?;
    let received_at_ms = message.received_at_ms;
    let envelope = ModelFields { object: body.as_object()?, received_at_ms };
    envelope.need("specversion", |value| (value == "1.0").then_some(()))?;
    let id = envelope.need("id", |value| fields::text_of(value, 1, 128))?;
    let source = envelope.need("source", |value| fields::text_of(value, 1, 256))?;
    let full_type = envelope.need("type", |value| fields::text_of(value, 1, usize::MAX))?;
    let time = envelope.need_time("time")?;
    let version = version(envelope.maybe("dataschema", fields::text)?)?;
    let data = &body["data"];
    let data_fields = ModelFields { object: data.as_object()?, received_at_ms };

    // An unknown type, or a version not known for its type: kept in the log, no effect.
    let known = full_type.strip_prefix("ai.torale.").filter(|name| is_known(name, version));
    let fact = match known {
        Some(name) => facts::read(name, version, time, &data_fields)?,
        None => Fact::NoEffect,
    };
    let rank = known.and_then(rank).unwrap_or(TYPES.len());
    Some(ModelEvent { key: MergeKey { time, rank, id, source, data: canonical(data), version }, fact })
}

fn rank(name: &str) -> Option<usize> {
    TYPES.iter().position(|listed| *listed == name)
}

fn is_known(name: &str, version: u64) -> bool {
    (version == 1 && rank(name).is_some()) || (version == 0 && name == "execution.failed")
}

/// "`dataschema`, when present, ends in `:<version>`; without it the version is 1."
fn version(dataschema: Option<String>) -> Option<u64> {
    let Some(schema) = dataschema else { return Some(1) };
    let (_, end) = schema.rsplit_once(':')?;
    let digits = !end.is_empty() && end.bytes().all(|b| b.is_ascii_digit());
    // A number too big for u64 is a version that no type knows.
    digits.then(|| end.parse().unwrap_or(u64::MAX))
}

/// JSON with sorted names and no blanks, whatever order serde_json keeps its objects in.
fn canonical(value: &Value) -> String {
    let mut out = String::new();
    write_canonical(value, &mut out);
    out
}

fn write_canonical(value: &Value, out: &mut String) {
    match value {
        Value::Object(object) => {
            let mut members: Vec<(&String, &Value)> = object.iter().collect();
            members.sort_by_key(|(name, _)| *name);
            out.push('{');
            for (at, (name, member)) in members.into_iter().enumerate() {
                out.push_str(if at == 0 { "" } else { "," });
                out.push_str(&serde_json::to_string(name).unwrap());
                out.push(':');
                write_canonical(member, out);
            }
            out.push('}');
        }
        Value::Array(items) => {
            out.push('[');
            for (at, item) in items.iter().enumerate() {
                out.push_str(if at == 0 { "" } else { "," });
                write_canonical(item, out);
            }
            out.push(']');
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {
            out.push_str(&serde_json::to_string(value).unwrap());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions() {
        let version = |text: &str| version(Some(text.to_owned()));
        assert_eq!(version("urn:torale:execution.failed:0"), Some(0));
        assert_eq!(version("urn:x:01"), Some(1));
        assert_eq!(version("urn:x:"), None);
        assert_eq!(version("urn:x:v2"), None);
        assert_eq!(version(""), None);
        assert_eq!(version("urn:x:99999999999999999999999"), Some(u64::MAX));
        assert_eq!(super::version(None), Some(1));
    }

    #[test]
    fn canonical_data_has_sorted_names_and_no_blanks() {
        let value: Value =
            serde_json::from_str(r#"{ "b": [1, {"d": "x\"y", "c": null}], "a": 5.0, "B": true }"#).unwrap();
        assert_eq!(canonical(&value), r#"{"B":true,"a":5.0,"b":[1,{"c":null,"d":"x\"y"}]}"#);
    }
}
