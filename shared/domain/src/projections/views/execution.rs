//! Executions contribute:
//!
//! - a row in the list of their status and start, and one among those of their task;
//! - sums for the windows over their start, an hour of their user's day, the totals of their task;
//! - if they failed, a row among the errors and one among those of their type, counted by type in nodes
//!   of their own and together in those of the executions.

use super::{Contributions, TaskTotals};
use crate::entities::fold::State;
use crate::entities::readings::{Execution, ExecutionState};
use crate::projections::index::{Measure, Sums};
use crate::projections::summary::{ErrorSummary, ExecutionSummary, Summary};
use crate::projections::user_day::UserActivity;
use crate::storage::keys::{self, FilteredIndex, Index, IndexFilter, Lanes, StatusPartition};
use crate::values::ids::{ExecutionId, TaskId};

pub(super) fn contributions(id: ExecutionId, state: &State, lanes: Lanes) -> Contributions {
    let Some(execution) = Execution::of(state) else { return Contributions::default() };
    let (partition, success, failed) = match execution.status {
        ExecutionState::Running => (StatusPartition::Running, 0, 0),
        ExecutionState::Success { .. } => (StatusPartition::Success, 1, 0),
        ExecutionState::Failed(_) => (StatusPartition::Failed, 0, 1),
    };
    let duration = i128::from(execution.duration_ms);
    let of_task = keys::task_execution(execution.task_id, execution.started_at, id);
    let id = id.to_string();
    let lane = lanes.of(execution.task_id.to_string().as_bytes());
    let at = execution.started_at;
    let sums = Sums::of_rows(1)
        .with(Measure::Success, success)
        .with(Measure::Failed, failed)
        .with(Measure::Duration, duration);
    let mut contributions = Contributions::default()
        .row_carrying(
            keys::row(Index::Executions, partition, lane, at, &[&id]),
            ExecutionSummary::of(&execution),
        )
        .row(of_task)
        .counted((Index::Executions, lane), at, None, &sums)
        .counted_for_user(execution.user_id, at, UserActivity::ExecutionStarted);
    let mut totals = TaskTotals::of(at.day(), success, failed, duration);
    match (execution.status, execution.completed_at) {
        (ExecutionState::Failed(error), Some(failed_at)) => {
            totals = totals.with_failure_after(failed_at.millis() - at.millis());
            contributions.task.insert(execution.task_id, totals);
            let first_try = i128::from(error.retry_count.0 == 0);
            let sums = Sums::of_rows(1).with(Measure::FirstTry, first_try);
            let error_type = error.error_type.as_str();
            let of_type = FilteredIndex { index: Index::Errors, filter: IndexFilter::ErrorType(error_type) };
            let row =
                |list: FilteredIndex<'_>| keys::row(list, StatusPartition::All, lane, failed_at, &[&id]);
            contributions
                .row_carrying(row(Index::Errors.into()), ErrorSummary::of(&execution))
                .row_carrying(row(of_type), ErrorSummary::of(&execution))
                .counted((Index::Errors, lane), failed_at, Some(error_type), &sums)
                .counted((Index::Executions, lane), failed_at, None, &Sums::errors(1))
        }
        _not_failed => {
            contributions.task.insert(execution.task_id, totals);
            contributions
        }
    }
}

/// The task whose totals an execution adds to.
pub(crate) fn task_of(state: &State) -> Option<TaskId> {
    Execution::of(state).map(|execution| execution.task_id)
}
