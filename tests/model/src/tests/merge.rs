use serde_json::{Value, json};

use super::{E1, T1, U1, U2, envelope, event, failed, get, received, started, succeeded, task, user};
use crate::Message;

const T: &str = "2024-01-15T10:00:00Z";

fn updated(time: &str, email: &str) -> Message {
    event("user.updated", time, json!({"user_id": U1, "email": email}))
}

/// Two updates of the same time that differ in the envelope or in the data: which email wins?
fn winner(a: (&str, &str, Value), b: (&str, &str, Value)) -> Value {
    let message = |(id, source, data): (&str, &str, Value)| {
        let mut body = envelope("user.updated", T, &data);
        body["id"] = json!(id);
        body["source"] = json!(source);
        received(&body)
    };
    let body = get(&[user(U1, "2024-01-15T09:00:00Z"), message(a), message(b)], "/admin/users", "");
    body["users"][0]["email"].clone()
}

#[test]
fn ties_are_broken_by_id_source_and_data() {
    let data = |email: &str| json!({"user_id": U1, "email": email});
    assert_eq!(winner(("b", "/a", data("one")), ("a", "/b", data("two"))), "one");
    assert_eq!(winner(("a", "/a", data("two")), ("a", "/b", data("one"))), "one");
    assert_eq!(winner(("a", "/a", data("two")), ("a", "/a", data("one"))), "two");
    // As UTF-8 bytes: "ab" after "B", "é" (C3 A9) after "z", a longer text after its beginning.
    assert_eq!(winner(("B", "/a", data("two")), ("ab", "/a", data("one"))), "one");
    assert_eq!(winner(("z", "/a", data("two")), ("é", "/a", data("one"))), "one");
    assert_eq!(winner(("a", "/a", data("two")), ("a0", "/a", data("one"))), "one");
    // U+FFFD (EF BF BD) comes before U+1F600 (F0 9F 98 80), other than in UTF-16.
    assert_eq!(winner(("\u{fffd}", "/a", data("two")), ("\u{1f600}", "/a", data("one"))), "one");
    // The whole data counts, names sorted: {"a":... comes before {"email":...
    let with_more = json!({"user_id": U1, "email": "two", "a": 1});
    assert_eq!(winner(("a", "/a", with_more), ("a", "/a", data("one"))), "one");
}

#[test]
fn time_counts_in_milliseconds_and_in_utc() {
    let earlier = updated("2024-01-15T10:00:00.0019Z", "a@x");
    let same_ms = updated("2024-01-15T11:00:00.001+01:00", "b@x");
    let body = get(&[user(U1, "2024-01-15T09:00:00Z"), earlier, same_ms], "/admin/users", "");
    assert_eq!(body["users"][0]["email"], "b@x", "equal times: the greater data wins");
}

#[test]
fn the_rank_of_the_type_comes_before_the_id() {
    let state = |kind: &str, id: &str| {
        let mut body = envelope(kind, T, &json!({"user_id": U1}));
        body["id"] = json!(id);
        received(&body)
    };
    let users = [user(U1, T), state("user.deactivated", "z"), state("user.reactivated", "a")];
    assert_eq!(get(&users, "/admin/users", "")["users"][0]["state"], "active");
    let tasks = [
        task(T1, T, "q"),
        event("task.resumed", T, json!({"task_id": T1})),
        event("task.paused", T, json!({"task_id": T1})),
    ];
    assert_eq!(
        get(&tasks, "/admin/stats", "")["tasks"]["active"],
        1,
        "resumed ranks after paused and created"
    );
    let all = [started(E1, T1, T), failed(E1, T1, T, T, "E"), succeeded(E1, T1, T, T)];
    assert_eq!(get(&all, "/admin/executions", "")["executions"][0]["status"], "success");
    assert_eq!(get(&all[..2], "/admin/executions", "")["executions"][0]["status"], "failed");
}

#[test]
fn registers_merge_one_by_one() {
    let events = [
        event(
            "task.created",
            "2024-01-15T09:00:00Z",
            json!({"task_id": T1, "user_id": U1, "search_query": "old"}),
        ),
        event("task.paused", "2024-01-15T09:05:00Z", json!({"task_id": T1})),
        event("task.updated", "2024-01-15T09:10:00Z", json!({"task_id": T1, "search_query": "new"})),
        event("task.updated", "2024-01-15T09:20:00Z", json!({"task_id": T1, "name": "n"})),
    ];
    let body = get(&events, "/admin/queries", "");
    assert_eq!(body["queries"][0]["search_query"], "new");
    assert_eq!(body["queries"][0]["active_tasks"], 0);
}

#[test]
fn of_several_created_events_the_greatest_counts() {
    let events = [
        event(
            "user.created",
            "2024-01-15T08:00:00Z",
            json!({"user_id": U1, "clerk_user_id": "old", "email": "o@x", "created_at": "2024-01-01T00:00:00Z"}),
        ),
        event(
            "user.created",
            "2024-01-15T09:00:00Z",
            json!({"user_id": U1.to_uppercase(), "clerk_user_id": "new", "email": "n@x"}),
        ),
        updated("2024-01-15T08:30:00Z", "between@x"),
    ];
    let body = get(&events, "/admin/users", "");
    assert_eq!(body["total"], 1);
    let row = &body["users"][0];
    assert_eq!(row["clerk_user_id"], "new");
    assert_eq!(row["created_at"], "2024-01-15T09:00:00Z", "a default is a value as if it had been sent");
    assert_eq!(row["email"], "n@x", "the email register takes the later created event");
    assert_eq!(row["id"], U1);
}

#[test]
fn a_later_created_event_sets_the_default_state_and_owner() {
    let events = [
        event(
            "task.created",
            "2024-01-15T08:00:00Z",
            json!({"task_id": T1, "user_id": U1, "search_query": "q", "state": "completed"}),
        ),
        event("task.paused", "2024-01-15T08:30:00Z", json!({"task_id": T1})),
        event(
            "task.created",
            "2024-01-15T09:00:00Z",
            json!({"task_id": T1, "user_id": U2, "search_query": "q"}),
        ),
        user(U1, T),
        user(U2, T),
    ];
    assert_eq!(get(&events, "/admin/stats", "")["tasks"], json!({"total": 1, "active": 1, "paused": 0}));
    assert_eq!(get(&events[..2], "/admin/stats", "")["tasks"], json!({"total": 1, "active": 0, "paused": 1}));
    assert_eq!(get(&events[..1], "/admin/stats", "")["tasks"], json!({"total": 1, "active": 0, "paused": 0}));
    let users = get(&events, "/admin/users", "");
    assert_eq!(users["users"][0]["id"], U2);
    assert_eq!(users["users"][0]["tasks_count"], 1);
    assert_eq!(users["users"][1]["tasks_count"], 0);
}

#[test]
fn deleted_is_for_ever() {
    let events = [
        event("task.deleted", "2024-01-15T08:00:00Z", json!({"task_id": T1})),
        task(T1, "2024-01-15T09:00:00Z", "q"),
        event("task.resumed", "2024-01-15T09:30:00Z", json!({"task_id": T1})),
        started(E1, T1, T),
    ];
    assert_eq!(get(&events, "/admin/stats", "")["tasks"]["total"], 0);
    assert_eq!(get(&events, "/admin/queries", "")["total"], 0);
    let executions = get(&events, "/admin/executions", "");
    assert_eq!(executions["executions"][0]["search_query"], "q", "executions of deleted tasks stay listed");
}

#[test]
fn stubs_are_remembered_but_not_counted() {
    let events = [
        updated("2024-01-15T08:00:00Z", "stub@x"),
        event("user.deactivated", "2024-01-15T08:00:00Z", json!({"user_id": U1})),
        event("task.updated", "2024-01-15T08:00:00Z", json!({"task_id": T1, "search_query": "stub query"})),
        started(E1, T1, T),
    ];
    let stats = get(&events, "/admin/stats", "");
    assert_eq!(stats["users"]["total"], 0);
    assert_eq!(stats["tasks"]["total"], 0);
    assert_eq!(stats["executions"]["total_24h"], 1);
    assert_eq!(get(&events, "/admin/users", "")["total"], 0);
    assert_eq!(get(&events, "/admin/queries", "")["total"], 0);
    let row = &get(&events, "/admin/executions", "")["executions"][0];
    assert_eq!((&row["user_email"], &row["search_query"]), (&json!("stub@x"), &json!("stub query")));

    // Their created events, of an earlier time, come last: everything that was remembered counts.
    let mut all = events.to_vec();
    all.push(user(U1, "2024-01-15T07:00:00Z"));
    all.push(task(T1, "2024-01-15T07:00:00Z", "first query"));
    let users = get(&all, "/admin/users", "");
    assert_eq!(users["users"][0]["email"], "stub@x");
    assert_eq!(users["users"][0]["state"], "deactivated");
    assert_eq!(get(&all, "/admin/queries", "")["queries"][0]["search_query"], "stub query");
}
