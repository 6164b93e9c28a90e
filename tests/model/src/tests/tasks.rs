//! `/admin/tasks`: the list and its filters.

use serde_json::{Value, json};

use super::{E1, T1, T2, T3, U1, U2, column, encoded, event, get, started, task};
use crate::Message;

const PATH: &str = "/admin/tasks";
const T: &str = "2024-01-15T10:00:00Z";
const LATER: &str = "2024-01-15T10:00:00.001Z";

fn id(n: usize) -> String {
    format!("550e8400-e29b-41d4-a716-4466554400{n:02}")
}

fn change(kind: &str, task_id: &str) -> Message {
    event(&format!("task.{kind}"), "2024-01-15T10:05:00Z", json!({"task_id": task_id}))
}

/// The ids of the rows; `total` must be their number.
fn ids(events: &[Message], query: &str) -> Vec<Value> {
    let body = get(events, PATH, query);
    let ids: Vec<Value> = column(&body["tasks"], "id").into_iter().cloned().collect();
    assert_eq!(body["total"], ids.len());
    ids
}

#[test]
fn a_task_row_is_that_of_the_detail_without_its_additions() {
    let data = json!({"task_id": T1, "user_id": U1, "search_query": "iPhone", "name": "Phone", "schedule": "@daily"});
    let schedule = json!({"schedule_id": "s", "task_id": T1, "user_id": U1, "cron": "0 9 * * *"});
    let events = [
        event("task.created", "2024-01-10T08:00:00Z", data),
        event("temporal.schedule.created", T, schedule),
        event("user.updated", T, json!({"user_id": U1, "email": "stub@x.y"})),
        started(E1, T1, "2024-01-15T09:00:00Z"),
    ];
    let body = get(&events, PATH, "");
    let expected = json!({"tasks": [{"id": T1, "name": "Phone", "search_query": "iPhone", "user_id": U1,
        "user_email": "stub@x.y", "state": "active", "schedule": "@daily", "created_at": "2024-01-10T08:00:00Z",
        "total_executions": 1, "success_rate": 0.0, "avg_duration_ms": 0,
        "last_execution": {"id": E1, "status": "running", "started_at": "2024-01-15T09:00:00Z"},
        "next_run_time": "2024-01-16T09:00:00Z"}], "total": 1, "page": 1, "limit": 50});
    assert_eq!(body, expected);
    let mut detail = get(&events, &format!("{PATH}/{T1}"), "");
    for added in ["schedules", "history"] {
        assert!(detail.as_object_mut().unwrap().remove(added).is_some());
    }
    assert_eq!(detail, body["tasks"][0]);
}

#[test]
fn task_fields_that_no_event_has_set_are_null() {
    let row = get(&[task(T1, T, "q")], PATH, "")["tasks"][0].clone();
    for name in ["name", "user_email", "schedule", "last_execution", "next_run_time"] {
        assert_eq!(row.get(name), Some(&Value::Null), "{name}");
    }
}

#[test]
fn tasks_are_newest_first_and_ties_by_id_descending() {
    let events = [task(T2, T, "q"), task(T1, LATER, "q"), task(T3, T, "q")];
    assert_eq!(ids(&events, ""), [T1, T3, T2]);
    // The greatest `task.created` decides; a later change doesn't.
    let events = [&events[..], &[task(T2, "2024-01-15T10:01:00Z", "q"), change("paused", T3)]].concat();
    assert_eq!(ids(&events, ""), [T2, T1, T3]);
}

#[test]
fn deleted_and_stub_tasks_are_not_listed() {
    let events = [
        task(T1, T, "q"),
        change("deleted", T1),
        change("resumed", T1),
        change("paused", T2),
        task(T3, T, "q"),
    ];
    assert_eq!(ids(&events, ""), [T3]);
    assert_eq!(ids(&events, "state=active"), [T3]);
    assert_eq!(ids(&events, "state=paused"), [] as [&str; 0]);
    assert_eq!(ids(&events, "search_query=q"), [T3]);
    assert_eq!(ids(&events, &format!("user_id={U1}")), [T3]);
}

#[test]
fn tasks_by_their_state_now() {
    let (one, two, three, four) = (&id(1), &id(2), &id(3), &id(4));
    let events = [
        task(one, T, "q"),
        task(two, T, "q"),
        task(three, T, "q"),
        event(
            "task.created",
            T,
            json!({"task_id": four, "user_id": U1, "search_query": "q", "state": "paused"}),
        ),
        change("paused", two),
        change("completed", three),
    ];
    assert_eq!(ids(&events, "state=active"), [id(1)]);
    assert_eq!(ids(&events, "state=paused"), [id(4), id(2)]);
    assert_eq!(ids(&events, "state=completed"), [id(3)]);
}

#[test]
fn tasks_of_a_user_known_or_not() {
    let of = |task_id: &str, user_id: &str| {
        event("task.created", T, json!({"task_id": task_id, "user_id": user_id, "search_query": "q"}))
    };
    // No event has created either user.
    let events = [of(T1, U1), of(T2, U2), of(T3, &U1.to_uppercase())];
    assert_eq!(ids(&events, &format!("user_id={U1}")), [T3, T1]);
    assert_eq!(ids(&events, &format!("user_id={}", U2.to_uppercase())), [T2]);
    assert_eq!(ids(&events, &format!("user_id={T1}")), [] as [&str; 0], "unknown");
}

#[test]
fn tasks_by_query_are_exact_whatever_the_text() {
    let longest = "\u{1f600}".repeat(500);
    let texts =
        ["a", "A", "a ", "a%", "%", "*", "a\0", "\0", "\u{e9}", "e\u{301}", "\u{fffd}", longest.as_str()];
    let events: Vec<Message> = texts.iter().enumerate().map(|(n, text)| task(&id(n), T, text)).collect();
    for (n, text) in texts.iter().enumerate() {
        assert_eq!(ids(&events, &format!("search_query={}", encoded(text))), [id(n)], "{text:?}");
    }
    assert_eq!(ids(&events, "search_query=a+"), [id(2)], "a `+` is a blank");
    for none in ["_", "a_", "a\0a", ".*", "' OR 1=1", "#"] {
        assert_eq!(ids(&events, &format!("search_query={}", encoded(none))), [] as [&str; 0], "{none:?}");
    }
}

#[test]
fn tasks_by_query_follow_its_changes() {
    let events =
        [task(T1, T, "old"), event("task.updated", LATER, json!({"task_id": T1, "search_query": "new"}))];
    assert_eq!(ids(&events, "search_query=new"), [T1]);
    assert_eq!(ids(&events, "search_query=old"), [] as [&str; 0]);
}

#[test]
fn pages_of_filtered_tasks_hold_each_once() {
    let mut events: Vec<Message> = (0..7).map(|n| task(&id(n), T, "q")).collect();
    events.extend([change("paused", &id(3)), change("paused", &id(5))]);
    let page = |query: &str| {
        let body = get(&events, PATH, query);
        let ids: Vec<Value> = column(&body["tasks"], "id").into_iter().cloned().collect();
        (ids, body["total"].clone(), body["page"].clone(), body["limit"].clone())
    };
    let first = (vec![json!(id(6)), json!(id(4))], json!(5), json!(1), json!(2));
    assert_eq!(page("state=active&limit=2"), first);
    assert_eq!(page("state=active&limit=2&page=2").0, [id(2), id(1)]);
    assert_eq!(page("state=active&limit=2&page=3").0, [id(0)]);
    assert_eq!(page("state=active&limit=2&page=4"), (vec![], json!(5), json!(4), json!(2)));
}
