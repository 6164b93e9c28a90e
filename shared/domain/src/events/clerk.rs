//! Clerk's webhooks: from a payload to an event of an identity.
//!
//! | Clerk | ours | its time |
//! |---|---|---|
//! | `user.created` | `identity.created` with email, role and external id | `data.created_at` |
//! | `user.updated` | `identity.updated` with email, and with role and external id or their removal | `data.updated_at` |
//! | `user.deleted` | `identity.deleted` | `timestamp` |
//! | `session.created` | `identity.logged_in` | `data.created_at` |
//!
//! Where `data` has no such time, the payload's `timestamp` stands in. The email is the primary one; an identity that
//! has none is created without, and an update leaves the email alone. A role is a text in `public_metadata.role`, an
//! external id a text of 1 to 256 characters in `external_id`; anything else is none. Whose the identity is follows in
//! the projections (docs/contract/events.md, "Which users an identity belongs to").

use crate::events::types::ExternalId;
use crate::events::{self, EventType, QuarantineReason, TYPE_PREFIX};
use crate::values::ids::ClerkUserId;
use crate::values::json;
use crate::values::text::without_mark;
use crate::values::time::Timestamp;
use crate::values::trace::TraceParent;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// The source of the events.
pub const SOURCE: &str = "/clerk";

/// Why a payload can't become events. The text names the field and the rule, never the value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WebhookFault {
    /// Not JSON.
    #[error("the payload is not JSON")]
    NotJson,
    /// A needed field is missing or of the wrong kind.
    #[error("{0} is needed")]
    Needed(&'static str),
    /// Our own intake would quarantine the event.
    #[error(transparent)]
    Refused(#[from] QuarantineReason),
}

/// A payload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Payload {
    /// Its type, as Clerk names it.
    pub kind: String,
    /// What it says; `None` for a type that has no event of ours.
    pub notice: Option<Notice>,
}

/// What happened to an identity.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    clerk: ClerkUserId,
    time: Timestamp,
    change: Change,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Change {
    Created { email: Option<String>, role: Option<String>, external: Option<ExternalId> },
    Updated { email: Option<String>, role: Option<String>, external: Option<ExternalId> },
    Deleted,
    LoggedIn,
}

impl Payload {
    /// What a payload must be, as JSON Schema. What else must be in it depends on its type.
    pub fn schema() -> Value {
        let kinds = "`user.created`, `user.updated`, `user.deleted` and `session.created` must name a user and a time; \
                     others are ignored.";
        json!({
            "type": "object", "required": ["type"],
            "properties": {
                "type": { "type": "string", "description": kinds },
                "data": { "description": "The user or session, as Clerk describes it." },
                "timestamp": { "description": "When it happened, in milliseconds since 1970." },
            },
            "examples": [{ "type": "user.deleted", "data": { "id": "user_2abc" }, "timestamp": 1_705_314_000_000_i64 }],
        })
    }

    /// Reads the text that was signed.
    pub fn parse(text: &str) -> Result<Self, WebhookFault> {
        let payload = json::parse(without_mark(text)).map_err(|_| WebhookFault::NotJson)?;
        let text = |pointer| payload.pointer(pointer).and_then(Value::as_str);
        let time = |pointer| payload.pointer(pointer).and_then(time);
        let role = || text("/data/public_metadata/role").map(str::to_owned);
        let email = || payload.get("data").and_then(primary_email);
        let external = || text("/data/external_id").and_then(ExternalId::parse);
        let (created, updated) = ("/data/created_at", "/data/updated_at");
        let kind = text("/type").ok_or(WebhookFault::Needed("type"))?;
        let (change, user, at) = match kind {
            "user.created" => {
                let change = Change::Created { email: email(), role: role(), external: external() };
                (change, "/data/id", time(created))
            }
            "user.updated" => {
                let change = Change::Updated { email: email(), role: role(), external: external() };
                (change, "/data/id", time(updated))
            }
            "user.deleted" => (Change::Deleted, "/data/id", None),
            // Somebody else who acts as the user has not made the user log in.
            "session.created" if payload.pointer("/data/actor").is_some_and(|actor| !actor.is_null()) => {
                return Ok(Self { kind: kind.to_owned(), notice: None });
            }
            "session.created" => (Change::LoggedIn, "/data/user_id", time(created)),
            _ => return Ok(Self { kind: kind.to_owned(), notice: None }),
        };
        let notice = Notice {
            clerk: text(user).and_then(ClerkUserId::parse).ok_or(WebhookFault::Needed("the user's id"))?,
            time: at.or_else(|| time("/timestamp")).ok_or(WebhookFault::Needed("a time"))?,
            change,
        };
        Ok(Self { kind: kind.to_owned(), notice: Some(notice) })
    }
}

fn primary_email(user: &Value) -> Option<String> {
    let primary = user.get("primary_email_address_id")?.as_str()?;
    let mut emails = user.get("email_addresses")?.as_array()?.iter();
    let email = emails.find(|email| email.get("id").and_then(Value::as_str) == Some(primary))?;
    email.get("email_address")?.as_str().map(str::to_owned)
}

/// A number below this can only be seconds: Clerk counts milliseconds, but examples of its own API description give
/// `timestamp` in seconds.
const LEAST_MILLIS: i64 = 100_000_000_000;

fn time(value: &Value) -> Option<Timestamp> {
    let number = value.as_i64()?;
    let millis = if number < LEAST_MILLIS { number.saturating_mul(1000) } else { number };
    Some(Timestamp::from_millis(millis))
}

impl Notice {
    /// The event as a message for the queue, under the webhook's id.
    pub fn event(
        &self,
        svix_id: &str,
        trace: Option<&TraceParent>,
        now: Timestamp,
    ) -> Result<String, WebhookFault> {
        let (kind, fields) = self.change.fields();
        let data: BTreeMap<&str, Value> =
            fields.into_iter().chain([("clerk_user_id", json!(self.clerk))]).collect();
        let envelope = [
            ("specversion", json!("1.0")),
            ("id", json!(svix_id)),
            ("source", json!(SOURCE)),
            ("type", json!(format!("{TYPE_PREFIX}{}", kind.name()))),
            ("subject", json!(self.clerk)),
            ("time", json!(self.time)),
            ("datacontenttype", json!("application/json")),
            ("data", json!(data)),
        ];
        let trace = trace.map(|trace| ("traceparent", json!(trace)));
        let message = json!(envelope.into_iter().chain(trace).collect::<BTreeMap<_, _>>()).to_string();
        events::parse(&message, Some(now))?;
        Ok(message)
    }
}

impl Change {
    /// The event's type, and the fields of its data beside the identity's id.
    fn fields(&self) -> (EventType, Vec<(&'static str, Value)>) {
        match self {
            Self::Created { email, role, external } => {
                let email = email.as_ref().map(|email| ("email", json!(email)));
                let role = role.as_ref().map(|role| ("role", json!(role)));
                let external = external.as_ref().map(|id| ("external_id", json!(id)));
                (EventType::IdentityCreated, email.into_iter().chain(role).chain(external).collect())
            }
            Self::Updated { email, role, external } => {
                let email = email.as_ref().map(|email| ("email", json!(email)));
                let rest = [("role", json!(role)), ("external_id", json!(external))];
                (EventType::IdentityUpdated, email.into_iter().chain(rest).collect())
            }
            Self::Deleted => (EventType::IdentityDeleted, Vec::new()),
            Self::LoggedIn => (EventType::IdentityLoggedIn, Vec::new()),
        }
    }
}

#[cfg(test)]
mod tests;
