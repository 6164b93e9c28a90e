//! A platform's history at any size: 30 days that end at a fixed present. The same arguments make the same events.

use crate::NOW;
use fastrand::Rng;
use serde_json::{Value, json};
use torale_domain::values::time::{DAY, HOUR, MINUTE, Timestamp};
use torale_testkit::events::{self, event};
use uuid::Uuid;

/// Days of history.
pub const DAYS: i64 = 30;
const FAILED_PERCENT: u8 = 3;
const NOTIFIED_PERCENT: u8 = 6;
const ON_THE_HOUR_PERCENT: u8 = 50;
const ERRORS: [(&str, &str, u8); 3] = [
    ("RateLimitError", "Rate limit exceeded for Google Search API", 74),
    ("TimeoutError", "The search did not answer within 30 seconds", 95),
    ("ValidationError", "The model's answer does not match the schema", 100),
];

/// A platform of some size.
#[derive(Debug, Clone)]
pub struct BenchWorld {
    /// The end of its history.
    pub now: Timestamp,
    /// Executions in its history.
    pub executions: u64,
    /// Its users.
    pub users: u64,
    /// Its tasks.
    pub tasks: u64,
    /// At most as many distinct queries.
    pub queries: u64,
    /// The start of the minute in which all executions begin; without it they are spread over the history.
    pub crowd: Option<Timestamp>,
}

/// One execution and what goes with it.
#[derive(Debug, Clone, Copy)]
pub struct BenchExecution {
    number: u64,
    task: u64,
    at: Timestamp,
    lasted: i64,
    error: Option<usize>,
    notified: bool,
}

fn rng(kind: u64, number: u64) -> Rng {
    Rng::with_seed((kind << 48) ^ number)
}

fn id(kind: u64, number: u64) -> Uuid {
    Uuid::from_u128(rng(kind, number).u128(..))
}

const USER: u64 = 1;
const TASK: u64 = 2;
const EXECUTION: u64 = 3;
const NOTIFICATION: u64 = 4;
const RUN: u64 = 5;
const QUERY: u64 = 6;

impl BenchWorld {
    /// Users, tasks and queries double when executions grow tenfold: `scale` 1 has 1,250 users.
    pub fn new(executions: u64, scale: f64, now: Timestamp) -> Self {
        let scaled = |count: f64| (count * scale).round() as u64;
        let (users, tasks, queries) = (scaled(1250.0), scaled(5420.0), scaled(1247.0));
        Self { now, executions, users, tasks, queries, crowd: None }
    }

    /// Of the usual scale: 1 at 10 thousand executions, 4 at a million.
    pub fn of(executions: u64) -> Self {
        Self::new(executions, (executions as f64 / 10_000.0).powf(2.0_f64.log10()), NOW)
    }

    /// Of the usual scale, but all executions begin in one minute, as if every task had the schedule `0 9 * * *`.
    pub fn crowded(executions: u64) -> Self {
        let nine = NOW.floor_to_hour().plus(-HOUR);
        Self { crowd: Some(nine), ..Self::of(executions) }
    }

    /// The id of a user.
    pub fn user_id(number: u64) -> String {
        id(USER, number).to_string()
    }

    /// The id of a task.
    pub fn task_id(number: u64) -> String {
        id(TASK, number).to_string()
    }

    /// The id of an execution.
    pub fn execution_id(number: u64) -> String {
        id(EXECUTION, number).to_string()
    }

    /// All of its history by entity; tasks come last.
    pub fn entities(&self) -> impl Iterator<Item = Vec<String>> {
        let executions = (0..self.executions).flat_map(|number| {
            let one = self.execution(number);
            let sent = self.notification(&one).map(|sent| vec![sent]);
            // A status event replaces the one before it, so the last is all that is left of an execution.
            let [execution, run] = if one.at.plus(one.lasted) <= self.now {
                [vec![self.finished(&one)], vec![self.run_started(&one), self.run_closed(&one)]]
            } else {
                [vec![self.started(&one)], vec![self.run_started(&one)]]
            };
            [Some(execution), Some(run), sent].into_iter().flatten()
        });
        let admin = events::admin().into_iter().map(|event| vec![event]);
        let users = (0..self.users).map(|number| self.user(number));
        let schedules = (0..self.tasks).map(|number| self.schedule(number));
        executions
            .chain(admin)
            .chain(users)
            .chain(schedules)
            .chain((0..self.tasks).map(|number| self.task(number)))
    }

    /// The n-th execution of the history: one half at full hours as cron starts them, one half at any time.
    pub fn execution(&self, number: u64) -> BenchExecution {
        let mut rng = rng(EXECUTION, number);
        let any = self.now.plus(-rng.i64(0..DAYS * DAY));
        let hourly = any.floor_to_hour().plus(rng.i64(0..MINUTE)).min(self.now);
        let spread = if rng.u8(..100) < ON_THE_HOUR_PERCENT { hourly } else { any };
        let at = self.crowd.map_or(spread, |minute| minute.plus(any.millis().rem_euclid(MINUTE)));
        self.execution_at(number, at)
    }

    /// The n-th execution, but at a time of the caller's choice.
    pub fn execution_at(&self, number: u64, at: Timestamp) -> BenchExecution {
        let mut rng = rng(EXECUTION, !number);
        let failed = rng.u8(..100) < FAILED_PERCENT;
        let kind = rng.u8(..100);
        let error = ERRORS.iter().position(|(.., below)| kind < *below).filter(|_| failed);
        let lasted = rng.i64(1_000..8_000);
        let notified = rng.u8(..100) < NOTIFIED_PERCENT;
        BenchExecution { number, task: rng.u64(..self.tasks), at, lasted, error, notified }
    }

    fn owner(&self, task: u64) -> u64 {
        rng(TASK, !task).u64(..self.users)
    }

    /// Zipf-like: the n-th query about as often as 1/n.
    pub fn query(&self, task: u64) -> String {
        let share = rng(QUERY, task).f64();
        let rank = ((self.queries as f64).powf(share) - 1.0) as u64;
        // The long tail must be distinct: every sixth task searches for something that hardly anyone else does.
        let rank = if task.is_multiple_of(6) { task / 6 % self.queries } else { rank };
        format!("When is product number {rank} going to be released in Europe?")
    }

    fn ids(&self, one: &BenchExecution) -> Value {
        json!({ "execution_id": id(EXECUTION, one.number), "task_id": id(TASK, one.task),
                "user_id": id(USER, self.owner(one.task)), "started_at": one.at.to_string() })
    }

    /// `execution.started`.
    pub fn started(&self, one: &BenchExecution) -> String {
        event(&format!("xs{}", one.number), one.at, "execution.started", self.ids(one))
    }

    /// `execution.succeeded`, or `execution.failed`.
    pub fn finished(&self, one: &BenchExecution) -> String {
        let mut data = self.ids(one);
        data["duration_ms"] = json!(one.lasted);
        let kind = match one.error.and_then(|error| ERRORS.get(error)) {
            Some((name, message, _)) => {
                data["error_type"] = json!(name);
                data["error_message"] = json!(message);
                data["retry_count"] = json!(one.number % 2);
                "execution.failed"
            }
            None => {
                data["condition_met"] = json!(one.notified);
                "execution.succeeded"
            }
        };
        event(&format!("xe{}", one.number), one.at.plus(one.lasted), kind, data)
    }

    fn run(&self, one: &BenchExecution) -> Value {
        let (task, seconds) = (id(TASK, one.task), one.at.millis() / 1000);
        json!({ "workflow_id": format!("task-{task}-{seconds}"), "run_id": id(RUN, one.number),
                "workflow_type": "monitoring_workflow", "start_time": one.at.to_string() })
    }

    /// `temporal.workflow.started`.
    pub fn run_started(&self, one: &BenchExecution) -> String {
        event(&format!("ws{}", one.number), one.at, "temporal.workflow.started", self.run(one))
    }

    /// `temporal.workflow.closed`.
    pub fn run_closed(&self, one: &BenchExecution) -> String {
        let mut data = self.run(one);
        data["status"] = json!(if one.error.is_some() { "FAILED" } else { "COMPLETED" });
        event(&format!("wc{}", one.number), one.at.plus(one.lasted + 50), "temporal.workflow.closed", data)
    }

    /// `notification.sent` of those executions that bring one.
    pub fn notification(&self, one: &BenchExecution) -> Option<String> {
        one.notified.then(|| self.notified(one))
    }

    /// `notification.sent`.
    pub fn notified(&self, one: &BenchExecution) -> String {
        let data = json!({ "notification_id": id(NOTIFICATION, one.number), "task_id": id(TASK, one.task),
                           "user_id": id(USER, self.owner(one.task)), "channel": "email" });
        event(&format!("n{}", one.number), one.at.plus(one.lasted + 20), "notification.sent", data)
    }

    /// One user in 28 is a week old at most, the others up to 400 days; two thirds logged in this month.
    fn user(&self, number: u64) -> Vec<String> {
        let mut rng = rng(USER, !number);
        let age = if rng.u8(..28) == 0 { rng.i64(0..7 * DAY) } else { rng.i64(7 * DAY..400 * DAY) };
        let mut events = vec![self.user_created(number, self.now.plus(-age))];
        if rng.u8(..100) < 90 {
            let ago = if rng.u8(..100) < 73 { rng.i64(0..30 * DAY) } else { rng.i64(30 * DAY..300 * DAY) };
            events.push(self.logged_in(number, self.now.plus(-ago.min(age))));
        }
        if rng.u8(..100) < 5 {
            let data = json!({ "user_id": id(USER, number) });
            events.push(event(&format!("ud{number}"), self.now.plus(-age / 2), "user.deactivated", data));
        }
        events
    }

    /// `user.created`.
    pub fn user_created(&self, number: u64, at: Timestamp) -> String {
        let data = json!({ "user_id": id(USER, number), "clerk_user_id": format!("user_2{:x}", number * 7_919),
                           "email": format!("user{number}@example.com") });
        event(&format!("uc{number}"), at, "user.created", data)
    }

    /// `user.logged_in`.
    pub fn logged_in(&self, number: u64, at: Timestamp) -> String {
        event(&format!("ul{number}"), at, "user.logged_in", json!({ "user_id": id(USER, number) }))
    }

    /// 72 of 100 are active, the others paused.
    fn task(&self, number: u64) -> Vec<String> {
        let at = self.now.plus(-rng(TASK, number).i64(DAYS * DAY..300 * DAY));
        let mut events = vec![self.task_created(number, at)];
        if Self::is_paused(number) {
            let data = json!({ "task_id": id(TASK, number) });
            events.push(event(&format!("tp{number}"), at.plus(DAY), "task.paused", data));
        }
        events
    }

    fn is_paused(task: u64) -> bool {
        rng(TASK, task).u8(..100) < 28
    }

    /// `task.created`.
    pub fn task_created(&self, number: u64, at: Timestamp) -> String {
        let data = json!({ "task_id": id(TASK, number), "user_id": id(USER, self.owner(number)),
                           "search_query": self.query(number), "schedule": "0 9 * * *", "name": "My monitor" });
        event(&format!("tc{number}"), at, "task.created", data)
    }

    /// Of every task.
    fn schedule(&self, number: u64) -> Vec<String> {
        let task = id(TASK, number);
        let at = self.now.plus(-rng(TASK, number).i64(DAYS * DAY..300 * DAY));
        let data = json!({ "schedule_id": format!("task-{task}"), "task_id": task, "paused": Self::is_paused(number),
                           "user_id": id(USER, self.owner(number)), "cron": "0 9 * * *" });
        vec![event(&format!("sc{number}"), at.plus(400), "temporal.schedule.created", data)]
    }

    /// New events in the order of their times: `count` of them from `from` on, 5.5 s between executions, with
    /// their runs and notifications, now and then a login, a new task or a new user.
    pub fn stream(&self, first: u64, from: Timestamp, count: usize) -> Vec<String> {
        let mut events: Vec<(Timestamp, String)> = Vec::new();
        for number in 0..count as u64 / 4 + 1 {
            let at = from.plus(i64::try_from(number).unwrap() * 5_500);
            let one = self.execution_at(first + number, at);
            events.push((at, self.run_started(&one)));
            events.push((at.plus(5), self.started(&one)));
            events.push((at.plus(one.lasted), self.finished(&one)));
            events.extend(self.notification(&one).map(|sent| (at.plus(one.lasted + 20), sent)));
            events.push((at.plus(one.lasted + 50), self.run_closed(&one)));
            match number % 400 {
                100 | 200 | 300 => events.push((at, self.logged_in(number % self.users, at))),
                50 => events.push((at, self.task_created(self.tasks + first + number, at))),
                150 => events.push((at, self.user_created(self.users + first + number, at))),
                _ => {}
            }
        }
        events.sort_by_key(|(at, _)| *at);
        events.into_iter().map(|(_, event)| event).take(count).collect()
    }

    /// A time before the present.
    pub fn hours_ago(&self, hours: i64) -> Timestamp {
        self.now.plus(-hours * HOUR)
    }
}

impl BenchExecution {
    /// When it begins.
    pub const fn at(self) -> Timestamp {
        self.at
    }

    /// The same, failed or not.
    pub const fn failed(self, failed: bool) -> Self {
        Self { error: if failed { Some(0) } else { None }, ..self }
    }
}
