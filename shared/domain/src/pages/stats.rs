//! GET /admin/stats: the platform's numbers (docs/contract/http.md, "GET /admin/stats").

use super::list_parameters::{average, last_hours};
use super::referenced_entities::read_items;
use crate::projections::index::{Measure, Timeline, Window};
use crate::projections::ranking;
use crate::storage::item::{Item, Key};
use crate::storage::keys::{self, Index};
use crate::storage::read::{ReadPlan, Reader};
use crate::values::time::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

/// The answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(rename = "Stats")]
pub struct StatsAnswer {
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

/// Users with a `user.created` event, and identities that stand in for one.
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

/// One round trip, however much data there is; two if one of the popular queries is too long for its row, and one more
/// if a replica lags behind its row.
///
/// # Errors
/// If the store does not answer.
pub async fn answer<R: Reader>(reader: &R, now: Timestamp) -> Result<StatsAnswer, R::Error> {
    let (day, week) = (last_hours(now, DAY_HOURS), last_hours(now, WEEK_HOURS));
    // Logins of 30 days are cut at the hour (docs/contract/http.md, "Windows").
    let month = last_hours(now, MONTH_HOURS).floor_to_hour();
    let lanes = reader.lanes();
    let window = |index, since| Window::new(index, lanes, since, now);
    let executions = window(Index::Executions, Some(day));
    let (users, new_users) = (window(Index::Users, None), window(Index::Users, Some(week)));
    let logins = window(Index::Logins, Some(month));
    let (of_week, of_day) =
        (window(Index::Notifications, Some(week)), window(Index::Notifications, Some(day)));
    let states: Vec<Key> = lanes.all().map(keys::task_states).collect();
    // The popular queries are the first range.
    let plan = ReadPlan { gets: states.clone(), ..ReadPlan::ranges(vec![ranking::rows(None, POPULAR)]) }
        .and(executions.plan())
        .and(users.plan().and(new_users.first_day()))
        .and(logins.plan())
        .and(of_week.plan().and(of_day.first_day()));
    let mut found = reader.read(plan).await?;

    let ranked: Vec<Item> = found.take_ranges(1).into_iter().flatten().collect();
    let total = |window: Window<'_>| Timeline::of(window, &found).total();
    let count = |window| total(window).get(Measure::Rows);
    let executions = total(executions);
    let (success, failed) = (executions.get(Measure::Success), executions.get(Measure::Failed));
    let popular = popular(reader, &ranked).await?;
    Ok(StatsAnswer {
        users: UserStats { total: count(users), active_30d: count(logins), new_7d: count(new_users) },
        tasks: TaskStats {
            total: found.sum(&states, "total"),
            active: found.sum(&states, "active"),
            paused: found.sum(&states, "paused"),
        },
        executions: ExecutionStats {
            total_24h: executions.get(Measure::Rows),
            success_24h: success,
            failed_24h: failed,
            avg_duration_ms: average(executions.get(Measure::Duration), success + failed),
        },
        notifications: NotificationStats { sent_24h: count(of_day), sent_7d: count(of_week) },
        popular_queries: popular,
    })
}

/// The queries of some rows of the ranking, in their order: no round trip; one if there are rows that do not
/// carry their query, and one more if a replica lags behind them.
async fn popular<R: Reader>(reader: &R, ranked: &[Item]) -> Result<Vec<PopularQuery>, R::Error> {
    let carried: Option<Vec<_>> = ranked.iter().map(ranking::carried).collect();
    if let Some(carried) = carried {
        let popular = |(query, count): (String, u32)| PopularQuery { query, count: count.into() };
        return Ok(carried.into_iter().map(popular).collect());
    }
    let keys: Vec<Key> =
        ranked.iter().filter_map(|row| keys::ranking_query(&row.key)).map(keys::query).collect();
    let found = read_items(reader, &keys).await?;
    // A query whose last task was removed between the two reads no longer exists.
    let totals = keys.iter().filter_map(|key| found.get(key));
    let popular = |totals: &Item| PopularQuery {
        query: totals.text("query").unwrap_or_default().to_owned(),
        count: totals.number("tasks"),
    };
    Ok(totals.map(popular).collect())
}
