use serde_json::json;

use super::{E1, E2, E3, T1, U1, U2, answer, event, failed, get, started, succeeded, task, user};

const T: &str = "2024-01-15T10:00:00Z";

#[test]
fn a_failed_execution_shows_its_error_and_the_event_that_says_so() {
    let events = [
        user(U1, T),
        task(T1, T, "iPhone"),
        started(E1, T1, "2024-01-15T09:00:00Z"),
        failed(E1, T1, "2024-01-15T09:00:00Z", "2024-01-15T09:00:04.120Z", "TimeoutError"),
    ];
    let expected = json!({
        "id": E1, "task_id": T1, "user_email": format!("{U1}@x.y"), "search_query": "iPhone", "status": "failed",
        "condition_met": null, "duration_ms": 4120, "started_at": "2024-01-15T09:00:00Z",
        "completed_at": "2024-01-15T09:00:04.120Z", "user_id": U1, "error_type": "TimeoutError",
        "error_message": "broken", "retry_count": 0, "will_retry": false,
        "history": [{"type": "ai.torale.execution.failed", "id": "01", "source": "/s", "time": "2024-01-15T09:00:04.120Z",
            "fields": ["completed_at", "duration_ms", "error_message", "error_type", "retry_count", "started_at", "status",
                "task_id", "user_id", "will_retry"]}],
    });
    assert_eq!(get(&events, &format!("/admin/executions/{E1}"), ""), expected);
    assert_eq!(get(&events, &format!("/admin/executions/{}", E1.to_uppercase()), "unknown=1"), expected);
}

#[test]
fn the_history_of_an_execution_names_what_is_not_null_and_its_own() {
    let events = [started(E1, T1, T), succeeded(E2, T1, T, T)];
    let running = get(&events, &format!("/admin/executions/{E1}"), "");
    assert_eq!(running["history"][0]["fields"], json!(["started_at", "status", "task_id", "user_id"]));
    assert_eq!((&running["error_type"], &running["will_retry"]), (&json!(null), &json!(null)));
    let succeeded = get(&events, &format!("/admin/executions/{E2}"), "");
    let fields =
        ["completed_at", "condition_met", "duration_ms", "started_at", "status", "task_id", "user_id"];
    assert_eq!(succeeded["history"][0]["fields"], json!(fields));
}

#[test]
fn an_id_that_is_unknown_or_malformed() {
    let unknown = answer(&[], &format!("/admin/executions/{E3}"), "");
    assert_eq!(unknown, (404, json!({"detail": "Execution not found"})));
    let malformed = answer(&[], "/admin/executions/x", "");
    assert_eq!(malformed, (422, json!({"detail": [{"loc": ["path", "id"]}]})));
    let other = event("execution.archived", T, json!({"execution_id": E3}));
    assert_eq!(answer(&[other], &format!("/admin/executions/{E3}"), "").0, 404);
}

#[test]
fn a_task_with_its_schedules_and_who_says_so() {
    let data = json!({"task_id": T1, "user_id": U1, "search_query": "iPhone", "schedule": "0 8 * * *"});
    let schedule = |id: &str, paused: bool| json!({"schedule_id": id, "task_id": T1, "user_id": U1, "cron": "0 9 * * *", "paused": paused});
    let events = [
        event("task.created", "2024-01-10T08:00:00Z", data),
        event("task.updated", "2024-01-11T08:00:00Z", json!({"task_id": T1, "name": "Phone"})),
        event("task.paused", "2024-01-12T08:00:00Z", json!({"task_id": T1})),
        event("temporal.schedule.created", "2024-01-10T08:00:00Z", schedule("a", false)),
        event("temporal.schedule.created", "2024-01-10T08:00:00Z", schedule("b", true)),
        succeeded(E2, T1, "2024-01-15T09:00:00Z", "2024-01-15T09:00:01Z"),
        failed(E1, T1, "2024-01-15T09:00:00Z", "2024-01-15T09:00:02Z", "E"),
    ];
    let body = get(&events, &format!("/admin/tasks/{T1}"), "");
    assert_eq!(
        (&body["name"], &body["schedule"], &body["state"]),
        (&json!("Phone"), &json!("0 8 * * *"), &json!("paused"))
    );
    assert_eq!((&body["user_id"], &body["user_email"]), (&json!(U1), &json!(null)));
    assert_eq!(body["created_at"], "2024-01-10T08:00:00Z");
    let totals = (&body["total_executions"], &body["success_rate"], &body["avg_duration_ms"]);
    assert_eq!(totals, (&json!(2), &json!(0.5), &json!(1500)));
    // Of two that began at once, the greater id.
    assert_eq!(
        body["last_execution"],
        json!({"id": E2, "status": "success", "started_at": "2024-01-15T09:00:00Z"})
    );
    assert_eq!(body["next_run_time"], "2024-01-16T09:00:00Z");
    let schedules: Vec<_> =
        body["schedules"].as_array().unwrap().iter().map(|one| &one["schedule_id"]).collect();
    assert_eq!(schedules, ["b", "a"]);
    let says = |kind: &str, time: &str, fields: &[&str]| json!({"type": format!("ai.torale.{kind}"), "id": "01", "source": "/s", "time": time, "fields": fields});
    let history = json!([
        says("task.paused", "2024-01-12T08:00:00Z", &["state"]),
        says("task.updated", "2024-01-11T08:00:00Z", &["name"]),
        says("task.created", "2024-01-10T08:00:00Z", &["created_at", "schedule", "search_query", "user_id"]),
    ]);
    assert_eq!(body["history"], history);
}

#[test]
fn deleted_and_stub_tasks_are_not_found() {
    let stub = event("task.paused", T, json!({"task_id": T1}));
    let deleted = [task(T1, T, "q"), event("task.deleted", "2024-01-01T00:00:00Z", json!({"task_id": T1}))];
    for events in [vec![stub], deleted.to_vec()] {
        let (status, body) = answer(&events, &format!("/admin/tasks/{T1}"), "");
        assert_eq!((status, body), (404, json!({"detail": "Task not found"})));
    }
}

#[test]
fn a_user_with_keys_deactivation_and_who_says_so() {
    let key = |id: &str, user: &str, time: &str| {
        let data = json!({"key_id": id, "user_id": user, "key_hash": "0".repeat(64), "key_prefix": "sk_1"});
        event("api_key.created", time, data)
    };
    let events = [
        user(U1, "2024-01-10T08:00:00Z"),
        event("user.updated", "2024-01-11T08:00:00Z", json!({"user_id": U1, "role": null})),
        event("user.deactivated", T, json!({"user_id": U1, "by": "support"})),
        key("k1", U1, T),
        key("k2", U1, T),
        event("api_key.revoked", "2024-01-01T00:00:00Z", json!({"key_id": "k1", "user_id": U2})),
        // The greatest `api_key.created` says whose it is.
        key("k3", U1, "2024-01-10T08:00:00Z"),
        key("k3", U2, T),
    ];
    let body = get(&events, &format!("/admin/users/{U1}"), "");
    assert_eq!(
        (&body["state"], &body["role"], &body["email"]),
        (&json!("deactivated"), &json!(null), &json!(format!("{U1}@x.y")))
    );
    let shown = |id: &str, revoked: bool| json!({"key_id": id, "key_prefix": "sk_1", "name": null, "created_at": T, "revoked": revoked, "last_used_at": null});
    assert_eq!(body["api_keys"], json!([shown("k2", false), shown("k1", true)]));
    assert_eq!(
        body["deactivation"],
        json!({"at": T, "by": "support", "tasks_paused": null, "commands_pending": 0})
    );
    let fields: Vec<_> = body["history"].as_array().unwrap().iter().map(|entry| &entry["fields"]).collect();
    assert_eq!(
        fields,
        [&json!(["state"]), &json!(["role"]), &json!(["clerk_user_id", "created_at", "email"])]
    );
    let active = get(&events[..1], &format!("/admin/users/{U1}"), "");
    assert_eq!((&active["deactivation"], &active["state"]), (&json!(null), &json!("active")));
}
