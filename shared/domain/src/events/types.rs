//! The `data` of every event type, in its newest version. A field that is absent is `None`; `null` is
//! refused except where a field is a [`Removable`].

use crate::values::checked::checked_text;
use crate::values::ids::{
    ApiKeyHash, ApiKeyId, ClerkUserId, ExecutionId, MAX_ID_CHARS, NotificationId, RunId, ScheduleId, TaskId,
    UserId, WorkflowId,
};
use crate::values::text::MAX_QUERY_CHARS;
use crate::values::time::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, de};

/// Texts without a stated range are kept up to this many characters, so that no item outgrows the store.
pub const MAX_TEXT_CHARS: usize = 2000;
/// Longest schedule of a task and cron string of a Temporal schedule, in characters.
pub const MAX_SCHEDULE_CHARS: usize = 256;
/// Longest name of a time zone, in characters.
pub const MAX_ZONE_CHARS: usize = 64;
/// Largest count or duration: the integers that JSON carries exactly everywhere.
pub const MAX_COUNT: u64 = (1 << 53) - 1;

macro_rules! data {
    ($($(#[$doc:meta])* $name:ident { $($(#[$attr:meta])* $field:ident: $kind:ty,)* })*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
        pub struct $name {
            $($(#[$attr])* #[allow(missing_docs, reason = "the event contract describes each field by this name")] pub $field: $kind,)*
        }
    )*};
}

data! {
    /// `user.created`
    UserCreated {
        user_id: UserId,
        clerk_user_id: ClerkUserId,
        email: Text,
        #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
        role: Option<Text>,
        #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
        created_at: Option<Timestamp>,
    }
    /// `user.updated`
    UserUpdated {
        user_id: UserId,
        #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
        email: Option<Text>,
        #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
        role: Option<Removable<Text>>,
    }
    /// `user.logged_in`
    UserLoggedIn { user_id: UserId, }
    /// `user.deactivated`
    UserDeactivated {
        user_id: UserId,
        #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
        by: Option<Text>,
        #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
        reason: Option<Text>,
    }
    /// `user.reactivated`
    UserReactivated {
        user_id: UserId,
        #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
        by: Option<Text>,
    }
    /// `identity.created`
    IdentityCreated {
        clerk_user_id: ClerkUserId,
        #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
        email: Option<Text>,
        #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
        role: Option<Text>,
        #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
        external_id: Option<ExternalId>,
        #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
        created_at: Option<Timestamp>,
    }
    /// `identity.updated`
    IdentityUpdated {
        clerk_user_id: ClerkUserId,
        #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
        email: Option<Text>,
        #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
        role: Option<Removable<Text>>,
        #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
        external_id: Option<Removable<ExternalId>>,
    }
    /// `identity.deleted`
    IdentityDeleted { clerk_user_id: ClerkUserId, }
    /// `identity.logged_in`
    IdentityLoggedIn { clerk_user_id: ClerkUserId, }
    /// `api_key.created`
    ApiKeyCreated {
        key_id: ApiKeyId,
        user_id: UserId,
        key_hash: ApiKeyHash,
        key_prefix: Text,
        #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
        name: Option<Text>,
    }
    /// `api_key.revoked`
    ApiKeyRevoked { key_id: ApiKeyId, user_id: UserId, }
    /// `task.created`
    TaskCreated {
        task_id: TaskId,
        user_id: UserId,
        search_query: SearchQuery,
        #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
        schedule: Option<Text>,
        #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
        name: Option<Text>,
        #[serde(default)]
        state: TaskState,
    }
    /// `task.updated`
    TaskUpdated {
        task_id: TaskId,
        #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
        search_query: Option<SearchQuery>,
        #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
        schedule: Option<Text>,
        #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
        name: Option<Text>,
    }
    /// `task.paused`
    TaskPaused { task_id: TaskId, }
    /// `task.resumed`
    TaskResumed { task_id: TaskId, }
    /// `task.completed`
    TaskCompleted { task_id: TaskId, }
    /// `task.deleted`
    TaskDeleted { task_id: TaskId, }
    /// `execution.started`
    ExecutionStarted {
        execution_id: ExecutionId,
        task_id: TaskId,
        user_id: UserId,
        #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
        started_at: Option<Timestamp>,
    }
    /// `execution.failed`
    ExecutionFailed {
        execution_id: ExecutionId,
        task_id: TaskId,
        user_id: UserId,
        started_at: Timestamp,
        #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
        completed_at: Option<Timestamp>,
        #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
        duration_ms: Option<Count>,
        error_type: ErrorType,
        error_message: Text,
        #[serde(default)]
        retry_count: Count,
        #[serde(default)]
        will_retry: bool,
    }
    /// `execution.succeeded`
    ExecutionSucceeded {
        execution_id: ExecutionId,
        task_id: TaskId,
        user_id: UserId,
        started_at: Timestamp,
        #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
        completed_at: Option<Timestamp>,
        #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
        duration_ms: Option<Count>,
        condition_met: bool,
    }
    /// `notification.sent`
    NotificationSent {
        notification_id: NotificationId,
        user_id: UserId,
        #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
        task_id: Option<TaskId>,
        #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
        execution_id: Option<ExecutionId>,
        channel: Text,
    }
    /// `temporal.workflow.started`
    WorkflowStarted {
        workflow_id: WorkflowId,
        run_id: RunId,
        workflow_type: Text,
        #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
        start_time: Option<Timestamp>,
        #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
        task_id: Option<TaskId>,
    }
    /// `temporal.workflow.closed`
    WorkflowClosed {
        workflow_id: WorkflowId,
        run_id: RunId,
        workflow_type: Text,
        status: ClosedStatus,
        start_time: Timestamp,
        #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
        close_time: Option<Timestamp>,
    }
    /// `temporal.schedule.created`
    ScheduleCreated {
        schedule_id: ScheduleId,
        task_id: TaskId,
        user_id: UserId,
        cron: Text,
        #[serde(default = "empty")]
        timezone: Text,
        #[serde(default)]
        paused: bool,
    }
    /// `temporal.schedule.updated`
    ScheduleUpdated {
        schedule_id: ScheduleId,
        #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
        cron: Option<Text>,
        #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
        timezone: Option<Text>,
    }
    /// `temporal.schedule.paused`
    SchedulePaused { schedule_id: ScheduleId, }
    /// `temporal.schedule.unpaused`
    ScheduleUnpaused { schedule_id: ScheduleId, }
    /// `temporal.schedule.deleted`
    ScheduleDeleted { schedule_id: ScheduleId, }
}

/// An optional field that is there must hold a value: `null` is not one.
fn present<'de, T: Deserialize<'de>, D: Deserializer<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}

/// A schedule without a zone: to Temporal it is UTC, but leaves the zone to the cron string.
fn empty() -> Text {
    Text(String::new())
}

/// A field whose value may be taken away by `null`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Removable<T> {
    /// The new value.
    Set(T),
    /// `null`: there is none any more.
    Removed(()),
}

impl<T> Removable<T> {
    /// The value; `None` if it was removed.
    pub const fn set(&self) -> Option<&T> {
        match self {
            Self::Set(value) => Some(value),
            Self::Removed(()) => None,
        }
    }
}

/// The state of a task that is not deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(inline)]
pub enum TaskState {
    /// It runs on its schedule.
    #[default]
    Active,
    /// It does not run for now.
    Paused,
    /// It has found what it looked for.
    Completed,
}

/// An integer from 0 to [`MAX_COUNT`]; `5.0` is the integer 5, as in JSON Schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(transparent)]
pub struct Count(pub u64);

impl<'de> Deserialize<'de> for Count {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let number = serde_json::Number::deserialize(deserializer)?;
        let integer = number.as_u64().or_else(|| number.as_f64().and_then(integral));
        integer
            .filter(|n| *n <= MAX_COUNT)
            .map(Self)
            .ok_or_else(|| de::Error::custom("not an integer of 0 to 2^53-1"))
    }
}

fn integral(number: f64) -> Option<u64> {
    // Up to MAX_COUNT a float's decimal text has no exponent and, without a fraction, reads back exactly.
    (number.fract() == 0.0 && (0.0..=9_007_199_254_740_991.0).contains(&number))
        .then(|| format!("{:.0}", number.abs()).parse().ok())
        .flatten()
}

checked_text! {
    /// Any text, kept up to [`MAX_TEXT_CHARS`] characters.
    Text: |text| Some(first_chars(text, MAX_TEXT_CHARS)), "not a text";
    /// What a task searches for: 1 to 500 characters.
    SearchQuery: |text| (1..=MAX_QUERY_CHARS).contains(&text.chars().count()).then_some(text),
        "not a query of 1 to 500 characters";
    /// What an identity says of its user: the id of a user of the platform, or any other text of 1 to 256 characters.
    ExternalId: |text| (1..=MAX_ID_CHARS).contains(&text.chars().count()).then_some(text),
        "not a text of 1 to 256 characters";
    /// The kind of an error: 1 to 64 of letters, digits, `_`, `.`, `-`.
    ErrorType: |text| {
        let legal = text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-'));
        (legal && (1..=64).contains(&text.len())).then_some(text)
    }, "not 1 to 64 of letters, digits, `_`, `.`, `-`";
    /// How a workflow run ended: 1 to 64 upper-case letters and `_`, but not `RUNNING`.
    ClosedStatus: |text| {
        let legal = text.bytes().all(|b| b.is_ascii_uppercase() || b == b'_');
        (legal && (1..=64).contains(&text.len()) && text != "RUNNING").then_some(text)
    }, "not a status of a closed run";
}

fn first_chars(mut text: String, max: usize) -> String {
    if let Some((end, _)) = text.char_indices().nth(max) {
        text.truncate(end);
    }
    text
}
