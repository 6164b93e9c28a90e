//! Invents a history: users, their tasks and what became of them, as the platform would have told it.
//!
//! The same numbers give the same events, with times relative to the day; what lies after `until` has not
//! happened yet, so executions of the last seconds are still running.

use chrono::{DateTime, Duration, NaiveDate, SecondsFormat, Utc};
use fastrand::Rng;
use serde_json::{Value, json};
use torale_domain::keys::sha256_hex;

/// How much history, and which.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
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

const FIRST_NAMES: &[&str] = &[
    "ada", "ben", "chloe", "dmitri", "elena", "farid", "grace", "hiro", "ines", "jonas", "kemi", "liam",
    "mei", "nadia", "omar", "priya", "quentin", "rosa", "sven", "tara", "umar", "vera", "wei", "xenia",
    "yusuf", "zoe",
];
const LAST_NAMES: &[&str] = &[
    "adler", "brown", "costa", "dubois", "evans", "fischer", "garcia", "haddad", "ito", "jansen", "kim",
    "lopez", "mbeki", "novak", "okafor", "patel", "rossi", "silva", "tanaka", "weber",
];
const DOMAINS: &[&str] = &["example.com", "example.org", "example.net"];
/// What many people want to know, the most wanted first.
const QUESTIONS: &[&str] = &[
    "When is the next iPhone being released?",
    "Is the PlayStation 5 Pro in stock near me?",
    "When do tickets for the next Taylor Swift tour go on sale?",
    "Has the Federal Reserve changed its interest rate?",
    "When is the next SpaceX Starship launch?",
    "Is GTA 6 available for pre-order?",
    "Has OpenAI announced a new model?",
    "When does the swimming pool open for the summer?",
    "Are there new listings for two-room flats in Lisbon?",
    "Has the price of the Framework 16 laptop dropped?",
    "When does early registration for RustConf open?",
    "Is a new season of Severance announced?",
    "Has my local council published the new bin calendar?",
    "Did the EU AI Act get new guidelines?",
    "When is the next total solar eclipse visible from Spain?",
    "Are cherry blossoms in bloom in Kyoto?",
];
/// What one person wants to know.
const THINGS: &[&str] = &[
    "Leica Q3",
    "Nintendo Switch 2",
    "Rivian R2",
    "reMarkable",
    "Steam Deck",
    "Brompton Electric",
    "Fairphone 6",
    "Pixel 10",
    "Kindle Scribe",
    "Herman Miller Aeron",
];
const WISHES: &[&str] = &[
    "Is the {} back in stock?",
    "Has the price of the {} dropped below 500?",
    "When does the {} ship to Norway?",
];
const SCHEDULES: &[&str] =
    &["0 9 * * *", "0 */6 * * *", "*/30 * * * *", "0 8 * * 1-5", "15 * * * *", "0 18 * * 5", "30 7 1 * *"];
const ZONES: &[&str] = &["Europe/Berlin", "America/New_York", "Asia/Tokyo"];
/// Kind, message, weight.
const ERRORS: &[(&str, &str, u32)] = &[
    ("RateLimitError", "Rate limit exceeded for Google Search API", 60),
    ("TimeoutError", "The search did not finish within 30 seconds", 25),
    ("ValidationError", "The model's answer does not match the schema", 9),
    ("UpstreamError", "502 Bad Gateway from the search provider", 6),
];

/// Every event of the history, each one an SQS message body, in the order of their times.
#[must_use]
pub fn history(plan: &Plan) -> Vec<String> {
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
    fn new(plan: &Plan) -> Self {
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

    /// One run of some task: its workflow, its execution with at most one retry, its notification.
    fn execution(&mut self, tasks: &[Task]) {
        let Some(task) = self.rng.choice(tasks) else { return };
        let time = self.between(task.since.max(self.start), task.until);
        // Schedules fire on the quarter of an hour; workers take a moment to begin.
        let quarter = time.timestamp().div_euclid(900) * 900;
        let quarter = DateTime::from_timestamp(quarter, 0).filter(|fired| *fired >= task.since);
        let started = quarter.unwrap_or(time) + self.millis(50..5_000);
        let run = Run {
            execution_id: self.uuid(),
            task_id: &task.id,
            user_id: &task.user_id,
            workflow_id: format!("task-{}-{}", task.id, started.timestamp()),
            run_id: self.uuid(),
            started,
        };
        let data = run.workflow(json!({ "task_id": run.task_id }));
        self.push(TEMPORAL, "temporal.workflow.started", &run.workflow_id, started, data);
        let data = run.data(json!({}));
        self.push(WORKER, "execution.started", &run.execution_id, started, data);
        if self.rng.u32(0..200) == 0 {
            return; // its worker died: it seems to run for ever
        }
        let finished = self.outcome(&run);
        let status = match (finished.succeeded, self.rng.u32(0..100)) {
            (true, _) => "COMPLETED",
            (false, 0..80) => "FAILED",
            (false, 80..95) => "TIMED_OUT",
            (false, _) => "TERMINATED",
        };
        let closed = finished.at + self.millis(20..400);
        let data = run.workflow(json!({ "status": status, "close_time": written(closed) }));
        self.push(TEMPORAL, "temporal.workflow.closed", &run.workflow_id, closed, data);
    }

    fn outcome(&mut self, run: &Run<'_>) -> Finished {
        let took =
            self.millis(900..5_500) + if self.chance(5) { self.millis(0..20_000) } else { Duration::zero() };
        let at = run.started + took;
        if self.chance(95) {
            return self.success(run, at);
        }
        // Of the failures, about half succeed when they are tried again.
        let retries = self.chance(60);
        self.failure(run, at, 0, retries);
        if !retries {
            return Finished { at, succeeded: false };
        }
        let again = at + self.millis(30_000..90_000);
        if self.chance(80) {
            return self.success(run, again);
        }
        self.failure(run, again, 1, false);
        Finished { at: again, succeeded: false }
    }

    fn success(&mut self, run: &Run<'_>, at: DateTime<Utc>) -> Finished {
        let met = self.chance(8);
        let data = run.data(json!({ "completed_at": written(at), "condition_met": met,
            "duration_ms": (at - run.started).num_milliseconds() }));
        self.push(WORKER, "execution.succeeded", &run.execution_id, at, data);
        if met {
            let id = self.uuid();
            let channel = if self.chance(85) { "email" } else { "webhook" };
            let time = at + self.millis(200..4_000);
            self.push(
                WORKER,
                "notification.sent",
                &id,
                time,
                json!({ "notification_id": id,
                "user_id": run.user_id, "task_id": run.task_id, "execution_id": run.execution_id,
                "channel": channel }),
            );
        }
        Finished { at, succeeded: true }
    }

    fn failure(&mut self, run: &Run<'_>, at: DateTime<Utc>, retries: u32, will_retry: bool) {
        let chosen = self.weighted(ERRORS.iter().map(|(_, _, weight)| *weight));
        let (kind, message, _) = ERRORS.get(chosen).copied().unwrap_or_default();
        let data = run
            .data(json!({ "completed_at": written(at), "error_type": kind, "error_message": message,
            "retry_count": retries, "will_retry": will_retry }));
        self.push(WORKER, "execution.failed", &run.execution_id, at, data);
    }
}

struct Finished {
    at: DateTime<Utc>,
    succeeded: bool,
}

/// What all events of one run agree on.
struct Run<'a> {
    execution_id: String,
    task_id: &'a str,
    user_id: &'a str,
    workflow_id: String,
    run_id: String,
    started: DateTime<Utc>,
}

impl Run<'_> {
    fn data(&self, more: Value) -> Value {
        merged(
            json!({ "execution_id": self.execution_id, "task_id": self.task_id, "user_id": self.user_id,
                "started_at": written(self.started) }),
            more,
        )
    }

    fn workflow(&self, more: Value) -> Value {
        merged(
            json!({ "workflow_id": self.workflow_id, "run_id": self.run_id,
                "workflow_type": "monitoring_workflow", "start_time": written(self.started) }),
            more,
        )
    }
}

fn merged(mut base: Value, more: Value) -> Value {
    if let (Some(fields), Value::Object(more)) = (base.as_object_mut(), more) {
        fields.extend(more);
    }
    base
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::{BTreeMap, BTreeSet};
    use torale_domain::events::{self, Received};
    use torale_domain::time::Timestamp;

    fn plan() -> Plan {
        let day: NaiveDate = "2024-02-29".parse().unwrap();
        let until = day.and_hms_opt(15, 30, 0).unwrap().and_utc();
        Plan { seed: 1, day, until, days: 30, executions: 600 }
    }

    fn parsed(bodies: &[String]) -> Vec<Value> {
        bodies.iter().map(|body| serde_json::from_str(body).unwrap()).collect()
    }

    fn time(value: &Value) -> DateTime<Utc> {
        value.as_str().unwrap().parse().unwrap()
    }

    #[test]
    fn every_event_is_valid() {
        let plan = plan();
        let received_at = Timestamp::from_millis(plan.until.timestamp_millis());
        for body in history(&plan).iter().chain(&admin("sk_test")) {
            let received = events::parse(body, Some(received_at)).unwrap();
            assert!(matches!(received, Received::Known(_)), "{body}");
            let event: Value = serde_json::from_str(body).unwrap();
            assert!(time(&event["time"]) <= plan.until, "{event}");
            assert!(!event["subject"].as_str().unwrap().is_empty(), "{event}");
        }
    }

    #[test]
    fn every_type_occurs_and_no_event_twice() {
        let events = parsed(&history(&Plan { executions: 3_000, ..plan() }));
        let kinds: BTreeSet<_> = events.iter().map(|event| event["type"].to_string()).collect();
        assert_eq!(kinds.len(), 24, "{kinds:?}");
        let ids: BTreeSet<_> = events.iter().map(|event| event["id"].to_string()).collect();
        assert_eq!(ids.len(), events.len());
    }

    #[test]
    fn the_same_plan_tells_the_same_history() {
        assert_eq!(history(&plan()), history(&plan()));
        assert_ne!(history(&plan()), history(&Plan { seed: 2, ..plan() }));
    }

    #[test]
    fn later_the_same_day_only_adds_events() {
        let morning = history(&Plan { until: plan().until - Duration::hours(6), ..plan() });
        let evening = history(&plan());
        assert!(morning.len() < evening.len());
        assert_eq!(evening.get(..morning.len()), Some(&morning[..]));
    }

    #[test]
    fn times_are_in_the_order_of_life() {
        let events = parsed(&history(&plan()));
        let mut since = BTreeMap::new();
        for event in events.iter().filter(|event| event["type"] == "ai.torale.task.created") {
            since.insert(event["data"]["task_id"].to_string(), time(&event["time"]));
        }
        let mut outcomes = [0, 0];
        for event in events {
            let (kind, data) = (event["type"].as_str().unwrap(), &event["data"]);
            if kind.starts_with("ai.torale.execution.") {
                assert!(time(&data["started_at"]) >= since[&data["task_id"].to_string()], "{event}");
                assert!(
                    data["completed_at"].is_null()
                        || time(&data["completed_at"]) >= time(&data["started_at"])
                );
            }
            outcomes[0] += i32::from(kind.ends_with("execution.succeeded"));
            outcomes[1] += i32::from(kind.ends_with("execution.failed"));
        }
        let [succeeded, failed] = outcomes;
        assert!(failed * 50 > succeeded && failed * 10 < succeeded, "{succeeded} {failed}");
    }

    #[test]
    fn the_admin_key_is_known_by_its_hash_only() {
        let events = admin("sk_test_0123456789");
        assert_eq!(events, admin("sk_test_0123456789"));
        assert!(events.iter().all(|event| !event.contains("sk_test_0123456789")), "{events:?}");
        let key = &parsed(&events)[1]["data"];
        // printf %s sk_test_0123456789 | sha256sum
        assert_eq!(key["key_hash"], "0512eb08dedcf58bf3a53ab04a18b02078e5df0ace9dee6b8bf6c085959fac5d");
        assert_eq!(parsed(&events)[0]["data"]["role"], "admin");
    }
}
