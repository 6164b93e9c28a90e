//! Generates a random history: users, their tasks and executions, as the events that the platform
//! and the identity provider's webhook would have sent.
//!
//! The same plan gives the same events; their times follow from its day. Events after `until` are
//! left out, so executions of the last seconds are still running.

mod executions;
mod history;
mod people;
#[cfg(test)]
mod tests;
mod words;

use chrono::{DateTime, Duration, NaiveDate, Utc};
use serde_json::json;
use torale_domain::values::digest::sha256_hex;

use history::{History, SeedEvent, SeedTask, SeedUser};

/// Which history to generate.
#[derive(Debug, Clone, Copy)]
pub struct SeedPlan {
    /// The seed of the random numbers: another seed gives another history.
    pub seed: u64,
    /// The last day of the history.
    pub day: NaiveDate,
    /// The latest time of an event.
    pub until: DateTime<Utc>,
    /// The number of days.
    pub days: u32,
    /// The number of executions; users and tasks follow from it.
    pub executions: u32,
}

/// The events of the history as SQS message bodies, in the order of their times.
#[must_use]
pub fn history(plan: &SeedPlan) -> Vec<String> {
    let mut history = History::new(plan.seed, plan.day, plan.days);
    let users: Vec<SeedUser> = (0..(plan.executions / 12).clamp(3, 2_000)).map(|n| history.user(n)).collect();
    let tasks: Vec<SeedTask> = users.iter().flat_map(|user| history.tasks(user)).collect();
    if !tasks.is_empty() {
        for _ in 0..plan.executions {
            history.execution(&tasks);
        }
    }
    let mut events = history.events;
    events.retain(|event| event.time <= plan.until);
    events.sort_by(|a, b| (a.time, &a.id).cmp(&(b.time, &b.id)));
    events.iter().map(SeedEvent::body).collect()
}

/// The events that create the local stack's admin and their API key. The same key gives the same
/// events, so sending them again changes nothing.
#[must_use]
pub fn admin(key: &str) -> Vec<String> {
    const USER: &str = "00000000-0000-4000-8000-000000000001";
    let created = DateTime::UNIX_EPOCH + Duration::days(19_723); // 2024-01-01
    let hash = sha256_hex(&[key.as_bytes()]);
    let short: String = hash.chars().take(16).collect();
    let prefix: String = key.chars().take(8).collect();
    let user = json!({ "user_id": USER, "clerk_user_id": "user_local_admin", "email": "admin@example.com",
        "role": "admin" });
    let key = json!({ "key_id": format!("key_{short}"), "user_id": USER, "key_hash": hash,
        "key_prefix": prefix, "name": "cargo dev" });
    let event = |id: String, kind, data| SeedEvent {
        id,
        source: "/torale/local",
        kind,
        subject: USER.to_owned(),
        time: created,
        data,
    };
    let events = [
        event("local-admin".to_owned(), "user.created", user),
        event(format!("local-key-{short}"), "api_key.created", key),
    ];
    events.iter().map(SeedEvent::body).collect()
}

/// A new random API key.
#[must_use]
pub fn new_key() -> String {
    let random = std::iter::repeat_with(fastrand::alphanumeric).take(40);
    "sk_".chars().chain(random).collect()
}
