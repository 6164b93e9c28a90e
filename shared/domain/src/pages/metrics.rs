//! The platform's metrics for alarms and the dashboard. No endpoint answers them: the function
//! `metrics` publishes them every minute.

use super::window::{average, last_hours, window};
use crate::projections::index::{self, Measure};
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
    let (hour, week) = (Some(last_hours(now, 1)), Some(last_hours(now, 7 * 24)));
    let lanes = reader.lanes();
    let nodes = [(Index::Executions, hour), (Index::Errors, hour), (Index::Users, week)]
        .map(|(index, since)| index::window_ranges(index, lanes, since));
    let counts = nodes.each_ref().map(Vec::len);
    let mut reads = ReadPlan::gets(lanes.all().map(keys::task_states));
    reads.ranges = nodes.into_iter().flatten().collect();
    let mut found = reader.read(reads).await?;
    let [executions, errors, users] = counts.map(|count| found.take_ranges(count));
    let (executions, errors) = (window(&executions, hour), window(&errors, hour));
    let failed = executions.get(Measure::Failed);
    let finished = failed + executions.get(Measure::Success);
    Ok(Metrics {
        error_rate: average(failed * 10_000, finished),
        avg_duration_ms: average(executions.get(Measure::Duration), finished),
        failed_executions: errors.get(Measure::Population),
        new_errors: errors.get(Measure::FirstTry),
        new_users_7d: window(&users, week).get(Measure::Population),
        active_tasks: found.items.values().map(|item| item.number("active")).sum(),
    })
}
