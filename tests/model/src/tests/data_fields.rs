//! The fields of `data`, type by type; those of identities have a file of their own.

use serde_json::{Value, json};

use super::envelope::is_quarantined;
use super::{E1, T1, U1, event};

const T: &str = "2024-01-15T10:00:00Z";

#[track_caller]
fn refused(kind: &str, good: &Value, changes: &[(&str, Value)]) {
    assert!(!is_quarantined(&event(kind, T, good.clone())), "the example must be good");
    for (name, value) in changes {
        let mut data = good.clone();
        data[*name] = value.clone();
        assert!(is_quarantined(&event(kind, T, data)), "{kind} {name} {value}");
    }
}

#[track_caller]
fn accepted(kind: &str, good: &Value, changes: &[(&str, Value)]) {
    for (name, value) in changes {
        let mut data = good.clone();
        data[*name] = value.clone();
        assert!(!is_quarantined(&event(kind, T, data)), "{kind} {name} {value}");
    }
}

/// Each needed field in turn is left out.
#[track_caller]
fn needs(kind: &str, good: &Value, names: &[&str]) {
    for name in names {
        let mut data = good.clone();
        data.as_object_mut().unwrap().remove(*name);
        assert!(is_quarantined(&event(kind, T, data)), "{kind} without {name}");
    }
}

#[test]
fn times_of_data() {
    let good = json!({"user_id": U1, "clerk_user_id": "c", "email": "e", "created_at": T});
    let wrong = ["2014-12-31T23:59:59Z", "2024-01-17T00:00:00Z", "soon"].map(|t| ("created_at", json!(t)));
    refused("user.created", &good, &wrong);
}

#[test]
fn user_fields() {
    let good = json!({"user_id": U1, "clerk_user_id": "c", "email": "e", "role": "admin"});
    needs("user.created", &good, &["user_id", "clerk_user_id", "email"]);
    let wrong = [
        ("user_id", json!("660e8400e29b41d4a716446655440001")),
        ("user_id", json!(format!("{{{U1}}}"))),
        ("user_id", json!(format!("{}g", &U1[..35]))),
        ("clerk_user_id", json!("..")),
        ("clerk_user_id", json!("")),
        ("clerk_user_id", json!("x".repeat(257))),
        ("email", Value::Null),
        ("role", Value::Null),
        ("created_at", Value::Null),
    ];
    refused("user.created", &good, &wrong);
    let right = [
        ("clerk_user_id", json!("...")),
        ("email", json!("")),
        ("user_id", json!(U1.to_uppercase())),
        ("more", Value::Null),
    ];
    accepted("user.created", &good, &right);
    refused("user.updated", &json!({"user_id": U1}), &[("role", json!(1)), ("email", Value::Null)]);
    accepted("user.updated", &json!({"user_id": U1}), &[("role", Value::Null)]);
    refused("user.deactivated", &json!({"user_id": U1}), &[("by", Value::Null), ("reason", json!(1))]);
    refused("user.reactivated", &json!({"user_id": U1}), &[("by", Value::Null)]);
    accepted("user.reactivated", &json!({"user_id": U1}), &[("reason", Value::Null)]);
    needs("user.logged_in", &json!({"user_id": U1}), &["user_id"]);
}

#[test]
fn key_fields() {
    let good = json!({"key_id": "k", "user_id": U1, "key_hash": "0af9".repeat(16), "key_prefix": "sk_"});
    needs("api_key.created", &good, &["key_id", "user_id", "key_hash", "key_prefix"]);
    let wrong = [
        ("key_hash", json!("0AF9".repeat(16))),
        ("key_hash", json!("0af9".repeat(15))),
        ("key_id", json!(".")),
        ("name", Value::Null),
    ];
    refused("api_key.created", &good, &wrong);
    needs("api_key.revoked", &json!({"key_id": "k", "user_id": U1}), &["key_id", "user_id"]);
}

#[test]
fn task_fields() {
    let good = json!({"task_id": T1, "user_id": U1, "search_query": "q"});
    needs("task.created", &good, &["task_id", "user_id", "search_query"]);
    let wrong = [
        ("search_query", json!("")),
        ("search_query", json!("x".repeat(501))),
        ("state", json!("deleted")),
        ("state", Value::Null),
        ("schedule", json!(1)),
        ("schedule", json!("")),
        ("schedule", json!("x".repeat(257))),
        ("name", Value::Null),
    ];
    refused("task.created", &good, &wrong);
    accepted(
        "task.created",
        &good,
        &[
            ("search_query", json!("ü".repeat(500))),
            ("schedule", json!("ü".repeat(256))),
            ("state", json!("completed")),
        ],
    );
    let wrong = [
        ("search_query", json!("")),
        ("search_query", Value::Null),
        ("schedule", Value::Null),
        ("schedule", json!("")),
        ("schedule", json!("x".repeat(257))),
        ("name", json!(1)),
    ];
    refused("task.updated", &json!({"task_id": T1}), &wrong);
    accepted("task.paused", &json!({"task_id": T1}), &[("user_id", Value::Null)]);
    needs("task.deleted", &json!({"task_id": T1}), &["task_id"]);
}

#[test]
fn execution_fields() {
    let good = json!({"execution_id": E1, "task_id": T1, "user_id": U1, "started_at": T, "error_type": "E", "error_message": ""});
    needs(
        "execution.failed",
        &good,
        &["execution_id", "task_id", "user_id", "started_at", "error_type", "error_message"],
    );
    let wrong = [
        ("duration_ms", json!(-1)),
        ("duration_ms", json!(1.5)),
        ("duration_ms", json!("1")),
        ("duration_ms", Value::Null),
        ("duration_ms", json!(9_007_199_254_740_992_u64)),
        ("duration_ms", json!(u64::MAX)),
        ("duration_ms", json!(1e300)),
        ("retry_count", json!(-0.5)),
        ("retry_count", Value::Null),
        ("will_retry", json!(1)),
        ("error_type", json!("")),
        ("error_type", json!("a b")),
        ("error_type", json!("x".repeat(65))),
        ("error_type", json!("é")),
        ("error_message", Value::Null),
        ("completed_at", Value::Null),
    ];
    refused("execution.failed", &good, &wrong);
    let right = [
        ("duration_ms", json!(9_007_199_254_740_991_u64)),
        ("duration_ms", json!(5.0)),
        ("retry_count", json!(-0.0)),
        ("error_type", json!("a_B.9-")),
        ("error_type", json!("x".repeat(64))),
        ("condition_met", Value::Null),
    ];
    accepted("execution.failed", &good, &right);
    let good =
        json!({"execution_id": E1, "task_id": T1, "user_id": U1, "started_at": T, "condition_met": false});
    needs("execution.succeeded", &good, &["started_at", "condition_met"]);
    refused("execution.succeeded", &good, &[("condition_met", Value::Null), ("condition_met", json!(0))]);
    let good = json!({"execution_id": E1, "task_id": T1, "user_id": U1});
    accepted("execution.started", &good, &[("started_at", json!(T)), ("completed_at", Value::Null)]);
    refused("execution.started", &good, &[("started_at", Value::Null)]);
}

#[test]
fn notification_and_workflow_fields() {
    let good = json!({"notification_id": "n", "user_id": U1, "channel": "email"});
    needs("notification.sent", &good, &["notification_id", "user_id", "channel"]);
    refused(
        "notification.sent",
        &good,
        &[("task_id", json!("t")), ("execution_id", Value::Null), ("channel", json!(1))],
    );
    let good = json!({"workflow_id": "w", "run_id": "r", "workflow_type": "", "task_id": T1});
    needs("temporal.workflow.started", &good, &["workflow_id", "run_id", "workflow_type"]);
    refused("temporal.workflow.started", &good, &[("task_id", json!("t")), ("start_time", Value::Null)]);
    let good = json!({"workflow_id": "w", "run_id": "r", "workflow_type": "t", "status": "NEW_ONE", "start_time": T});
    needs(
        "temporal.workflow.closed",
        &good,
        &["workflow_id", "run_id", "workflow_type", "status", "start_time"],
    );
    let wrong = ["RUNNING", "", "Failed", "A1", "A-B"].map(|s| ("status", json!(s)));
    refused("temporal.workflow.closed", &good, &wrong);
    refused(
        "temporal.workflow.closed",
        &good,
        &[("status", json!("X".repeat(65))), ("close_time", json!(1))],
    );
    accepted(
        "temporal.workflow.closed",
        &good,
        &[("task_id", Value::Null), ("status", json!("X".repeat(64)))],
    );
}

#[test]
fn schedule_fields() {
    let good = json!({"schedule_id": "s", "task_id": T1, "user_id": U1, "cron": "nonsense"});
    needs("temporal.schedule.created", &good, &["schedule_id", "task_id", "user_id", "cron"]);
    refused(
        "temporal.schedule.created",
        &good,
        &[
            ("timezone", Value::Null),
            ("timezone", json!("x".repeat(65))),
            ("cron", json!("x".repeat(257))),
            ("paused", json!("true")),
            ("schedule_id", json!("..")),
        ],
    );
    let right = [
        ("timezone", json!("")),
        ("timezone", json!("ü".repeat(64))),
        ("cron", json!("")),
        ("cron", json!("ü".repeat(256))),
    ];
    accepted("temporal.schedule.created", &good, &right);
    accepted("temporal.schedule.updated", &json!({"schedule_id": "s"}), &right);
    refused(
        "temporal.schedule.updated",
        &json!({"schedule_id": "s"}),
        &[
            ("cron", Value::Null),
            ("cron", json!("x".repeat(257))),
            ("timezone", json!(1)),
            ("timezone", json!("x".repeat(65))),
        ],
    );
    for kind in ["paused", "unpaused", "deleted"] {
        needs(&format!("temporal.schedule.{kind}"), &json!({"schedule_id": "s"}), &["schedule_id"]);
    }
}
