//! The life of a platform at a rate: users and tasks, and the events of executions with all that goes with them.

use serde_json::{Value, json};
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use torale_domain::values::time::{DAY, Timestamp};
use torale_testkit::events::event;
use torale_testkit::present::NOW;

const USER: u64 = 1;
const TASK: u64 = 2;
const EXECUTION: u64 = 3;
const NOTIFICATION: u64 = 4;
const RUN: u64 = 5;
const FAILED_PERCENT: u64 = 3;
const NOTIFIED_PERCENT: u64 = 6;
/// Of so many executions, three bring a login, one a new task and one a new user.
const OTHERS: u64 = 400;
/// Events of an execution on average, those of logins, tasks and users included.
const EVENTS: f64 = 4.0 + 0.06 + 5.0 / 400.0;
/// The longest execution, in milliseconds.
pub const LONGEST: i64 = 8_000;

/// When executions begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arrival {
    /// Evenly.
    Even,
    /// Those of a minute in its first seconds, as many as this: every task has the schedule `0 9 * * *`.
    Crowd {
        /// The seconds within which they begin.
        seconds: u32,
    },
}

/// A platform.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PlatformLife {
    /// Events a second; of a crowd, on average of its minute.
    pub rate: f64,
    /// Tasks, each of a user of its own.
    pub tasks: u64,
    /// When executions begin.
    pub arrival: Arrival,
    /// Whether every task has a query of its own: then no query is popular.
    pub distinct_queries: bool,
    /// Other random choices with another seed.
    pub seed: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Happening {
    RunStarted,
    Started,
    Finished,
    Notified,
    RunClosed,
    LoggedIn,
    TaskCreated,
    UserCreated,
}

/// Events in the order of their times, in milliseconds from the beginning of a run.
#[derive(Debug)]
pub struct EventsToCome {
    life: PlatformLife,
    /// Executions that have begun.
    next: u64,
    /// The end of new executions.
    until: i64,
    pending: BinaryHeap<Reverse<(i64, u64, Happening)>>,
}

fn id(kind: u64, number: u64) -> String {
    format!("{kind:08x}-0000-4000-8000-{number:012x}")
}

fn random(kind: u64, number: u64) -> fastrand::Rng {
    fastrand::Rng::with_seed((kind << 48) ^ number)
}

const fn at(millis: i64) -> Timestamp {
    NOW.plus(millis)
}

impl PlatformLife {
    /// Executions that begin in a second.
    fn executions_a_second(&self) -> f64 {
        self.rate / EVENTS
    }

    /// The search query of a task. Zipf-like: the n-th about as often as 1/n, of a quarter as many queries as tasks;
    /// every sixth task has one that hardly anyone else has.
    fn query(&self, task: u64) -> String {
        if self.distinct_queries {
            return format!("When is product {task} going to be released in Europe?");
        }
        let queries = (self.tasks / 4).max(1);
        let share = random(TASK, task).f64();
        let rank = ((queries as f64).powf(share) - 1.0) as u64;
        let rank = if task.is_multiple_of(6) { task / 6 % queries } else { rank };
        format!("When is product number {rank} going to be released in Europe?")
    }

    /// Users and tasks that are there from the beginning.
    pub fn beginning(&self) -> impl Iterator<Item = String> + '_ {
        let long_ago = NOW.plus(-100 * DAY);
        (0..self.tasks).flat_map(move |number| {
            [self.user_created(number, long_ago), self.task_created(number, long_ago)]
        })
    }

    /// Events from the longest execution before the beginning of a run until its end.
    pub fn events(&self, until: i64) -> EventsToCome {
        EventsToCome { life: *self, next: 0, until, pending: BinaryHeap::new() }
    }

    /// When an execution begins.
    fn start(&self, execution: u64) -> i64 {
        let n = execution as f64;
        match self.arrival {
            Arrival::Even => (n * 1000.0 / self.executions_a_second()) as i64 - LONGEST,
            Arrival::Crowd { seconds } => {
                let in_minute = (self.executions_a_second() * 60.0).ceil();
                let minute = (n / in_minute).floor();
                let within = (n - minute * in_minute) / in_minute;
                (minute * 60_000.0 + within * f64::from(seconds) * 1000.0) as i64
            }
        }
    }

    fn user_created(&self, number: u64, time: Timestamp) -> String {
        let data = json!({ "user_id": id(USER, number), "clerk_user_id": format!("user_2{number:x}"),
                           "email": format!("user{number}@example.com") });
        event(&format!("uc{number}"), time, "user.created", data)
    }

    fn task_created(&self, number: u64, time: Timestamp) -> String {
        let data = json!({ "task_id": id(TASK, number), "user_id": id(USER, number),
                           "search_query": self.query(number), "schedule": "0 9 * * *", "name": "My monitor" });
        event(&format!("tc{number}"), time, "task.created", data)
    }

    fn event(&self, happening: Happening, number: u64, time: i64) -> String {
        let one = Execution::of(self, number);
        match happening {
            Happening::RunStarted => {
                event(&format!("ws{number}"), at(time), "temporal.workflow.started", one.run())
            }
            Happening::Started => event(&format!("xs{number}"), at(time), "execution.started", one.data()),
            Happening::Finished => one.finished(time),
            Happening::Notified => {
                let data = json!({ "notification_id": id(NOTIFICATION, number), "task_id": id(TASK, one.task),
                                   "user_id": id(USER, one.task), "channel": "email" });
                event(&format!("n{number}"), at(time), "notification.sent", data)
            }
            Happening::RunClosed => {
                let mut data = one.run();
                data["status"] = json!(if one.failed { "FAILED" } else { "COMPLETED" });
                event(&format!("wc{number}"), at(time), "temporal.workflow.closed", data)
            }
            Happening::LoggedIn => {
                let data = json!({ "user_id": id(USER, one.task) });
                event(&format!("ul{number}"), at(time), "user.logged_in", data)
            }
            Happening::TaskCreated => self.task_created(self.tasks + number, at(time)),
            Happening::UserCreated => self.user_created(self.tasks + number, at(time)),
        }
    }
}

#[derive(Debug, Clone, Copy)]
struct Execution {
    number: u64,
    task: u64,
    began: i64,
    lasted: i64,
    failed: bool,
    notified: bool,
}

impl Execution {
    fn of(life: &PlatformLife, number: u64) -> Self {
        let mut rng = random(EXECUTION ^ (life.seed << 8), number);
        // In a crowd every task runs once; otherwise it is any of them.
        let task = match life.arrival {
            Arrival::Even => rng.u64(..life.tasks),
            Arrival::Crowd { .. } => number % life.tasks,
        };
        Self {
            number,
            task,
            began: life.start(number),
            lasted: rng.i64(1_000..LONGEST - 100),
            failed: rng.u64(..100) < FAILED_PERCENT,
            notified: rng.u64(..100) < NOTIFIED_PERCENT,
        }
    }

    fn data(&self) -> Value {
        json!({ "execution_id": id(EXECUTION, self.number), "task_id": id(TASK, self.task),
                "user_id": id(USER, self.task), "started_at": at(self.began).to_string() })
    }

    fn finished(&self, time: i64) -> String {
        let mut data = self.data();
        data["duration_ms"] = json!(self.lasted);
        let kind = if self.failed {
            data["error_type"] = json!("RateLimitError");
            data["error_message"] = json!("Rate limit exceeded for Google Search API");
            "execution.failed"
        } else {
            data["condition_met"] = json!(self.notified);
            "execution.succeeded"
        };
        event(&format!("xe{}", self.number), at(time), kind, data)
    }

    fn run(&self) -> Value {
        let (task, seconds) = (id(TASK, self.task), at(self.began).millis() / 1000);
        json!({ "workflow_id": format!("task-{task}-{seconds}"), "run_id": id(RUN, self.number),
                "workflow_type": "monitoring_workflow", "start_time": at(self.began).to_string() })
    }
}

impl EventsToCome {
    /// The events that happen until a moment.
    pub fn take_until(&mut self, moment: i64) -> Vec<String> {
        while self.life.start(self.next) <= moment.min(self.until) {
            self.begin(self.next);
            self.next += 1;
        }
        let mut events = Vec::new();
        while let Some(Reverse((time, number, happening))) = self.pending.peek().copied() {
            if time > moment.min(self.until) {
                break;
            }
            self.pending.pop();
            events.push(self.life.event(happening, number, time));
        }
        events
    }

    /// Whether nothing is left to happen.
    pub fn is_over(&self, moment: i64) -> bool {
        moment >= self.until
    }

    fn begin(&mut self, number: u64) {
        let one = Execution::of(&self.life, number);
        let end = one.began + one.lasted;
        let mut happens = |time, happening| self.pending.push(Reverse((time, number, happening)));
        happens(one.began, Happening::RunStarted);
        happens(one.began + 5, Happening::Started);
        happens(end, Happening::Finished);
        if one.notified {
            happens(end + 20, Happening::Notified);
        }
        happens(end + 50, Happening::RunClosed);
        match number % OTHERS {
            100 | 200 | 300 => happens(one.began, Happening::LoggedIn),
            50 => happens(one.began, Happening::TaskCreated),
            150 => happens(one.began, Happening::UserCreated),
            _none => {}
        }
    }
}
