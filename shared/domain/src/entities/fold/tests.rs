//! Claims of API keys in a state; the fold of registers is tested with the model (`tests/suite/tests/write_side`).

use super::*;
use crate::events::{ReceivedMessage, parse};
use crate::values::ids::ApiKeyHash;
use serde_json::{Value, json};
use std::collections::BTreeSet;

const ANN: &str = "11111111-0000-4000-8000-000000000001";
const BOB: &str = "11111111-0000-4000-8000-000000000002";

fn event(id: &str, kind: &str, data: &Value) -> Event {
    let message = json!({ "specversion": "1.0", "id": id, "source": "/test", "type": format!("ai.torale.{kind}"),
        "time": "2026-03-31T10:00:00Z", "data": data });
    match parse(&message.to_string(), None) {
        Ok(ReceivedMessage::Known(event)) => *event,
        other => panic!("{other:?}"),
    }
}

fn created(id: &str, hash: &str, user: &str) -> Event {
    let data = json!({ "key_id": "key", "user_id": user, "key_hash": hash, "key_prefix": "sk_" });
    event(id, "api_key.created", &data)
}

fn hash(number: usize) -> String {
    format!("{number:064x}")
}

fn folded(events: &[Event]) -> State {
    let mut state = State::default();
    for event in events {
        state.fold(event.clone());
    }
    state
}

#[test]
fn api_key_keeps_every_hash_and_user_in_any_order_and_when_stored() {
    let events = [created("1", &hash(1), ANN), created("2", &hash(2), ANN), created("3", &hash(1), BOB)];
    let state = folded(&events);
    let hashes = [1, 2].map(|number| ApiKeyHash::parse(&hash(number)).unwrap());
    assert_eq!(state.claims().hashes, BTreeSet::from(hashes));
    assert_eq!(state.claims().users, BTreeSet::from([ANN, BOB].map(|user| UserId::parse(user).unwrap())));
    assert_eq!(state.events.len(), 1, "the greatest event holds the facts");

    let backwards: Vec<Event> = events.iter().rev().cloned().collect();
    assert_eq!(folded(&backwards), state);
    let mut halves = folded(&events[..1]);
    halves.merge(folded(&events[1..]));
    halves.merge(state.clone());
    assert_eq!(halves, state, "two halves and all again");
    assert_eq!(State::load(&state.store().unwrap()).unwrap(), state);
}

#[test]
fn new_claim_of_a_smaller_event_is_a_change() {
    let mut state = folded(&[created("2", &hash(1), ANN)]);
    assert!(state.fold(created("1", &hash(2), ANN)));
    assert!(!state.fold(created("1", &hash(2), ANN)), "again");
    assert!(!state.fold(created("0", &hash(1), ANN)), "nothing new");
}

/// Stores that were written before there were claims stay readable, and a rebuild writes the same text.
#[test]
fn api_key_with_one_claim_is_stored_as_its_event_alone() {
    let event = created("1", &hash(1), ANN);
    let text = format!("[{}]", event.store().unwrap());
    let state = folded(std::slice::from_ref(&event));
    assert_eq!(state.store().unwrap(), text);
    assert_eq!(State::load(&text).unwrap(), state);
}

fn hashes(numbers: std::ops::Range<usize>) -> BTreeSet<ApiKeyHash> {
    numbers.map(|number| ApiKeyHash::parse(&hash(number)).unwrap()).collect()
}

#[test]
fn claims_over_the_limit_do_not_grow_and_converge() {
    let user = |number: usize| format!("11111111-0000-4000-8000-{number:012}");
    let events: Vec<Event> =
        (0..40).map(|number| created(&number.to_string(), &hash(number), &user(number))).collect();
    let state = folded(&events);
    assert_eq!((state.claims().hashes.len(), state.claims().users.len()), (17, 17));
    assert!(state.claims().is_over_limit() && !folded(&events[..16]).claims().is_over_limit());

    let backwards: Vec<Event> = events.iter().rev().cloned().collect();
    assert_eq!(folded(&backwards), state);
    let mut halves = folded(&events[20..]);
    halves.merge(folded(&events[..20]));
    assert_eq!(halves, state);
    let again = State::load(&state.store().unwrap()).unwrap();
    assert_eq!(again.store().unwrap(), state.store().unwrap());
}

/// Issue 16, number 12: each hash that a key does not keep must get its row, from whichever events are folded.
#[test]
fn hashes_that_are_not_kept_are_named_until_the_state_is_stored() {
    let events: Vec<Event> = (0..40).map(|number| created(&number.to_string(), &hash(number), ANN)).collect();
    let state = folded(&events);
    assert_eq!(state.claims().hashes, hashes(0..17));
    assert_eq!(state.claims().dropped_hashes, hashes(17..40));

    let mut stored = State::load(&state.store().unwrap()).unwrap();
    assert_eq!(stored.claims().hashes, hashes(0..17));
    assert!(stored.claims().dropped_hashes.is_empty());
    assert!(stored.fold(created("39", &hash(39), ANN)), "an event that comes again may have lost its row");
    assert_eq!(stored.claims().dropped_hashes, hashes(39..40));
    assert!(!stored.fold(created("39", &hash(39), ANN)));

    let mut greater_first = folded(&events[20..]);
    assert!(greater_first.fold(created("0", &hash(0), ANN)), "a lesser one takes the place of a greater one");
    assert_eq!(greater_first.claims().dropped_hashes, hashes(36..40));
}

/// A release that knew no rows of dropped hashes may have stored the state.
#[test]
fn hash_of_the_greatest_event_is_named_again_when_the_event_comes_again() {
    let event = |number: usize| created(&format!("{number:02}"), &hash(number), ANN);
    let events: Vec<Event> = (0..40).map(event).collect();

    let mut stored = State::load(&folded(&events).store().unwrap()).unwrap();

    assert!(stored.claims().dropped_hashes.is_empty());
    assert!(stored.fold(event(39)), "it may have no row");
    assert_eq!(stored.claims().dropped_hashes, hashes(39..40));
}
