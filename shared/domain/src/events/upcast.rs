//! Old versions of events, brought to the newest one when they are read; the log is never rewritten.

use super::EventType;
use serde_json::Value;

impl EventType {
    /// The version that this release's structs describe.
    pub const fn newest_version(self) -> u32 {
        1
    }
}

/// `data` of an older version in the shape of the newest; `None` for a version this release does not know.
pub fn upcast(kind: EventType, version: u32, data: Value) -> Option<Value> {
    match (kind, version) {
        (EventType::ExecutionFailed, 0) => Some(execution_failed_v0(data)),
        (kind, version) => (version == kind.newest_version()).then_some(data),
    }
}

/// Before version 1 a failure had one text, `error`, and not always a type.
fn execution_failed_v0(mut data: Value) -> Value {
    if let Value::Object(fields) = &mut data {
        fields.remove("error_message");
        if let Some(error) = fields.remove("error") {
            fields.insert("error_message".to_owned(), error);
        }
        fields.entry("error_type").or_insert_with(|| "UnknownError".into());
    }
    data
}
