//! Events without what is personal: for filling a test environment from a real log.
//!
//! Only what the event contract lists is kept. Of that, texts that may say something about a person, and what opens a
//! door, become pseudonyms: the same text always the same one, so that everything that counts equal texts counts the same.

use crate::commands::SOURCE;
use crate::events::{self, Received, TYPE_PREFIX};
use crate::keys;
use serde_json::{Map, Value, json};

/// Fields whose texts become pseudonyms, and how these look. Fields that are not named here are ids, times, numbers and
/// names of kinds; `id` and `source` of an event stay, too.
const PERSONAL: [(&str, Pseudonym); 9] = [
    ("email", Pseudonym::Email),
    ("clerk_user_id", Pseudonym::Named("user_")),
    ("search_query", Pseudonym::Named("query ")),
    ("error_message", Pseudonym::Named("message ")),
    ("name", Pseudonym::Named("name ")),
    ("reason", Pseudonym::Named("reason ")),
    ("by", Pseudonym::Named("by ")),
    ("key_hash", Pseudonym::Hash),
    ("key_prefix", Pseudonym::Fixed("sk_")),
];

enum Pseudonym {
    Email,
    Named(&'static str),
    Hash,
    Fixed(&'static str),
}

/// A message with pseudonyms; `None` if it is no event. Without the salt nobody can try texts out.
pub fn scrub(message: &str, salt: &[u8]) -> Option<String> {
    let envelope: Map<String, Value> = serde_json::from_str(message).ok()?;
    let mut kept: Map<String, Value> = ["specversion", "id", "source", "type", "time"]
        .into_iter()
        .filter_map(|name| Some((name.to_owned(), envelope.get(name)?.clone())))
        .collect();
    let data = match events::parse(message, None).ok()? {
        Received::Known(event) => {
            let kind = event.event_type();
            let schema = format!("urn:{TYPE_PREFIX}{}:{}", kind.name(), kind.newest_version());
            kept.insert("dataschema".to_owned(), json!(schema));
            let mut data: Value = serde_json::from_str(&event.body.to_json().ok()?).ok()?;
            data.as_object_mut()?.iter_mut().for_each(|(name, value)| replace(name, value, salt));
            data
        }
        // Nothing is known of its fields.
        Received::Unknown { .. } => {
            kept.extend(envelope.get("dataschema").map(|schema| ("dataschema".to_owned(), schema.clone())));
            json!({})
        }
    };
    kept.insert("data".to_owned(), data);
    Some(Value::Object(kept).to_string())
}

fn replace(name: &str, value: &mut Value, salt: &[u8]) {
    let Some((_, pseudonym)) = PERSONAL.iter().find(|(personal, _)| *personal == name) else { return };
    let Some(text) = value.as_str() else { return };
    // Who acts by a command of ours is no person.
    if text == SOURCE {
        return;
    }
    let hash = keys::sha256_hex(&[salt, name.as_bytes(), text.as_bytes()]);
    let short = hash.get(..16).unwrap_or_default();
    *value = match pseudonym {
        Pseudonym::Email => json!(format!("{short}@example.invalid")),
        Pseudonym::Named(prefix) => json!(format!("{prefix}{short}")),
        Pseudonym::Hash => json!(hash),
        Pseudonym::Fixed(text) => json!(text),
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    const USER: &str = "11111111-0000-4000-8000-000000000001";

    fn event(kind: &str, data: Value) -> String {
        json!({ "specversion": "1.0", "id": "e", "source": "/app", "type": format!("ai.torale.{kind}"),
            "time": "2026-03-01T08:00:00Z", "traceparent": "secret", "data": data })
        .to_string()
    }

    fn scrubbed(message: &str, salt: &str) -> Value {
        serde_json::from_str(&scrub(message, salt.as_bytes()).unwrap()).unwrap()
    }

    #[test]
    fn what_is_personal_becomes_a_pseudonym_and_what_is_not_listed_goes() {
        let data = json!({ "user_id": USER, "clerk_user_id": "user_ann", "email": "ann@example.com", "role": "admin",
            "phone": "secret" });
        let ann = scrubbed(&event("user.created", data), "salt");
        let text = ann.to_string();
        for gone in ["ann@", "user_ann", "secret"] {
            assert!(!text.contains(gone), "{gone} in {text}");
        }
        assert_eq!(
            (&ann["data"]["user_id"], &ann["data"]["role"], &ann["id"]),
            (&json!(USER), &json!("admin"), &json!("e"))
        );
        assert!(ann["data"]["email"].as_str().unwrap().ends_with("@example.invalid"));
    }

    #[test]
    fn equal_texts_stay_equal_and_different_ones_different() {
        let task = |query: &str, salt: &str| {
            let data = json!({ "task_id": USER, "user_id": USER, "search_query": query });
            scrubbed(&event("task.created", data), salt)["data"]["search_query"].clone()
        };
        assert_eq!(task("iphone", "a"), task("iphone", "a"));
        assert_ne!(task("iphone", "a"), task("ipad", "a"));
        assert_ne!(task("iphone", "a"), task("iphone", "b"));
    }

    #[test]
    fn what_comes_out_is_an_event_of_the_same_entity_and_kind() {
        let key =
            json!({ "key_id": "k", "user_id": USER, "key_hash": "ab".repeat(32), "key_prefix": "sk_live_x" });
        let failed = json!({ "execution_id": USER, "task_id": USER, "user_id": USER, "error": "no ann@example.com",
            "started_at": "2026-03-01T08:00:00Z" });
        let old =
            event("execution.failed", failed).replace("\"data\":", "\"dataschema\":\"urn:x:0\",\"data\":");
        for message in
            [event("api_key.created", key), old, event("user.logged_in", json!({ "user_id": USER }))]
        {
            let clean = scrub(&message, b"salt").unwrap();
            let known = |message: &str| match events::parse(message, None) {
                Ok(Received::Known(event)) => (event.entity(), event.event_type(), event.time),
                other => panic!("{other:?}"),
            };
            assert_eq!(known(&clean), known(&message), "{clean}");
            assert!(
                !clean.contains("ann") && !clean.contains("sk_live") && !clean.contains(&"ab".repeat(32))
            );
        }
    }

    #[test]
    fn of_an_unknown_type_only_the_envelope_is_kept_and_no_event_is_none() {
        let unknown = scrubbed(&event("moon.rose", json!({ "email": "ann@example.com" })), "salt");
        assert_eq!((&unknown["type"], &unknown["data"]), (&json!("ai.torale.moon.rose"), &json!({})));
        assert_eq!(scrub("{}", b"salt"), None);
    }
}
