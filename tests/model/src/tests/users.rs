use serde_json::{Value, json};

use super::{E1, E2, E3, T1, T2, T3, U1, U2, column, event, get, started, succeeded, task, user};
use crate::Message;

const T: &str = "2024-01-15T10:00:00Z";

#[test]
fn a_full_row() {
    let sent = |id: &str, user: &str, time: &str| {
        event(
            "notification.sent",
            time,
            json!({"notification_id": id, "user_id": user, "channel": "webhook"}),
        )
    };
    let events = [
        event(
            "user.created",
            T,
            json!({"user_id": U1, "clerk_user_id": "user_2abc", "email": "user@example.com", "role": "admin",
            "created_at": "2024-01-10T08:30:00Z"}),
        ),
        event("user.logged_in", "2024-01-15T09:00:00Z", json!({"user_id": U1})),
        event("user.logged_in", "2024-01-14T09:00:00Z", json!({"user_id": U1})),
        task(T1, T, "q"),
        task(T2, T, "q"),
        task(T3, T, "q"),
        event("task.paused", "2024-01-15T10:01:00Z", json!({"task_id": T2})),
        event("task.deleted", "2024-01-15T10:01:00Z", json!({"task_id": T3})),
        // now is 10:30:42.5: the windows begin at 10:00:00, a day and seven days before.
        started(E1, T1, "2024-01-14T10:00:00Z"),
        succeeded(E2, T3, "2024-01-14T10:00:00.001Z", T),
        started(E3, T1, "2024-01-14T09:59:59.999Z"),
        sent("a", U1, "2024-01-08T10:00:00Z"),
        sent("b", U1, "2024-01-08T09:59:59.999Z"),
        sent("c", U2, "2024-01-15T10:00:00Z"),
        // The winning event of "d" names another user.
        sent("d", U1, "2024-01-15T09:00:00Z"),
        sent("d", U2, "2024-01-15T09:00:01Z"),
    ];
    let expected = json!({"users": [{"id": U1, "email": "user@example.com", "clerk_user_id": "user_2abc", "state": "active",
        "tasks_count": 2, "active_tasks_count": 1, "executions_24h": 2, "notifications_7d": 1,
        "created_at": "2024-01-10T08:30:00Z", "last_login": "2024-01-15T09:00:00Z"}], "total": 1, "page": 1, "limit": 50});
    assert_eq!(get(&events, "/admin/users", ""), expected);
}

#[test]
fn order_and_active_only() {
    let third = "660e8400-e29b-41d4-a716-446655440000";
    let events = [
        user(U1, T),
        user(U2, T),
        user(third, "2024-01-15T10:00:00.001Z"),
        event("user.deactivated", "2024-01-15T10:05:00Z", json!({"user_id": U2, "by": "x"})),
    ];
    let all = get(&events, "/admin/users", "active_only=false");
    assert_eq!(column(&all["users"], "id"), [third, U2, U1]);
    assert_eq!(column(&all["users"], "state"), ["active", "deactivated", "active"]);
    assert_eq!(all["users"][0]["last_login"], Value::Null);
    assert_eq!(get(&events, "/admin/users", "active_only=0"), all);
    for query in ["active_only=true", "active_only=1"] {
        let body = get(&events, "/admin/users", query);
        assert_eq!(column(&body["users"], "id"), [third, U1]);
        assert_eq!(body["total"], 2);
    }
}

#[test]
fn all_pages_together_hold_each_row_once() {
    let id = |n: usize| format!("660e8400-e29b-41d4-a716-4466554400{n:02}");
    let events: Vec<Message> = (0..7).map(|n| user(&id(n), T)).collect();
    let mut seen: Vec<String> = Vec::new();
    for page in 1..=4 {
        let body = get(&events, "/admin/users", &format!("limit=2&page={page}"));
        assert_eq!((&body["total"], &body["limit"]), (&json!(7), &json!(2)));
        seen.extend(column(&body["users"], "id").iter().map(|id| id.as_str().unwrap().to_owned()));
    }
    let expected: Vec<String> = (0..7).rev().map(id).collect();
    assert_eq!(seen, expected);
    assert_eq!(get(&events, "/admin/users", "limit=2&page=5")["users"], json!([]));
}
