//! Points 3 and 4: an identity that belongs to no user.

use serde_json::{Value, json};

use super::{A, B, EARLY, ID_A, ID_B, LATE, T, created, identity, platform_user, row, rows, user_event};
use crate::World;
use crate::tests::{E1, T1, U1, U2, column, event, get};

#[test]
fn a_stand_in_is_listed_and_counted_like_any_user() {
    let of_user = |kind: &str, mut data: Value| {
        data["user_id"] = json!(ID_A);
        event(kind, T, data)
    };
    let events = [
        identity(
            "created",
            A,
            T,
            json!({"email": "a@clerk", "role": "admin", "created_at": "2024-01-10T08:30:00Z"}),
        ),
        identity("logged_in", A, LATE, json!({})),
        of_user("task.created", json!({"task_id": T1, "search_query": "q"})),
        of_user("execution.started", json!({"execution_id": E1, "task_id": T1})),
        of_user("notification.sent", json!({"notification_id": "n", "channel": "email"})),
        of_user("temporal.schedule.created", json!({"schedule_id": "s", "task_id": T1, "cron": "@daily"})),
    ];
    let expected = json!({"id": ID_A, "email": "a@clerk", "clerk_user_id": A, "state": "active", "tasks_count": 1,
        "active_tasks_count": 1, "executions_24h": 1, "notifications_7d": 1,
        "created_at": "2024-01-10T08:30:00Z", "last_login": LATE});
    assert_eq!(row(&events), expected);
    let users = &get(&events, "/admin/stats", "")["users"];
    assert_eq!(users, &json!({"total": 1, "active_30d": 1, "new_7d": 1}));
    assert_eq!(World::of(&events).role(ID_A), Some("admin"));
    let execution = &get(&events, "/admin/executions", "")["executions"][0];
    assert_eq!(execution["user_email"], "a@clerk");
    let schedule = &get(&events, "/admin/temporal/schedules", "")["schedules"][0];
    assert_eq!(
        (&schedule["user_email"], &schedule["next_run_time"]),
        (&json!("a@clerk"), &json!("2024-01-16T00:00:00Z"))
    );
}

#[test]
fn metrics_count_stand_ins_among_the_new_users() {
    let events = [created(A, T), platform_user(U1, B, T), identity("updated", "user_c", T, json!({}))];
    let now = crate::time::parse("2024-01-15T10:30:00Z").unwrap();
    assert_eq!(World::of(&events).metrics(now)["new_users_7d"], 2);
}

#[test]
fn only_a_created_identity_stands_in() {
    let events = [
        identity("updated", A, T, json!({"email": "a@clerk"})),
        identity("logged_in", A, T, json!({})),
        identity("deleted", B, T, json!({})),
    ];
    assert!(rows(&events).is_empty());
}

#[test]
fn what_came_before_its_created_event_holds_for_a_stand_in() {
    let events = [
        identity("updated", A, LATE, json!({"email": "late@clerk"})),
        identity("logged_in", A, EARLY, json!({})),
        created(A, T),
    ];
    let row = row(&events);
    assert_eq!((&row["email"], &row["last_login"]), (&json!("late@clerk"), &json!(EARLY)));
}

#[test]
fn an_email_is_null_while_no_event_names_one() {
    assert_eq!(row(&[identity("created", A, T, json!({}))])["email"], Value::Null);
}

#[test]
fn the_id_is_the_external_id_where_that_is_a_uuid() {
    let with = |external_id: &str| row(&[identity("created", A, T, json!({"external_id": external_id}))]);
    assert_eq!(with(U1)["id"], U1);
    assert_eq!(with(&U1.to_uppercase())["id"], U1, "printed in lower case");
    for other in ["customer 7", &U1.replace('-', ""), &format!("{{{U1}}}"), &format!(" {U1}"), ".."] {
        assert_eq!(with(other)["id"], ID_A, "{other}");
    }
}

#[test]
fn the_id_follows_the_external_id() {
    let mut events = vec![created(A, EARLY), identity("updated", A, T, json!({"external_id": U1}))];
    assert_eq!(row(&events)["id"], U1);
    events.push(identity("updated", A, LATE, json!({"external_id": null})));
    assert_eq!(row(&events)["id"], ID_A);
}

#[test]
fn what_is_known_of_a_stub_with_that_id_holds_too() {
    let events = [
        identity("created", A, EARLY, json!({"email": "a@clerk", "external_id": U1})),
        user_event("updated", U1, T, json!({"email": "stub"})),
        user_event("deactivated", U1, EARLY, json!({})),
        user_event("logged_in", U1, T, json!({})),
    ];
    let row = row(&events);
    assert_eq!(
        (&row["id"], &row["email"], &row["state"]),
        (&json!(U1), &json!("stub"), &json!("deactivated"))
    );
    assert_eq!(row["last_login"], T);
}

#[test]
fn identities_that_stand_under_one_id_are_one_row() {
    let events = [
        identity("created", A, EARLY, json!({"email": "a@clerk", "external_id": U1, "role": "admin"})),
        identity("logged_in", A, LATE, json!({})),
        // Later by its time, although it says that it was created before.
        identity("created", B, T, json!({"external_id": U1, "created_at": "2023-01-01T00:00:00Z"})),
        identity("deleted", B, T, json!({})),
    ];
    let row = row(&events);
    assert_eq!(
        (&row["id"], &row["clerk_user_id"], &row["created_at"]),
        (&json!(U1), &json!(B), &json!("2023-01-01T00:00:00Z"))
    );
    assert_eq!(
        (&row["email"], &row["last_login"], &row["state"]),
        (&json!("a@clerk"), &json!(LATE), &json!("deactivated"))
    );
    assert_eq!(World::of(&events).role(U1), Some("admin"));
}

#[test]
fn an_external_id_can_be_the_derived_id_of_another_identity() {
    let events = [
        created(A, EARLY),
        identity("created", B, T, json!({"external_id": ID_A})),
        user_event("deactivated", ID_A, T, json!({})),
    ];
    let row = row(&events);
    assert_eq!((&row["id"], &row["clerk_user_id"]), (&json!(ID_A), &json!(B)));
    assert_eq!((&row["email"], &row["state"]), (&json!("user_a@clerk"), &json!("deactivated")));
}

#[test]
fn a_stand_in_under_the_id_of_a_user_is_the_users_row() {
    // The contract knows no two rows of one id; `created_at` and `clerk_user_id` are the user's
    // own.
    let events = [created(A, T), platform_user(ID_A, B, EARLY)];
    let row = row(&events);
    assert_eq!((&row["id"], &row["clerk_user_id"]), (&json!(ID_A), &json!(B)));
    assert_eq!((&row["created_at"], &row["email"]), (&json!(EARLY), &json!("user_a@clerk")));
}

#[test]
fn a_stand_in_is_gone_as_soon_as_the_identity_belongs_to_a_user() {
    let mut events = vec![
        created(A, EARLY),
        event("execution.started", T, json!({"execution_id": E1, "task_id": T1, "user_id": ID_A})),
    ];
    assert_eq!(get(&events, "/admin/executions", "")["executions"][0]["user_email"], "user_a@clerk");
    events.push(platform_user(U1, A, EARLY));
    let row = row(&events);
    assert_eq!((&row["id"], &row["executions_24h"]), (&json!(U1), &json!(0)));
    let world = World::of(&events);
    assert!(!world.is_listed(ID_A), "a 404");
    // "Tasks, executions and keys of a stand-in's id stay that id's after it is gone": a stub's
    // now.
    assert_eq!(get(&events, "/admin/executions", "")["executions"][0]["user_email"], Value::Null);
    events.push(user_event("updated", ID_A, T, json!({"email": "stub"})));
    assert_eq!(get(&events, "/admin/executions", "")["executions"][0]["user_email"], "stub");
}

#[test]
fn a_deleted_stand_in_stays_listed_as_deactivated() {
    let mut events = vec![created(A, EARLY), identity("deleted", A, T, json!({}))];
    assert_eq!(row(&events)["state"], "deactivated");
    events.push(user_event("reactivated", ID_A, LATE, json!({})));
    assert_eq!(row(&events)["state"], "active", "the state is a register");
}

#[test]
fn stand_ins_and_users_are_ordered_together() {
    let events = [
        platform_user(U1, "user_c", T),
        created(B, T),
        identity("created", A, T, json!({"created_at": "2024-01-15T09:59:59.999Z"})),
        platform_user(U2, "user_d", LATE),
    ];
    assert_eq!(column(&json!(rows(&events)), "id"), [U2, U1, ID_B, ID_A]);
}

#[test]
fn an_event_that_says_nothing_makes_no_identity() {
    let after = |data: Value| {
        let events = [
            platform_user(U1, A, EARLY),
            identity("updated", A, EARLY, data),
            user_event("deactivated", ID_A, T, json!({})),
        ];
        row(&events)["state"].clone()
    };
    assert_eq!(after(json!({})), "active");
    assert_eq!(after(json!({"email": "a@clerk"})), "deactivated");
    assert_eq!(after(json!({"external_id": null})), "deactivated");
}
