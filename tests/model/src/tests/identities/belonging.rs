//! Points 1, 2 and 4: an identity that belongs to users.

use serde_json::{Value, json};

use super::{A, B, EARLY, ID_A, LATE, T, created, identity, platform_user, row, rows, user_event};
use crate::tests::{E1, T1, U1, U2, column, get, started, task};
use crate::{Message, World};

#[test]
fn one_person_is_one_row() {
    let events = [
        platform_user(U1, A, EARLY),
        identity(
            "created",
            A,
            T,
            json!({"email": "new@clerk", "role": "admin", "created_at": "2024-01-01T00:00:00Z"}),
        ),
        identity("logged_in", A, LATE, json!({})),
        task(T1, T, "q"),
    ];
    let expected = json!({"id": U1, "email": "new@clerk", "clerk_user_id": A, "state": "active", "tasks_count": 1,
        "active_tasks_count": 1, "executions_24h": 0, "notifications_7d": 0,
        // "`clerk_user_id` and `created_at` are those of the user's own `user.created`."
        "created_at": EARLY, "last_login": LATE});
    assert_eq!(row(&events), expected);
    assert_eq!(World::of(&events).role(U1), Some("admin"));
    let users = &get(&events, "/admin/stats", "")["users"];
    assert_eq!(users, &json!({"total": 1, "active_30d": 1, "new_7d": 1}));
}

#[test]
fn the_email_of_an_identity_shows_in_other_lists() {
    let events = [platform_user(U1, A, EARLY), created(A, T), started(E1, T1, T)];
    assert_eq!(get(&events, "/admin/executions", "")["executions"][0]["user_email"], "user_a@clerk");
}

#[test]
fn registers_merge_across_both_kinds() {
    let email = |events: &[Message]| row(events)["email"].clone();
    let mut events = vec![
        platform_user(U1, A, T),
        identity("updated", A, EARLY, json!({"email": "old@clerk", "role": "admin"})),
    ];
    assert_eq!(email(&events), "user_a@platform", "the later time wins");
    assert_eq!(World::of(&events).role(U1), Some("admin"), "no other event writes the role");
    events.push(user_event("updated", U1, LATE, json!({"email": "user", "role": null})));
    assert_eq!(email(&events), "user");
    assert_eq!(World::of(&events).role(U1), None);
    // At equal times the ranks decide: the identity's events come after all of the user's.
    events.push(identity("created", A, LATE, json!({"email": "identity"})));
    assert_eq!(email(&events), "identity");
    events.push(identity("updated", A, LATE, json!({"email": "updated"})));
    assert_eq!(email(&events), "updated");
    // A field that is absent writes nothing.
    events.push(identity("created", A, "2024-01-15T10:20:00Z", json!({"role": "viewer"})));
    assert_eq!(email(&events), "updated");
    assert_eq!(World::of(&events).role(U1), Some("viewer"));
}

#[test]
fn the_last_login_is_the_greatest_of_both_kinds() {
    let mut events = vec![platform_user(U1, A, EARLY), user_event("logged_in", U1, T, json!({}))];
    assert_eq!(row(&events)["last_login"], T);
    events.push(identity("logged_in", A, EARLY, json!({})));
    assert_eq!(row(&events)["last_login"], T);
    events.push(identity("logged_in", A, LATE, json!({})));
    assert_eq!(row(&events)["last_login"], LATE);
}

#[test]
fn deleting_an_identity_deactivates_its_user_until_a_later_reactivation() {
    let mut events =
        vec![platform_user(U1, A, EARLY), created(A, EARLY), identity("deleted", A, T, json!({}))];
    assert_eq!(row(&events)["state"], "deactivated");
    assert_eq!(get(&events, "/admin/users", "active_only=true")["total"], 0);
    events.push(user_event("reactivated", U1, T, json!({})));
    assert_eq!(row(&events)["state"], "deactivated", "`identity.deleted` ranks after `user.reactivated`");
    events.push(user_event("reactivated", U1, LATE, json!({})));
    assert_eq!(row(&events)["state"], "active");
}

#[test]
fn an_identity_counts_before_its_own_created_event() {
    let events = [
        platform_user(U1, A, EARLY),
        identity("updated", A, T, json!({"email": "new@clerk"})),
        identity("logged_in", A, T, json!({})),
    ];
    assert_eq!(row(&events)["email"], "new@clerk");
    assert_eq!(row(&events)["last_login"], T);
}

#[test]
fn an_external_id_names_a_user_in_any_letter_case() {
    let mut events = vec![
        platform_user(U1, B, EARLY),
        identity("created", A, T, json!({"email": "a@clerk", "external_id": U1.to_uppercase()})),
    ];
    assert_eq!(row(&events)["email"], "a@clerk");
    assert_eq!(row(&events)["clerk_user_id"], B);
    // Its whole history goes where it belongs today.
    events.push(platform_user(U2, B, EARLY));
    events.push(identity("updated", A, LATE, json!({"external_id": U2})));
    let rows = rows(&events);
    assert_eq!(column(&json!(rows), "id"), [U2, U1]);
    assert_eq!(column(&json!(rows), "email"), ["a@clerk", "user_b@platform"]);
}

#[test]
fn an_external_id_can_be_removed() {
    let events = [
        platform_user(U1, B, EARLY),
        identity("created", A, EARLY, json!({"email": "a@clerk", "external_id": U1})),
        identity("updated", A, T, json!({"external_id": null})),
    ];
    let rows = rows(&events);
    assert_eq!(column(&json!(rows), "id"), [ID_A, U1], "it stands in again; ids descending");
    assert_eq!(column(&json!(rows), "email"), ["a@clerk", "user_b@platform"]);
}

#[test]
fn a_user_can_have_several_identities() {
    let events = [
        platform_user(U1, A, EARLY),
        identity("created", A, T, json!({"email": "a@clerk", "role": "admin"})),
        identity("created", B, LATE, json!({"email": "b@clerk", "external_id": U1})),
        identity("logged_in", B, T, json!({})),
    ];
    let row = row(&events);
    assert_eq!((&row["email"], &row["last_login"]), (&json!("b@clerk"), &json!(T)));
    assert_eq!(World::of(&events).role(U1), Some("admin"));
}

#[test]
fn an_identity_can_belong_to_several_users() {
    let events = [
        platform_user(U1, A, EARLY),
        platform_user(U2, A, EARLY),
        identity("updated", A, T, json!({"email": "a@clerk", "role": "admin"})),
        identity("deleted", A, T, json!({})),
    ];
    let rows = rows(&events);
    assert_eq!(column(&json!(rows), "id"), [U2, U1]);
    assert_eq!(column(&json!(rows), "email"), ["a@clerk", "a@clerk"]);
    assert_eq!(column(&json!(rows), "state"), ["deactivated", "deactivated"]);
    let world = World::of(&events);
    assert_eq!((world.role(U1), world.role(U2)), (Some("admin"), Some("admin")));
}

#[test]
fn only_todays_clerk_id_of_a_user_counts() {
    let events = [
        platform_user(U1, A, EARLY),
        created(A, T),
        // The greatest `user.created` names another identity, so A stands in.
        platform_user(U1, B, LATE),
    ];
    let rows = rows(&events);
    assert_eq!(column(&json!(rows), "clerk_user_id"), [B, A]);
    assert_eq!(column(&json!(rows), "id"), [U1, ID_A]);
    assert_eq!(column(&json!(rows), "email"), ["user_b@platform", "user_a@clerk"]);
}

#[test]
fn a_stub_owns_no_identity() {
    // Nothing but a `user.created` makes an identity belong to a user.
    let events = [
        user_event("updated", U1, EARLY, json!({"email": "stub"})),
        identity("updated", A, T, json!({"email": "a@clerk", "external_id": U1})),
        started(E1, T1, T),
    ];
    assert!(rows(&events).is_empty());
    assert_eq!(
        get(&events, "/admin/executions", "")["executions"][0]["user_email"],
        "stub",
        "an identity without `identity.created` that belongs to nobody holds for nobody"
    );
}

#[test]
fn user_events_of_the_derived_id_are_events_of_the_identity() {
    let state = |events: &[Message]| row(events)["state"].clone();
    let mut events = vec![created(A, EARLY), user_event("deactivated", ID_A, T, json!({"by": "x"}))];
    assert_eq!(state(&events), "deactivated");
    events.push(platform_user(U1, A, LATE));
    assert_eq!(row(&events)["id"], U1);
    assert_eq!(state(&events), "deactivated", "whoever deactivates a stand-in has deactivated the person");
    events.push(user_event("updated", ID_A, LATE, json!({"email": "new", "role": "admin"})));
    events.push(user_event("logged_in", ID_A, LATE, json!({})));
    let row = row(&events);
    assert_eq!((&row["email"], &row["last_login"]), (&json!("new"), &json!(LATE)));
    assert_eq!(World::of(&events).role(U1), Some("admin"));
    events.push(user_event("reactivated", ID_A, LATE, json!({})));
    assert_eq!(state(&events), "active");
}

#[test]
fn user_events_of_the_derived_id_count_for_both_where_a_user_has_that_id() {
    let events = [
        identity("logged_in", A, EARLY, json!({})),
        platform_user(U1, A, EARLY),
        platform_user(ID_A, B, EARLY),
        user_event("deactivated", ID_A, T, json!({})),
    ];
    let rows = rows(&events);
    assert_eq!(column(&json!(rows), "id"), [ID_A, U1]);
    assert_eq!(column(&json!(rows), "state"), ["deactivated", "deactivated"]);
}

#[test]
fn a_derived_id_means_nothing_while_no_event_of_the_identity_has_arrived() {
    // The log of an earlier release, whose webhook created users under derived ids: two rows, as
    // before.
    let events = [
        platform_user(U1, A, EARLY),
        platform_user(ID_A, A, EARLY),
        user_event("updated", ID_A, T, json!({"email": "clerk"})),
        user_event("deactivated", ID_A, T, json!({})),
    ];
    let before = json!(rows(&events));
    assert_eq!(column(&before, "id"), [ID_A, U1]);
    assert_eq!(column(&before, "email"), ["clerk", "user_a@platform"]);
    assert_eq!(column(&before, "state"), ["deactivated", "active"]);
    assert_eq!(column(&before, "last_login"), [&Value::Null, &Value::Null]);
}
