//! Clerk's webhooks: what happens to identities arrives by the function `clerk-webhook`. Svix, who delivers them, sends
//! each again until it gets a 2xx, in any order, and sometimes once more after that. Somebody else sends some with a
//! signature of their own.

use crate::clocks;
use crate::defects::{self, Defect};
use crate::faults::{self, Fault};
use crate::installation::{Installation, all, mortal};
use crate::trace;
use clerk_webhook::Webhook;
use futures::FutureExt;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use tokio::time::{Duration, sleep};
use torale_domain::events::{Event, ReceivedMessage, clerk, parse};
use torale_domain::values::time::Timestamp;
use torale_testkit::{request, svix};

/// The longest time until a webhook is first sent, and between two attempts.
const FIRST_MS: u64 = 60_000;
const AGAIN_MS: u64 = 300_000;
/// The longest life of a function that dies amid one.
const LIFE: Duration = Duration::from_millis(100);
/// The most attempts that follow one which was answered with a 2xx, whose answer Svix did not get.
const REPEATED: u32 = 2;
/// An address that is not the primary one.
const OTHER_EMAIL: &str = "other@example.com";
/// How much later than what it is about a webhook is at most, in milliseconds, and how much a planted defect adds.
const LATER_MS: i64 = 2_000;
const MISDATED_MS: i64 = 3_600_000;
/// A key that is not the secret's.
const FOREIGN_KEY: &[u8] = b"nmlkjihgfedcba9876543210";

/// A webhook: its id, its body, and whether somebody else has signed it.
#[derive(Debug, Clone)]
struct Notification {
    id: String,
    body: Value,
    is_forged: bool,
}

/// What was answered, and must hold from then on.
#[derive(Debug, Default)]
pub struct DeliveredWebhooks {
    /// The webhooks that were answered with a 2xx, by their ids.
    pub accepted: BTreeMap<String, Value>,
    /// The ids of those that were refused each time, since somebody else had signed them.
    pub forged: BTreeSet<String>,
}

/// Takes what becomes webhooks out of some messages: half of the events of identities.
fn take(messages: &mut Vec<String>) -> Vec<Notification> {
    let mut taken = Vec::new();
    messages.retain(|message| {
        let number = taken.len();
        let body = fastrand::bool().then(|| payload(message)).flatten();
        let is_taken = body.is_some();
        taken.extend(body.map(|body| Notification { id: format!("msg_{number}"), body, is_forged: false }));
        !is_taken
    });
    taken
}

/// The event of an identity as Clerk reports it; `None` for other messages.
fn payload(message: &str) -> Option<Value> {
    let ReceivedMessage::Known(event) = parse(message, None).ok()? else { return None };
    let Event { time, .. } = *event;
    let event: Value = serde_json::from_str(message).ok()?;
    let data = &event["data"];
    let user = &data["clerk_user_id"];
    let profile = |times: &str| {
        let mut user = json!({ "id": user, "external_id": data["external_id"], times: time.millis() });
        user["public_metadata"] = json!({ "role": data["role"] });
        if data["email"].is_string() {
            user["primary_email_address_id"] = json!("e1");
            user["email_addresses"] = json!([
                { "id": "e0", "email_address": OTHER_EMAIL },
                { "id": "e1", "email_address": data["email"] },
            ]);
        }
        user
    };
    let (kind, data) = match event["type"].as_str()? {
        "ai.torale.identity.created" => ("user.created", profile("created_at")),
        "ai.torale.identity.updated" => ("user.updated", profile("updated_at")),
        "ai.torale.identity.deleted" => ("user.deleted", json!({ "id": user, "deleted": true })),
        "ai.torale.identity.logged_in" => {
            ("session.created", json!({ "user_id": user, "created_at": time.millis() }))
        }
        _other_types => return None,
    };
    // A deletion has no other time than that of its webhook.
    let later = if kind == "user.deleted" { 0 } else { fastrand::i64(..LATER_MS) };
    Some(json!({ "type": kind, "data": data, "timestamp": time.millis() + later }))
}

/// Takes some events of identities out of the messages and delivers them as webhooks.
pub fn of(messages: &mut Vec<String>) -> Webhooks {
    if !faults::happens(Fault::Webhook, "webhook") {
        return Webhooks(Vec::new());
    }
    let mut notifications = take(messages);
    let forged = notifications.iter().filter(|_| fastrand::u8(..8) == 0).cloned();
    let forged: Vec<_> =
        forged.map(|one| Notification { id: format!("{}_forged", one.id), is_forged: true, ..one }).collect();
    notifications.extend(forged);
    Webhooks(notifications)
}

/// Webhooks that are to be delivered.
#[derive(Debug)]
pub struct Webhooks(Vec<Notification>);

impl Webhooks {
    /// Delivers all of them, each by itself, until each was answered as it must be.
    pub async fn deliver(&self, world: &Installation) -> DeliveredWebhooks {
        all(self.0.iter().map(|one| deliver(world, one).boxed_local())).await;
        let mut delivered = DeliveredWebhooks::default();
        for Notification { id, body, is_forged } in &self.0 {
            match is_forged {
                true => drop(delivered.forged.insert(id.clone())),
                false => drop(delivered.accepted.insert(id.clone(), body.clone())),
            }
        }
        delivered
    }
}

/// Sends a webhook until it is answered with a 2xx, or finally refused since it is forged.
async fn deliver(world: &Installation, one: &Notification) {
    let mut longest = FIRST_MS;
    let mut repeated = fastrand::u32(..=REPEATED);
    loop {
        sleep(Duration::from_millis(fastrand::u64(..longest))).await;
        longest = AGAIN_MS;
        let status = attempt(world, one).await;
        trace::note(|| format!("webhook {} is answered with {status:?}", one.id));
        let expected: &[u16] = if one.is_forged { &[400] } else { &[200, 503] };
        match status {
            Some(status) if !expected.contains(&status) => {
                return world.violation(format!("webhook {one:?} was answered with {status}"));
            }
            Some(400) => return faults::count("webhook refused", None),
            Some(200) if repeated == 0 || !faults::happens(Fault::Duplicate, "webhook") => {
                return faults::count("webhook accepted", None);
            }
            Some(200) => repeated -= 1,
            Some(_) | None => {}
        }
    }
}

/// The status of an answer; `None` if the function dies, or its answer is lost.
async fn attempt(world: &Installation, one: &Notification) -> Option<u16> {
    let webhook = Webhook::new(svix::SECRET, world.events.client("webhook"), clocks::WEBHOOK);
    let (mut body, at) = (one.body.clone(), clocks::CLERK());
    if defects::is(Defect::WebhooksAreMisdated) {
        for time in ["/timestamp", "/data/created_at", "/data/updated_at"] {
            let time = body.pointer_mut(time);
            time.into_iter().for_each(|time| *time = json!(time.as_i64().map(|time| time + MISDATED_MS)));
        }
    }
    let body = body.to_string();
    let key = if one.is_forged { FOREIGN_KEY } else { svix::KEY };
    let payload = svix::request(&one.id, at, &svix::signature(key, &one.id, at, &body), &body);
    let request = request::read(&payload);
    let status = mortal("webhook", LIFE, webhook.handle(&request)).await?.status().as_u16();
    let is_lost = !one.is_forged && faults::happens(Fault::LostAnswer, "webhook");
    (!is_lost).then_some(status)
}

/// What the event of a webhook says, as the table of `docs/contract/events.md` has it: its type, its time in
/// milliseconds, and its data. Nothing of the product is used.
fn expected(body: &Value) -> Option<(&'static str, i64, Value)> {
    let about = &body["data"];
    let email = || {
        let primary = about["primary_email_address_id"].as_str()?;
        let mut emails = about["email_addresses"].as_array()?.iter();
        emails.find(|one| one["id"] == primary).map(|one| one["email_address"].clone())
    };
    let profile = [
        ("email", email().unwrap_or_default()),
        ("role", about["public_metadata"]["role"].clone()),
        ("external_id", about["external_id"].clone()),
    ];
    let with = |user: &Value, fields: &mut dyn Iterator<Item = (&str, Value)>| {
        let mut data = json!({ "clerk_user_id": user });
        fields.for_each(|(name, value)| data[name] = value);
        data
    };
    let is_there = |(_, value): &(&str, Value)| !value.is_null();
    // An update says of everything but the email that it is gone, where it is.
    let is_kept = |field: &(&str, Value)| field.0 != "email" || is_there(field);
    let (kind, time, data) = match body["type"].as_str()? {
        "user.created" => {
            let data = with(&about["id"], &mut profile.into_iter().filter(is_there));
            ("ai.torale.identity.created", &about["created_at"], data)
        }
        "user.updated" => {
            let data = with(&about["id"], &mut profile.into_iter().filter(is_kept));
            ("ai.torale.identity.updated", &about["updated_at"], data)
        }
        "user.deleted" => {
            let data = with(&about["id"], &mut std::iter::empty());
            ("ai.torale.identity.deleted", &body["timestamp"], data)
        }
        "session.created" => {
            let data = with(&about["user_id"], &mut std::iter::empty());
            ("ai.torale.identity.logged_in", &about["created_at"], data)
        }
        _other_types => return None,
    };
    Some((kind, time.as_i64()?, data))
}

/// Whether an event of the log says what a webhook does.
fn says_the_same(event: &Value, body: &Value) -> bool {
    let time = event["time"].as_str().and_then(Timestamp::parse);
    expected(body).is_some_and(|(kind, millis, data)| {
        event["type"] == kind
            && time == Some(Timestamp::from_millis(millis))
            && event["subject"] == data["clerk_user_id"]
            && event["data"] == data
    })
}

/// Each webhook that was answered with a 2xx is in the log, however often it was delivered with the same content, and
/// none that somebody else signed.
///
/// # Errors
/// If not.
pub fn check(delivered: &DeliveredWebhooks, logged: &[Value]) -> Result<(), String> {
    let mut found: BTreeMap<&str, Vec<&Value>> = BTreeMap::new();
    for event in logged.iter().filter(|event| event["source"] == clerk::SOURCE) {
        found.entry(event["id"].as_str().unwrap_or_default()).or_default().push(event);
    }
    for (id, body) in &delivered.accepted {
        let Some(events) = found.get(id.as_str()) else {
            return Err(format!("the webhook {id} was accepted and is not in the log: {body}"));
        };
        if let Some(event) = events.iter().find(|event| !says_the_same(event, body)) {
            return Err(format!("the webhook {id} is in the log as {event}: {body}"));
        }
    }
    match delivered.forged.iter().find(|id| found.contains_key(id.as_str())) {
        Some(id) => Err(format!("the forged webhook {id} is in the log")),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn webhook_whose_event_says_anything_else_is_found() {
        let emails = json!([{ "id": "e0", "email_address": "a@x" }, { "id": "e1", "email_address": "b@x" }]);
        let body = json!({ "type": "user.updated", "timestamp": 1_774_953_031_000_i64, "data": {
            "id": "user_1", "external_id": null, "updated_at": 1_774_953_030_500_i64,
            "public_metadata": { "role": "admin" }, "primary_email_address_id": "e1", "email_addresses": emails,
        } });
        let event = json!({ "id": "msg_1", "source": "/clerk", "type": "ai.torale.identity.updated",
            "subject": "user_1", "time": "2026-03-31T10:30:30.500Z", "data": {
            "clerk_user_id": "user_1", "email": "b@x", "role": "admin", "external_id": null } });
        let delivered = DeliveredWebhooks {
            accepted: [("msg_1".to_owned(), body)].into(),
            ..DeliveredWebhooks::default()
        };
        let checked = |change: &dyn Fn(&mut Value)| {
            let mut changed = event.clone();
            change(&mut changed);
            check(&delivered, &[event.clone(), changed])
        };

        assert_eq!(checked(&|_| ()), Ok(()));
        assert!(checked(&|event| event["type"] = json!("ai.torale.identity.created")).is_err());
        assert!(checked(&|event| event["time"] = json!("2026-03-31T10:30:31Z")).is_err());
        assert!(checked(&|event| event["subject"] = json!("user_2")).is_err());
        assert!(checked(&|event| event["data"]["email"] = json!("a@x")).is_err());
        assert!(checked(&|event| event["data"]["role"] = json!(null)).is_err());
        assert!(
            checked(&|event| drop(event["data"].as_object_mut().unwrap().remove("external_id"))).is_err()
        );
        assert!(checked(&|event| event["data"]["more"] = json!(1)).is_err());
        assert!(check(&delivered, &[]).is_err(), "it is lost");
    }
}
