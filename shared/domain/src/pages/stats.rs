//! GET /admin/stats: the platform's numbers (docs/contract/http.md, "GET /admin/stats").

use super::queries;
use super::window::{average, last_hours, window};
use crate::projections::index::{self, Measure};
use crate::projections::ranking;
use crate::storage::item::Item;
use crate::storage::keys::{self, Index};
use crate::storage::read::{ReadPlan, Reader};
use crate::values::time::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

/// The answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(rename = "Stats")]
pub struct StatsPage {
    /// Users.
    pub users: UserStats,
    /// Tasks.
    pub tasks: TaskStats,
    /// Executions.
    pub executions: ExecutionStats,
    /// Notifications.
    pub notifications: NotificationStats,
    /// The 10 queries with the most tasks.
    pub popular_queries: Vec<PopularQuery>,
}

/// Users with a `user.created` event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(rename = "Users")]
pub struct UserStats {
    /// All of them, in any state.
    pub total: i128,
    /// Those that are active and logged in within the last 30 days.
    pub active_30d: i128,
    /// Those created within the last 7 days.
    pub new_7d: i128,
}

/// Tasks that are not deleted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(rename = "Tasks")]
pub struct TaskStats {
    /// All of them.
    pub total: i128,
    /// Those that are active.
    pub active: i128,
    /// Those that are paused.
    pub paused: i128,
}

/// Executions of the last 24 hours.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(rename = "Executions")]
pub struct ExecutionStats {
    /// Those that began in the last 24 hours.
    pub total_24h: i128,
    /// Those of them that succeeded.
    pub success_24h: i128,
    /// Those of them that failed.
    pub failed_24h: i128,
    /// The mean duration of the finished ones, in milliseconds; 0 if none finished.
    pub avg_duration_ms: i128,
}

/// Notifications that were sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(rename = "Notifications")]
pub struct NotificationStats {
    /// In the last 24 hours.
    pub sent_24h: i128,
    /// In the last 7 days.
    pub sent_7d: i128,
}

/// A query and how many tasks have it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct PopularQuery {
    /// The query.
    pub query: String,
    /// The number of its tasks that are not deleted.
    pub count: i128,
}

/// The number of popular queries.
const POPULAR: usize = 10;
const DAY_HOURS: u64 = 24;
const WEEK_HOURS: u64 = 7 * 24;
const MONTH_HOURS: u64 = 30 * 24;

/// Two round trips, however much data there is.
///
/// # Errors
/// If the store does not answer.
pub async fn answer<R: Reader>(reader: &R, now: Timestamp) -> Result<StatsPage, R::Error> {
    let (day, week) = (last_hours(now, DAY_HOURS), last_hours(now, WEEK_HOURS));
    // Logins of 30 days are cut at the hour (docs/contract/http.md, "Windows").
    let month = last_hours(now, MONTH_HOURS).floor_to_hour();
    let lanes = reader.lanes();
    let nodes = [
        index::window_ranges(Index::Executions, lanes, Some(day)),
        [
            index::window_ranges(Index::Users, lanes, None),
            index::hour_ranges(Index::Users, lanes, week.hour()),
        ]
        .concat(),
        index::window_ranges(Index::Logins, lanes, Some(month)),
        [
            index::window_ranges(Index::Notifications, lanes, Some(week)),
            index::hour_ranges(Index::Notifications, lanes, day.hour()),
        ]
        .concat(),
    ];
    let counts = nodes.each_ref().map(Vec::len);
    let popular = ranking::rows(None, POPULAR);
    let mut reads = ReadPlan::gets(lanes.all().map(keys::task_states));
    reads.ranges = nodes.into_iter().flatten().chain([popular]).collect();
    let mut found = reader.read(reads).await?;

    let [executions, users, logins, notifications] = counts.map(|count| found.take_ranges(count));
    let executions = window(&executions, Some(day));
    let (success, failed) = (executions.get(Measure::Success), executions.get(Measure::Failed));
    let ranked: Vec<Item> = found.take_ranges(1).into_iter().flatten().collect();
    let tasks = |state: &str| found.items.values().map(|item| item.number(state)).sum();
    let popular = queries::read_rows(reader, &ranked).await?.into_iter();
    let popular = popular.map(|row| PopularQuery { query: row.search_query, count: row.total_tasks });
    Ok(StatsPage {
        users: UserStats {
            total: window(&users, None).get(Measure::Population),
            active_30d: window(&logins, Some(month)).get(Measure::Population),
            new_7d: window(&users, Some(week)).get(Measure::Population),
        },
        tasks: TaskStats { total: tasks("total"), active: tasks("active"), paused: tasks("paused") },
        executions: ExecutionStats {
            total_24h: executions.get(Measure::Population),
            success_24h: success,
            failed_24h: failed,
            avg_duration_ms: average(executions.get(Measure::Duration), success + failed),
        },
        notifications: NotificationStats {
            sent_24h: window(&notifications, Some(day)).get(Measure::Population),
            sent_7d: window(&notifications, Some(week)).get(Measure::Population),
        },
        popular_queries: popular.collect(),
    })
}
