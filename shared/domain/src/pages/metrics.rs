//! The platform's metrics for alarms and the dashboard. No endpoint answers them: the function
//! `metrics` publishes them every minute.

use super::list_parameters::{average, last_hours};
use crate::projections::index::{Measure, Timeline, Window};
use crate::storage::item::Key;
use crate::storage::keys::{self, Index};
use crate::storage::read::{ReadPlan, Reader};
use crate::values::time::Timestamp;

/// The platform's metrics, each over the window of its alarm.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Metrics {
    /// The share of failed executions among the finished ones that began in the last hour, in
    /// hundredths of a percent (0 to 10,000); 0 if none finished.
    pub error_rate: i128,
    /// The mean duration of those finished executions, in milliseconds; 0 if none finished.
    pub avg_duration_ms: i128,
    /// Executions that failed in the last hour.
    pub failed_executions: i128,
    /// Those of them whose first attempt failed (`retry_count` 0).
    pub new_errors: i128,
    /// Users created in the last 7 days.
    pub new_users_7d: i128,
    /// Tasks that are active now.
    pub active_tasks: i128,
}

/// One round trip, however much data there is.
///
/// # Errors
/// If the store does not answer.
pub async fn answer<R: Reader>(reader: &R, now: Timestamp) -> Result<Metrics, R::Error> {
    let (hour, week) = (last_hours(now, 1), last_hours(now, 7 * 24));
    let lanes = reader.lanes();
    let window = |index, since| Window::new(index, lanes, Some(since), now);
    let executions = window(Index::Executions, hour);
    let errors = window(Index::Errors, hour);
    let users = window(Index::Users, week);
    let tasks: Vec<Key> = lanes.all().map(keys::task_states).collect();
    let plan = ReadPlan::gets(tasks.clone());
    let found = reader.read(plan.and(executions.plan()).and(errors.plan()).and(users.plan())).await?;
    let [executions, errors, users] =
        [executions, errors, users].map(|one| Timeline::of(one, &found).total());
    let failed = executions.get(Measure::Failed);
    let finished = failed + executions.get(Measure::Success);
    Ok(Metrics {
        error_rate: average(failed * 10_000, finished),
        avg_duration_ms: average(executions.get(Measure::Duration), finished),
        failed_executions: errors.get(Measure::Rows),
        new_errors: errors.get(Measure::FirstTry),
        new_users_7d: users.get(Measure::Rows),
        active_tasks: found.sum(&tasks, "active"),
    })
}
