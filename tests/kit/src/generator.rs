//! Random sets of messages about few entities at few times, so that ties, missing parents, late parents and
//! contradictions are frequent.

use crate::present::NOW;
use fastrand::Rng;
use serde_json::{Map, Value, json};
use torale_domain::values::time::{DAY, HOUR, MINUTE, Timestamp};
use uuid::Uuid;

/// Makes messages from a seed.
pub struct Generator {
    rng: Rng,
    times: Vec<Timestamp>,
    kinds: Vec<&'static str>,
}

const QUERIES: [&str; 5] =
    ["iPhone release date", "PS6 price", "größte Überraschung 🎉", "x", "iPhone release date "];
const ERRORS: [&str; 4] = ["TimeoutError", "RateLimitError", "Validation.Error-1", "E"];
const CRONS: [&str; 6] =
    ["0 9 * * *", "*/15 * * * *", "30 2 29 2 *", "0 0 13 * 5", "nonsense", "45 23 L * *"];
const ZONES: [&str; 4] = ["UTC", "Europe/Berlin", "America/New_York", "Nowhere/Else"];
const KINDS: [&str; 29] = [
    "user.created",
    "user.updated",
    "user.logged_in",
    "user.deactivated",
    "user.reactivated",
    "identity.created",
    "identity.created",
    "identity.updated",
    "identity.deleted",
    "identity.logged_in",
    "api_key.created",
    "api_key.revoked",
    "task.created",
    "task.created",
    "task.updated",
    "task.paused",
    "task.resumed",
    "task.completed",
    "task.deleted",
    "execution.started",
    "execution.started",
    "execution.failed",
    "execution.failed",
    "execution.succeeded",
    "execution.succeeded",
    "notification.sent",
    "temporal.workflow",
    "temporal.schedule.created",
    "temporal.schedule",
];

impl Generator {
    /// The same seed makes the same messages.
    pub fn new(seed: u64) -> Self {
        let mut rng = Rng::with_seed(seed);
        let spans = [0, MINUTE, HOUR, 24 * HOUR, 7 * DAY, 30 * DAY, 400 * DAY];
        let times = (0..12).map(|_| {
            let edge = NOW.plus(-spans[rng.usize(..spans.len())]);
            match rng.u8(..6) {
                0 => edge.floor_to_minute(),
                1 => edge.floor_to_minute().plus(-1),
                2 => edge.floor_to_hour(),
                3 => edge.floor_to_hour().plus(-1),
                4 => edge.plus(rng.i64(-DAY..HOUR)),
                _ => NOW.plus(rng.i64(-2 * DAY..23 * HOUR)),
            }
        });
        let times = times.collect();
        Self { rng, times, kinds: KINDS.to_vec() }
    }

    /// The same with messages of these kinds alone: those whose names begin so.
    ///
    /// # Panics
    /// If there are none.
    #[must_use]
    pub fn of_kinds(mut self, beginnings: &[&str]) -> Self {
        self.kinds.retain(|kind| beginnings.iter().any(|beginning| kind.starts_with(beginning)));
        assert!(!self.kinds.is_empty(), "no kind begins with any of {beginnings:?}");
        self
    }

    /// A set of messages; about one in twenty is no event.
    pub fn messages(&mut self, count: usize) -> Vec<String> {
        (0..count).map(|_| if self.chance(5) { self.broken() } else { self.valid() }).collect()
    }

    /// Shuffled, with some messages twice, cut into batches.
    pub fn deliveries(&mut self, messages: &[String]) -> Vec<Vec<String>> {
        let mut all = messages.to_vec();
        for _ in 0..all.len() / 5 {
            all.push(messages[self.rng.usize(..messages.len())].clone());
        }
        self.rng.shuffle(&mut all);
        let mut batches = Vec::new();
        while !all.is_empty() {
            let size = self.rng.usize(1..=30).min(all.len());
            batches.push(all.split_off(all.len() - size));
        }
        batches
    }

    /// True in `percent` of the calls.
    pub fn chance(&mut self, percent: u8) -> bool {
        self.rng.u8(..100) < percent
    }

    /// One of some values.
    pub fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.rng.usize(..of.len())]
    }

    /// A number below `end`.
    pub fn below(&mut self, end: u64) -> u64 {
        self.rng.u64(..end)
    }

    fn time(&mut self) -> Timestamp {
        let time = self.times[self.rng.usize(..self.times.len())];
        if self.chance(30) { time.plus(self.rng.i64(-5000..5000)) } else { time }
    }

    /// The same moment in one of its spellings.
    fn spelled(&mut self, time: Timestamp) -> String {
        match self.rng.u8(..4) {
            0 => {
                let east = chrono_offset(time.plus(2 * HOUR + 30 * MINUTE));
                format!("{east}+02:30")
            }
            1 => time.to_string().replace('T', "t").replace('Z', "z"),
            _ => time.to_string(),
        }
    }

    fn uuid(&mut self, kind: u128, count: u64) -> String {
        let id = Uuid::from_u128((0xabcd << 96) | (kind << 64) | u128::from(self.below(count))).to_string();
        if self.chance(10) { id.to_uppercase() } else { id }
    }

    /// One of five users, or the id that is derived from an identity.
    fn user(&mut self) -> String {
        if self.chance(12) {
            return Uuid::new_v5(&Uuid::NAMESPACE_DNS, format!("clerk:{}", self.clerk()).as_bytes())
                .to_string();
        }
        self.uuid(1, 5)
    }

    fn clerk(&mut self) -> String {
        self.text_id("user", 4)
    }

    fn task(&mut self) -> String {
        self.uuid(2, 7)
    }

    fn text_id(&mut self, kind: &str, count: u64) -> String {
        match self.below(count) {
            0 => format!("{kind}/ä b?#\u{1}"),
            1 => kind.to_owned(),
            n => format!("{kind}-{n}"),
        }
    }

    fn valid(&mut self) -> String {
        let kind = self.kinds[self.rng.usize(..self.kinds.len())];
        let (kind, data, version) = self.data(kind);
        let time = self.time();
        let mut event = json!({
            "specversion": "1.0", "id": format!("e{}", self.below(6)), "source": self.pick(&["/a", "/b"]),
            "type": format!("ai.torale.{kind}"), "time": self.spelled(time), "subject": "ignored", "data": data,
        });
        if let Some(version) = version {
            event["dataschema"] = json!(format!("https://torale.ai/events/{kind}:{version}"));
        }
        if self.chance(3) {
            event["type"] = json!("ai.torale.task.archived");
        }
        if self.chance(10) { serde_json::to_string_pretty(&event).unwrap() } else { event.to_string() }
    }

    fn data(&mut self, kind: &'static str) -> (&'static str, Value, Option<u32>) {
        let mut data = Map::new();
        let (kind, mut version) = match kind {
            "temporal.workflow" => (self.run(&mut data), None),
            "temporal.schedule" | "temporal.schedule.created" => (self.schedule(kind, &mut data), None),
            kind if kind.starts_with("execution") => (kind, self.execution(kind, &mut data)),
            kind if kind.starts_with("identity") => (self.identity_event(kind, &mut data), None),
            kind if kind.starts_with("task") => (self.task_event(kind, &mut data), None),
            kind => (self.user_event(kind, &mut data), None),
        };
        if self.chance(10) {
            data.insert("unlisted".to_owned(), json!({ "z": 1, "a": [1.5, null] }));
        }
        if version.is_none() && self.chance(5) {
            version = Some(self.pick(&[1, 1, 99]));
        }
        (kind, Value::Object(data), version)
    }

    fn optional(&mut self, data: &mut Map<String, Value>, name: &str, value: Value) {
        if self.chance(50) {
            data.insert(name.to_owned(), value);
        }
    }

    fn optional_time(&mut self, data: &mut Map<String, Value>, name: &str) {
        let time = self.time();
        let time = self.spelled(time);
        self.optional(data, name, json!(time));
    }

    fn user_event(&mut self, kind: &'static str, data: &mut Map<String, Value>) -> &'static str {
        data.insert("user_id".to_owned(), json!(self.user()));
        match kind {
            "user.created" => {
                data.insert("clerk_user_id".to_owned(), json!(self.clerk()));
                data.insert("email".to_owned(), json!(format!("{}@example.com", self.below(3))));
                let role = self.pick(&["admin", "user"]);
                self.optional(data, "role", json!(role));
                self.optional_time(data, "created_at");
            }
            "user.updated" => {
                let email = format!("new{}@example.com", self.below(2));
                self.optional(data, "email", json!(email));
                let role = self.pick(&[Some("admin"), None]);
                self.optional(data, "role", json!(role));
            }
            "api_key.created" => {
                data.insert("key_id".to_owned(), json!(self.text_id("key", 3)));
                data.insert("key_hash".to_owned(), json!(format!("{:064x}", self.below(3))));
                data.insert("key_prefix".to_owned(), json!(self.pick(&["sk_live", "sk_old"])));
                let name = self.pick(&["laptop", "ci"]);
                self.optional(data, "name", json!(name));
            }
            "api_key.revoked" => {
                data.insert("key_id".to_owned(), json!(self.text_id("key", 3)));
            }
            "user.deactivated" => {
                let by = self.user();
                self.optional(data, "by", json!(by));
            }
            "notification.sent" => {
                data.insert("notification_id".to_owned(), json!(self.text_id("n", 12)));
                data.insert("channel".to_owned(), json!("email"));
            }
            _ => self.optional(data, "reason", json!("because")),
        }
        kind
    }

    fn identity_event(&mut self, kind: &'static str, data: &mut Map<String, Value>) -> &'static str {
        data.insert("clerk_user_id".to_owned(), json!(self.clerk()));
        let email = format!("clerk{}@example.com", self.below(2));
        let external = match self.below(4) {
            0 => "crm-7".to_owned(),
            _ => self.user(),
        };
        match kind {
            "identity.created" => {
                self.optional(data, "email", json!(email));
                let role = self.pick(&["admin", "user"]);
                self.optional(data, "role", json!(role));
                if self.chance(40) {
                    data.insert("external_id".to_owned(), json!(external));
                }
                self.optional_time(data, "created_at");
            }
            "identity.updated" => {
                self.optional(data, "email", json!(email));
                let role = self.pick(&[Some("admin"), None]);
                self.optional(data, "role", json!(role));
                let external = Some(external).filter(|_| self.chance(60));
                self.optional(data, "external_id", json!(external));
            }
            // A deletion is final: too many would leave nobody to log in.
            "identity.deleted" if self.chance(60) => return self.identity_event("identity.logged_in", data),
            _ => {}
        }
        kind
    }

    fn task_event(&mut self, kind: &'static str, data: &mut Map<String, Value>) -> &'static str {
        data.insert("task_id".to_owned(), json!(self.task()));
        let query = self.pick(&QUERIES);
        match kind {
            "task.created" => {
                data.insert("user_id".to_owned(), json!(self.user()));
                data.insert("search_query".to_owned(), json!(query));
                let state = self.pick(&["active", "paused", "completed"]);
                self.optional(data, "state", json!(state));
                self.name_and_schedule(data);
            }
            "task.updated" => {
                self.optional(data, "search_query", json!(query));
                self.name_and_schedule(data);
            }
            // A deletion is final: too many would leave nothing to list.
            "task.deleted" if self.chance(60) => return self.task_event("task.paused", data),
            _ => {}
        }
        kind
    }

    fn name_and_schedule(&mut self, data: &mut Map<String, Value>) {
        let name = format!("name {}", self.below(3));
        self.optional(data, "name", json!(name));
        let schedule = self.pick(&CRONS);
        self.optional(data, "schedule", json!(schedule));
    }

    fn execution(&mut self, kind: &'static str, data: &mut Map<String, Value>) -> Option<u32> {
        let id = self.below(14);
        data.insert(
            "execution_id".to_owned(),
            json!(Uuid::from_u128((0xabcd << 96) | (3 << 64) | u128::from(id))),
        );
        // Mostly one execution's events agree; sometimes they do not.
        let agree = !self.chance(15);
        let home = |n: u64| json!(Uuid::from_u128((0xabcd << 96) | (2 << 64) | u128::from(n % 7)));
        data.insert("task_id".to_owned(), if agree { home(id) } else { json!(self.task()) });
        data.insert("user_id".to_owned(), json!(self.user()));
        let started = if agree { self.times[id as usize % self.times.len()] } else { self.time() };
        data.insert("started_at".to_owned(), json!(self.spelled(started)));
        match kind {
            "execution.started" => {
                if self.chance(20) {
                    data.remove("started_at");
                }
                None
            }
            "execution.succeeded" => {
                data.insert("condition_met".to_owned(), json!(self.chance(50)));
                self.ended(data);
                None
            }
            _ => {
                self.ended(data);
                self.failed(data)
            }
        }
    }

    fn ended(&mut self, data: &mut Map<String, Value>) {
        self.optional_time(data, "completed_at");
        let duration = match self.below(4) {
            0 => json!(5.0),
            1 => json!(9_007_199_254_740_991_u64),
            n => json!(n * 1_049),
        };
        self.optional(data, "duration_ms", duration);
    }

    fn failed(&mut self, data: &mut Map<String, Value>) -> Option<u32> {
        let message = if self.chance(5) { "é".repeat(2_500) } else { format!("failure {}", self.below(3)) };
        let (retries, again) = (self.below(4), self.chance(50));
        self.optional(data, "retry_count", json!(retries));
        self.optional(data, "will_retry", json!(again));
        let kind = self.pick(&ERRORS);
        if self.chance(20) {
            data.insert("error".to_owned(), json!(message));
            self.optional(data, "error_type", json!(kind));
            return Some(0);
        }
        data.insert("error_type".to_owned(), json!(kind));
        data.insert("error_message".to_owned(), json!(message));
        None
    }

    fn run(&mut self, data: &mut Map<String, Value>) -> &'static str {
        data.insert("workflow_id".to_owned(), json!(self.text_id("task", 4)));
        data.insert("run_id".to_owned(), json!(self.text_id("run", 3)));
        data.insert("workflow_type".to_owned(), json!("monitoring_workflow"));
        if self.chance(50) {
            self.optional_time(data, "start_time");
            return "temporal.workflow.started";
        }
        let start = self.time();
        data.insert("start_time".to_owned(), json!(self.spelled(start)));
        data.insert("status".to_owned(), json!(self.pick(&["COMPLETED", "FAILED", "NEW_KIND"])));
        self.optional_time(data, "close_time");
        "temporal.workflow.closed"
    }

    fn schedule(&mut self, kind: &'static str, data: &mut Map<String, Value>) -> &'static str {
        data.insert("schedule_id".to_owned(), json!(self.text_id("task", 6)));
        let (cron, zone) = (self.pick(&CRONS), self.pick(&ZONES));
        if kind == "temporal.schedule.created" {
            data.insert("task_id".to_owned(), json!(self.task()));
            data.insert("user_id".to_owned(), json!(self.user()));
            data.insert("cron".to_owned(), json!(cron));
            self.optional(data, "timezone", json!(zone));
            let paused = self.chance(30);
            self.optional(data, "paused", json!(paused));
            return kind;
        }
        match self.below(7) {
            0 => "temporal.schedule.deleted",
            1 | 2 => "temporal.schedule.paused",
            3 | 4 => "temporal.schedule.unpaused",
            _ => {
                self.optional(data, "cron", json!(cron));
                self.optional(data, "timezone", json!(zone));
                "temporal.schedule.updated"
            }
        }
    }

    /// A message that must be quarantined.
    fn broken(&mut self) -> String {
        let valid = self.valid();
        let mut value: Value = serde_json::from_str(&valid).unwrap();
        match self.below(8) {
            0 => return valid[..valid.len() - 1].to_owned(),
            1 => value["time"] = json!(NOW.plus(24 * HOUR + 1).to_string()),
            2 => value["time"] = json!("2014-12-31T23:59:59.999Z"),
            3 => value["specversion"] = json!("0.3"),
            4 => value["data"] = json!([]),
            5 => value["id"] = json!("x".repeat(129)),
            6 => value["source"] = Value::Null,
            _ => value["time"] = json!("2026-03-31 10:00:00Z"),
        }
        value.to_string()
    }
}

/// Local date and time, without an offset.
fn chrono_offset(local: Timestamp) -> String {
    local.to_string().trim_end_matches('Z').to_owned()
}
