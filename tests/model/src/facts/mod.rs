//! The table "Events in": what each type says. `None` everywhere means: quarantine the message.

mod platform;
mod users;

use crate::fields::ModelFields;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ModelTaskState {
    Active,
    Paused,
    Completed,
}

/// The status register of an execution: the winning event's values count entirely.
pub(crate) struct ModelExecution {
    pub(crate) task_id: String,
    pub(crate) user_id: String,
    pub(crate) started_at: i64,
    pub(crate) outcome: ModelOutcome,
}

pub(crate) enum ModelOutcome {
    Running,
    Failed { completed_at: i64, duration_ms: i64, error: ModelFailure },
    Success { completed_at: i64, duration_ms: i64, condition_met: bool },
}

pub(crate) struct ModelFailure {
    pub(crate) error_type: String,
    pub(crate) error_message: String,
    pub(crate) retry_count: i64,
    pub(crate) will_retry: bool,
}

/// What a list of API keys shows of the greatest `api_key.created`.
pub(crate) struct ModelKeyListing {
    pub(crate) key_prefix: String,
    pub(crate) name: Option<String>,
    pub(crate) created_at: i64,
}

/// The register of a notification ("counted once, at `time`").
pub(crate) struct ModelNotification {
    pub(crate) user_id: String,
    pub(crate) sent_at: i64,
}

/// The status register of a workflow run; `closed` is its status and `close_time`.
pub(crate) struct ModelRun {
    pub(crate) workflow_type: String,
    pub(crate) start_time: i64,
    pub(crate) closed: Option<(String, i64)>,
}

/// What an event writes into the registers of a person, be it a user or an identity.
pub(crate) enum PersonChange {
    /// Each register is written if its field is present; a role of `Some(None)` removes the role.
    Profile {
        email: Option<String>,
        role: Option<Option<String>>,
    },
    LoggedIn {
        time: i64,
    },
    State {
        deactivated: bool,
        at: i64,
        by: Option<String>,
    },
}

/// An event of an identity: what it says of the identity itself, and what it writes for the
/// person.
pub(crate) struct IdentityFact {
    pub(crate) clerk_user_id: String,
    /// Only an `identity.created` has one.
    pub(crate) created_at: Option<i64>,
    /// `None`: the event doesn't say; `Some(None)` removes it.
    pub(crate) external_id: Option<Option<String>>,
    pub(crate) deleted: bool,
    pub(crate) change: PersonChange,
}

impl IdentityFact {
    /// Whether the event says anything: one that does not is as good as none ("Choices where the contract is silent").
    pub(crate) fn says_something(&self) -> bool {
        let is_empty = matches!(self.change, PersonChange::Profile { email: None, role: None });
        self.created_at.is_some() || self.external_id.is_some() || self.deleted || !is_empty
    }
}

pub(crate) enum Fact {
    UserCreated {
        user_id: String,
        clerk_user_id: String,
        created_at: i64,
        change: PersonChange,
    },
    UserChanged {
        user_id: String,
        change: PersonChange,
    },
    Identity(IdentityFact),
    KeyCreated {
        key_id: String,
        user_id: String,
        key_hash: String,
        listing: ModelKeyListing,
    },
    KeyRevoked {
        key_id: String,
    },
    TaskCreated {
        task_id: String,
        user_id: String,
        search_query: String,
        name: Option<String>,
        schedule: Option<String>,
        state: ModelTaskState,
        created_at: i64,
    },
    TaskUpdated {
        task_id: String,
        search_query: Option<String>,
        name: Option<String>,
        schedule: Option<String>,
    },
    TaskState {
        task_id: String,
        state: ModelTaskState,
    },
    TaskDeleted {
        task_id: String,
    },
    Execution {
        execution_id: String,
        execution: ModelExecution,
    },
    Notification {
        notification_id: String,
        notification: ModelNotification,
    },
    Run {
        workflow_id: String,
        run_id: String,
        run: ModelRun,
    },
    ScheduleCreated {
        schedule_id: String,
        task_id: String,
        user_id: String,
        cron: String,
        timezone: String,
        paused: bool,
        created_at: i64,
    },
    ScheduleUpdated {
        schedule_id: String,
        cron: Option<String>,
        timezone: Option<String>,
    },
    SchedulePaused {
        schedule_id: String,
        paused: bool,
    },
    ScheduleDeleted {
        schedule_id: String,
    },
    /// Unknown types and unknown versions.
    NoEffect,
}

pub(crate) fn read(name: &str, version: u64, time: i64, data: &ModelFields<'_>) -> Option<Fact> {
    match name.split('.').next()? {
        "user" => users::user(name, time, data),
        "identity" => users::identity(name, time, data),
        "api_key" => users::api_key(name, time, data),
        "task" => platform::task(name, time, data),
        "execution" => platform::execution(name, version, time, data),
        "notification" => platform::notification(time, data),
        _ if name.starts_with("temporal.workflow.") => platform::workflow(name, time, data),
        _ => platform::schedule(name, time, data),
    }
}
