//! An example answer of each operation. Tests check each one against its schema, field by field.

use crate::describe::merged;
use serde_json::{Value, json};

const EXECUTION: &str = "770e8400-e29b-41d4-a716-446655440000";
const TASK: &str = "550e8400-e29b-41d4-a716-446655440000";
const USER: &str = "660e8400-e29b-41d4-a716-446655440000";
const EMAIL: &str = "user@example.com";
const QUERY: &str = "When is the next iPhone release?";

pub(crate) fn stats() -> Value {
    json!({
        "users": { "total": 1250, "active_30d": 823, "new_7d": 45 },
        "tasks": { "total": 5420, "active": 3891, "paused": 1529 },
        "executions": { "total_24h": 15623, "success_24h": 15201, "failed_24h": 422, "avg_duration_ms": 4200 },
        "notifications": { "sent_24h": 892, "sent_7d": 5234 },
        "popular_queries": [{ "query": QUERY, "count": 234 }],
    })
}

pub(crate) fn series() -> Value {
    json!({
        "metric": "executions", "bucket": "day",
        "points": [
            { "start": "2024-01-14T09:00:00Z", "count": 12, "failed": 1, "avg_duration_ms": 4200 },
            { "start": "2024-01-15T00:00:00Z", "count": 0, "failed": 0, "avg_duration_ms": 0 },
        ],
    })
}

pub(crate) fn queries() -> Value {
    json!({
        "queries": [{ "search_query": QUERY, "total_tasks": 234, "active_tasks": 189, "total_executions": 1456,
            "success_rate": 0.98, "avg_duration_ms": 3800 }],
        "total": 1247, "page": 1, "limit": 50,
    })
}

pub(crate) fn executions() -> Value {
    json!({
        "executions": [{ "id": EXECUTION, "task_id": TASK, "user_email": EMAIL, "search_query": QUERY, "status": "success",
            "condition_met": true, "duration_ms": 4100, "started_at": "2024-01-15T09:00:00Z",
            "completed_at": "2024-01-15T09:00:04.100Z" }],
        "total": 15623, "page": 1, "limit": 50,
    })
}

pub(crate) fn execution() -> Value {
    json!({
        "id": EXECUTION, "task_id": TASK, "user_email": EMAIL, "search_query": QUERY, "status": "failed",
        "condition_met": null, "duration_ms": 4120, "started_at": "2024-01-15T10:23:11Z",
        "completed_at": "2024-01-15T10:23:15.120Z", "user_id": USER, "error_type": "RateLimitError",
        "error_message": "Rate limit exceeded for Google Search API", "retry_count": 2, "will_retry": true,
        "history": [{ "type": "ai.torale.execution.failed", "id": "01JCQ6W3Y8M2", "source": "/torale/worker",
            "time": "2024-01-15T10:23:15.120Z", "fields": ["completed_at", "duration_ms", "error_message", "error_type",
                "retry_count", "started_at", "status", "task_id", "user_id", "will_retry"] }],
    })
}

pub(crate) fn errors() -> Value {
    json!({
        "errors": [{ "execution_id": EXECUTION, "task_id": TASK, "user_email": EMAIL, "search_query": QUERY,
            "error_message": "Rate limit exceeded for Google Search API", "error_type": "RateLimitError", "retry_count": 2,
            "will_retry": true, "occurred_at": "2024-01-15T10:23:15.120Z" }],
        "total": 422, "error_types": { "RateLimitError": 312, "TimeoutError": 110 },
    })
}

pub(crate) fn users() -> Value {
    json!({
        "users": [{ "id": USER, "email": EMAIL, "clerk_user_id": "user_2abc", "state": "active", "tasks_count": 8,
            "active_tasks_count": 5, "executions_24h": 45, "notifications_7d": 12, "created_at": "2024-01-10T08:30:00Z",
            "last_login": "2024-01-15T09:00:00Z" }],
        "total": 1250, "page": 1, "limit": 50,
    })
}

pub(crate) fn user() -> Value {
    json!({
        "id": USER, "email": EMAIL, "clerk_user_id": "user_2abc", "state": "deactivated", "tasks_count": 8,
        "active_tasks_count": 5, "executions_24h": 45, "notifications_7d": 12, "created_at": "2024-01-10T08:30:00Z",
        "last_login": null, "role": "user",
        "api_keys": [{ "key_id": "key_1", "key_prefix": "sk_live_", "name": "laptop", "created_at": "2024-01-10T08:31:00Z",
            "revoked": false, "last_used_at": "2024-01-15T08:59:00Z" }],
        "deactivation": { "at": "2024-01-15T09:00:00Z", "by": USER, "tasks_paused": 5, "commands_pending": 0 },
        "history": [
            { "type": "ai.torale.user.deactivated", "id": "3b0b2f9e", "source": "/torale/admin", "time": "2024-01-15T09:00:00Z",
                "fields": ["state"] },
            { "type": "ai.torale.user.created", "id": "01JCQ6W3Y8M2", "source": "/torale/api", "time": "2024-01-10T08:30:00Z",
                "fields": ["clerk_user_id", "created_at", "email", "role"] },
        ],
    })
}

fn task_row() -> Value {
    json!({
        "id": TASK, "name": "iPhone", "search_query": QUERY, "user_id": USER, "user_email": EMAIL, "state": "active",
        "schedule": "0 9 * * *", "created_at": "2024-01-10T08:35:00Z", "total_executions": 15, "success_rate": 0.93,
        "avg_duration_ms": 4200,
        "last_execution": { "id": EXECUTION, "status": "success", "started_at": "2024-01-15T09:00:00Z" },
        "next_run_time": "2024-01-16T09:00:00Z",
    })
}

pub(crate) fn tasks() -> Value {
    json!({ "tasks": [task_row()], "total": 5420, "page": 1, "limit": 50 })
}

pub(crate) fn task() -> Value {
    let schedule = format!("task-{TASK}");
    let details = json!({
        "schedules": [{ "schedule_id": schedule, "task_id": TASK, "user_email": EMAIL, "cron": "0 9 * * *", "is_paused": false,
            "recent_executions": 15, "next_run_time": "2024-01-16T09:00:00Z",
            "temporal_ui_url": format!("https://cloud.temporal.io/namespaces/torale.abc123/schedules/{schedule}") }],
        "history": [{ "type": "ai.torale.task.created", "id": "01JCQ6W3Y8M3", "source": "/torale/api",
            "time": "2024-01-10T08:35:00Z", "fields": ["created_at", "name", "schedule", "search_query", "state", "user_id"] }],
    });
    merged(task_row(), details)
}

pub(crate) fn workflows() -> Value {
    let workflow = format!("task-{TASK}-1705314000");
    json!({
        "workflows": [{ "workflow_id": workflow, "workflow_type": "monitoring_workflow", "status": "COMPLETED",
            "start_time": "2024-01-15T09:00:00Z", "close_time": "2024-01-15T09:00:05Z", "execution_duration_ms": 5000,
            "temporal_ui_url": format!("https://cloud.temporal.io/namespaces/torale.abc123/workflows/{workflow}/run-1/history") }],
        "total": 15623,
    })
}

pub(crate) fn schedules() -> Value {
    let schedule = format!("task-{TASK}");
    json!({
        "schedules": [{ "schedule_id": schedule, "task_id": TASK, "user_email": EMAIL, "cron": "0 9 * * *", "is_paused": false,
            "recent_executions": 15, "next_run_time": "2024-01-16T09:00:00Z",
            "temporal_ui_url": format!("https://cloud.temporal.io/namespaces/torale.abc123/schedules/{schedule}") }],
        "total": 3891,
    })
}

pub(crate) fn health() -> Value {
    json!({
        "live_generation": { "name": "g2", "lanes": 2 },
        "shadow_generation": { "name": "g1", "lanes": 2, "since": "2024-01-15T10:00:00Z", "complete": true },
        "events_waiting": 12,
        "outbox": { "entries": 1, "capped": false, "oldest_at": "2024-01-15T10:23:15.120Z", "age_ms": 850 },
        "quarantine": { "messages": 3, "capped": false },
    })
}

pub(crate) fn audit() -> Value {
    json!({
        "records": [{ "id": "2024011509-9f86d081884c-0", "at": "2024-01-15T09:00:00.042Z",
            "principal": { "user_id": USER, "clerk_user_id": "user_2abc", "key_id": "key_1", "impersonator": null },
            "method": "api_key", "action": "users.list", "target": null, "parameters": { "active_only": true, "page": 1, "limit": 50 },
            "status": 200, "request_id": "Zm9vYmFyBAz=", "source": "203.0.113.7", "user_agent": "curl/8.5.0", "duration_ms": 42 }],
        "total": 1, "page": 1, "limit": 50,
    })
}

pub(crate) fn deactivated() -> Value {
    json!({ "message": "User deactivated successfully", "user_id": USER, "tasks_paused": 8 })
}

pub(crate) fn reactivated() -> Value {
    json!({ "message": "User reactivated successfully", "user_id": USER })
}

pub(crate) fn all_deactivated() -> Value {
    json!({ "results": [
        { "user_id": USER, "result": "deactivated", "tasks_paused": 8 },
        { "user_id": TASK, "result": "not_found", "detail": "User not found" },
    ] })
}
