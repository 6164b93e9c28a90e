//! Reading one field of a JSON object. Everywhere `None` means: quarantine the message.

use serde_json::{Map, Value};

use crate::time;

pub(crate) struct ModelFields<'a> {
    pub(crate) object: &'a Map<String, Value>,
    pub(crate) received_at_ms: i64,
}

impl ModelFields<'_> {
    /// A needed field: missing, of the wrong kind or out of range quarantines the message.
    pub(crate) fn need<T>(&self, name: &str, read: impl Fn(&Value) -> Option<T>) -> Option<T> {
        read(self.object.get(name)?)
    }

    /// An optional field: it may be missing, but if present it must be right (`null` is not).
    pub(crate) fn maybe<T>(&self, name: &str, read: impl Fn(&Value) -> Option<T>) -> Option<Option<T>> {
        match self.object.get(name) {
            None => Some(None),
            Some(value) => Some(Some(read(value)?)),
        }
    }

    pub(crate) fn need_time(&self, name: &str) -> Option<i64> {
        self.need(name, |value| self.time(value))
    }

    pub(crate) fn maybe_time(&self, name: &str) -> Option<Option<i64>> {
        self.maybe(name, |value| self.time(value))
    }

    /// "any listed time before 2015-01-01 or more than 24 hours ahead of now", judged at receipt,
    /// after the cut.
    fn time(&self, value: &Value) -> Option<i64> {
        let ms = time::parse(value.as_str()?)?;
        (time::EARLIEST <= ms && ms <= self.received_at_ms + time::DAY).then_some(ms)
    }
}

pub(crate) fn text(value: &Value) -> Option<String> {
    Some(value.as_str()?.to_owned())
}

/// A text of `least..=most` Unicode code points.
pub(crate) fn text_of(value: &Value, least: usize, most: usize) -> Option<String> {
    let count = value.as_str()?.chars().count();
    if (least..=most).contains(&count) { text(value) } else { None }
}

/// "UUIDs with hyphens, in any case"; kept in lower case.
pub(crate) fn uuid(value: &Value) -> Option<String> {
    uuid_text(value.as_str()?)
}

pub(crate) fn uuid_text(text: &str) -> Option<String> {
    let right = text.len() == 36
        && text.bytes().enumerate().all(|(at, byte)| match at {
            8 | 13 | 18 | 23 => byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        });
    right.then(|| text.to_ascii_lowercase())
}

/// "other ids are strings of 1..256 characters, compared exactly (`.` and `..` are refused)".
pub(crate) fn other_id(value: &Value) -> Option<String> {
    text_of(value, 1, 256).filter(|id| id != "." && id != "..")
}

pub(crate) fn boolean(value: &Value) -> Option<bool> {
    value.as_bool()
}

/// A JSON number with an integral value 0..=2^53-1; `5.0` counts as 5.
pub(crate) fn integer(value: &Value) -> Option<i64> {
    const MOST: i64 = (1 << 53) - 1;
    if let Some(whole) = value.as_i64() {
        return (0..=MOST).contains(&whole).then_some(whole);
    }
    let float = value.as_f64()?;
    (float.fract() == 0.0 && (0.0..=MOST as f64).contains(&float)).then_some(float as i64)
}

pub(crate) fn search_query(value: &Value) -> Option<String> {
    text_of(value, 1, 500)
}

pub(crate) fn role(value: &Value) -> Option<String> {
    text(value)
}

/// "a string of 1..256 characters, compared with user ids in any letter case"
pub(crate) fn external_id(value: &Value) -> Option<String> {
    text_of(value, 1, 256)
}

/// "`null` removes it".
pub(crate) fn external_id_or_null(value: &Value) -> Option<Option<String>> {
    if value.is_null() { Some(None) } else { Some(Some(external_id(value)?)) }
}

/// "any text, 1..256": the schedule of a task.
pub(crate) fn task_schedule(value: &Value) -> Option<String> {
    text_of(value, 1, 256)
}

/// "cron (0..256)"
pub(crate) fn cron(value: &Value) -> Option<String> {
    text_of(value, 0, 256)
}

/// "timezone? (0..64, IANA ...)": a name that is no zone is accepted, and the schedule never
/// fires.
pub(crate) fn timezone(value: &Value) -> Option<String> {
    text_of(value, 0, 64)
}

/// "`null` removes it".
pub(crate) fn role_or_null(value: &Value) -> Option<Option<String>> {
    if value.is_null() { Some(None) } else { Some(Some(role(value)?)) }
}

/// "SHA-256 of the whole key, lower-case hex".
pub(crate) fn key_hash(value: &Value) -> Option<String> {
    text_of(value, 64, 64).filter(|hash| hash.chars().all(|c| matches!(c, '0'..='9' | 'a'..='f')))
}

pub(crate) fn error_type(value: &Value) -> Option<String> {
    text(value).filter(|name| is_error_type(name))
}

/// "1..64 of letters, digits, `_`, `.`, `-`".
pub(crate) fn is_error_type(name: &str) -> bool {
    (1..=64).contains(&name.len()) && name.chars().all(|c| c.is_ascii_alphanumeric() || "_.-".contains(c))
}

/// "kept up to 2,000 characters".
pub(crate) fn error_message(value: &Value) -> Option<String> {
    Some(value.as_str()?.chars().take(2000).collect())
}

/// "1..64 upper-case letters and `_`, not `RUNNING`".
pub(crate) fn closed_status(value: &Value) -> Option<String> {
    text_of(value, 1, 64)
        .filter(|status| status != "RUNNING" && status.chars().all(|c| c.is_ascii_uppercase() || c == '_'))
}
