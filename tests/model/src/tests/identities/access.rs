//! Point 5: whom a Clerk session logs in, and whom a deactivation bars.

use serde_json::json;

use super::{A, B, EARLY, ID_A, LATE, T, created, identity, platform_user, user_event};
use crate::tests::{U1, U2};
use crate::{Message, ModelSession, World};

fn session(events: &[Message]) -> ModelSession {
    World::of(events).session(A)
}

fn status(events: &[Message]) -> u16 {
    World::of(events).session_status(A)
}

#[test]
fn a_session_logs_in_the_user_that_the_identity_belongs_to() {
    let user = ModelSession::User(U1.to_owned());
    assert_eq!(session(&[platform_user(U1, A, T)]), user, "without an event of the identity");
    assert_eq!(session(&[platform_user(U1, A, T), created(A, T)]), user);
    let by_external_id =
        [platform_user(U1, B, T), identity("updated", A, T, json!({"external_id": U1.to_uppercase()}))];
    assert_eq!(session(&by_external_id), user);
}

#[test]
fn of_several_users_the_greatest_user_created_decides() {
    let first = platform_user(U1, A, LATE);
    let mut events = vec![first, platform_user(U2, A, EARLY)];
    assert_eq!(session(&events), ModelSession::User(U1.to_owned()));
    // At equal times the data decides: "...0002" is greater than "...0001".
    events.push(platform_user(U2, A, LATE));
    assert_eq!(session(&events), ModelSession::User(U2.to_owned()));
    // `created_at` has no say.
    events.push(identity("updated", A, T, json!({"external_id": U1})));
    assert_eq!(session(&events), ModelSession::User(U2.to_owned()));
    // "deactivated or not, and no other is tried"
    events.push(user_event("updated", U1, LATE, json!({"role": "admin"})));
    events.push(user_event("deactivated", U2, LATE, json!({})));
    assert_eq!(session(&events), ModelSession::User(U2.to_owned()));
    assert_eq!(status(&events), 401);
}

#[test]
fn without_a_user_a_session_logs_in_the_stand_in() {
    assert_eq!(session(&[created(A, T)]), ModelSession::StandIn(ID_A.to_owned()));
    let with_uuid = [identity("created", A, T, json!({"external_id": U1}))];
    assert_eq!(session(&with_uuid), ModelSession::StandIn(U1.to_owned()));
}

#[test]
fn without_a_user_and_a_stand_in_it_is_a_403() {
    assert_eq!(session(&[]), ModelSession::NoUser);
    let not_created = [identity("updated", A, T, json!({"role": "admin"}))];
    assert_eq!(session(&not_created), ModelSession::NoUser);
    assert_eq!(status(&not_created), 403);
}

#[test]
fn a_deleted_identity_is_a_401_for_ever() {
    let mut events = vec![
        identity("deleted", A, EARLY, json!({})),
        platform_user(U1, A, T),
        identity("created", A, T, json!({"role": "admin"})),
    ];
    assert_eq!(session(&events), ModelSession::IdentityDeleted);
    assert_eq!(status(&events), 401);
    // The user comes back to life, its other identities too; the deleted one doesn't.
    events.push(user_event("reactivated", U1, T, json!({})));
    events.push(identity("created", B, T, json!({"external_id": U1})));
    assert_eq!(status(&events), 401);
    assert_eq!(World::of(&events).session(B), ModelSession::User(U1.to_owned()));
    assert_eq!(World::of(&events).session_status(B), 200);
}

#[test]
fn the_role_decides_between_200_and_403() {
    let mut events = vec![platform_user(U1, A, EARLY)];
    assert_eq!(status(&events), 403);
    events.push(identity("created", A, T, json!({"role": "admin"})));
    assert_eq!(status(&events), 200);
    events.push(identity("updated", A, LATE, json!({"role": "Admin"})));
    assert_eq!(status(&events), 403);
    assert_eq!(status(&[identity("created", A, T, json!({"role": "admin"}))]), 200, "a stand-in");
    let of_user = [user_event("updated", ID_A, T, json!({"role": "admin"})), created(A, T)];
    assert_eq!(status(&of_user), 200);
}

#[test]
fn a_deactivated_stand_in_is_a_401() {
    let mut events = vec![
        identity("created", A, EARLY, json!({"role": "admin"})),
        user_event("deactivated", ID_A, T, json!({})),
    ];
    assert_eq!(status(&events), 401);
    events.push(user_event("reactivated", ID_A, LATE, json!({})));
    assert_eq!(status(&events), 200);
}

#[test]
fn a_deactivation_bars_each_clerk_id_that_is_not_deleted() {
    let events = [
        platform_user(U1, A, T),
        identity("created", B, T, json!({"external_id": U1})),
        identity("created", "user_c", T, json!({"external_id": U1})),
        identity("deleted", "user_c", T, json!({})),
        identity("created", "user_d", T, json!({})),
    ];
    let ids = |events: &[Message]| -> Vec<String> {
        World::of(events).clerk_ids_to_ban(U1).into_iter().map(str::to_owned).collect()
    };
    assert_eq!(ids(&events), [A, B]);
    assert_eq!(ids(&events[..1]), [A], "its own, of which no identity event has arrived");
    let mut own_deleted = events.to_vec();
    own_deleted.push(identity("deleted", A, EARLY, json!({})));
    assert_eq!(ids(&own_deleted), [B]);
    assert_eq!(ids(&events[1..]), [B], "the identities that stand in under that id");
}
