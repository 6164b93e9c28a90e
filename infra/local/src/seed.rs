//! Invents a history: users, their tasks and what became of them, as the platform would have told it.
//!
//! The same numbers give the same events, with times relative to the day; what lies after `until` has not
//! happened yet, so executions of the last seconds are still running.

mod executions;
#[cfg(test)]
mod tests;
mod words;

use chrono::{DateTime, Duration, NaiveDate, SecondsFormat, Utc};
use fastrand::Rng;
use serde_json::{Value, json};
use torale_domain::values::digest::sha256_hex;
use words::{DOMAINS, FIRST_NAMES, LAST_NAMES, QUESTIONS, SCHEDULES, THINGS, WISHES, ZONES};

/// How much history, and which.
#[derive(Debug, Clone, Copy)]
pub struct SeedPlan {
    /// Another number, another history.
    pub seed: u64,
    /// The last day of the history.
    pub day: NaiveDate,
    /// Events after this have not happened yet.
    pub until: DateTime<Utc>,
    /// Days of history.
    pub days: u32,
    /// Executions in them.
    pub executions: u32,
}

const API: &str = "/torale/api";
const WORKER: &str = "/torale/worker";
const TEMPORAL: &str = "/torale/temporal";
const CLERK: &str = "/torale/clerk";
const LOCAL: &str = "/torale/local";

/// Every event of the history, each one an SQS message body, in the order of their times.
#[must_use]
pub fn history(plan: &SeedPlan) -> Vec<String> {
    let mut history = History::new(plan);
    let users: Vec<User> = (0..(plan.executions / 12).clamp(3, 2_000)).map(|n| history.user(n)).collect();
    let tasks: Vec<Task> = users.iter().flat_map(|user| history.tasks(user)).collect();
    if !tasks.is_empty() {
        for _ in 0..plan.executions {
            history.execution(&tasks);
        }
    }
    let mut events = history.events;
    events.retain(|event| event.time <= plan.until);
    events.sort_by(|a, b| (a.time, &a.id).cmp(&(b.time, &b.id)));
    events.iter().map(Event::body).collect()
}

/// The admin of the local stack and its key. The same key gives the same events, so sending them again
/// changes nothing.
#[must_use]
pub fn admin(key: &str) -> Vec<String> {
    const USER: &str = "00000000-0000-4000-8000-000000000001";
    let since = DateTime::UNIX_EPOCH + Duration::days(19_723); // 2024-01-01
    let hash = sha256_hex(&[key.as_bytes()]);
    let short: String = hash.chars().take(16).collect();
    let prefix: String = key.chars().take(8).collect();
    let user = json!({ "user_id": USER, "clerk_user_id": "user_local_admin", "email": "admin@example.com",
        "role": "admin" });
    let key = json!({ "key_id": format!("key_{short}"), "user_id": USER, "key_hash": hash,
        "key_prefix": prefix, "name": "cargo dev" });
    let event = |id: String, kind, data| Event {
        id,
        source: LOCAL,
        kind,
        subject: USER.to_owned(),
        time: since,
        data,
    };
    let events = [
        event("local-admin".to_owned(), "user.created", user),
        event(format!("local-key-{short}"), "api_key.created", key),
    ];
    events.iter().map(Event::body).collect()
}

/// A new API key.
#[must_use]
pub fn new_key() -> String {
    let random = std::iter::repeat_with(fastrand::alphanumeric).take(40);
    "sk_".chars().chain(random).collect()
}

struct Event {
    id: String,
    source: &'static str,
    kind: &'static str,
    subject: String,
    time: DateTime<Utc>,
    data: Value,
}

impl Event {
    fn body(&self) -> String {
        json!({
            "specversion": "1.0",
            "id": self.id,
            "source": self.source,
            "type": format!("ai.torale.{}", self.kind),
            "subject": self.subject,
            "time": written(self.time),
            "datacontenttype": "application/json",
            "data": self.data,
        })
        .to_string()
    }
}

fn written(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::Millis, true)
}

struct User {
    id: String,
    since: DateTime<Utc>,
}

struct Task {
    id: String,
    user_id: String,
    /// It runs from then
    since: DateTime<Utc>,
    /// to then.
    until: DateTime<Utc>,
}

/// The events so far, and the source of chance.
struct History {
    rng: Rng,
    start: DateTime<Utc>,
    end: DateTime<Utc>,
    events: Vec<Event>,
}

impl History {
    fn new(plan: &SeedPlan) -> Self {
        let end = plan.day.and_time(chrono::NaiveTime::MIN).and_utc() + Duration::days(1);
        let start = end - Duration::days(i64::from(plan.days));
        Self { rng: Rng::with_seed(plan.seed), start, end, events: Vec::new() }
    }

    fn push(
        &mut self,
        source: &'static str,
        kind: &'static str,
        subject: &str,
        time: DateTime<Utc>,
        data: Value,
    ) {
        let id = format!("{:032X}", self.rng.u128(..));
        self.events.push(Event { id, source, kind, subject: subject.to_owned(), time, data });
    }

    fn uuid(&mut self) -> String {
        uuid::Builder::from_random_bytes(self.rng.u128(..).to_be_bytes()).into_uuid().to_string()
    }

    fn chance(&mut self, percent: u32) -> bool {
        self.rng.u32(0..100) < percent
    }

    fn pick<'a>(&mut self, from: &[&'a str]) -> &'a str {
        self.rng.choice(from.iter().copied()).unwrap_or_default()
    }

    fn millis(&mut self, range: std::ops::Range<i64>) -> Duration {
        Duration::milliseconds(self.rng.i64(range))
    }

    /// A time between two others, or the first if they are the wrong way round.
    fn between(&mut self, from: DateTime<Utc>, to: DateTime<Utc>) -> DateTime<Utc> {
        from + self.millis(0..(to - from).num_milliseconds().max(1))
    }

    fn user(&mut self, number: u32) -> User {
        let (first, last) = (self.pick(FIRST_NAMES), self.pick(LAST_NAMES));
        let email = format!("{first}.{last}{number}@{}", self.pick(DOMAINS));
        let year_before = self.start - Duration::days(365);
        let since = if self.chance(60) {
            self.between(year_before, self.start)
        } else {
            self.between(self.start, self.end)
        };
        let user = User { id: self.uuid(), since };
        let clerk: String = std::iter::repeat_with(|| self.rng.alphanumeric()).take(24).collect();
        let clerk_user_id = format!("user_2{clerk}");
        self.push(
            CLERK,
            "user.created",
            &user.id,
            since,
            json!({ "user_id": user.id,
            "clerk_user_id": clerk_user_id, "email": email, "created_at": written(since) }),
        );
        for _ in 0..self.rng.u32(0..8) {
            let time = self.between(since.max(self.start), self.end);
            self.push(CLERK, "user.logged_in", &user.id, time, json!({ "user_id": user.id }));
        }
        if self.chance(4) {
            let email = format!("{last}.{first}{number}@{}", self.pick(DOMAINS));
            let time = self.between(since, self.end);
            self.push(CLERK, "user.updated", &user.id, time, json!({ "user_id": user.id, "email": email }));
        }
        self.api_keys(&user);
        self.deactivation(&user);
        user
    }

    fn api_keys(&mut self, user: &User) {
        if !self.chance(15) {
            return;
        }
        let key: String = std::iter::repeat_with(|| self.rng.alphanumeric()).take(40).collect();
        let (key, key_id) = (format!("sk_{key}"), format!("key_{}", self.uuid()));
        let prefix: String = key.chars().take(8).collect();
        let created = self.between(user.since, self.end);
        self.push(
            API,
            "api_key.created",
            &key_id,
            created,
            json!({ "key_id": key_id, "user_id": user.id,
            "key_hash": sha256_hex(&[key.as_bytes()]), "key_prefix": prefix, "name": "default" }),
        );
        if self.chance(20) {
            let time = self.between(created, self.end);
            let data = json!({ "key_id": key_id, "user_id": user.id });
            self.push(API, "api_key.revoked", &key_id, time, data);
        }
    }

    fn deactivation(&mut self, user: &User) {
        if !self.chance(3) {
            return;
        }
        let time = self.between(user.since.max(self.start), self.end);
        let data = json!({ "user_id": user.id, "reason": "payment failed" });
        self.push(API, "user.deactivated", &user.id, time, data);
        if self.chance(30) {
            let time = self.between(time, self.end);
            self.push(API, "user.reactivated", &user.id, time, json!({ "user_id": user.id }));
        }
    }

    fn question(&mut self) -> String {
        if self.chance(25) {
            let (wish, thing) = (self.pick(WISHES), self.pick(THINGS));
            return wish.replace("{}", thing);
        }
        // Zipf: the n-th question is asked 1/n as often as the first.
        let weights = (1..=u32::try_from(QUESTIONS.len()).unwrap_or(1)).map(|rank| 100_000 / rank);
        let chosen = self.weighted(weights);
        QUESTIONS.get(chosen).copied().unwrap_or_default().to_owned()
    }

    fn weighted(&mut self, weights: impl Iterator<Item = u32> + Clone) -> usize {
        let mut left = self.rng.u32(0..weights.clone().sum());
        for (position, weight) in weights.enumerate() {
            if left < weight {
                return position;
            }
            left -= weight;
        }
        0
    }

    fn tasks(&mut self, user: &User) -> Vec<Task> {
        let count = match self.rng.u32(0..100) {
            0..15 => 0,
            15..65 => self.rng.u32(1..3),
            65..90 => self.rng.u32(3..6),
            _ => self.rng.u32(6..11),
        };
        (0..count).map(|_| self.task(user)).collect()
    }

    fn task(&mut self, user: &User) -> Task {
        let (id, since) = (self.uuid(), self.between(user.since, self.end));
        let (cron, question) = (self.pick(SCHEDULES), self.question());
        let mut data =
            json!({ "task_id": id, "user_id": user.id, "search_query": question, "schedule": cron });
        if let (true, Some(fields)) = (self.chance(50), data.as_object_mut()) {
            let name = question.split(' ').take(4).collect::<Vec<_>>().join(" ");
            fields.insert("name".to_owned(), Value::String(name));
        }
        self.push(API, "task.created", &id, since, data);
        let schedule_id = format!("task-{id}");
        let mut data = json!({ "schedule_id": schedule_id, "task_id": id, "user_id": user.id, "cron": cron });
        if let (true, Some(fields)) = (self.chance(20), data.as_object_mut()) {
            fields.insert("timezone".to_owned(), Value::from(self.pick(ZONES)));
        }
        let soon = since + self.millis(100..900);
        self.push(TEMPORAL, "temporal.schedule.created", &schedule_id, soon, data);
        let until = self.fate(&id, &schedule_id, since);
        Task { id, user_id: user.id.clone(), since, until }
    }

    /// What becomes of a task; until when it runs.
    fn fate(&mut self, id: &str, schedule_id: &str, since: DateTime<Utc>) -> DateTime<Utc> {
        let time = self.between(since.max(self.start), self.end);
        let soon = time + self.millis(100..900);
        let task = json!({ "task_id": id });
        let schedule = json!({ "schedule_id": schedule_id });
        match self.rng.u32(0..100) {
            0..5 => {
                self.push(API, "task.deleted", id, time, task);
                self.push(TEMPORAL, "temporal.schedule.deleted", schedule_id, soon, schedule);
                time
            }
            5..13 => {
                self.push(WORKER, "task.completed", id, time, task);
                self.push(TEMPORAL, "temporal.schedule.deleted", schedule_id, soon, schedule);
                time
            }
            13..28 => {
                self.push(API, "task.paused", id, time, task.clone());
                self.push(TEMPORAL, "temporal.schedule.paused", schedule_id, soon, schedule.clone());
                if !self.chance(40) {
                    return time;
                }
                let time = self.between(soon, self.end);
                let soon = time + self.millis(100..900);
                self.push(API, "task.resumed", id, time, task);
                self.push(TEMPORAL, "temporal.schedule.unpaused", schedule_id, soon, schedule);
                self.end
            }
            28..36 => {
                let (question, cron) = (self.question(), self.pick(SCHEDULES));
                let data = json!({ "task_id": id, "search_query": question, "schedule": cron });
                self.push(API, "task.updated", id, time, data);
                let data = json!({ "schedule_id": schedule_id, "cron": cron });
                self.push(TEMPORAL, "temporal.schedule.updated", schedule_id, soon, data);
                self.end
            }
            _ => self.end,
        }
    }
}
