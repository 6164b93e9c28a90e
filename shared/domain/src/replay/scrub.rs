//! Events without personal data: for filling a test environment from a real log.
//!
//! Only fields that the event contract lists are kept. Of those, texts that may describe a person,
//! and credentials, become pseudonyms. Equal texts get equal pseudonyms, so that whatever counts
//! equal texts counts the same.
//!
//! Ids stay as they are, also within other texts (`task-<task id>`), but for two kinds: ids of Clerk, and UUIDs that
//! are made from a name (versions 3 and 5). Whoever knows a Clerk id or an email can make the UUID of it, and so find
//! the person. The id that is derived from an identity is such a UUID; after a scrub it is one that belongs to no
//! identity.

use crate::events::{self, ReceivedMessage, SOURCE, TYPE_PREFIX};
use crate::values::digest;
use crate::values::ids::UserId;
use crate::values::json;
use crate::values::text::without_mark;
use serde_json::{Map, Value, json};
use std::borrow::Cow;
use uuid::Uuid;

const CLERK_USER_ID: &str = "clerk_user_id";
/// How Clerk's own ids of users begin, and the least number of letters and digits that follow.
const CLERK_PREFIX: &str = "user_";
const CLERK_ID_CHARS: usize = 16;
/// Characters of a UUID with hyphens.
const UUID_CHARS: usize = 36;

/// Every field that the contract lists, with its rule. A field without a rule is omitted, so that
/// a new one leaks nothing; a test reports the missing rule.
const FIELDS: &[(&str, Rule)] = &[
    ("email", Rule::Email),
    (CLERK_USER_ID, Rule::Pseudonym(CLERK_PREFIX)),
    ("search_query", Rule::Pseudonym("query ")),
    ("error_message", Rule::Pseudonym("message ")),
    ("name", Rule::Pseudonym("name ")),
    ("reason", Rule::Pseudonym("reason ")),
    ("by", Rule::Pseudonym("by ")),
    ("schedule", Rule::Pseudonym("schedule ")),
    ("key_hash", Rule::Hash),
    ("key_prefix", Rule::Fixed("sk_")),
    // Which user it names must stay, for who belongs to whom; other texts may be anybody's.
    ("external_id", Rule::UuidOrPseudonym("external ")),
    ("schedule_ids", Rule::Keep),
    ("user_id", Rule::Keep),
    ("task_id", Rule::Keep),
    ("execution_id", Rule::Keep),
    ("key_id", Rule::Keep),
    ("notification_id", Rule::Keep),
    ("workflow_id", Rule::Keep),
    ("run_id", Rule::Keep),
    ("schedule_id", Rule::Keep),
    ("role", Rule::Keep),
    ("state", Rule::Keep),
    ("status", Rule::Keep),
    ("channel", Rule::Keep),
    ("workflow_type", Rule::Keep),
    ("error_type", Rule::Keep),
    ("cron", Rule::Keep),
    ("timezone", Rule::Keep),
    ("paused", Rule::Keep),
    ("condition_met", Rule::Keep),
    ("will_retry", Rule::Keep),
    ("retry_count", Rule::Keep),
    ("duration_ms", Rule::Keep),
    ("created_at", Rule::Keep),
    ("started_at", Rule::Keep),
    ("completed_at", Rule::Keep),
    ("start_time", Rule::Keep),
    ("close_time", Rule::Keep),
];

#[derive(Clone, Copy)]
enum Rule {
    /// Kept, but for ids from which a person can be found, and unless it may hold an email address.
    Keep,
    Email,
    Pseudonym(&'static str),
    UuidOrPseudonym(&'static str),
    Hash,
    Fixed(&'static str),
}

/// How an at sign is written: as it is, full-width, small, and within a URL.
const AT_SIGNS: [&str; 4] = ["@", "\u{ff20}", "\u{fe6b}", "%40"];

/// What stands for a text that is kept otherwise, if it may hold an email address. It is the same in every field, so
/// that events of one entity stay events of one entity.
fn without_email(text: &str, salt: &[u8]) -> Option<String> {
    if !AT_SIGNS.iter().any(|at| text.contains(at)) {
        return None;
    }
    let hash = digest::sha256_hex(&[salt, b"email", text.as_bytes()]);
    Some(format!("scrubbed-{}", hash.get(..32).unwrap_or_default()))
}

/// What stands for a text that is kept otherwise: it names nobody.
fn kept(text: &str, salt: &[u8]) -> String {
    without_email(text, salt).unwrap_or_else(|| without_personal_ids(text, salt))
}

/// A text with pseudonyms for the ids in it from which a person can be found.
fn without_personal_ids(text: &str, salt: &[u8]) -> String {
    let mut clean = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let (length, new) = personal_id(rest, salt).unwrap_or_else(|| {
            (first.len_utf8(), Cow::Borrowed(rest.get(..first.len_utf8()).unwrap_or_default()))
        });
        clean.push_str(&new);
        rest = rest.get(length..).unwrap_or_default();
    }
    clean
}

/// The bytes of an id that a text begins with and from which a person can be found, and its pseudonym.
fn personal_id(text: &str, salt: &[u8]) -> Option<(usize, Cow<'static, str>)> {
    if let Some(rest) = text.strip_prefix(CLERK_PREFIX) {
        let length = rest.bytes().take_while(u8::is_ascii_alphanumeric).count();
        let id = text.get(..CLERK_PREFIX.len() + length).filter(|_| length >= CLERK_ID_CHARS)?;
        let new = format!("{CLERK_PREFIX}{}", short_hash(CLERK_USER_ID, id, salt));
        return Some((id.len(), Cow::Owned(new)));
    }
    let id = text.get(..UUID_CHARS)?;
    let UserId(uuid) = UserId::parse(id).filter(|UserId(uuid)| matches!(uuid.get_version_num(), 3 | 5))?;
    // Of the same version, so that it is treated alike; the salt is the secret that its namespace is made from.
    let namespace = Uuid::from_u128(digest::short_digest(&[salt, b"uuid"]));
    let mut new = uuid::Builder::from_bytes(Uuid::new_v5(&namespace, uuid.as_bytes()).into_bytes());
    if let Some(version) = uuid.get_version() {
        new.set_version(version);
    }
    let new = new.into_uuid().to_string();
    let is_upper = id.bytes().any(|byte| byte.is_ascii_uppercase());
    Some((UUID_CHARS, Cow::Owned(if is_upper { new.to_uppercase() } else { new })))
}

/// What tells pseudonyms of a field apart.
fn short_hash(field: &str, text: &str, salt: &[u8]) -> String {
    let mut hash = digest::sha256_hex(&[salt, field.as_bytes(), text.as_bytes()]);
    hash.truncate(16);
    hash
}

/// The text of the envelope's field without what may name a person.
fn envelope_text(name: &str, text: &str, salt: &[u8]) -> String {
    let Some(pseudonym) = without_email(text, salt) else { return without_personal_ids(text, salt) };
    match name {
        // Its version says whether a later release knows it.
        "dataschema" => format!("urn:{pseudonym}:{}", text.rsplit(':').next().unwrap_or_default()),
        _other_fields => pseudonym,
    }
}

/// A message with pseudonyms; `None` if it is no event. Without the salt nobody can find a text by
/// trying.
pub fn scrub(message: &str, salt: &[u8]) -> Option<String> {
    let envelope = json::parse(without_mark(message)).ok()?;
    let text = |name: &str| Some(envelope_text(name, envelope.get(name)?.as_str()?, salt));
    let mut kept: Map<String, Value> = ["specversion", "id", "source", "type", "time"]
        .into_iter()
        .filter_map(|name| Some((name.to_owned(), Value::String(text(name)?))))
        .collect();
    let data = match events::parse(message, None).ok()? {
        ReceivedMessage::Known(event) => {
            let kind = event.event_type();
            let schema = format!("urn:{TYPE_PREFIX}{}:{}", kind.name(), kind.newest_version());
            kept.insert("dataschema".to_owned(), json!(schema));
            let mut data = json::parse(&event.body.to_json().ok()?).ok()?;
            let fields = data.as_object_mut()?;
            fields.retain(|name, value| apply_rule(name, value, salt));
            data
        }
        // None of its fields are listed.
        ReceivedMessage::Unknown { .. } => {
            kept.extend(text("dataschema").map(|schema| ("dataschema".to_owned(), Value::String(schema))));
            json!({})
        }
    };
    kept.insert("data".to_owned(), data);
    Some(Value::Object(kept).to_string())
}

/// Applies a field's rule; false if the field must be omitted.
fn apply_rule(name: &str, value: &mut Value, salt: &[u8]) -> bool {
    let Some((_, rule)) = FIELDS.iter().find(|(field, _)| *field == name) else { return false };
    let Some(text) = value.as_str() else { return true };
    // Our own commands act in the name of no person.
    if text == SOURCE {
        return true;
    }
    let short = short_hash(name, text, salt);
    let pseudonym = match rule {
        Rule::Keep => kept(text, salt),
        Rule::UuidOrPseudonym(_) if UserId::parse(text).is_some() => kept(text, salt),
        Rule::Email => format!("{short}@example.invalid"),
        Rule::Pseudonym(prefix) | Rule::UuidOrPseudonym(prefix) => format!("{prefix}{short}"),
        Rule::Hash => digest::sha256_hex(&[salt, name.as_bytes(), text.as_bytes()]),
        Rule::Fixed(text) => (*text).to_owned(),
    };
    *value = json!(pseudonym);
    true
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
    fn personal_texts_become_pseudonyms_and_unlisted_fields_are_omitted() {
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

    /// Issue 16, number 8: every text that the contract lists, and the envelope's, with an email address in it.
    #[test]
    fn no_email_is_left_in_any_text_of_any_event() {
        const EMAILS: [&str; 4] =
            ["a zoe@example.com b", "zoe\u{ff20}example.com", "x-zoe%40example.com", "zoe@example.com"];
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../events/samples");
        let mut seen = std::collections::BTreeSet::new();
        for kind in crate::events::EventType::ALL {
            let text = std::fs::read_to_string(folder.join(kind.name()).join("full.json")).unwrap();
            for email in EMAILS {
                let mut message: Value = serde_json::from_str(&text).unwrap();
                for name in ["id", "source", "traceparent", "subject"] {
                    message[name] = json!(email);
                }
                let fields: Vec<String> = message["data"].as_object().unwrap().keys().cloned().collect();
                for field in fields {
                    // A field that takes no such text stays as it is.
                    let before = message["data"][&field].clone();
                    message["data"][&field] = json!(email);
                    if events::parse(&message.to_string(), None).is_ok() {
                        seen.insert(field);
                    } else {
                        message["data"][&field] = before;
                    }
                }
                let clean = scrub(&message.to_string(), b"salt").unwrap();
                assert!(!clean.contains("zoe"), "{clean}");
                assert!(matches!(events::parse(&clean, None), Ok(ReceivedMessage::Known(_))), "{clean}");
            }
        }
        for id in
            ["key_id", "notification_id", "workflow_id", "run_id", "schedule_id", "role", "channel", "cron"]
        {
            assert!(seen.contains(id), "{id} was tried");
        }
        let mut unknown: Value = serde_json::from_str(&event("zoe@example.com", json!({}))).unwrap();
        unknown["dataschema"] = json!("https://zoe@example.com/x:7");
        let clean = scrubbed(&unknown.to_string(), "salt");
        assert!(!clean.to_string().contains("zoe"), "{clean}");
        assert!(clean["dataschema"].as_str().unwrap().ends_with(":7"));
    }

    #[test]
    fn an_id_with_an_email_stays_one_id_and_others_stay_as_they_are() {
        let run = |workflow: &str, status: &str| {
            let data = json!({ "workflow_id": workflow, "run_id": "r", "workflow_type": "Check", "status": status,
                "start_time": "2026-03-01T08:00:00Z" });
            scrubbed(&event("temporal.workflow.closed", data), "salt")["data"]["workflow_id"].clone()
        };
        assert_eq!(run("digest-ann@example.com", "FAILED"), run("digest-ann@example.com", "COMPLETED"));
        assert_ne!(run("digest-ann@example.com", "FAILED"), run("digest-bob@example.com", "FAILED"));
        assert_eq!(run("digest-7", "FAILED"), json!("digest-7"));
    }

    /// The unsalted UUID of a Clerk id, or of an email, is one that anybody can make who has it.
    #[test]
    fn no_id_is_left_that_can_be_made_from_a_clerk_id_or_an_email() {
        const CLERK: &str = "user_2abcDEFghiJKLmnoPQRstuVWX";
        let clerk = crate::values::ids::ClerkUserId::parse(CLERK).unwrap();
        let derived = crate::entities::linkage::derived(&clerk).to_string();
        // The UUID v3 of the DNS namespace and an email, from Python's `uuid.uuid3`.
        let of_email = "e01665c0-a5bb-37aa-bca2-994e2428487b".to_owned();
        for (id, version) in [(&derived, 5), (&of_email, 3)] {
            let task = json!({ "task_id": USER, "user_id": id.to_uppercase(), "search_query": "q" });
            let owner = scrubbed(&event("task.created", task), "salt")["data"].clone();
            let schedule = json!({ "schedule_id": format!("ü-{id}-{CLERK}"), "task_id": id, "user_id": id, "cron": "@daily" });
            let schedule = scrubbed(&event("temporal.schedule.created", schedule), "salt")["data"].clone();
            let identity = json!({ "clerk_user_id": CLERK, "external_id": id });
            let message = event("identity.created", identity).replace("\"/app\"", &format!("\"/app/{id}\""));
            let identity = scrubbed(&message, "salt");

            for text in [&owner, &schedule, &identity].map(Value::to_string) {
                assert!(!text.to_lowercase().contains(id.as_str()) && !text.contains(CLERK), "{text}");
            }
            // It is the same id everywhere, and the same Clerk id.
            let (new, of) = (schedule["user_id"].as_str().unwrap(), &identity["data"]["clerk_user_id"]);
            assert_eq!(owner["user_id"], new);
            assert_eq!((&schedule["task_id"], &identity["data"]["external_id"]), (&json!(new), &json!(new)));
            assert_eq!(schedule["schedule_id"], format!("ü-{new}-{}", of.as_str().unwrap()));
            assert_eq!(identity["source"], format!("/app/{new}"));
            let UserId(uuid) = UserId::parse(new).unwrap();
            assert_eq!((uuid.get_version_num(), owner["task_id"].as_str()), (version, Some(USER)));
            let other = json!({ "user_id": id });
            assert_ne!(scrubbed(&event("user.logged_in", other), "other")["data"]["user_id"], new);
        }
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
    fn a_scrubbed_event_has_the_same_entity_and_type() {
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
                Ok(ReceivedMessage::Known(event)) => (event.entity(), event.event_type(), event.time),
                other => panic!("{other:?}"),
            };
            assert_eq!(known(&clean), known(&message), "{clean}");
            assert!(
                !clean.contains("ann") && !clean.contains("sk_live") && !clean.contains(&"ab".repeat(32))
            );
        }
    }

    /// The schemas of all events, as they are committed.
    #[test]
    fn every_field_of_the_contract_has_a_rule() {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../events/schemas");
        let mut fields = std::collections::BTreeSet::new();
        for entry in std::fs::read_dir(folder).unwrap() {
            let text = std::fs::read_to_string(entry.unwrap().path()).unwrap();
            let schema: Value = serde_json::from_str(&text).unwrap();
            let data = &schema["properties"]["data"]["properties"];
            fields.extend(data.as_object().into_iter().flat_map(Map::keys).cloned());
        }
        assert!(fields.len() > 20, "{fields:?}");
        // Of commands, which are no events, and of a version that is brought to the newest first.
        let others = ["requested_by", "error"];
        fields.retain(|name| !others.contains(&name.as_str()));
        let missing: Vec<_> =
            fields.iter().filter(|name| !FIELDS.iter().any(|(field, _)| field == name)).collect();
        assert!(missing.is_empty(), "{missing:?}");
    }

    #[test]
    fn unknown_types_keep_only_their_envelope_and_other_messages_are_none() {
        let unknown = scrubbed(&event("moon.rose", json!({ "email": "ann@example.com" })), "salt");
        assert_eq!((&unknown["type"], &unknown["data"]), (&json!("ai.torale.moon.rose"), &json!({})));
        assert_eq!(scrub("{}", b"salt"), None);
    }
}
