//! The life of a platform at a rate: users and tasks, and the events of executions with all that goes with them.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use torale_domain::values::time::{DAY, Timestamp};
use torale_testkit::monitoring::{
    self, CLOSED_AFTER, FAILED_PERCENT, MonitoredExecution, NOTIFIED_AFTER, NOTIFIED_PERCENT, RATE_LIMIT,
    product_query,
};
use torale_testkit::present::NOW;

const USER: u64 = 1;
const TASK: u64 = 2;
const EXECUTION: u64 = 3;
const NOTIFICATION: u64 = 4;
const RUN: u64 = 5;
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

    /// The search query of a task: there are a quarter as many as tasks.
    fn query(&self, task: u64) -> String {
        if self.distinct_queries {
            return format!("When is product {task} going to be released in Europe?");
        }
        product_query(task, random(TASK, task).f64(), (self.tasks / 4).max(1))
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
        monitoring::user_created(number, &id(USER, number), time)
    }

    fn task_created(&self, number: u64, time: Timestamp) -> String {
        monitoring::task_created(number, (&id(TASK, number), &id(USER, number)), &self.query(number), time)
    }

    fn event(&self, happening: Happening, number: u64, time: Timestamp) -> String {
        let one = || self.execution(number);
        match happening {
            Happening::RunStarted => one().run_started(),
            Happening::Started => one().started(time),
            Happening::Finished => one().finished(),
            Happening::Notified => one().notification(),
            Happening::RunClosed => one().run_closed(),
            Happening::LoggedIn => monitoring::logged_in(number, &one().user_id, time),
            Happening::TaskCreated => self.task_created(self.tasks + number, time),
            Happening::UserCreated => self.user_created(self.tasks + number, time),
        }
    }

    fn execution(&self, number: u64) -> MonitoredExecution {
        let mut rng = random(EXECUTION ^ (self.seed << 8), number);
        // In a crowd every task runs once; otherwise it is any of them.
        let task = match self.arrival {
            Arrival::Even => rng.u64(..self.tasks),
            Arrival::Crowd { .. } => number % self.tasks,
        };
        MonitoredExecution {
            number,
            execution_id: id(EXECUTION, number),
            task_id: id(TASK, task),
            user_id: id(USER, task),
            run_id: id(RUN, number),
            notification_id: id(NOTIFICATION, number),
            at: at(self.start(number)),
            lasted: rng.i64(1_000..LONGEST - 100),
            error: (rng.u8(..100) < FAILED_PERCENT).then_some(RATE_LIMIT),
            notified: rng.u8(..100) < NOTIFIED_PERCENT,
        }
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
            events.push(self.life.event(happening, number, at(time)));
        }
        events
    }

    /// Whether nothing is left to happen.
    pub fn is_over(&self, moment: i64) -> bool {
        moment >= self.until
    }

    fn begin(&mut self, number: u64) {
        let one = self.life.execution(number);
        let (start, end) = (self.life.start(number), self.life.start(number) + one.lasted);
        let mut happens = |time, happening| self.pending.push(Reverse((time, number, happening)));
        happens(start, Happening::RunStarted);
        happens(start + 5, Happening::Started);
        happens(end, Happening::Finished);
        if one.notified {
            happens(end + NOTIFIED_AFTER, Happening::Notified);
        }
        happens(end + CLOSED_AFTER, Happening::RunClosed);
        match number % OTHERS {
            100 | 200 | 300 => happens(start, Happening::LoggedIn),
            50 => happens(start, Happening::TaskCreated),
            150 => happens(start, Happening::UserCreated),
            _none => {}
        }
    }
}
