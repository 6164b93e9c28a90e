//! Clerk's webhooks: from a payload to our events.
//!
//! | Clerk | ours | its time |
//! |---|---|---|
//! | `user.created` | `user.created` with email and role | `data.created_at` |
//! | `user.updated` | `user.updated` with email, and with role or its removal | `data.updated_at` |
//! | `user.deleted` | `user.deactivated` | `timestamp` |
//! | `session.created` | `user.logged_in` | `data.created_at` |
//!
//! Where `data` has no such time, the payload's `timestamp` stands in. The email is the primary one; a user who has
//! none is created with an empty one, since our event needs it, and an update leaves the email alone.
//! A role is a text in `public_metadata.role`; anything else is no role.
//!
//! **Which user.** `external_id` where it is a UUID (of a session: its user's). Otherwise a user that a
//! `user.created` event has brought under the same Clerk id, if there is one ([`users`]); else UUID v5 of the DNS
//! namespace and `clerk:<clerk user id>`. A new user is never looked up. Two gaps are left: a session without its
//! user's `external_id` whose `user.created` has not been projected yet goes to the v5 id, a stub, and that login is
//! lost; and a user who gets an `external_id` after `user.created` is from then on updated under that id.

use crate::events::{self, EventType, QuarantineReason, TYPE_PREFIX};
use crate::storage::keys;
use crate::storage::read::{Corrupt, Range, ReadPlan, Reader};
use crate::values::ids::{ClerkUserId, UserId};
use crate::values::text::without_mark;
use crate::values::time::Timestamp;
use crate::values::trace::TraceParent;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use uuid::Uuid;

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

/// What happened to a user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    clerk: ClerkUserId,
    external: Option<UserId>,
    time: Timestamp,
    change: Change,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Change {
    Created { email: String, role: Option<String> },
    Updated { email: Option<String>, role: Option<String> },
    Deactivated,
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
        let payload: Value = serde_json::from_str(without_mark(text)).map_err(|_| WebhookFault::NotJson)?;
        let text = |pointer| payload.pointer(pointer).and_then(Value::as_str);
        let time = |pointer| payload.pointer(pointer).and_then(time);
        let role = || text("/data/public_metadata/role").map(str::to_owned);
        let email = || payload.get("data").and_then(primary_email);
        let (created, updated) = ("/data/created_at", "/data/updated_at");
        let kind = text("/type").ok_or(WebhookFault::Needed("type"))?;
        let (change, user, at) = match kind {
            "user.created" => {
                let change = Change::Created { email: email().unwrap_or_default(), role: role() };
                (change, ("/data/id", "/data/external_id"), time(created))
            }
            "user.updated" => {
                let change = Change::Updated { email: email(), role: role() };
                (change, ("/data/id", "/data/external_id"), time(updated))
            }
            "user.deleted" => (Change::Deactivated, ("/data/id", "/data/external_id"), None),
            "session.created" => {
                (Change::LoggedIn, ("/data/user_id", "/data/user/external_id"), time(created))
            }
            _ => return Ok(Self { kind: kind.to_owned(), notice: None }),
        };
        let notice = Notice {
            clerk: text(user.0).and_then(ClerkUserId::parse).ok_or(WebhookFault::Needed("the user's id"))?,
            external: text(user.1).and_then(UserId::parse),
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
    /// The Clerk id to look our users up by, where the payload names none of them.
    pub const fn unnamed(&self) -> Option<&ClerkUserId> {
        match (self.external, &self.change) {
            (Some(_), _) | (None, Change::Created { .. }) => None,
            (None, Change::Updated { .. } | Change::Deactivated | Change::LoggedIn) => Some(&self.clerk),
        }
    }

    /// The events as messages: one, or one for each of several users known by this Clerk id. `known` is what
    /// [`users`] found, if it was needed. The first event's id is the webhook's; the others add their number to it.
    pub fn events(
        &self,
        svix_id: &str,
        trace: Option<&TraceParent>,
        known: &[UserId],
        now: Timestamp,
    ) -> Result<Vec<String>, WebhookFault> {
        let users = match (self.external, known) {
            (Some(user), _) => vec![user],
            (None, []) => vec![derived(&self.clerk)],
            (None, known) => known.to_vec(),
        };
        let messages = users.into_iter().enumerate().map(|(n, user)| {
            let id = if n == 0 { svix_id.to_owned() } else { format!("{svix_id}.{n}") };
            let message = self.event(&id, trace, user);
            events::parse(&message, Some(now))?;
            Ok(message)
        });
        messages.collect()
    }

    fn event(&self, id: &str, trace: Option<&TraceParent>, user: UserId) -> String {
        let (kind, fields) = match &self.change {
            Change::Created { email, role } => {
                let role = role.as_ref().map(|role| ("role", json!(role)));
                let fields = [("clerk_user_id", json!(self.clerk)), ("email", json!(email))];
                (EventType::UserCreated, fields.into_iter().chain(role).collect())
            }
            Change::Updated { email, role } => {
                let email = email.as_ref().map(|email| ("email", json!(email)));
                (EventType::UserUpdated, email.into_iter().chain([("role", json!(role))]).collect())
            }
            Change::Deactivated => (EventType::UserDeactivated, Vec::new()),
            Change::LoggedIn => (EventType::UserLoggedIn, Vec::new()),
        };
        let data: BTreeMap<&str, Value> = fields.into_iter().chain([("user_id", json!(user))]).collect();
        let envelope = [
            ("specversion", json!("1.0")),
            ("id", json!(id)),
            ("source", json!(SOURCE)),
            ("type", json!(format!("{TYPE_PREFIX}{}", kind.name()))),
            ("subject", json!(user)),
            ("time", json!(self.time)),
            ("datacontenttype", json!("application/json")),
            ("data", json!(data)),
        ];
        let trace = trace.map(|trace| ("traceparent", json!(trace)));
        json!(envelope.into_iter().chain(trace).collect::<BTreeMap<_, _>>()).to_string()
    }
}

/// The id of a user that has no UUID of ours at Clerk.
pub fn derived(clerk: &ClerkUserId) -> UserId {
    UserId(Uuid::new_v5(&Uuid::NAMESPACE_DNS, format!("clerk:{}", clerk.as_str()).as_bytes()))
}

/// The users whose `user.created` events name a Clerk id, in the order of their ids: one round trip.
pub async fn users<R: Reader>(reader: &R, clerk: &ClerkUserId) -> Result<Vec<UserId>, R::Error> {
    let range = Range { pk: keys::login_lookup_pk(clerk), ..Range::default() };
    let mut found = reader.read(ReadPlan::ranges(vec![range]).consistent()).await?;
    let lookups = found.take_ranges(1).into_iter().flatten();
    let users = lookups.map(|item| {
        keys::parse_login_lookup(&item.key).ok_or_else(|| Corrupt::new(&item.key, "not a login's look-up"))
    });
    Ok(users.collect::<Result<_, _>>()?)
}

#[cfg(test)]
mod tests;
