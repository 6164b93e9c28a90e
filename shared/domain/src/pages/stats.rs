//! GET /admin/stats: the platform's numbers.

use super::{average, last_hours, queries, window};
use crate::index::{self, Measure};
use crate::item::Item;
use crate::keys::{self, Index, Stream};
use crate::read::{Range, Reader, Reads};
use crate::time::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

/// The answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Stats {
    /// Users.
    pub users: Users,
    /// Tasks.
    pub tasks: Tasks,
    /// Executions.
    pub executions: Executions,
    /// Notifications.
    pub notifications: Notifications,
    /// The 10 queries with the most tasks.
    pub popular_queries: Vec<PopularQuery>,
}

/// Users that a `user.created` event made known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Users {
    /// All of them, whatever their state.
    pub total: i128,
    /// Those that are active and logged in within the last 30 days.
    pub active_30d: i128,
    /// Those created within the last 7 days.
    pub new_7d: i128,
}

/// Tasks that are not deleted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Tasks {
    /// All of them.
    pub total: i128,
    /// Those that run.
    pub active: i128,
    /// Those that are paused.
    pub paused: i128,
}

/// Executions of the last 24 hours.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Executions {
    /// Those that began in the last 24 hours.
    pub total_24h: i128,
    /// Those of them that succeeded.
    pub success_24h: i128,
    /// Those of them that failed.
    pub failed_24h: i128,
    /// Mean duration of those that ended, in milliseconds; 0 if none did.
    pub avg_duration_ms: i128,
}

/// Notifications that were sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Notifications {
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
    /// Its tasks that are not deleted.
    pub count: i128,
}

const POPULAR: usize = 10;
const DAY_HOURS: u64 = 24;
const WEEK_HOURS: u64 = 7 * 24;
const MONTH_HOURS: u64 = 30 * 24;

/// Two round trips.
pub async fn answer<R: Reader>(reader: &R, now: Timestamp) -> Result<Stats, R::Error> {
    let (day, week) = (last_hours(now, DAY_HOURS), last_hours(now, WEEK_HOURS));
    // The contract cuts this one at the hour.
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
    let popular = Range { limit: Some(POPULAR), ..queries::ranking() };
    let mut reads = Reads::gets(lanes.all().map(keys::task_states));
    reads.ranges = nodes.into_iter().flatten().chain([popular]).collect();
    let mut found = reader.read(reads).await?;

    let [executions, users, logins, notifications] = counts.map(|count| found.take_ranges(count));
    let executions = window(&executions, Some(day));
    let (success, failed) = (executions.get(Measure::Success), executions.get(Measure::Failed));
    let ranked: Vec<Item> = found.take_ranges(1).into_iter().flatten().collect();
    let states = |name: &str| found.items.values().map(|item| item.number(name)).sum();
    Ok(Stats {
        users: Users {
            total: window(&users, None).rows_of(Stream::All),
            active_30d: window(&logins, Some(month)).rows_of(Stream::All),
            new_7d: window(&users, Some(week)).rows_of(Stream::All),
        },
        tasks: Tasks { total: states("total"), active: states("active"), paused: states("paused") },
        executions: Executions {
            total_24h: executions.rows_of(Stream::All),
            success_24h: success,
            failed_24h: failed,
            avg_duration_ms: average(executions.get(Measure::Duration), success + failed),
        },
        notifications: Notifications {
            sent_24h: window(&notifications, Some(day)).rows_of(Stream::All),
            sent_7d: window(&notifications, Some(week)).rows_of(Stream::All),
        },
        popular_queries: queries::rows(reader, &ranked)
            .await?
            .into_iter()
            .map(|row| PopularQuery { query: row.search_query, count: row.total_tasks })
            .collect(),
    })
}
