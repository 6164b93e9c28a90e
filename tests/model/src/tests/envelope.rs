use serde_json::{Value, json};

use super::{E1, NOW, T1, U1, envelope, event, failed, get, ms, received, user};
use crate::{Message, World};

const T: &str = "2024-01-15T10:00:00Z";

fn is_set_aside(message: &Message) -> bool {
    World::of(std::slice::from_ref(message)).set_aside() == 1
}

#[track_caller]
fn refused(kind: &str, good: &Value, changes: &[(&str, Value)]) {
    assert!(!is_set_aside(&event(kind, T, good.clone())), "the example must be good");
    for (name, value) in changes {
        let mut data = good.clone();
        data[*name] = value.clone();
        assert!(is_set_aside(&event(kind, T, data)), "{kind} {name} {value}");
    }
}

#[track_caller]
fn accepted(kind: &str, good: &Value, changes: &[(&str, Value)]) {
    for (name, value) in changes {
        let mut data = good.clone();
        data[*name] = value.clone();
        assert!(!is_set_aside(&event(kind, T, data)), "{kind} {name} {value}");
    }
}

/// Each needed field in turn is left out.
#[track_caller]
fn needs(kind: &str, good: &Value, names: &[&str]) {
    for name in names {
        let mut data = good.clone();
        data.as_object_mut().unwrap().remove(*name);
        assert!(is_set_aside(&event(kind, T, data)), "{kind} without {name}");
    }
}

#[test]
fn not_an_event() {
    for body in ["", "x", "[]", "1", "null", "{}", "{\"a\":1"] {
        assert!(is_set_aside(&Message { body: body.to_owned(), received_at_ms: ms(NOW) }), "{body}");
    }
    let twice = [
        user(U1, "2014-01-01T00:00:00Z"),
        user(U1, "2014-01-01T00:00:00Z"),
        user(U1, "2013-01-01T00:00:00Z"),
    ];
    assert_eq!(World::of(&twice).set_aside(), 2, "the same body counts once");
}

#[test]
fn envelope_fields() {
    // An unknown type: only the envelope is judged.
    let good = envelope("thing.happened", T, &json!({"user_id": 5}));
    assert!(!is_set_aside(&received(&good)));
    let changed = |name: &str, value: Value| {
        let mut body = good.clone();
        body[name] = value;
        is_set_aside(&received(&body))
    };
    for name in ["specversion", "id", "source", "type", "time", "data"] {
        let mut body = good.clone();
        body.as_object_mut().unwrap().remove(name);
        assert!(is_set_aside(&received(&body)), "without {name}");
        assert!(changed(name, Value::Null), "{name} null");
        assert!(changed(name, json!(1.0)), "{name} 1.0");
        assert!(changed(name, json!("")), "{name} empty");
    }
    assert!(changed("specversion", json!("1.1")));
    assert!(!changed("id", json!("ü".repeat(128))));
    assert!(changed("id", json!("x".repeat(129))));
    assert!(!changed("source", json!("x".repeat(256))));
    assert!(changed("source", json!("x".repeat(257))));
    assert!(!changed("type", json!("com.other")));
    assert!(changed("data", json!([])));
    assert!(changed("dataschema", Value::Null));
    assert!(changed("dataschema", json!(1)));
    assert!(!changed("dataschema", json!("urn:x:7")));
    assert!(!changed("subject", json!(5)));
}

#[test]
fn a_body_has_at_most_256_kib() {
    let mut body = envelope("thing.happened", T, &json!({})).to_string();
    body.push_str(&" ".repeat(262_144 - body.len()));
    assert!(!is_set_aside(&Message { body: body.clone(), received_at_ms: ms(NOW) }));
    body.push(' ');
    assert!(is_set_aside(&Message { body, received_at_ms: ms(NOW) }));
}

#[test]
fn limits_of_times() {
    let at = |time: &str| is_set_aside(&event("thing.happened", time, json!({})));
    assert!(!at("2015-01-01T00:00:00Z"));
    assert!(at("2014-12-31T23:59:59.999Z"));
    assert!(at("2015-01-01T00:00:00+00:01"));
    assert!(!at("2024-01-16T10:30:42.500Z"));
    assert!(!at("2024-01-16T10:30:42.5009Z"), "cut before it is judged");
    assert!(at("2024-01-16T10:30:42.501Z"));
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
        ("name", Value::Null),
    ];
    refused("task.created", &good, &wrong);
    accepted(
        "task.created",
        &good,
        &[("search_query", json!("ü".repeat(500))), ("schedule", json!("")), ("state", json!("completed"))],
    );
    let wrong = [
        ("search_query", json!("")),
        ("search_query", Value::Null),
        ("schedule", Value::Null),
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
fn other_fields() {
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
    let good = json!({"schedule_id": "s", "task_id": T1, "user_id": U1, "cron": "nonsense"});
    needs("temporal.schedule.created", &good, &["schedule_id", "task_id", "user_id", "cron"]);
    refused(
        "temporal.schedule.created",
        &good,
        &[("timezone", Value::Null), ("paused", json!("true")), ("schedule_id", json!(".."))],
    );
    refused(
        "temporal.schedule.updated",
        &json!({"schedule_id": "s"}),
        &[("cron", Value::Null), ("timezone", json!(1))],
    );
    for kind in ["paused", "unpaused", "deleted"] {
        needs(&format!("temporal.schedule.{kind}"), &json!({"schedule_id": "s"}), &["schedule_id"]);
    }
}

fn with_schema(message: &Message, schema: &str) -> Message {
    let mut body: Value = serde_json::from_str(&message.body).unwrap();
    body["dataschema"] = json!(schema);
    received(&body)
}

#[test]
fn versions() {
    // An unknown version has no effect and is not set aside, whatever its data.
    let strange = with_schema(&event("user.created", T, json!({"user_id": 1})), "urn:x:2");
    assert!(!is_set_aside(&strange));
    let second = with_schema(&user(U1, T), "urn:x:0");
    assert_eq!(get(&[second], "/admin/users", "")["total"], 0);
    assert_eq!(get(&[with_schema(&user(U1, T), "urn:x:1")], "/admin/users", "")["total"], 1);
    assert!(is_set_aside(&with_schema(&event("user.created", T, json!({"user_id": 1})), "urn:x")));
    let new = with_schema(&failed(E1, T1, T, T, "E"), "urn:x:2");
    assert_eq!(get(&[new], "/admin/executions", "")["total"], 0);
}

#[test]
fn the_legacy_failure_is_upcast() {
    let data = json!({"execution_id": E1, "task_id": T1, "user_id": U1, "started_at": T, "error": "old"});
    let old = with_schema(&event("execution.failed", T, data), "urn:torale:execution.failed:0");
    let body = get(&[old], "/admin/errors", "");
    assert_eq!(body["errors"][0]["error_type"], "UnknownError");
    assert_eq!(body["errors"][0]["error_message"], "old");
    assert!(is_set_aside(&with_schema(&failed(E1, T1, T, T, "E"), "urn:x:0")), "version 0 needs `error`");
    let data = json!({"execution_id": E1, "task_id": T1, "user_id": U1, "started_at": T, "error": "old", "error_type": null});
    assert!(is_set_aside(&with_schema(&event("execution.failed", T, data), "urn:x:0")));
}
