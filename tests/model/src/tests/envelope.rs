//! What makes a message an event, and its envelope.

use serde_json::{Value, json};

use super::{E1, NOW, T1, U1, envelope, event, failed, get, ms, received, user};
use crate::{Message, World};

const T: &str = "2024-01-15T10:00:00Z";

/// Whether this message alone is quarantined.
pub(super) fn is_quarantined(message: &Message) -> bool {
    World::of(std::slice::from_ref(message)).set_aside() == 1
}

#[test]
fn not_an_event() {
    for body in ["", "x", "[]", "1", "null", "{}", "{\"a\":1"] {
        assert!(is_quarantined(&Message { body: body.to_owned(), received_at_ms: ms(NOW) }), "{body}");
    }
    let twice = [
        user(U1, "2014-01-01T00:00:00Z"),
        user(U1, "2014-01-01T00:00:00Z"),
        user(U1, "2013-01-01T00:00:00Z"),
    ];
    assert_eq!(World::of(&twice).set_aside(), 2, "the same body counts once");
}

#[test]
fn envelope_fields() {
    // An unknown type: only the envelope is judged.
    let good = envelope("thing.happened", T, &json!({"user_id": 5}));
    assert!(!is_quarantined(&received(&good)));
    let changed = |name: &str, value: Value| {
        let mut body = good.clone();
        body[name] = value;
        is_quarantined(&received(&body))
    };
    for name in ["specversion", "id", "source", "type", "time", "data"] {
        let mut body = good.clone();
        body.as_object_mut().unwrap().remove(name);
        assert!(is_quarantined(&received(&body)), "without {name}");
        assert!(changed(name, Value::Null), "{name} null");
        assert!(changed(name, json!(1.0)), "{name} 1.0");
        assert!(changed(name, json!("")), "{name} empty");
    }
    assert!(changed("specversion", json!("1.1")));
    assert!(!changed("id", json!("ü".repeat(128))));
    assert!(changed("id", json!("x".repeat(129))));
    assert!(!changed("source", json!("x".repeat(256))));
    assert!(changed("source", json!("x".repeat(257))));
    assert!(!changed("type", json!("com.other")));
    assert!(changed("data", json!([])));
    assert!(changed("dataschema", Value::Null));
    assert!(changed("dataschema", json!(1)));
    assert!(!changed("dataschema", json!("urn:x:7")));
    assert!(!changed("subject", json!(5)));
}

#[test]
fn a_body_has_at_most_256_kib() {
    let mut body = envelope("thing.happened", T, &json!({})).to_string();
    body.push_str(&" ".repeat(262_144 - body.len()));
    assert!(!is_quarantined(&Message { body: body.clone(), received_at_ms: ms(NOW) }));
    body.push(' ');
    assert!(is_quarantined(&Message { body, received_at_ms: ms(NOW) }));
}

#[test]
fn a_byte_order_mark_before_the_json_is_skipped() {
    let body = user(U1, T).body;
    let with = |before: &str| Message { body: format!("{before}{body}"), received_at_ms: ms(NOW) };
    assert_eq!(get(&[with("\u{feff}")], "/admin/users", "")["total"], 1);
    // With and without the mark it is the same event.
    assert_eq!(get(&[with("\u{feff}"), with("")], "/admin/users", "")["total"], 1);
    for before in ["\u{feff}\u{feff}", " \u{feff}", "\u{200b}", "\u{fffe}"] {
        assert!(is_quarantined(&with(before)), "{before:?}");
    }
    let behind = Message { body: format!("{body}\u{feff}"), received_at_ms: ms(NOW) };
    assert!(is_quarantined(&behind));
    // Within a text it is a character like any other.
    let inside = json!({"user_id": U1, "email": "\u{feff}x"});
    let events = [user(U1, T), event("user.updated", "2024-01-15T10:00:01Z", inside)];
    assert_eq!(get(&events, "/admin/users", "")["users"][0]["email"], "\u{feff}x");
}

#[test]
fn the_byte_order_mark_is_no_part_of_the_256_kib() {
    let mut body = envelope("thing.happened", T, &json!({})).to_string();
    body.push_str(&" ".repeat(262_144 - body.len()));
    let body = format!("\u{feff}{body}");
    assert!(!is_quarantined(&Message { body: body.clone(), received_at_ms: ms(NOW) }));
    assert!(is_quarantined(&Message { body: body + " ", received_at_ms: ms(NOW) }));
}

#[test]
fn leap_seconds_in_an_event() {
    let at = |time: &str| is_quarantined(&event("thing.happened", time, json!({})));
    assert!(!at("2016-12-31T23:59:60Z"));
    assert!(!at("2014-12-31T23:59:60.5Z"), "the first moment of 2015");
    assert!(!at("2024-01-16T10:29:60.9Z"));
    assert!(at("2024-01-16T10:30:60Z"), "10:31, more than 24 hours ahead");
    // The same moment as 10:01:00, and so the same merge key but for the data.
    let leap = event("user.updated", "2024-01-15T10:00:60.7Z", json!({"user_id": U1, "email": "a"}));
    let plain = event("user.updated", "2024-01-15T10:01:00Z", json!({"user_id": U1, "email": "b"}));
    assert_eq!(get(&[user(U1, T), leap, plain], "/admin/users", "")["users"][0]["email"], "b");
}

#[test]
fn limits_of_times() {
    let at = |time: &str| is_quarantined(&event("thing.happened", time, json!({})));
    assert!(!at("2015-01-01T00:00:00Z"));
    assert!(at("2014-12-31T23:59:59.999Z"));
    assert!(at("2015-01-01T00:00:00+00:01"));
    assert!(!at("2024-01-16T10:30:42.500Z"));
    assert!(!at("2024-01-16T10:30:42.5009Z"), "cut before it is judged");
    assert!(at("2024-01-16T10:30:42.501Z"));
}

fn with_schema(message: &Message, schema: &str) -> Message {
    let mut body: Value = serde_json::from_str(&message.body).unwrap();
    body["dataschema"] = json!(schema);
    received(&body)
}

#[test]
fn versions() {
    // An unknown version has no effect and is not quarantined, whatever its data.
    let strange = with_schema(&event("user.created", T, json!({"user_id": 1})), "urn:x:2");
    assert!(!is_quarantined(&strange));
    let second = with_schema(&user(U1, T), "urn:x:0");
    assert_eq!(get(&[second], "/admin/users", "")["total"], 0);
    assert_eq!(get(&[with_schema(&user(U1, T), "urn:x:1")], "/admin/users", "")["total"], 1);
    assert!(is_quarantined(&with_schema(&event("user.created", T, json!({"user_id": 1})), "urn:x")));
    let new = with_schema(&failed(E1, T1, T, T, "E"), "urn:x:2");
    assert_eq!(get(&[new], "/admin/executions", "")["total"], 0);
}

#[test]
fn the_legacy_failure_is_upcast() {
    let data = json!({"execution_id": E1, "task_id": T1, "user_id": U1, "started_at": T, "error": "old"});
    let old = with_schema(&event("execution.failed", T, data), "urn:torale:execution.failed:0");
    let body = get(&[old], "/admin/errors", "");
    assert_eq!(body["errors"][0]["error_type"], "UnknownError");
    assert_eq!(body["errors"][0]["error_message"], "old");
    assert!(is_quarantined(&with_schema(&failed(E1, T1, T, T, "E"), "urn:x:0")), "version 0 needs `error`");
    let data = json!({"execution_id": E1, "task_id": T1, "user_id": U1, "started_at": T, "error": "old", "error_type": null});
    assert!(is_quarantined(&with_schema(&event("execution.failed", T, data), "urn:x:0")));
}
