//! Workflow runs as events.

use crate::message::{message, timestamp};
use crate::task_ids::TaskIds;
use serde_json::{Map, Value, json};
use temporalio_common::protos::temporal::api::enums::v1::WorkflowExecutionStatus;
use temporalio_common::protos::temporal::api::workflow::v1::WorkflowExecutionInfo;
use torale_domain::values::time::Timestamp;

/// The search attribute by which Temporal names the schedule that started a run.
const SCHEDULED_BY: &str = "TemporalScheduledById";

/// A span of time: runs that began or ended from `from` on and before `to`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RunWindow {
    /// Its beginning, inclusive.
    pub from: Timestamp,
    /// Its end, exclusive.
    pub to: Timestamp,
}

impl RunWindow {
    /// As Temporal's visibility API takes it.
    pub fn query(&self) -> String {
        let Self { from, to } = self;
        let within = |name: &str| format!("({name} >= '{from}' AND {name} < '{to}')");
        format!("{} OR {}", within("StartTime"), within("CloseTime"))
    }

    fn contains(&self, at: Timestamp) -> bool {
        (self.from..self.to).contains(&at)
    }
}

/// The events of a run in a window: that it began, if it did then, and how it ended, if it has. `None` if the run
/// belongs to no task.
pub fn run_events(run: &WorkflowExecutionInfo, window: &RunWindow, tasks: &TaskIds) -> Option<Vec<String>> {
    let execution = run.execution.as_ref()?;
    let task = tasks.of(&execution.workflow_id).or_else(|| tasks.of(&scheduled_by(run)?))?;
    let started = run.start_time.as_ref().map(|at| timestamp(at.seconds, at.nanos))?;
    let closed = run.close_time.as_ref().map(|at| timestamp(at.seconds, at.nanos));
    let workflow_type = run.r#type.as_ref().map_or("", |of| of.name.as_str());
    let mut data = Map::from_iter([
        ("workflow_id".to_owned(), json!(execution.workflow_id)),
        ("run_id".to_owned(), json!(execution.run_id)),
        ("workflow_type".to_owned(), json!(workflow_type)),
        ("start_time".to_owned(), json!(started)),
    ]);
    let mut events = Vec::with_capacity(2);
    if let (Some(closed), Some(status)) = (closed, closed_status(run.status)) {
        let mut data = data.clone();
        data.extend([("status".to_owned(), json!(status)), ("close_time".to_owned(), json!(closed))]);
        events.push(message(
            "temporal.workflow.closed",
            &execution.workflow_id,
            closed,
            &Value::Object(data),
        ));
    }
    if window.contains(started) {
        data.insert("task_id".to_owned(), json!(task));
        events.push(message(
            "temporal.workflow.started",
            &execution.workflow_id,
            started,
            &Value::Object(data),
        ));
    }
    Some(events)
}

/// The status of a run that has ended, such as `COMPLETED`; `None` of one that has not.
fn closed_status(status: i32) -> Option<&'static str> {
    use WorkflowExecutionStatus::{
        Canceled, Completed, ContinuedAsNew, Failed, Paused, Running, Terminated, TimedOut, Unspecified,
    };
    let status = WorkflowExecutionStatus::try_from(status).ok()?;
    match status {
        Unspecified | Running | Paused => None,
        Completed | Failed | Canceled | Terminated | ContinuedAsNew | TimedOut => {
            status.as_str_name().strip_prefix("WORKFLOW_EXECUTION_STATUS_")
        }
    }
}

fn scheduled_by(run: &WorkflowExecutionInfo) -> Option<String> {
    let payload = run.search_attributes.as_ref()?.indexed_fields.get(SCHEDULED_BY)?;
    serde_json::from_slice(&payload.data).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use temporalio_common::protos::temporal::api::common::v1::{
        Payload, SearchAttributes, WorkflowExecution, WorkflowType,
    };
    use torale_domain::deactivation::commands::SchedulePattern;
    use torale_domain::events::{ReceivedMessage, parse};

    const TASK: &str = "22222222-0000-4000-8000-000000000001";
    const WINDOW: RunWindow = RunWindow {
        from: Timestamp::from_millis(1_800_000_000_000),
        to: Timestamp::from_millis(1_800_000_060_000),
    };

    fn run(
        workflow: &str,
        started: i64,
        closed: Option<i64>,
        status: WorkflowExecutionStatus,
    ) -> WorkflowExecutionInfo {
        let mut run = WorkflowExecutionInfo {
            execution: Some(WorkflowExecution {
                workflow_id: workflow.replace('T', TASK),
                run_id: "r".to_owned(),
            }),
            r#type: Some(WorkflowType { name: "Search".to_owned() }),
            status: status.into(),
            ..WorkflowExecutionInfo::default()
        };
        run.start_time = Some(Default::default());
        run.start_time.as_mut().unwrap().seconds = 1_800_000_000 + started;
        run.close_time = closed.map(|_| Default::default());
        if let (Some(at), Some(closed)) = (run.close_time.as_mut(), closed) {
            (at.seconds, at.nanos) = (1_800_000_000 + closed, 7_999_999);
        }
        run
    }

    /// Types, times and statuses; the intake takes each of them.
    fn facts(run: &WorkflowExecutionInfo) -> Option<Vec<String>> {
        let ids = TaskIds::new(SchedulePattern::parse("task-{task_id}").unwrap());
        let fact = |event: String| {
            let now = WINDOW.to.plus(86_400_000);
            assert!(matches!(parse(&event, Some(now)), Ok(ReceivedMessage::Known(_))), "{event}");
            let event: Value = serde_json::from_str(&event).unwrap();
            let kind = event["type"].as_str().unwrap().rsplit('.').next().unwrap();
            format!("{kind} {} {}", event["time"].as_str().unwrap(), event["data"]["status"])
        };
        run_events(run, &WINDOW, &ids).map(|events| events.into_iter().map(fact).collect())
    }

    #[test]
    fn a_run_that_began_and_ended_in_the_window_is_two_events() {
        let run = run("schedule-T-2027-01-15T08:00:00Z", 1, Some(2), WorkflowExecutionStatus::ContinuedAsNew);

        let expected =
            ["closed 2027-01-15T08:00:02.007Z \"CONTINUED_AS_NEW\"", "started 2027-01-15T08:00:01Z null"];
        assert_eq!(facts(&run).unwrap(), expected);
        assert_eq!(facts(&run), facts(&run.clone()));
    }

    #[test]
    fn a_run_that_began_before_the_window_is_its_end_alone() {
        let run = run("task-T", -1, Some(2), WorkflowExecutionStatus::Failed);
        assert_eq!(facts(&run).unwrap(), ["closed 2027-01-15T08:00:02.007Z \"FAILED\""]);
    }

    #[test]
    fn a_run_that_has_not_ended_is_its_beginning_alone() {
        for status in [WorkflowExecutionStatus::Running, WorkflowExecutionStatus::Paused] {
            assert_eq!(
                facts(&run("task-T", 0, None, status)).unwrap(),
                ["started 2027-01-15T08:00:00Z null"]
            );
        }
    }

    #[test]
    fn a_run_without_a_task_in_its_id_belongs_to_that_of_its_schedule_or_to_none() {
        let mut run = run("monthly-report", 0, None, WorkflowExecutionStatus::Running);
        assert_eq!(facts(&run), None);

        let data = format!("\"schedule-{TASK}\"").into_bytes();
        let named = [(SCHEDULED_BY.to_owned(), Payload { data, ..Payload::default() })];
        run.search_attributes = Some(SearchAttributes { indexed_fields: named.into() });
        assert_eq!(facts(&run).unwrap().len(), 1);
    }

    #[test]
    fn query_names_both_times_of_the_window() {
        let expected = "(StartTime >= '2027-01-15T08:00:00Z' AND StartTime < '2027-01-15T08:01:00Z') \
            OR (CloseTime >= '2027-01-15T08:00:00Z' AND CloseTime < '2027-01-15T08:01:00Z')";
        assert_eq!(WINDOW.query(), expected);
    }
}
