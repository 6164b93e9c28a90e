use serde_json::json;

use super::{E1, E2, E3, T1, T2, T3, U1, U2, event, failed, get, started, succeeded, task, user};

const T: &str = "2024-01-15T10:00:00Z";
const U3: &str = "660e8400-e29b-41d4-a716-446655440003";

fn login(id: &str, time: &str) -> crate::Message {
    event("user.logged_in", time, json!({"user_id": id}))
}

#[test]
fn nothing_yet() {
    let expected = json!({
        "users": {"total": 0, "active_30d": 0, "new_7d": 0}, "tasks": {"total": 0, "active": 0, "paused": 0},
        "executions": {"total_24h": 0, "success_24h": 0, "failed_24h": 0, "avg_duration_ms": 0},
        "notifications": {"sent_24h": 0, "sent_7d": 0}, "popular_queries": []});
    assert_eq!(get(&[], "/admin/stats", "page=x&page=y"), expected);
}

#[test]
fn users_who_logged_in_count_from_the_full_hour() {
    // now is 2024-01-15T10:30:42.5Z; 30 days before, cut to the hour: 2023-12-16T10:00
    let old = "2023-01-01T00:00:00Z";
    let events = [
        user(U1, old),
        user(U2, old),
        login(U1, "2023-12-16T10:00:00Z"),
        login(U1, "2023-01-01T00:00:00Z"),
        login(U2, "2023-12-16T09:59:59.999Z"),
        // A stub does not count.
        login(U3, T),
    ];
    assert_eq!(get(&events, "/admin/stats", "")["users"], json!({"total": 2, "active_30d": 1, "new_7d": 0}));
    let mut gone = events.to_vec();
    gone.push(event("user.deactivated", T, json!({"user_id": U1})));
    assert_eq!(get(&gone, "/admin/stats", "")["users"], json!({"total": 2, "active_30d": 0, "new_7d": 0}));
}

#[test]
fn new_users_count_from_the_full_minute() {
    let created = |id: &str, at: &str| {
        event("user.created", T, json!({"user_id": id, "clerk_user_id": "c", "email": "e", "created_at": at}))
    };
    let events = [
        created(U1, "2024-01-08T10:30:00Z"),
        created(U2, "2024-01-08T10:29:59.999Z"),
        created(U3, "2024-01-16T00:00:00Z"),
    ];
    assert_eq!(get(&events, "/admin/stats", "")["users"], json!({"total": 3, "active_30d": 0, "new_7d": 2}));
}

#[test]
fn tasks_by_state() {
    let events = [
        task(T1, T, "q"),
        task(T2, T, "q"),
        task(T3, T, "q"),
        event("task.paused", "2024-01-15T10:01:00Z", json!({"task_id": T2})),
        event("task.completed", "2024-01-15T10:01:00Z", json!({"task_id": T3})),
    ];
    assert_eq!(get(&events, "/admin/stats", "")["tasks"], json!({"total": 3, "active": 1, "paused": 1}));
}

#[test]
fn executions_of_the_last_day() {
    let events = [
        succeeded(E1, T1, "2024-01-14T10:30:00Z", "2024-01-14T10:30:00.004Z"),
        failed(E2, T1, T, "2024-01-15T10:00:00.007Z", "E"),
        started(E3, T1, T),
        // Started a millisecond too early, completed within the window.
        succeeded("770e8400-e29b-41d4-a716-446655440009", T1, "2024-01-14T10:29:59.999Z", T),
    ];
    let expected = json!({"total_24h": 3, "success_24h": 1, "failed_24h": 1, "avg_duration_ms": 6}); // 5.5
    assert_eq!(get(&events, "/admin/stats", "")["executions"], expected);
}

#[test]
fn great_durations_do_not_overflow() {
    let long = |n: usize| {
        let id = format!("770e8400-e29b-41d4-a716-44665544{n:04}");
        event(
            "execution.succeeded",
            T,
            json!({"execution_id": id, "task_id": T1, "user_id": U1, "started_at": T,
            "duration_ms": 9_007_199_254_740_991_u64, "condition_met": false}),
        )
    };
    let events: Vec<_> = (0..1100).map(long).collect();
    assert_eq!(get(&events, "/admin/stats", "")["executions"]["avg_duration_ms"], 9_007_199_254_740_991_u64);
}

#[test]
fn notifications_count_once() {
    let sent = |id: &str, time: &str| {
        event("notification.sent", time, json!({"notification_id": id, "user_id": U1, "channel": "email"}))
    };
    let events = [
        sent("a", "2024-01-14T10:30:00Z"),
        sent("b", "2024-01-14T10:29:59.999Z"),
        sent("c", "2024-01-08T10:30:00Z"),
        sent("d", "2024-01-08T10:29:59.999Z"),
        // Sent again with another time: the greatest counts.
        sent("c", "2024-01-15T10:00:00Z"),
    ];
    assert_eq!(get(&events, "/admin/stats", "")["notifications"], json!({"sent_24h": 2, "sent_7d": 3}));
}
