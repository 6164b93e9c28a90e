//! Clerk's webhooks: what happens to identities arrives by the function `clerk-webhook`. Svix, who delivers them, sends
//! each again until it gets a 2xx, in any order, and sometimes once more after that. Somebody else sends some with a
//! signature of their own.

use crate::clocks;
use crate::faults::{self, Fault};
use crate::installation::{Installation, all, mortal};
use crate::trace;
use clerk_webhook::Webhook;
use futures::FutureExt;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use tokio::time::{Duration, sleep};
use torale_domain::events::{Event, ReceivedMessage, clerk, parse};
use torale_testkit::{request, svix};

/// The longest time until a webhook is first sent, and between two attempts.
const FIRST_MS: u64 = 60_000;
const AGAIN_MS: u64 = 300_000;
/// The longest life of a function that dies amid one.
const LIFE: Duration = Duration::from_millis(100);
/// The most attempts that follow one which was answered with a 2xx, whose answer Svix did not get.
const REPEATED: u32 = 2;
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
    /// The webhooks that were answered with a 2xx: their ids and the identities that they are about.
    pub accepted: BTreeMap<String, String>,
    /// Those that were refused each time, since somebody else had signed them.
    pub forged: BTreeMap<String, String>,
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
            user["email_addresses"] = json!([{ "id": "e1", "email_address": data["email"] }]);
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
    Some(json!({ "type": kind, "data": data, "timestamp": time.millis() }))
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
            let user = [&body["data"]["user_id"], &body["data"]["id"]].into_iter().find_map(Value::as_str);
            let kind = if *is_forged { &mut delivered.forged } else { &mut delivered.accepted };
            kind.insert(id.clone(), user.unwrap_or_default().to_owned());
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
    let (body, at) = (one.body.to_string(), clocks::CLERK());
    let key = if one.is_forged { FOREIGN_KEY } else { svix::KEY };
    let payload = svix::request(&one.id, at, &svix::signature(key, &one.id, at, &body), &body);
    let request = request::read(&payload);
    let status = mortal("webhook", LIFE, webhook.handle(&request)).await?.status().as_u16();
    let is_lost = !one.is_forged && faults::happens(Fault::LostAnswer, "webhook");
    (!is_lost).then_some(status)
}

/// Each webhook that was answered with a 2xx is in the log, by its identity, and none that somebody else signed.
///
/// # Errors
/// If not.
pub fn check(delivered: &DeliveredWebhooks, logged: &[Value]) -> Result<(), String> {
    let of_clerk = logged.iter().filter(|event| event["source"] == clerk::SOURCE);
    let found: BTreeMap<&str, &str> = of_clerk
        .filter_map(|event| Some((event["id"].as_str()?, event["data"]["clerk_user_id"].as_str()?)))
        .collect();
    for (id, user) in &delivered.accepted {
        if found.get(id.as_str()) != Some(&user.as_str()) {
            return Err(format!("the webhook {id} about {user} was accepted and is not in the log"));
        }
    }
    match delivered.forged.keys().find(|id| found.contains_key(id.as_str())) {
        Some(id) => Err(format!("the forged webhook {id} is in the log")),
        None => Ok(()),
    }
}
