//! Identifiers as types, so that a task id is never taken for a user id.

use crate::values::checked::checked_text;
use crate::values::digest;
use crate::values::schema::described;
use crate::values::time::Hour;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::fmt;
use uuid::Uuid;

/// Longest identifier that is not a UUID, in characters (docs/contract/events.md, "Values").
pub const MAX_ID_CHARS: usize = 256;
/// A UUID with hyphens, as a regular expression.
pub const UUID_PATTERN: &str =
    "^[0-9A-Fa-f]{8}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{12}$";
/// The same as it is written: in lower case.
const WRITTEN_UUID_PATTERN: &str = "^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$";

macro_rules! uuid_id {
    ($($(#[$doc:meta])* $name:ident),* $(,)?) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
        #[serde(transparent)]
        pub struct $name(pub Uuid);

        impl $name {
            /// Reads the hyphenated form, in any case; `None` for every other form of a UUID.
            pub fn parse(text: &str) -> Option<Self> {
                (text.len() == 36).then(|| Uuid::try_parse(text).ok().map(Self)).flatten()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.as_hyphenated().fmt(f)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = String::deserialize(deserializer)?;
                Self::parse(&text).ok_or_else(|| de::Error::custom("not a UUID with hyphens"))
            }
        }

        described!($name, { "type": "string", "format": "uuid", "pattern": WRITTEN_UUID_PATTERN });
    )*};
}

uuid_id! {
    /// A platform user.
    UserId,
    /// A recurring search.
    TaskId,
    /// One run of a task.
    ExecutionId,
}

/// 1 to [`MAX_ID_CHARS`] characters other than `.` and `..`.
fn id(text: String) -> Option<String> {
    let chars = text.chars().take(MAX_ID_CHARS + 1).count();
    ((1..=MAX_ID_CHARS).contains(&chars) && text != "." && text != "..").then_some(text)
}

fn hex64(text: String) -> Option<String> {
    let is_hex = text.len() == 64 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    is_hex.then_some(text)
}

macro_rules! text_id {
    ($($(#[$doc:meta])* $name:ident),* $(,)?) => {
        checked_text! {$(
            $(#[$doc])*
            $name: id, "not an id of 1 to 256 characters",
                { "type": "string", "minLength": 1, "maxLength": MAX_ID_CHARS };
        )*}
    };
}

text_id! {
    /// An API key (its id, never its text).
    ApiKeyId,
    /// An identity at the identity provider.
    ClerkUserId,
    /// A notification that was sent.
    NotificationId,
    /// A Temporal workflow.
    WorkflowId,
    /// One run of a Temporal workflow.
    RunId,
    /// A Temporal schedule.
    ScheduleId,
}

checked_text! {
    /// SHA-256 of a whole API key, in lower-case hexadecimal: 64 characters.
    ApiKeyHash: hex64, "not 64 lower-case hexadecimal digits";
    /// SHA-256 of a record or a seal of the audit trail, in lower-case hexadecimal: 64 characters.
    Digest: hex64, "not 64 lower-case hexadecimal digits";
}

impl Digest {
    /// The digest that the first record or seal names as its previous: 64 zeros.
    pub fn none() -> Self {
        Self("0".repeat(64))
    }

    /// SHA-256 of some bytes.
    pub fn of(bytes: &[u8]) -> Self {
        Self(digest::sha256_hex(&[bytes]))
    }

    /// A digest that was computed elsewhere.
    pub fn from_bytes(bytes: &[u8; 32]) -> Self {
        Self(hex::encode(bytes))
    }
}

/// The entity that an event is about.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum EntityKey {
    /// A user.
    User(UserId),
    /// An identity at the identity provider.
    Identity(ClerkUserId),
    /// An API key.
    ApiKey(ApiKeyId),
    /// A task.
    Task(TaskId),
    /// An execution of a task.
    Execution(ExecutionId),
    /// A notification.
    Notification(NotificationId),
    /// A workflow run.
    Run(WorkflowId, RunId),
    /// A schedule.
    Schedule(ScheduleId),
}

/// A chain's name: the hour in which it began, then what makes it unique.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ChainId {
    hour: Hour,
    unique: String,
}

impl ChainId {
    /// `unique` must differ from that of every other chain: 1 to 64 letters and digits.
    pub fn new(hour: Hour, unique: &str) -> Self {
        Self { hour, unique: unique.to_owned() }
    }

    /// Reads the printed form.
    pub fn parse(text: &str) -> Option<Self> {
        let (hour, unique) = text.split_once('-')?;
        let plain = (1..=64).contains(&unique.len()) && unique.bytes().all(|b| b.is_ascii_alphanumeric());
        let id = Self::new(Hour::parse(hour)?, unique);
        (plain && id.to_string() == text).then_some(id)
    }

    /// The hour in which it began; all its records lie in that hour.
    pub const fn hour(&self) -> Hour {
        self.hour
    }
}

impl fmt::Display for ChainId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.hour.digits(), self.unique)
    }
}

impl Serialize for ChainId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ChainId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| de::Error::custom("not the name of a chain"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_hyphenated_form_of_a_uuid_is_read_and_it_is_printed_in_lower_case() {
        let upper = "550E8400-E29B-41D4-A716-446655440000";
        assert_eq!(TaskId::parse(upper).unwrap().to_string(), upper.to_lowercase());
        assert_eq!(TaskId::parse("550e8400e29b41d4a716446655440000"), None);
        assert_eq!(TaskId::parse("{550e8400-e29b-41d4-a716-446655440000}"), None);
    }

    #[test]
    fn text_ids_count_characters_and_refuse_dots() {
        assert!(ApiKeyId::parse(&"é".repeat(256)).is_some());
        for refused in ["", ".", "..", &"x".repeat(257)] {
            assert_eq!(ApiKeyId::parse(refused), None, "{refused}");
        }
    }
}
