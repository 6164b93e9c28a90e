use serde_json::{Value, json};

use super::{T1, T2, U1, column, event, get, started};
use crate::Message;

const PATH: &str = "/admin/temporal/schedules";
const T: &str = "2024-01-15T08:00:00Z";

fn created(id: &str, time: &str) -> Message {
    event(
        "temporal.schedule.created",
        time,
        json!({"schedule_id": id, "task_id": T1, "user_id": U1, "cron": "0 9 * * *"}),
    )
}

fn change(kind: &str, id: &str, time: &str) -> Message {
    event(&format!("temporal.schedule.{kind}"), time, json!({"schedule_id": id}))
}

#[test]
fn a_full_row() {
    let id = |n: usize| format!("770e8400-e29b-41d4-a716-4466554400{n:02}");
    let events = [
        event("user.updated", T, json!({"user_id": U1, "email": "stub@x"})),
        created("s 1", T),
        // Today is January 15; the 29 days before it begin on December 17.
        started(&id(1), T1, "2023-12-17T00:00:00Z"),
        started(&id(2), T1, "2023-12-16T23:59:59.999Z"),
        started(&id(3), T1, "2024-01-15T23:59:59.999Z"),
        started(&id(4), T1, "2024-01-16T00:00:00Z"),
        started(&id(5), T2, T),
    ];
    let expected = json!({"schedules": [{"schedule_id": "s 1", "task_id": T1, "user_email": "stub@x", "cron": "0 9 * * *",
        "is_paused": false, "recent_executions": 2, "next_run_time": "2024-01-16T09:00:00Z",
        "temporal_ui_url": "https://t.io/namespaces/a%2Fb/schedules/s%201"}], "total": 1});
    assert_eq!(get(&events, PATH, ""), expected);
}

#[test]
fn paused_deleted_and_stubs() {
    let mut events = vec![
        created("a", T),
        created("b", "2024-01-15T08:00:01Z"),
        created("c", T),
        change("deleted", "c", "2024-01-15T07:00:00Z"),
        change("unpaused", "stub", T),
        change("paused", "a", "2024-01-15T08:01:00Z"),
    ];
    assert_eq!(column(&get(&events, PATH, "")["schedules"], "schedule_id"), ["b"]);
    assert_eq!(get(&events, PATH, "include_paused=0")["total"], 1);
    let body = get(&events, PATH, "include_paused=true");
    assert_eq!(column(&body["schedules"], "schedule_id"), ["b", "a"]);
    assert_eq!(column(&body["schedules"], "is_paused"), [false, true]);
    assert_eq!(body["schedules"][1]["next_run_time"], Value::Null);
    assert_eq!(body["total"], 2);
    events.push(change("unpaused", "a", "2024-01-15T08:01:00Z"));
    assert_eq!(get(&events, PATH, "")["total"], 2, "unpaused ranks after paused");
}

#[test]
fn cron_and_zone_are_registers_of_their_own() {
    let update = |time: &str, field: &str, value: &str| {
        event("temporal.schedule.updated", time, json!({"schedule_id": "a", field: value}))
    };
    let mut events = vec![
        created("a", T),
        update("2024-01-15T08:02:00Z", "timezone", "Europe/Berlin"),
        update("2024-01-15T08:01:00Z", "cron", "30 18 * * *"),
    ];
    let body = get(&events, PATH, "");
    assert_eq!(body["schedules"][0]["cron"], "30 18 * * *");
    assert_eq!(body["schedules"][0]["next_run_time"], "2024-01-15T17:30:00Z");
    // A later created event brings its default zone, an empty one: UTC.
    events.push(created("a", "2024-01-15T09:00:00Z"));
    assert_eq!(get(&events, PATH, "")["schedules"][0]["next_run_time"], "2024-01-16T09:00:00Z");
    events.push(update("2024-01-15T09:01:00Z", "timezone", "Mars/Base"));
    assert_eq!(get(&events, PATH, "")["schedules"][0]["next_run_time"], Value::Null);
}

#[test]
fn the_default_zone_leaves_room_for_that_of_the_expression() {
    let schedule = |data: Value| {
        let mut all = json!({"schedule_id": "a", "task_id": T1, "user_id": U1});
        all.as_object_mut().unwrap().extend(data.as_object().unwrap().clone());
        event("temporal.schedule.created", T, all)
    };
    let next = |data: Value| {
        let body = get(&[schedule(data)], PATH, "");
        body["schedules"][0]["next_run_time"].clone()
    };
    let cron = "CRON_TZ=Europe/Berlin 0 9 * * * # every morning";
    assert_eq!(next(json!({"cron": cron})), "2024-01-16T08:00:00Z");
    assert_eq!(next(json!({"cron": cron, "timezone": ""})), "2024-01-16T08:00:00Z");
    assert_eq!(next(json!({"cron": cron, "timezone": "Europe/Berlin"})), "2024-01-16T08:00:00Z");
    assert_eq!(next(json!({"cron": cron, "timezone": "UTC"})), Value::Null, "conflicting time zones");
    // Now is 10:30:42.5, and 10:30:42 is 7 * 243616377 + 3 seconds after the epoch: that firing is
    // past.
    assert_eq!(next(json!({"cron": "@every 7s/3s"})), "2024-01-15T10:30:49Z");
    assert_eq!(next(json!({"cron": ""})), Value::Null);
}

#[test]
fn all_of_them_or_a_page() {
    let events: Vec<Message> = (0..120).map(|n| created(&format!("s{n:03}"), T)).collect();
    let count = |query: &str| {
        let body = get(&events, PATH, query);
        assert_eq!(body["total"], 120);
        body["schedules"].as_array().unwrap().len()
    };
    assert_eq!(count(""), 120);
    assert_eq!(count("include_paused=1"), 120);
    assert_eq!(count("page=1"), 50);
    assert_eq!(count("page=3"), 20);
    assert_eq!(count("limit=7"), 7);
    assert_eq!(count("limit=1000"), 120);
    let body = get(&events, PATH, "limit=2&page=2");
    assert_eq!(column(&body["schedules"], "schedule_id"), ["s117", "s116"], "ties by id, descending");
}
