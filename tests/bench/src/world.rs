//! A platform's history at any size: 30 days that end at a fixed present. The same arguments make the same events.

use crate::NOW;
use fastrand::Rng;
use serde::{Deserialize, Serialize};
use serde_json::json;
use torale_domain::values::time::{DAY, HOUR, MINUTE, Timestamp};
use torale_testkit::events::{self, event};
use torale_testkit::monitoring::{
    self, CLOSED_AFTER, FAILED_PERCENT, MonitoredExecution, NOTIFIED_AFTER, NOTIFIED_PERCENT, RATE_LIMIT,
    product_query,
};
use uuid::Uuid;

/// Days of history.
pub const DAYS: i64 = 30;
const ON_THE_HOUR_PERCENT: u8 = 50;
/// Errors, each with the number of a hundred below which it is the one.
const ERRORS: [((&str, &str), u8); 3] = [
    (RATE_LIMIT, 74),
    (("TimeoutError", "The search did not answer within 30 seconds"), 95),
    (("ValidationError", "The model's answer does not match the schema"), 100),
];

/// A platform of some size.
#[derive(Debug, Clone, Serialize, Deserialize)]
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
            let sent = one.notified.then(|| vec![one.notification()]);
            // A status event replaces the one before it, so the last is all that is left of an execution.
            let [execution, run] = if one.end() <= self.now {
                [vec![one.finished()], vec![one.run_started(), one.run_closed()]]
            } else {
                [vec![one.started(one.at)], vec![one.run_started()]]
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
    pub fn execution(&self, number: u64) -> MonitoredExecution {
        let mut rng = rng(EXECUTION, number);
        let any = self.now.plus(-rng.i64(0..DAYS * DAY));
        let hourly = any.floor_to_hour().plus(rng.i64(0..MINUTE)).min(self.now);
        let spread = if rng.u8(..100) < ON_THE_HOUR_PERCENT { hourly } else { any };
        let at = self.crowd.map_or(spread, |minute| minute.plus(any.millis().rem_euclid(MINUTE)));
        self.execution_at(number, at)
    }

    /// The n-th execution, but at a time of the caller's choice.
    pub fn execution_at(&self, number: u64, at: Timestamp) -> MonitoredExecution {
        let mut rng = rng(EXECUTION, !number);
        let failed = rng.u8(..100) < FAILED_PERCENT;
        let kind = rng.u8(..100);
        let error = ERRORS.iter().find(|(_, below)| kind < *below).map(|(error, _)| *error);
        let lasted = rng.i64(1_000..8_000);
        let notified = rng.u8(..100) < NOTIFIED_PERCENT;
        let task = rng.u64(..self.tasks);
        MonitoredExecution {
            number,
            execution_id: Self::execution_id(number),
            task_id: Self::task_id(task),
            user_id: Self::user_id(self.owner(task)),
            run_id: id(RUN, number).to_string(),
            notification_id: id(NOTIFICATION, number).to_string(),
            at,
            lasted,
            error: error.filter(|_| failed),
            notified,
        }
    }

    fn owner(&self, task: u64) -> u64 {
        rng(TASK, !task).u64(..self.users)
    }

    /// The search query of a task.
    pub fn query(&self, task: u64) -> String {
        product_query(task, rng(QUERY, task).f64(), self.queries)
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
        monitoring::user_created(number, &Self::user_id(number), at)
    }

    /// `user.logged_in`.
    pub fn logged_in(&self, number: u64, at: Timestamp) -> String {
        monitoring::logged_in(number, &Self::user_id(number), at)
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
        let ids = (Self::task_id(number), Self::user_id(self.owner(number)));
        monitoring::task_created(number, (&ids.0, &ids.1), &self.query(number), at)
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
            events.push((at, one.run_started()));
            events.push((at.plus(5), one.started(at)));
            events.push((one.end(), one.finished()));
            if one.notified {
                events.push((one.end().plus(NOTIFIED_AFTER), one.notification()));
            }
            events.push((one.end().plus(CLOSED_AFTER), one.run_closed()));
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
