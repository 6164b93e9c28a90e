//! The four events and their fields.

use serde_json::{Value, json};

use super::{A, T, identity};
use crate::tests::{U1, envelope, event};

fn is_quarantined(kind: &str, data: Value) -> bool {
    envelope::is_quarantined(&identity(kind, A, T, data))
}

#[test]
fn every_identity_event_names_a_clerk_id() {
    for kind in ["created", "updated", "deleted", "logged_in"] {
        assert!(!is_quarantined(kind, json!({})), "{kind}");
        for wrong in [json!(""), json!("."), json!(".."), json!("x".repeat(257)), json!(1), Value::Null] {
            let message = event(&format!("identity.{kind}"), T, json!({"clerk_user_id": wrong}));
            assert!(envelope::is_quarantined(&message), "{kind} {wrong}");
        }
        let message = event(&format!("identity.{kind}"), T, json!({"user_id": U1}));
        assert!(envelope::is_quarantined(&message), "{kind} without a Clerk id");
        assert!(!is_quarantined(kind, json!({"more": null})), "{kind} with a field that is not listed");
    }
}

#[test]
fn fields_of_created() {
    for (name, value) in [
        ("email", Value::Null),
        ("email", json!(1)),
        ("role", Value::Null),
        ("role", json!(true)),
        ("external_id", Value::Null),
        ("external_id", json!("")),
        ("external_id", json!("x".repeat(257))),
        ("external_id", json!(5)),
        ("created_at", Value::Null),
        ("created_at", json!("2014-12-31T23:59:59Z")),
        ("created_at", json!("2024-01-17T00:00:00Z")),
    ] {
        assert!(is_quarantined("created", json!({name: value})), "{name} {value}");
    }
    for (name, value) in [
        ("email", json!("")),
        ("role", json!("admin")),
        ("external_id", json!("ü".repeat(256))),
        ("created_at", json!("2015-01-01T00:00:00Z")),
    ] {
        assert!(!is_quarantined("created", json!({name: value})), "{name} {value}");
    }
}

#[test]
fn fields_of_updated() {
    for (name, value) in [
        ("email", Value::Null),
        ("role", json!(1)),
        ("external_id", json!("")),
        ("external_id", json!("x".repeat(257))),
    ] {
        assert!(is_quarantined("updated", json!({name: value})), "{name} {value}");
    }
    for (name, value) in [
        ("role", Value::Null),
        ("external_id", Value::Null),
        ("external_id", json!("any text")),
        // Listed for `created` alone.
        ("created_at", Value::Null),
    ] {
        assert!(!is_quarantined("updated", json!({name: value})), "{name} {value}");
    }
}

#[test]
fn deleted_and_logged_in_have_no_other_listed_field() {
    for kind in ["deleted", "logged_in"] {
        let data = json!({"email": null, "role": 1, "external_id": null, "created_at": null});
        assert!(!is_quarantined(kind, data), "{kind}");
    }
}
