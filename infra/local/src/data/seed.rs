//! Generates a random history: users, their tasks and executions, as the events that the platform
//! and the identity provider's webhook would have sent.
//!
//! The same plan gives the same events; their times follow from its end. Events after `until` are
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

pub use history::SeedEvent;
use history::{History, SeedTask, SeedUser};

/// Which history to generate.
#[derive(Debug, Clone, Copy)]
pub struct SeedPlan {
    /// The seed of the random numbers: another seed gives another history.
    pub seed: u64,
    /// The end of the history: no event is planned for later.
    pub end: DateTime<Utc>,
    /// The latest time of an event; later ones are left out.
    pub until: DateTime<Utc>,
    /// The number of days.
    pub days: u32,
    /// The number of executions; users and tasks follow from it.
    pub executions: u32,
}

impl SeedPlan {
    /// A history whose last day is `day`. Later on that day it has more events, and the same ones before.
    #[must_use]
    pub fn of_day(day: NaiveDate, until: DateTime<Utc>, options: SeedOptions) -> Self {
        let end = day.and_time(chrono::NaiveTime::MIN).and_utc() + Duration::days(1);
        let SeedOptions { seed, days, executions } = options;
        Self { seed, end, until, days, executions }
    }

    /// A history that ends at a moment. All its executions have begun by then.
    #[must_use]
    pub fn until(end: DateTime<Utc>, options: SeedOptions) -> Self {
        let SeedOptions { seed, days, executions } = options;
        Self { seed, end, until: end, days, executions }
    }

    /// Twelve executions for each user, until there are 2,000 of them; then up to 200.
    fn users(&self) -> u32 {
        (self.executions / 12).clamp(3, MANY_USERS.max(self.executions / 200))
    }
}

/// What a history is generated from, but for its times.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SeedOptions {
    /// As in [`SeedPlan`].
    pub seed: u64,
    /// As in [`SeedPlan`].
    pub days: u32,
    /// As in [`SeedPlan`].
    pub executions: u32,
}

/// Up to this number of users their number follows from the executions, and they search for the same things.
const MANY_USERS: u32 = 2_000;

/// What a history has so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SeedCounts {
    /// Users, also those whom only the identity provider knows.
    pub users: u32,
    /// Tasks, also those that were deleted.
    pub tasks: u32,
    /// Executions.
    pub executions: u32,
}

/// The events of a history, in no particular order. It holds users and tasks, but only the events of one of them or
/// of one execution.
pub struct SeedEvents {
    plan: SeedPlan,
    history: History,
    users: Vec<SeedUser>,
    tasks: Vec<SeedTask>,
    /// Users whose tasks were generated.
    users_with_tasks: usize,
    executions: u32,
}

impl SeedEvents {
    /// The events of a plan.
    #[must_use]
    pub fn new(plan: SeedPlan) -> Self {
        let users = plan.users();
        let things = if users > MANY_USERS { users } else { 0 };
        let history = History::new(plan.seed, plan.end, plan.days, things);
        Self { plan, history, users: Vec::new(), tasks: Vec::new(), users_with_tasks: 0, executions: 0 }
    }

    /// What was generated so far.
    #[must_use]
    pub fn counts(&self) -> SeedCounts {
        let count = |length: usize| u32::try_from(length).unwrap_or(u32::MAX);
        let (users, tasks) = (count(self.users.len()), count(self.tasks.len()));
        SeedCounts { users, tasks, executions: self.executions }
    }

    /// Generates the next user, the tasks of the next user, or the next execution; false after the last.
    fn advance(&mut self) -> bool {
        let SeedCounts { users, tasks, executions } = self.counts();
        if users < self.plan.users() {
            self.users.push(self.history.user(users));
        } else if let Some(user) = self.users.get(self.users_with_tasks) {
            self.tasks.extend(self.history.tasks(user));
            self.users_with_tasks += 1;
        } else if let (0, Some(user)) = (tasks, self.users.first()) {
            // Executions need a task.
            self.tasks.push(self.history.task(user));
        } else if executions < self.plan.executions {
            self.history.execution(&self.tasks);
            self.executions += 1;
        } else {
            return false;
        }
        true
    }
}

impl Iterator for SeedEvents {
    type Item = SeedEvent;

    fn next(&mut self) -> Option<SeedEvent> {
        loop {
            match self.history.events.pop() {
                Some(event) if event.time <= self.plan.until => return Some(event),
                Some(_) => {}
                None if self.advance() => {}
                None => return None,
            }
        }
    }
}

/// The events of the history as SQS message bodies, in the order of their times.
#[must_use]
pub fn history(plan: SeedPlan) -> Vec<String> {
    let mut events: Vec<SeedEvent> = SeedEvents::new(plan).collect();
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
