//! What a platform emits about an execution and all that goes with it, for platforms of any size: benchmarks and
//! simulated load. Who makes them chooses ids, times and outcomes.

use crate::events::event;
use serde_json::{Value, json};
use torale_domain::values::time::Timestamp;

/// How long after an execution's end its notification and the end of its run happen, in milliseconds.
pub const NOTIFIED_AFTER: i64 = 20;
/// See [`NOTIFIED_AFTER`].
pub const CLOSED_AFTER: i64 = 50;
/// Executions that fail, of a hundred.
pub const FAILED_PERCENT: u8 = 3;
/// Executions that bring a notification, of a hundred.
pub const NOTIFIED_PERCENT: u8 = 6;

/// The type and the message of the most frequent error.
pub const RATE_LIMIT: (&str, &str) = ("RateLimitError", "Rate limit exceeded for Google Search API");

/// One execution with its workflow run and its notification.
#[derive(Debug, Clone)]
pub struct MonitoredExecution {
    /// Its number, which the ids of its events are made of.
    pub number: u64,
    /// Its id.
    pub execution_id: String,
    /// Its task.
    pub task_id: String,
    /// The user of the task.
    pub user_id: String,
    /// Its workflow run.
    pub run_id: String,
    /// The id of its notification, if it brings one.
    pub notification_id: String,
    /// When it begins.
    pub at: Timestamp,
    /// How long it lasts, in milliseconds.
    pub lasted: i64,
    /// The type and the message of its error, if it fails.
    pub error: Option<(&'static str, &'static str)>,
    /// Whether its condition is met, so that the user is notified.
    pub notified: bool,
}

impl MonitoredExecution {
    fn data(&self) -> Value {
        json!({ "execution_id": self.execution_id, "task_id": self.task_id, "user_id": self.user_id,
                "started_at": self.at.to_string() })
    }

    fn run(&self) -> Value {
        let seconds = self.at.millis() / 1000;
        json!({ "workflow_id": format!("task-{}-{seconds}", self.task_id), "run_id": self.run_id,
                "workflow_type": "monitoring_workflow", "start_time": self.at.to_string() })
    }

    /// When it ends.
    pub const fn end(&self) -> Timestamp {
        self.at.plus(self.lasted)
    }

    /// `execution.started`, emitted at a time.
    pub fn started(&self, time: Timestamp) -> String {
        event(&format!("xs{}", self.number), time, "execution.started", self.data())
    }

    /// `execution.succeeded`, or `execution.failed`.
    pub fn finished(&self) -> String {
        let mut data = self.data();
        data["duration_ms"] = json!(self.lasted);
        let kind = match self.error {
            Some((name, message)) => {
                data["error_type"] = json!(name);
                data["error_message"] = json!(message);
                data["retry_count"] = json!(self.number % 2);
                "execution.failed"
            }
            None => {
                data["condition_met"] = json!(self.notified);
                "execution.succeeded"
            }
        };
        event(&format!("xe{}", self.number), self.end(), kind, data)
    }

    /// `temporal.workflow.started`.
    pub fn run_started(&self) -> String {
        event(&format!("ws{}", self.number), self.at, "temporal.workflow.started", self.run())
    }

    /// `temporal.workflow.closed`.
    pub fn run_closed(&self) -> String {
        let mut data = self.run();
        data["status"] = json!(if self.error.is_some() { "FAILED" } else { "COMPLETED" });
        let time = self.end().plus(CLOSED_AFTER);
        event(&format!("wc{}", self.number), time, "temporal.workflow.closed", data)
    }

    /// `notification.sent`, whether its condition is met or not.
    pub fn notification(&self) -> String {
        let data = json!({ "notification_id": self.notification_id, "task_id": self.task_id,
                           "user_id": self.user_id, "channel": "email" });
        event(&format!("n{}", self.number), self.end().plus(NOTIFIED_AFTER), "notification.sent", data)
    }
}

/// `user.created` of the n-th user.
pub fn user_created(number: u64, user_id: &str, time: Timestamp) -> String {
    let data = json!({ "user_id": user_id, "clerk_user_id": format!("user_2{:x}", number * 7_919),
                       "email": format!("user{number}@example.com") });
    event(&format!("uc{number}"), time, "user.created", data)
}

/// `user.logged_in`. The number makes the id of the event.
pub fn logged_in(number: u64, user_id: &str, time: Timestamp) -> String {
    event(&format!("ul{number}"), time, "user.logged_in", json!({ "user_id": user_id }))
}

/// `task.created` of the n-th task.
pub fn task_created(number: u64, (task_id, user_id): (&str, &str), query: &str, time: Timestamp) -> String {
    let data = json!({ "task_id": task_id, "user_id": user_id, "search_query": query,
                       "schedule": "0 9 * * *", "name": "My monitor" });
    event(&format!("tc{number}"), time, "task.created", data)
}

/// The search query of a task, one of so many. Zipf-like for a share that is spread evenly from 0 to 1: the n-th query
/// about as often as 1/n; every sixth task has one that hardly anyone else has.
pub fn product_query(task: u64, share: f64, queries: u64) -> String {
    let rank = ((queries as f64).powf(share) - 1.0) as u64;
    let rank = if task.is_multiple_of(6) { task / 6 % queries } else { rank };
    format!("When is product number {rank} going to be released in Europe?")
}
