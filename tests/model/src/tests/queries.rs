use serde_json::json;

use super::{E1, E2, E3, T1, T2, T3, column, event, failed, get, started, succeeded, task};

const T: &str = "2024-01-15T10:00:00Z";

#[test]
fn a_row_counts_tasks_and_their_whole_history() {
    let events = [
        task(T1, T, "q"),
        task(T2, T, "q"),
        event("task.paused", "2024-01-15T10:01:00Z", json!({"task_id": T2})),
        succeeded(E1, T1, "2020-01-01T00:00:00Z", "2020-01-01T00:00:01.001Z"),
        failed(E2, T2, "2021-01-01T00:00:00Z", "2021-01-01T00:00:02Z", "E"),
        started(E3, T1, T),
        // Of a task that is not known, and so of no query.
        started("770e8400-e29b-41d4-a716-446655440009", T3, T),
    ];
    let expected = json!({"queries": [{"search_query": "q", "total_tasks": 2, "active_tasks": 1, "total_executions": 3,
        "success_rate": 0.5, "avg_duration_ms": 1501}], "total": 1, "page": 1, "limit": 50});
    assert_eq!(get(&events, "/admin/queries", ""), expected);
}

#[test]
fn nothing_finished() {
    let body = get(&[task(T1, T, "q"), started(E1, T1, T)], "/admin/queries", "");
    assert_eq!(body["queries"][0].to_string().matches("\"success_rate\":0.0").count(), 1);
    assert_eq!(body["queries"][0]["avg_duration_ms"], 0);
}

#[test]
fn texts_are_exact_and_ties_follow_their_sha_256() {
    // SHA-256: "c" 2e7d..., "b" 3e23..., "A" 559a..., "a" ca97...
    let id = |n: usize| format!("550e8400-e29b-41d4-a716-4466554400{n:02}");
    let mut events: Vec<_> =
        ["a", "A", "b", "c"].iter().enumerate().map(|(n, q)| task(&id(n), T, q)).collect();
    assert_eq!(column(&get(&events, "/admin/queries", "")["queries"], "search_query"), ["c", "b", "A", "a"]);
    events.push(task(&id(50), T, "a"));
    let body = get(&events, "/admin/queries", "limit=3&page=1");
    assert_eq!(column(&body["queries"], "search_query"), ["a", "c", "b"]);
    let body = get(&events, "/admin/queries", "limit=3&page=2");
    assert_eq!(column(&body["queries"], "search_query"), ["A"]);
    assert_eq!((&body["total"], &body["page"], &body["limit"]), (&json!(4), &json!(2), &json!(3)));
    assert_eq!(
        get(&events, "/admin/stats", "")["popular_queries"],
        json!([{"query": "a", "count": 2}, {"query": "c", "count": 1}, {"query": "b", "count": 1}, {"query": "A", "count": 1}])
    );
}

#[test]
fn the_history_moves_with_the_query() {
    let events = [
        task(T1, "2024-01-15T08:00:00Z", "old"),
        task(T2, "2024-01-15T08:00:00Z", "old"),
        succeeded(E1, T1, "2024-01-15T08:30:00Z", "2024-01-15T08:30:05Z"),
        succeeded(E2, T2, "2024-01-15T08:30:00Z", "2024-01-15T08:30:09Z"),
        event("task.updated", "2024-01-15T09:00:00Z", json!({"task_id": T1, "search_query": "new"})),
    ];
    let rows = get(&events, "/admin/queries", "")["queries"].clone();
    // SHA-256: "new" 11507..., "old" cba06...
    assert_eq!(column(&rows, "search_query"), ["new", "old"]);
    assert_eq!(column(&rows, "total_executions"), [1, 1]);
    assert_eq!(column(&rows, "avg_duration_ms"), [5000, 9000]);
    // A deleted task takes its history with it.
    let mut events = events.to_vec();
    events.push(event("task.deleted", T, json!({"task_id": T2})));
    assert_eq!(column(&get(&events, "/admin/queries", "")["queries"], "search_query"), ["new"]);
}

#[test]
fn only_ten_queries_are_popular() {
    let events: Vec<_> = (0..12)
        .map(|n| task(&format!("550e8400-e29b-41d4-a716-4466554400{n:02}"), T, &format!("q{n}")))
        .collect();
    let popular = get(&events, "/admin/stats", "")["popular_queries"].clone();
    assert_eq!(popular.as_array().unwrap().len(), 10);
    assert_eq!(
        column(&popular, "query"),
        column(&get(&events, "/admin/queries", "limit=10")["queries"], "search_query")
    );
}
