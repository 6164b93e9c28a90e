//! The history as it is generated: users and their tasks. [`super::people`] makes users known to
//! platform and identity provider, [`super::executions`] adds what the tasks do.

use chrono::{DateTime, Duration, SecondsFormat, Utc};
use fastrand::Rng;
use serde::Serialize;
use serde_json::{Value, json};
use torale_domain::values::digest::sha256_hex;

use super::words::{DOMAINS, FIRST_NAMES, LAST_NAMES, QUESTIONS, SCHEDULES, THINGS, WISHES, ZONES};

// The sources of events, as the platform names them.
pub(super) const API: &str = "/torale/api";
pub(super) const WORKER: &str = "/torale/worker";
pub(super) const TEMPORAL: &str = "/torale/temporal";
pub(super) const CLERK: &str = torale_domain::events::clerk::SOURCE;

/// An event of the platform.
pub struct SeedEvent {
    pub(super) id: String,
    pub(super) source: &'static str,
    /// Without the prefix `ai.torale.`.
    pub(super) kind: &'static str,
    pub(super) subject: String,
    pub(super) time: DateTime<Utc>,
    pub(super) data: Value,
}

impl SeedEvent {
    /// The SQS message body: a CloudEvent in JSON.
    #[must_use]
    pub fn body(&self) -> String {
        let event = CloudEvent {
            data: &self.data,
            datacontenttype: "application/json",
            id: &self.id,
            source: self.source,
            specversion: "1.0",
            subject: &self.subject,
            time: rfc3339(self.time),
            event_type: format!("ai.torale.{}", self.kind),
        };
        // Texts and a JSON value, which can't fail to be written.
        serde_json::to_string(&event).unwrap_or_default()
    }
}

/// An event as it is sent.
#[derive(Serialize)]
struct CloudEvent<'a> {
    data: &'a Value,
    datacontenttype: &'a str,
    id: &'a str,
    source: &'a str,
    specversion: &'a str,
    subject: &'a str,
    time: String,
    #[serde(rename = "type")]
    event_type: String,
}

/// A time as the platform writes it: UTC, with milliseconds.
pub(super) fn rfc3339(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::Millis, true)
}

/// A generated user.
pub(super) struct SeedUser {
    pub(super) id: String,
    pub(super) created: DateTime<Utc>,
}

/// A generated task.
pub(super) struct SeedTask {
    pub(super) id: String,
    pub(super) user_id: String,
    pub(super) created: DateTime<Utc>,
    /// When it was paused, completed or deleted for good, or else the end of the history.
    pub(super) until: DateTime<Utc>,
}

/// The events so far, and the random numbers.
pub(super) struct History {
    pub(super) rng: Rng,
    pub(super) start: DateTime<Utc>,
    pub(super) end: DateTime<Utc>,
    pub(super) events: Vec<SeedEvent>,
    /// How many numbered things users search for; without any, the few that have names alone.
    things: u32,
}

impl History {
    /// A history without events: some days until `end`.
    pub(super) fn new(seed: u64, end: DateTime<Utc>, days: u32, things: u32) -> Self {
        let start = end - Duration::days(i64::from(days));
        Self { rng: Rng::with_seed(seed), start, end, events: Vec::new(), things }
    }

    pub(super) fn push(
        &mut self,
        source: &'static str,
        kind: &'static str,
        subject: &str,
        time: DateTime<Utc>,
        data: Value,
    ) {
        let id = format!("{:032X}", self.rng.u128(..));
        self.events.push(SeedEvent { id, source, kind, subject: subject.to_owned(), time, data });
    }

    pub(super) fn uuid(&mut self) -> String {
        uuid::Builder::from_random_bytes(self.rng.u128(..).to_be_bytes()).into_uuid().to_string()
    }

    pub(super) fn chance(&mut self, percent: u32) -> bool {
        self.rng.u32(0..100) < percent
    }

    fn pick<'a>(&mut self, from: &[&'a str]) -> &'a str {
        self.rng.choice(from.iter().copied()).unwrap_or_default()
    }

    pub(super) fn millis(&mut self, range: std::ops::Range<i64>) -> Duration {
        Duration::milliseconds(self.rng.i64(range))
    }

    /// A random time in `from..to`; `from` if that is empty.
    pub(super) fn between(&mut self, from: DateTime<Utc>, to: DateTime<Utc>) -> DateTime<Utc> {
        from + self.millis(0..(to - from).num_milliseconds().max(1))
    }

    /// A user with their logins, API keys and deactivations.
    pub(super) fn user(&mut self, number: u32) -> SeedUser {
        let (first, last) = (self.pick(FIRST_NAMES), self.pick(LAST_NAMES));
        let email = format!("{first}.{last}{number}@{}", self.pick(DOMAINS));
        let year_before = self.start - Duration::days(365);
        let created = if self.chance(60) {
            self.between(year_before, self.start)
        } else {
            self.between(self.start, self.end)
        };
        let (user, login) = self.sign_up(&email, created);
        for _ in 0..self.rng.u32(0..8) {
            let time = self.between(created.max(self.start), self.end);
            self.push(login.source, login.logged_in, &login.subject, time, login.data.clone());
        }
        if self.chance(4) {
            let email = format!("{last}.{first}{number}@{}", self.pick(DOMAINS));
            let time = self.between(created, self.end);
            let mut data = login.data.clone();
            if let Some(fields) = data.as_object_mut() {
                fields.insert("email".to_owned(), Value::String(email));
            }
            self.push(login.source, login.updated, &login.subject, time, data);
        }
        self.api_keys(&user);
        self.deactivation(&user);
        user
    }

    fn api_keys(&mut self, user: &SeedUser) {
        if !self.chance(15) {
            return;
        }
        let key: String = std::iter::repeat_with(|| self.rng.alphanumeric()).take(40).collect();
        let (key, key_id) = (format!("sk_{key}"), format!("key_{}", self.uuid()));
        let prefix: String = key.chars().take(8).collect();
        let created = self.between(user.created, self.end);
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

    fn deactivation(&mut self, user: &SeedUser) {
        if !self.chance(3) {
            return;
        }
        let time = self.between(user.created.max(self.start), self.end);
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
            if self.things == 0 {
                return wish.replace("{}", thing);
            }
            let number = self.rng.u32(0..self.things);
            return wish.replace("{}", &format!("{thing} no. {number}"));
        }
        // Zipf's law: the n-th question occurs 1/n as often as the first.
        let weights = (1..=u32::try_from(QUESTIONS.len()).unwrap_or(1)).map(|rank| 100_000 / rank);
        let chosen = self.weighted(weights);
        QUESTIONS.get(chosen).copied().unwrap_or_default().to_owned()
    }

    /// A random position, the more often the greater its weight.
    pub(super) fn weighted(&mut self, weights: impl Iterator<Item = u32> + Clone) -> usize {
        let mut left = self.rng.u32(0..weights.clone().sum());
        for (position, weight) in weights.enumerate() {
            if left < weight {
                return position;
            }
            left -= weight;
        }
        0
    }

    /// The tasks of a user: none, one or several.
    pub(super) fn tasks(&mut self, user: &SeedUser) -> Vec<SeedTask> {
        let count = match self.rng.u32(0..100) {
            0..15 => 0,
            15..65 => self.rng.u32(1..3),
            65..90 => self.rng.u32(3..6),
            _ => self.rng.u32(6..11),
        };
        (0..count).map(|_| self.task(user)).collect()
    }

    pub(super) fn task(&mut self, user: &SeedUser) -> SeedTask {
        let (id, created) = (self.uuid(), self.between(user.created, self.end));
        let (cron, question) = (self.pick(SCHEDULES), self.question());
        let mut data =
            json!({ "task_id": id, "user_id": user.id, "search_query": question, "schedule": cron });
        if let (true, Some(fields)) = (self.chance(50), data.as_object_mut()) {
            let name = question.split(' ').take(4).collect::<Vec<_>>().join(" ");
            fields.insert("name".to_owned(), Value::String(name));
        }
        self.push(API, "task.created", &id, created, data);
        let schedule_id = format!("schedule-{id}");
        let mut data = json!({ "schedule_id": schedule_id, "task_id": id, "user_id": user.id, "cron": cron });
        if let (true, Some(fields)) = (self.chance(20), data.as_object_mut()) {
            fields.insert("timezone".to_owned(), Value::from(self.pick(ZONES)));
        }
        let soon = created + self.millis(100..900);
        self.push(TEMPORAL, "temporal.schedule.created", &schedule_id, soon, data);
        let until = self.task_changes(&id, &schedule_id, created);
        SeedTask { id, user_id: user.id.clone(), created, until }
    }

    /// What happens to a task after its creation; returns until when it runs.
    fn task_changes(&mut self, id: &str, schedule_id: &str, created: DateTime<Utc>) -> DateTime<Utc> {
        let time = self.between(created.max(self.start), self.end);
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
