//! Executions with their workflows, retries and notifications.

use chrono::{DateTime, Duration, Utc};
use serde_json::{Value, json};

use super::history::{History, SeedTask, TEMPORAL, WORKER, rfc3339};
use super::words::ERRORS;

impl History {
    /// An execution of a random task: its workflow, at most one retry, a notification.
    pub(super) fn execution(&mut self, tasks: &[SeedTask]) {
        let Some(task) = self.rng.choice(tasks) else { return };
        let earliest = task.created.max(self.start);
        let time = self.between(earliest, task.until);
        // Schedules fire every quarter of an hour; workers begin a little later.
        let quarter = time.timestamp().div_euclid(900) * 900;
        let quarter = DateTime::from_timestamp(quarter, 0).filter(|fired| *fired >= earliest);
        let started = (quarter.unwrap_or(time) + self.millis(50..5_000)).min(self.end);
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
            return; // Its worker crashed: the execution stays `running`.
        }
        let end = self.outcome(&run);
        let status = match (end.succeeded, self.rng.u32(0..100)) {
            (true, _) => "COMPLETED",
            (false, 0..80) => "FAILED",
            (false, 80..95) => "TIMED_OUT",
            (false, _) => "TERMINATED",
        };
        let closed = end.at + self.millis(20..400);
        let data = run.workflow(json!({ "status": status, "close_time": rfc3339(closed) }));
        self.push(TEMPORAL, "temporal.workflow.closed", &run.workflow_id, closed, data);
    }

    fn outcome(&mut self, run: &Run<'_>) -> ExecutionEnd {
        let took =
            self.millis(900..5_500) + if self.chance(5) { self.millis(0..20_000) } else { Duration::zero() };
        let at = run.started + took;
        if self.chance(95) {
            return self.success(run, at);
        }
        // About half of the failures succeed in the end.
        let retries = self.chance(60);
        self.failure(run, at, 0, retries);
        if !retries {
            return ExecutionEnd { at, succeeded: false };
        }
        let again = at + self.millis(30_000..90_000);
        if self.chance(80) {
            return self.success(run, again);
        }
        self.failure(run, again, 1, false);
        ExecutionEnd { at: again, succeeded: false }
    }

    fn success(&mut self, run: &Run<'_>, at: DateTime<Utc>) -> ExecutionEnd {
        let met = self.chance(8);
        let data = run.data(json!({ "completed_at": rfc3339(at), "condition_met": met,
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
        ExecutionEnd { at, succeeded: true }
    }

    fn failure(&mut self, run: &Run<'_>, at: DateTime<Utc>, retries: u32, will_retry: bool) {
        let chosen = self.weighted(ERRORS.iter().map(|(_, _, weight)| *weight));
        let (kind, message, _) = ERRORS.get(chosen).copied().unwrap_or_default();
        let data = run
            .data(json!({ "completed_at": rfc3339(at), "error_type": kind, "error_message": message,
            "retry_count": retries, "will_retry": will_retry }));
        self.push(WORKER, "execution.failed", &run.execution_id, at, data);
    }
}

/// When an execution ended, and how.
struct ExecutionEnd {
    at: DateTime<Utc>,
    succeeded: bool,
}

/// What all events of one execution have in common.
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
                "started_at": rfc3339(self.started) }),
            more,
        )
    }

    fn workflow(&self, more: Value) -> Value {
        merged(
            json!({ "workflow_id": self.workflow_id, "run_id": self.run_id,
                "workflow_type": "monitoring_workflow", "start_time": rfc3339(self.started) }),
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
