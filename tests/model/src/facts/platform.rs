//! The rows of tasks, executions, notifications and what runs at Temporal.

use super::{Fact, ModelExecution, ModelFailure, ModelNotification, ModelOutcome, ModelRun, ModelTaskState};
use crate::fields::{
    ModelFields, boolean, closed_status, cron, error_message, error_type, integer, other_id, search_query,
    task_schedule, text, timezone, uuid,
};

pub(super) fn task(name: &str, time: i64, data: &ModelFields<'_>) -> Option<Fact> {
    let task_id = data.need("task_id", uuid)?;
    Some(match name {
        "task.created" => {
            let user_id = data.need("user_id", uuid)?;
            let query = data.need("search_query", search_query)?;
            let schedule = data.maybe("schedule", task_schedule)?;
            let name = data.maybe("name", text)?;
            // "state (default active)"; "a default is a value as if it had been sent"
            let state = data.maybe("state", task_state)?.unwrap_or(ModelTaskState::Active);
            let created_at = time;
            Fact::TaskCreated { task_id, user_id, search_query: query, name, schedule, state, created_at }
        }
        "task.updated" => Fact::TaskUpdated {
            task_id,
            search_query: data.maybe("search_query", search_query)?,
            name: data.maybe("name", text)?,
            schedule: data.maybe("schedule", task_schedule)?,
        },
        "task.paused" => Fact::TaskState { task_id, state: ModelTaskState::Paused },
        "task.resumed" => Fact::TaskState { task_id, state: ModelTaskState::Active },
        "task.completed" => Fact::TaskState { task_id, state: ModelTaskState::Completed },
        _ => Fact::TaskDeleted { task_id },
    })
}

fn task_state(value: &serde_json::Value) -> Option<ModelTaskState> {
    match value.as_str()? {
        "active" => Some(ModelTaskState::Active),
        "paused" => Some(ModelTaskState::Paused),
        "completed" => Some(ModelTaskState::Completed),
        _ => None,
    }
}

pub(super) fn execution(name: &str, version: u64, time: i64, data: &ModelFields<'_>) -> Option<Fact> {
    let execution_id = data.need("execution_id", uuid)?;
    let task_id = data.need("task_id", uuid)?;
    let user_id = data.need("user_id", uuid)?;
    if name == "execution.started" {
        let started_at = data.maybe_time("started_at")?.unwrap_or(time);
        let execution = ModelExecution { task_id, user_id, started_at, outcome: ModelOutcome::Running };
        return Some(Fact::Execution { execution_id, execution });
    }
    let started_at = data.need_time("started_at")?;
    let completed_at = data.maybe_time("completed_at")?.unwrap_or(time);
    // "`duration_ms` defaults to `completed_at - started_at` (never below 0)"
    let duration_ms = data.maybe("duration_ms", integer)?.unwrap_or((completed_at - started_at).max(0));
    let outcome = if name == "execution.failed" {
        ModelOutcome::Failed { completed_at, duration_ms, error: failure(version, data)? }
    } else {
        ModelOutcome::Success {
            completed_at,
            duration_ms,
            condition_met: data.need("condition_met", boolean)?,
        }
    };
    Some(Fact::Execution {
        execution_id,
        execution: ModelExecution { task_id, user_id, started_at, outcome },
    })
}

fn failure(version: u64, data: &ModelFields<'_>) -> Option<ModelFailure> {
    let (error_type, error_message) = if version == 0 {
        // The legacy shape: `error` stands for `error_message`, `error_type` may be missing.
        let kind = data.maybe("error_type", error_type)?.unwrap_or_else(|| "UnknownError".to_owned());
        (kind, data.need("error", error_message)?)
    } else {
        (data.need("error_type", error_type)?, data.need("error_message", error_message)?)
    };
    let retry_count = data.maybe("retry_count", integer)?.unwrap_or(0);
    let will_retry = data.maybe("will_retry", boolean)?.unwrap_or(false);
    Some(ModelFailure { error_type, error_message, retry_count, will_retry })
}

pub(super) fn notification(time: i64, data: &ModelFields<'_>) -> Option<Fact> {
    let notification_id = data.need("notification_id", other_id)?;
    let user_id = data.need("user_id", uuid)?;
    data.maybe("task_id", uuid)?;
    data.maybe("execution_id", uuid)?;
    data.need("channel", text)?;
    Some(Fact::Notification { notification_id, notification: ModelNotification { user_id, sent_at: time } })
}

pub(super) fn workflow(name: &str, time: i64, data: &ModelFields<'_>) -> Option<Fact> {
    let workflow_id = data.need("workflow_id", other_id)?;
    let run_id = data.need("run_id", other_id)?;
    let workflow_type = data.need("workflow_type", text)?;
    let run = if name == "temporal.workflow.started" {
        data.maybe("task_id", uuid)?;
        let start_time = data.maybe_time("start_time")?.unwrap_or(time);
        ModelRun { workflow_type, start_time, closed: None }
    } else {
        let status = data.need("status", closed_status)?;
        let start_time = data.need_time("start_time")?;
        let close_time = data.maybe_time("close_time")?.unwrap_or(time);
        ModelRun { workflow_type, start_time, closed: Some((status, close_time)) }
    };
    Some(Fact::Run { workflow_id, run_id, run })
}

pub(super) fn schedule(name: &str, time: i64, data: &ModelFields<'_>) -> Option<Fact> {
    let schedule_id = data.need("schedule_id", other_id)?;
    Some(match name {
        "temporal.schedule.created" => Fact::ScheduleCreated {
            schedule_id,
            task_id: data.need("task_id", uuid)?,
            user_id: data.need("user_id", uuid)?,
            cron: data.need("cron", cron)?,
            // "default empty, which is UTC"
            timezone: data.maybe("timezone", timezone)?.unwrap_or_default(),
            paused: data.maybe("paused", boolean)?.unwrap_or(false),
            created_at: time,
        },
        "temporal.schedule.updated" => Fact::ScheduleUpdated {
            schedule_id,
            cron: data.maybe("cron", cron)?,
            timezone: data.maybe("timezone", timezone)?,
        },
        "temporal.schedule.paused" => Fact::SchedulePaused { schedule_id, paused: true },
        "temporal.schedule.unpaused" => Fact::SchedulePaused { schedule_id, paused: false },
        _ => Fact::ScheduleDeleted { schedule_id },
    })
}
