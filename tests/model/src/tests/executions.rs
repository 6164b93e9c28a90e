use serde_json::{Value, json};

use super::{E1, E2, E3, NOW, T1, T2, U1, column, event, failed, get, ms, started, succeeded, task, user};

const T: &str = "2024-01-15T10:00:00Z";

#[test]
fn the_row_of_the_contract() {
    let events = [
        event("user.created", T, json!({"user_id": U1, "clerk_user_id": "c", "email": "user@example.com"})),
        task(T1, T, "When is the next iPhone release?"),
        event(
            "execution.succeeded",
            "2024-01-15T09:00:04Z",
            json!({"execution_id": E1, "task_id": T1, "user_id": U1,
            "started_at": "2024-01-15T09:00:00Z", "duration_ms": 4100, "condition_met": true}),
        ),
    ];
    let expected = json!({"executions": [{"id": E1, "task_id": T1, "user_email": "user@example.com",
        "search_query": "When is the next iPhone release?", "status": "success", "condition_met": true, "duration_ms": 4100,
        "started_at": "2024-01-15T09:00:00Z", "completed_at": "2024-01-15T09:00:04Z"}],
        "total": 1, "page": 1, "limit": 50});
    assert_eq!(get(&events, "/admin/executions", ""), expected);
}

#[test]
fn running_and_failed_rows() {
    let events =
        [started(E1, T1, "2024-01-15T09:00:00.120Z"), failed(E2, T2, T, "2024-01-15T09:59:00Z", "E")];
    let body = get(&events, "/admin/executions", "");
    assert_eq!(
        body["executions"],
        json!([
            {"id": E2, "task_id": T2, "user_email": null, "search_query": null, "status": "failed", "condition_met": null,
             "duration_ms": 0, "started_at": T, "completed_at": "2024-01-15T09:59:00Z"},
            {"id": E1, "task_id": T1, "user_email": null, "search_query": null, "status": "running", "condition_met": null,
             "duration_ms": null, "started_at": "2024-01-15T09:00:00.120Z", "completed_at": null},
        ])
    );
}

#[test]
fn order_filter_and_paging() {
    let events = [
        started(E1, T1, T),
        succeeded(E3, T1, T, T),
        failed(E2, T1, "2024-01-15T10:00:00.001Z", "2024-01-15T10:00:01Z", "E"),
    ];
    let path = "/admin/executions";
    assert_eq!(column(&get(&events, path, "")["executions"], "id"), [E2, E3, E1]);
    let body = get(&events, path, "limit=2&page=2");
    assert_eq!(column(&body["executions"], "id"), [E1]);
    assert_eq!((&body["total"], &body["page"], &body["limit"]), (&json!(3), &json!(2), &json!(2)));
    let body = get(&events, path, "page=1000000000000000&limit=100");
    assert_eq!(body, json!({"executions": [], "total": 3, "page": 1_000_000_000_000_000_u64, "limit": 100}));
    for (status, id) in [("success", E3), ("failed", E2), ("running", E1)] {
        let body = get(&events, path, &format!("status={status}"));
        assert_eq!(column(&body["executions"], "id"), [id]);
        assert_eq!(body["total"], 1);
    }
}

#[test]
fn the_window_is_cut_to_the_minute() {
    // now is 10:30:42.500; the last hour begins at 09:30:00.000
    let events = [
        started(E1, T1, "2024-01-15T09:30:00Z"),
        started(E2, T1, "2024-01-15T09:29:59.999Z"),
        started(E3, T1, "2024-01-16T10:30:00Z"),
    ];
    assert_eq!(
        column(&get(&events, "/admin/executions", "hours=1")["executions"], "id"),
        [E3, E1],
        "no upper bound"
    );
    assert_eq!(get(&events, "/admin/executions", "hours=8760")["total"], 3);
    assert_eq!(ms(NOW) - ms("2024-01-15T09:30:00Z"), 3_642_500);
}

#[test]
fn the_winning_status_event_counts_entirely() {
    let retried = [
        failed(E1, T1, "2024-01-15T09:00:00Z", "2024-01-15T09:01:00Z", "E"),
        event(
            "execution.started",
            "2024-01-15T09:02:00Z",
            json!({"execution_id": E1, "task_id": T2, "user_id": U1}),
        ),
    ];
    let row = get(&retried, "/admin/executions", "")["executions"][0].clone();
    assert_eq!((&row["status"], &row["task_id"]), (&json!("running"), &json!(T2)));
    assert_eq!(row["started_at"], "2024-01-15T09:02:00Z");
    assert_eq!(row["completed_at"], Value::Null);
    assert_eq!(get(&retried, "/admin/errors", "")["total"], 0);
}

#[test]
fn an_execution_that_succeeds_on_a_retry_leaves_the_errors() {
    let mut events = vec![failed(E1, T1, T, "2024-01-15T10:01:00Z", "E")];
    assert_eq!(get(&events, "/admin/errors", "")["total"], 1);
    events.push(succeeded(E1, T1, T, "2024-01-15T10:02:00Z"));
    assert_eq!(get(&events, "/admin/errors", ""), json!({"errors": [], "total": 0, "error_types": []}));
    assert_eq!(get(&events, "/admin/executions", "")["executions"][0]["duration_ms"], 120_000);
}

#[test]
fn the_error_row_of_the_contract() {
    let events = [event(
        "execution.failed",
        "2024-01-15T10:23:15.120Z",
        json!({"execution_id": E1, "task_id": T1,
        "user_id": U1, "started_at": "2024-01-15T10:23:11Z", "duration_ms": 4120, "error_type": "RateLimitError",
        "error_message": "Rate limit exceeded for Google Search API", "retry_count": 2, "will_retry": true}),
    )];
    let expected = json!({"errors": [{"execution_id": E1, "task_id": T1, "user_email": null, "search_query": null,
        "error_message": "Rate limit exceeded for Google Search API", "error_type": "RateLimitError", "retry_count": 2,
        "will_retry": true, "occurred_at": "2024-01-15T10:23:15.120Z"}], "total": 1, "error_types": [["RateLimitError", 1]]});
    assert_eq!(get(&events, "/admin/errors", ""), expected);
}

#[test]
fn errors_count_the_whole_window_by_completed_at() {
    let id = |n: usize| format!("770e8400-e29b-41d4-a716-4466554400{n:02}");
    let long_ago = "2023-06-01T00:00:00Z";
    let mut events = vec![
        // Started long ago, failed just inside the hour; and one that failed just before.
        failed(&id(1), T1, long_ago, "2024-01-15T09:30:00Z", "b"),
        failed(&id(2), T1, long_ago, "2024-01-15T09:29:59.999Z", "b"),
    ];
    for (n, kind) in [(3, "c"), (4, "a"), (5, "c"), (6, "B")] {
        events.push(failed(&id(n), T1, long_ago, T, kind));
    }
    let body = get(&events, "/admin/errors", "hours=1&limit=2&page=2");
    assert_eq!(column(&body["errors"], "execution_id"), [&id(4), &id(3)]);
    assert_eq!(body["total"], 5);
    assert_eq!(body["error_types"], json!([["c", 2], ["B", 1], ["a", 1], ["b", 1]]));
    assert!(body.get("page").is_none() && body.get("limit").is_none());
}

#[test]
fn completed_at_may_differ_from_time_and_messages_are_cut() {
    let data = json!({"execution_id": E1, "task_id": T1, "user_id": U1, "started_at": "2024-01-15T08:00:00.500Z",
        "completed_at": "2024-01-15T08:00:02.2509Z", "error_type": "E", "error_message": "é".repeat(2001), "retry_count": 3.0});
    let events = [event("execution.failed", T, data), user(U1, T)];
    let row = get(&events, "/admin/errors", "")["errors"][0].clone();
    assert_eq!(row["occurred_at"], "2024-01-15T08:00:02.250Z");
    assert_eq!(row["error_message"], "é".repeat(2000));
    assert_eq!(row["retry_count"].to_string(), "3");
    assert_eq!(row["will_retry"], false);
    assert_eq!(get(&events, "/admin/executions", "")["executions"][0]["duration_ms"], 1750);
}

#[test]
fn executions_of_one_task_in_any_case_of_its_id_and_with_a_status() {
    let events = [
        started(E1, T1, T),
        succeeded(E2, T1, "2024-01-15T10:00:00.001Z", "2024-01-15T10:00:01Z"),
        started(E3, T2, T),
    ];
    let path = "/admin/executions";
    let of = |query: &str| get(&events, path, query);
    let body = of(&format!("task_id={}", T1.to_uppercase()));
    assert_eq!(
        (column(&body["executions"], "id"), &body["total"]),
        (vec![&json!(E2), &json!(E1)], &json!(2))
    );
    let body = of(&format!("task_id={T1}&status=running&limit=1"));
    assert_eq!((column(&body["executions"], "id"), &body["total"]), (vec![&json!(E1)], &json!(1)));
    assert_eq!(of(&format!("task_id={U1}"))["total"], 0, "unknown");
    assert_eq!(super::answer(&events, path, "task_id=x").0, 422);
}
