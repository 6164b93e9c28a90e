//! Executions: a row in the list of their status and start, sums for the windows, a row among the errors,
//! an hour of their user, totals of their task.

use super::{Contributions, TaskTotals};
use crate::entities::fold::State;
use crate::entities::readings::{Execution, ExecutionState};
use crate::projections::index::{self, Measure, POPULATION};
use crate::storage::keys::{self, Index, Lanes, StatusPartition};
use crate::values::ids::ExecutionId;

pub(super) fn contributions(id: ExecutionId, state: &State, lanes: Lanes) -> Contributions {
    let Some(execution) = Execution::of(state) else { return Contributions::default() };
    let (stream, success, failed) = match execution.status {
        ExecutionState::Running => (StatusPartition::Running, 0, 0),
        ExecutionState::Success { .. } => (StatusPartition::Success, 1, 0),
        ExecutionState::Failed(_) => (StatusPartition::Failed, 0, 1),
    };
    let duration = i128::from(execution.duration_ms);
    let text = id.to_string();
    let lane = lanes.of(execution.task_id.to_string().as_bytes());
    let at = execution.started_at;
    let sums = [
        (Measure::All, 1),
        (Measure::Success, success),
        (Measure::Failed, failed),
        (Measure::Duration, duration),
    ];
    let user_day = keys::user_day(execution.user_id, at.day());
    let mut all = Contributions::default()
        .row(keys::row(Index::Executions, stream, lane, at, &[&text]))
        .counted((Index::Executions, lane), at, None, &sums)
        .sum(user_day.clone(), index::slot_attribute(index::hour_slot(at), Measure::Executions), 1)
        .sum(user_day, POPULATION, 1);
    all.task.insert(execution.task_id, TaskTotals::of(at.day(), success, failed, duration));
    match (execution.status, execution.completed_at) {
        (ExecutionState::Failed(error), Some(failed_at)) => {
            let sums = [(Measure::All, 1), (Measure::FirstTry, i128::from(error.retry_count.0 == 0))];
            all.row(keys::row(Index::Errors, StatusPartition::All, lane, failed_at, &[&text])).counted(
                (Index::Errors, lane),
                failed_at,
                Some(error.error_type.as_str()),
                &sums,
            )
        }
        _not_failed => all,
    }
}
