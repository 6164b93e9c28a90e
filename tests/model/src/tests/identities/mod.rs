//! "Which users an identity belongs to", point by point.

mod access;
mod belonging;
mod fields;
mod keys;
mod stand_ins;

use serde_json::{Value, json};

use super::{event, get};
use crate::Message;

/// An hour before the time of the events that change something.
const EARLY: &str = "2024-01-15T09:00:00Z";
const T: &str = "2024-01-15T10:00:00Z";
const LATE: &str = "2024-01-15T10:10:00Z";

/// Two Clerk ids.
const A: &str = "user_a";
const B: &str = "user_b";

/// The UUID v5 of the DNS namespace and `clerk:user_a` and so on, from Python's `uuid.uuid5`.
const ID_A: &str = "82f16e08-fa1e-5b3c-a8b8-55817319e3b5";
const ID_B: &str = "5b499d60-453c-5d27-b94c-7816ad755d8f";

/// An `identity.<kind>` of this Clerk id; `data` holds the other fields.
fn identity(kind: &str, clerk_user_id: &str, time: &str, mut data: Value) -> Message {
    data["clerk_user_id"] = json!(clerk_user_id);
    event(&format!("identity.{kind}"), time, data)
}

fn created(clerk_user_id: &str, time: &str) -> Message {
    identity("created", clerk_user_id, time, json!({"email": format!("{clerk_user_id}@clerk")}))
}

fn platform_user(user_id: &str, clerk_user_id: &str, time: &str) -> Message {
    let data = json!({"user_id": user_id, "clerk_user_id": clerk_user_id, "email": format!("{clerk_user_id}@platform")});
    event("user.created", time, data)
}

/// A `user.<kind>` of this id; `data` holds the other fields.
fn user_event(kind: &str, user_id: &str, time: &str, mut data: Value) -> Message {
    data["user_id"] = json!(user_id);
    event(&format!("user.{kind}"), time, data)
}

/// The rows of the user list, newest first.
fn rows(messages: &[Message]) -> Vec<Value> {
    let body = get(messages, "/admin/users", "");
    let rows = body["users"].as_array().unwrap().clone();
    assert_eq!(body["total"], rows.len());
    assert_eq!(get(messages, "/admin/stats", "")["users"]["total"], rows.len());
    rows
}

/// The one row of the user list.
fn row(messages: &[Message]) -> Value {
    let mut rows = rows(messages);
    assert_eq!(rows.len(), 1, "{rows:?}");
    rows.remove(0)
}
