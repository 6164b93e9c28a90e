//! The platform's numbers for alarms and the dashboard: no endpoint, but read like one.

use super::window::{average, last_hours, window};
use crate::projections::index::{self, Measure};
use crate::storage::keys::{self, Index, StatusPartition};
use crate::storage::read::{ReadPlan, Reader};
use crate::values::time::Timestamp;

/// What the platform does, each over the window that its alarm is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Metrics {
    /// Failed among the finished executions that began in the last hour, in hundredths of a percent; 0 if none finished.
    pub error_rate: i128,
    /// Mean duration of those that finished, in milliseconds.
    pub avg_duration_ms: i128,
    /// Executions that failed in the last hour.
    pub failed_executions: i128,
    /// Those of them that failed at their first try.
    pub new_errors: i128,
    /// Users created in the last 7 days.
    pub new_users_7d: i128,
    /// Tasks that are active now.
    pub active_tasks: i128,
}

/// One round trip, whatever there is.
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
        failed_executions: errors.rows_of(StatusPartition::All),
        new_errors: errors.get(Measure::FirstTry),
        new_users_7d: window(&users, week).rows_of(StatusPartition::All),
        active_tasks: found.items.values().map(|item| item.number("active")).sum(),
    })
}
