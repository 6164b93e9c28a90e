//! The lists of executions, errors, tasks and users.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::answer::is_live;
use crate::facts::{ModelExecution, ModelFailure, ModelOutcome, ModelTaskState};
use crate::fields::uuid_text;
use crate::fold::{ModelTask, World};
use crate::params::Params;
use crate::people::{Listing, ModelUser};
use crate::search::{ModelUserRow, search};
use crate::time::{DAY, HOUR, show, window, window_per_user};

/// When it failed, its id, the execution and why it failed.
type ErrorRow<'a> = (i64, &'a String, &'a ModelExecution, &'a ModelFailure);

impl World {
    /// Today's value; `null` while no event has told it. A stub's email shows.
    pub(crate) fn email_of(&self, user_id: &str) -> Option<&str> {
        self.users.get(user_id)?.email.as_deref()
    }

    /// Today's value; `null` while no event has told it. A stub's and a deleted task's query
    /// shows.
    fn query_of(&self, task_id: &str) -> Option<&str> {
        self.tasks.get(task_id)?.search_query.as_deref()
    }

    pub(crate) fn executions(&self, params: &Params, now_ms: i64) -> Value {
        let since = window(now_ms, params.hours() * HOUR);
        let wanted = params.text("status");
        let of_task = params.text("task_id").and_then(uuid_text);
        let mut rows: Vec<(&String, &ModelExecution)> = self
            .executions
            .iter()
            .filter(|(_, e)| e.started_at >= since)
            .filter(|(_, e)| wanted.is_none_or(|status| status == status_of(e)))
            .filter(|(_, e)| of_task.as_ref().is_none_or(|task| *task == e.task_id))
            .collect();
        // "`started_at` descending, then id descending"
        rows.sort_by_key(|(id, e)| Reverse((e.started_at, *id)));
        let total = rows.len();
        let page: Vec<Value> = params.page_of(rows).iter().map(|(id, e)| self.execution_row(id, e)).collect();
        json!({"executions": page, "total": total, "page": params.page(), "limit": params.limit()})
    }

    pub(crate) fn execution_row(&self, id: &str, execution: &ModelExecution) -> Value {
        // "`condition_met`, `duration_ms` and `completed_at` are `null` while running;
        // `condition_met` is `null` for a failed one"
        let (condition_met, duration_ms, completed_at) = match &execution.outcome {
            ModelOutcome::Running => (None, None, None),
            ModelOutcome::Failed { completed_at, duration_ms, .. } => {
                (None, Some(*duration_ms), Some(*completed_at))
            }
            ModelOutcome::Success { completed_at, duration_ms, condition_met } => {
                (Some(*condition_met), Some(*duration_ms), Some(*completed_at))
            }
        };
        json!({
            "id": id,
            "task_id": execution.task_id,
            "user_email": self.email_of(&execution.user_id),
            "search_query": self.query_of(&execution.task_id),
            "status": status_of(execution),
            "condition_met": condition_met,
            "duration_ms": duration_ms,
            "started_at": show(execution.started_at),
            "completed_at": completed_at.map(show),
        })
    }

    pub(crate) fn errors(&self, params: &Params, now_ms: i64) -> Value {
        // "Executions whose status is `failed` now, by the time they failed (`completed_at`;
        // newest first)"
        let since = window(now_ms, params.hours() * HOUR);
        let mut rows: Vec<ErrorRow<'_>> = Vec::new();
        for (id, execution) in &self.executions {
            if let ModelOutcome::Failed { completed_at, error, .. } = &execution.outcome
                && *completed_at >= since
            {
                rows.push((*completed_at, id, execution, error));
            }
        }
        rows.sort_by_key(|(occurred_at, id, _, _)| Reverse((*occurred_at, *id)));

        // With a filter: "`total` counts the filtered rows, `error_types` the whole window as without
        // filters"
        let error_types = error_types(rows.iter().map(|(.., error)| *error));
        let of_type = params.text("error_type");
        let of_task = params.text("task_id").and_then(uuid_text);
        rows.retain(|(.., error)| of_type.is_none_or(|name| name == error.error_type));
        rows.retain(|(_, _, execution, _)| of_task.as_ref().is_none_or(|task| *task == execution.task_id));
        let total = rows.len();
        let page: Vec<Value> = params.page_of(rows).into_iter().map(|row| self.error_row(row)).collect();
        json!({"errors": page, "total": total, "error_types": error_types})
    }

    fn error_row(&self, (occurred_at, id, execution, error): ErrorRow<'_>) -> Value {
        json!({
            "execution_id": id,
            "task_id": execution.task_id,
            "user_email": self.email_of(&execution.user_id),
            "search_query": self.query_of(&execution.task_id),
            "error_message": error.error_message,
            "error_type": error.error_type,
            "retry_count": error.retry_count,
            "will_retry": error.will_retry,
            "occurred_at": show(occurred_at),
        })
    }

    pub(crate) fn tasks(&self, params: &Params, now_ms: i64) -> Value {
        let state = params.text("state");
        let of_user = params.text("user_id").and_then(uuid_text);
        let query = params.text("search_query");
        // "Tasks not deleted, whoever's"
        let mut rows: Vec<(&String, &ModelTask)> = self
            .tasks
            .iter()
            .filter(|(_, task)| is_live(task))
            .filter(|(_, task)| state.is_none_or(|state| state == state_of(task)))
            .filter(|(_, task)| of_user.is_none() || task.created == of_user)
            .filter(|(_, task)| query.is_none() || task.search_query.as_deref() == query)
            .collect();
        // "newest `created_at` first", ties by id, descending
        rows.sort_by_key(|(id, task)| Reverse((task.created_at, *id)));
        let total = rows.len();
        let page: Vec<Value> =
            params.page_of(rows).iter().map(|(id, task)| self.task_row(id, task, now_ms)).collect();
        json!({"tasks": page, "total": total, "page": params.page(), "limit": params.limit()})
    }

    pub(crate) fn users(&self, params: &Params, now_ms: i64) -> Value {
        let active_only = params.flag("active_only");
        // Users with a `user.created`, and stand-ins.
        let mut rows: Vec<ModelUserRow<'_>> = self
            .users
            .iter()
            .filter_map(|(id, user)| Some((id, user, user.listing.as_ref()?)))
            .filter(|(_, user, _)| !active_only || !user.deactivated)
            .collect();
        // "`created_at` descending, then id descending"
        rows.sort_by_key(|(id, _, listing)| Reverse((listing.created_at, *id)));
        // "`active_only` filters before counting"; "without `q` there is no `total_capped`"
        let more = params.text("q").map(|q| search(&mut rows, q));
        let total = rows.len();
        let page: Vec<Value> = params
            .page_of(rows)
            .iter()
            .map(|(id, user, listing)| self.user_row(id, user, listing, now_ms))
            .collect();
        let mut body = json!({"users": page, "total": total, "page": params.page(), "limit": params.limit()});
        if let Some(more) = more {
            body["total_capped"] = json!(more);
        }
        body
    }

    pub(crate) fn user_row(&self, id: &str, user: &ModelUser, listing: &Listing, now_ms: i64) -> Value {
        let day = window_per_user(now_ms, DAY);
        let week = window_per_user(now_ms, 7 * DAY);
        let tasks: Vec<_> =
            self.tasks.values().filter(|t| is_live(t) && t.created.as_deref() == Some(id)).collect();
        let active_tasks = tasks.iter().filter(|task| task.state == Some(ModelTaskState::Active)).count();
        let executions = self.executions.values().filter(|e| e.user_id == id && e.started_at >= day).count();
        let notifications =
            self.notifications.values().filter(|n| n.user_id == id && n.sent_at >= week).count();
        json!({
            "id": id,
            "email": user.email,
            "clerk_user_id": listing.clerk_user_id,
            "state": if user.deactivated { "deactivated" } else { "active" },
            "tasks_count": tasks.len(),
            "active_tasks_count": active_tasks,
            "executions_24h": executions,
            "notifications_7d": notifications,
            "created_at": show(listing.created_at),
            "last_login": user.last_login.map(show),
        })
    }
}

/// "`total` and `error_types` count the whole window, not the page"; as pairs in their order.
fn error_types<'a>(errors: impl Iterator<Item = &'a ModelFailure>) -> Vec<(&'a str, u64)> {
    let mut counts: BTreeMap<&str, u64> = BTreeMap::new();
    for error in errors {
        *counts.entry(&error.error_type).or_default() += 1;
    }
    let mut pairs: Vec<(&str, u64)> = counts.into_iter().collect();
    // "its keys come in descending count", ties by name ascending
    pairs.sort_by_key(|(name, count)| (Reverse(*count), *name));
    pairs
}

/// The state of a task with a `task.created`.
pub(crate) fn state_of(task: &ModelTask) -> &'static str {
    match task.state.expect("a created task has a state") {
        ModelTaskState::Active => "active",
        ModelTaskState::Paused => "paused",
        ModelTaskState::Completed => "completed",
    }
}

pub(crate) fn status_of(execution: &ModelExecution) -> &'static str {
    match execution.outcome {
        ModelOutcome::Running => "running",
        ModelOutcome::Failed { .. } => "failed",
        ModelOutcome::Success { .. } => "success",
    }
}
