//! The table "Events in": what each type says. `None` everywhere means: set the message aside.

use crate::fields::{
    Fields, boolean, closed_status, error_message, error_type, integer, key_hash, other_id, role,
    role_or_null, search_query, text, uuid,
};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TaskState {
    Active,
    Paused,
    Completed,
}

/// The status register of an execution: the winning event's values count entirely.
pub(crate) struct Execution {
    pub(crate) task_id: String,
    pub(crate) user_id: String,
    pub(crate) started_at: i64,
    pub(crate) outcome: Outcome,
}

pub(crate) enum Outcome {
    Running,
    Failed { completed_at: i64, duration_ms: i64, error: Failure },
    Success { completed_at: i64, duration_ms: i64, condition_met: bool },
}

pub(crate) struct Failure {
    pub(crate) error_type: String,
    pub(crate) error_message: String,
    pub(crate) retry_count: i64,
    pub(crate) will_retry: bool,
}

/// The register of a notification ("counted once, at `time`").
pub(crate) struct Notification {
    pub(crate) user_id: String,
    pub(crate) sent_at: i64,
}

/// The status register of a workflow run; `closed` is its status and `close_time`.
pub(crate) struct Run {
    pub(crate) workflow_type: String,
    pub(crate) start_time: i64,
    pub(crate) closed: Option<(String, i64)>,
}

pub(crate) enum Fact {
    UserCreated {
        user_id: String,
        clerk_user_id: String,
        email: String,
        created_at: i64,
    },
    UserUpdated {
        user_id: String,
        email: Option<String>,
    },
    UserLoggedIn {
        user_id: String,
        time: i64,
    },
    UserState {
        user_id: String,
        active: bool,
    },
    TaskCreated {
        task_id: String,
        user_id: String,
        search_query: String,
        state: TaskState,
    },
    TaskUpdated {
        task_id: String,
        search_query: Option<String>,
    },
    TaskState {
        task_id: String,
        state: TaskState,
    },
    TaskDeleted {
        task_id: String,
    },
    Execution {
        execution_id: String,
        execution: Execution,
    },
    Notification {
        notification_id: String,
        notification: Notification,
    },
    Run {
        workflow_id: String,
        run_id: String,
        run: Run,
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
    /// Keys (no answer shows them), unknown types and unknown versions.
    NoEffect,
}

pub(crate) fn read(name: &str, version: u64, time: i64, data: &Fields<'_>) -> Option<Fact> {
    match name.split('.').next()? {
        "user" => user(name, time, data),
        "api_key" => api_key(name, data),
        "task" => task(name, data),
        "execution" => execution(name, version, time, data),
        "notification" => notification(time, data),
        _ if name.starts_with("temporal.workflow.") => workflow(name, time, data),
        _ => schedule(name, time, data),
    }
}

fn user(name: &str, time: i64, data: &Fields<'_>) -> Option<Fact> {
    let user_id = data.need("user_id", uuid)?;
    Some(match name {
        "user.created" => {
            let clerk_user_id = data.need("clerk_user_id", other_id)?;
            let email = data.need("email", text)?;
            data.maybe("role", role)?;
            // "`created_at` (default: `time`)"
            let created_at = data.maybe_time("created_at")?.unwrap_or(time);
            Fact::UserCreated { user_id, clerk_user_id, email, created_at }
        }
        "user.updated" => {
            data.maybe("role", role_or_null)?;
            Fact::UserUpdated { user_id, email: data.maybe("email", text)? }
        }
        "user.logged_in" => Fact::UserLoggedIn { user_id, time },
        "user.deactivated" => {
            data.maybe("by", text)?;
            data.maybe("reason", text)?;
            Fact::UserState { user_id, active: false }
        }
        _ => {
            data.maybe("by", text)?;
            Fact::UserState { user_id, active: true }
        }
    })
}

fn api_key(name: &str, data: &Fields<'_>) -> Option<Fact> {
    data.need("key_id", other_id)?;
    data.need("user_id", uuid)?;
    if name == "api_key.created" {
        data.need("key_hash", key_hash)?;
        data.need("key_prefix", text)?;
        data.maybe("name", text)?;
    }
    Some(Fact::NoEffect)
}

fn task(name: &str, data: &Fields<'_>) -> Option<Fact> {
    let task_id = data.need("task_id", uuid)?;
    Some(match name {
        "task.created" => {
            let user_id = data.need("user_id", uuid)?;
            let query = data.need("search_query", search_query)?;
            data.maybe("schedule", text)?;
            data.maybe("name", text)?;
            // "state (default active)"; "a default is a value as if it had been sent"
            let state = data.maybe("state", task_state)?.unwrap_or(TaskState::Active);
            Fact::TaskCreated { task_id, user_id, search_query: query, state }
        }
        "task.updated" => {
            data.maybe("schedule", text)?;
            data.maybe("name", text)?;
            Fact::TaskUpdated { task_id, search_query: data.maybe("search_query", search_query)? }
        }
        "task.paused" => Fact::TaskState { task_id, state: TaskState::Paused },
        "task.resumed" => Fact::TaskState { task_id, state: TaskState::Active },
        "task.completed" => Fact::TaskState { task_id, state: TaskState::Completed },
        _ => Fact::TaskDeleted { task_id },
    })
}

fn task_state(value: &serde_json::Value) -> Option<TaskState> {
    match value.as_str()? {
        "active" => Some(TaskState::Active),
        "paused" => Some(TaskState::Paused),
        "completed" => Some(TaskState::Completed),
        _ => None,
    }
}

fn execution(name: &str, version: u64, time: i64, data: &Fields<'_>) -> Option<Fact> {
    let execution_id = data.need("execution_id", uuid)?;
    let task_id = data.need("task_id", uuid)?;
    let user_id = data.need("user_id", uuid)?;
    if name == "execution.started" {
        let started_at = data.maybe_time("started_at")?.unwrap_or(time);
        let execution = Execution { task_id, user_id, started_at, outcome: Outcome::Running };
        return Some(Fact::Execution { execution_id, execution });
    }
    let started_at = data.need_time("started_at")?;
    let completed_at = data.maybe_time("completed_at")?.unwrap_or(time);
    // "`duration_ms` defaults to `completed_at - started_at` (never below 0)"
    let duration_ms = data.maybe("duration_ms", integer)?.unwrap_or((completed_at - started_at).max(0));
    let outcome = if name == "execution.failed" {
        Outcome::Failed { completed_at, duration_ms, error: failure(version, data)? }
    } else {
        Outcome::Success { completed_at, duration_ms, condition_met: data.need("condition_met", boolean)? }
    };
    Some(Fact::Execution { execution_id, execution: Execution { task_id, user_id, started_at, outcome } })
}

fn failure(version: u64, data: &Fields<'_>) -> Option<Failure> {
    let (error_type, error_message) = if version == 0 {
        // The legacy shape: `error` stands for `error_message`, `error_type` may be missing.
        let kind = data.maybe("error_type", error_type)?.unwrap_or_else(|| "UnknownError".to_owned());
        (kind, data.need("error", error_message)?)
    } else {
        (data.need("error_type", error_type)?, data.need("error_message", error_message)?)
    };
    let retry_count = data.maybe("retry_count", integer)?.unwrap_or(0);
    let will_retry = data.maybe("will_retry", boolean)?.unwrap_or(false);
    Some(Failure { error_type, error_message, retry_count, will_retry })
}

fn notification(time: i64, data: &Fields<'_>) -> Option<Fact> {
    let notification_id = data.need("notification_id", other_id)?;
    let user_id = data.need("user_id", uuid)?;
    data.maybe("task_id", uuid)?;
    data.maybe("execution_id", uuid)?;
    data.need("channel", text)?;
    Some(Fact::Notification { notification_id, notification: Notification { user_id, sent_at: time } })
}

fn workflow(name: &str, time: i64, data: &Fields<'_>) -> Option<Fact> {
    let workflow_id = data.need("workflow_id", other_id)?;
    let run_id = data.need("run_id", other_id)?;
    let workflow_type = data.need("workflow_type", text)?;
    let run = if name == "temporal.workflow.started" {
        data.maybe("task_id", uuid)?;
        let start_time = data.maybe_time("start_time")?.unwrap_or(time);
        Run { workflow_type, start_time, closed: None }
    } else {
        let status = data.need("status", closed_status)?;
        let start_time = data.need_time("start_time")?;
        let close_time = data.maybe_time("close_time")?.unwrap_or(time);
        Run { workflow_type, start_time, closed: Some((status, close_time)) }
    };
    Some(Fact::Run { workflow_id, run_id, run })
}

fn schedule(name: &str, time: i64, data: &Fields<'_>) -> Option<Fact> {
    let schedule_id = data.need("schedule_id", other_id)?;
    Some(match name {
        "temporal.schedule.created" => Fact::ScheduleCreated {
            schedule_id,
            task_id: data.need("task_id", uuid)?,
            user_id: data.need("user_id", uuid)?,
            cron: data.need("cron", text)?,
            timezone: data.maybe("timezone", text)?.unwrap_or_else(|| "UTC".to_owned()),
            paused: data.maybe("paused", boolean)?.unwrap_or(false),
            created_at: time,
        },
        "temporal.schedule.updated" => Fact::ScheduleUpdated {
            schedule_id,
            cron: data.maybe("cron", text)?,
            timezone: data.maybe("timezone", text)?,
        },
        "temporal.schedule.paused" => Fact::SchedulePaused { schedule_id, paused: true },
        "temporal.schedule.unpaused" => Fact::SchedulePaused { schedule_id, paused: false },
        _ => Fact::ScheduleDeleted { schedule_id },
    })
}
