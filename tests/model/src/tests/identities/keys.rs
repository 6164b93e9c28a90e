//! The section "API keys".

use serde_json::json;

use super::{A, EARLY, ID_A, LATE, T, created, identity, platform_user, user_event};
use crate::tests::{U1, U2, event};
use crate::{Message, ModelKey, World};

const H1: &str = "0000000000000000000000000000000000000000000000000000000000000001";
const H2: &str = "0000000000000000000000000000000000000000000000000000000000000002";

fn key(key_id: &str, user_id: &str, key_hash: &str, time: &str) -> Message {
    let data = json!({"key_id": key_id, "user_id": user_id, "key_hash": key_hash, "key_prefix": "sk_"});
    event("api_key.created", time, data)
}

fn revoked(key_id: &str, user_id: &str, time: &str) -> Message {
    event("api_key.revoked", time, json!({"key_id": key_id, "user_id": user_id}))
}

fn of(events: &[Message], key_hash: &str) -> ModelKey {
    let answer = World::of(events).key(key_hash);
    let turned: Vec<Message> = events.iter().rev().cloned().collect();
    assert_eq!(World::of(&turned).key(key_hash), answer, "the order of delivery must not matter");
    answer
}

fn good(user_id: &str) -> ModelKey {
    ModelKey::Good(user_id.to_owned())
}

#[test]
fn a_good_key_names_its_user() {
    let events = [key("k", &U1.to_uppercase(), H1, T)];
    assert_eq!(of(&events, H1), good(U1));
    assert_eq!(of(&events, H2), ModelKey::Unknown);
    // Two keys of one text and one user.
    assert_eq!(of(&[key("k", U1, H1, T), key("l", U1, H1, T)], H1), good(U1));
}

#[test]
fn a_revoked_text_never_comes_alive_again() {
    let mut events = vec![revoked("k", U1, EARLY), key("k", U1, H1, T)];
    assert_eq!(of(&events, H1), ModelKey::Revoked);
    events.push(key("k", U1, H1, LATE));
    assert_eq!(of(&events, H1), ModelKey::Revoked);
    // Nor under another key id.
    events.push(key("l", U1, H1, LATE));
    assert_eq!(of(&events, H1), ModelKey::Revoked);
    events.push(key("m", U1, H2, LATE));
    assert_eq!(of(&events, H2), good(U1));
}

#[test]
fn a_revoked_key_takes_all_its_texts_along() {
    let events = [key("k", U1, H1, EARLY), key("k", U1, H2, T), revoked("k", U2, T)];
    assert_eq!(of(&events[..2], H1), good(U1));
    assert_eq!(of(&events[..2], H2), good(U1));
    assert_eq!((of(&events, H1), of(&events, H2)), (ModelKey::Revoked, ModelKey::Revoked));
}

#[test]
fn a_text_of_two_users_is_refused() {
    assert_eq!(of(&[key("k", U1, H1, T), key("l", U2, H1, T)], H1), ModelKey::Shared);
    // One key that two events gave to two users, whichever text is used.
    let events = [key("k", U1, H1, T), key("k", U2, H2, T)];
    assert_eq!((of(&events, H1), of(&events, H2)), (ModelKey::Shared, ModelKey::Shared));
    // A revoked one among them: refused either way.
    let events = [key("k", U1, H1, T), key("l", U2, H1, T), revoked("l", U2, T)];
    assert_eq!(of(&events, H1), ModelKey::Revoked);
    assert_eq!(World::of(&events).key_status(H1), 401);
}

#[test]
fn a_key_is_listed_under_the_user_of_its_greatest_created_event() {
    let events = [key("k", U2, H1, T), key("k", U1, H1, LATE), revoked("l", U1, T)];
    let world = World::of(&events);
    assert_eq!(world.key_listed_under("k"), Some(U1));
    assert_eq!(world.key_listed_under("l"), None, "a stub");
    assert_eq!(world.key_listed_under("m"), None);
}

#[test]
fn a_key_is_revoked_with_any_of_its_users() {
    let events = [
        key("k", U1, H1, T),
        key("k", U2, H1, LATE),
        key("l", U1, H2, T),
        key("m", U1, H2, T),
        revoked("m", U1, T),
    ];
    let world = World::of(&events);
    assert_eq!(world.keys_to_revoke(U1), ["k", "l"]);
    assert_eq!(world.keys_to_revoke(U2), ["k"]);
}

#[test]
fn the_answer_to_a_request_with_a_key() {
    let status = |events: &[Message]| World::of(events).key_status(H1);
    assert_eq!(status(&[]), 401, "unknown");
    let mut events = vec![key("k", U1, H1, T)];
    assert_eq!(status(&events), 403, "a key whose user no event has created yet");
    events.push(user_event("updated", U1, T, json!({"role": "admin"})));
    assert_eq!(status(&events), 403, "nor the role of a stub lets it in");
    events.push(platform_user(U1, A, EARLY));
    assert_eq!(status(&events), 200);
    events.push(identity("updated", A, LATE, json!({"role": null})));
    assert_eq!(status(&events), 403);
    events.push(user_event("deactivated", U1, LATE, json!({})));
    assert_eq!(status(&events), 401);
}

#[test]
fn deleting_the_identity_shuts_the_keys_of_its_user() {
    let mut events = vec![
        key("k", U1, H1, T),
        platform_user(U1, A, EARLY),
        identity("created", A, EARLY, json!({"role": "admin"})),
    ];
    assert_eq!(World::of(&events).key_status(H1), 200, "an admin by Clerk's metadata");
    events.push(identity("deleted", A, T, json!({})));
    assert_eq!(World::of(&events).key_status(H1), 401);
}

#[test]
fn the_keys_of_a_stand_in_are_a_403_once_it_is_gone() {
    let mut events = vec![key("k", ID_A, H1, T), identity("created", A, EARLY, json!({"role": "admin"}))];
    assert_eq!(of(&events, H1), good(ID_A));
    assert_eq!(World::of(&events).key_status(H1), 200);
    events.push(platform_user(U1, A, T));
    assert_eq!(of(&events, H1), good(ID_A));
    assert_eq!(World::of(&events).key_status(H1), 403);
    assert_eq!(World::of(&[key("k", ID_A, H1, T), created("user_b", T)]).key_status(H1), 403);
}
