//! Executions: a row in the list of their status and start, sums for the windows over their
//! start, a row among the errors if they failed, an hour of their user's day, and the totals
//! of their task.

use super::{Contributions, TaskTotals};
use crate::entities::fold::State;
use crate::entities::readings::{Execution, ExecutionState};
use crate::projections::index::{Measure, Sums};
use crate::projections::user_day::UserActivity;
use crate::storage::keys::{self, Index, Lanes, StatusPartition};
use crate::values::ids::ExecutionId;

pub(super) fn contributions(id: ExecutionId, state: &State, lanes: Lanes) -> Contributions {
    let Some(execution) = Execution::of(state) else { return Contributions::default() };
    let (partition, success, failed) = match execution.status {
        ExecutionState::Running => (StatusPartition::Running, 0, 0),
        ExecutionState::Success { .. } => (StatusPartition::Success, 1, 0),
        ExecutionState::Failed(_) => (StatusPartition::Failed, 0, 1),
    };
    let duration = i128::from(execution.duration_ms);
    let id = id.to_string();
    let lane = lanes.of(execution.task_id.to_string().as_bytes());
    let at = execution.started_at;
    let sums = Sums::population(1)
        .with(Measure::Success, success)
        .with(Measure::Failed, failed)
        .with(Measure::Duration, duration);
    let mut listed = Contributions::default()
        .row(keys::row(Index::Executions, partition, lane, at, &[&id]))
        .counted((Index::Executions, lane), at, None, &sums)
        .counted_for_user(execution.user_id, at, UserActivity::ExecutionStarted);
    listed.task.insert(execution.task_id, TaskTotals::of(at.day(), success, failed, duration));
    match (execution.status, execution.completed_at) {
        (ExecutionState::Failed(error), Some(failed_at)) => {
            let first_try = i128::from(error.retry_count.0 == 0);
            let sums = Sums::population(1).with(Measure::FirstTry, first_try);
            let error_type = Some(error.error_type.as_str());
            listed.row(keys::row(Index::Errors, StatusPartition::All, lane, failed_at, &[&id])).counted(
                (Index::Errors, lane),
                failed_at,
                error_type,
                &sums,
            )
        }
        _not_failed => listed,
    }
}
