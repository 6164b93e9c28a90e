//! GET /admin/temporal/schedules: the active schedules, newest first, and when each fires next
//! (docs/contract/http.md, "GET /admin/temporal/schedules").

use super::listing::{ListRequest, RowContent};
use super::referenced_entities::{ReferencedEntities, keys_of, read_listed};
use super::temporal_ui::TemporalUi;
use crate::calendar::NextRuns;
use crate::entities::readings::Schedule;
use crate::projections::entity::Entity;
use crate::projections::summary::{Owners, ScheduleSummary};
use crate::projections::views::{self, TaskTotals};
use crate::requests::parameters::{Integer, PageRequest, ParameterReader, QueryParameters};
use crate::storage::item::{Item, Key};
use crate::storage::keys::{self, Index, StatusPartition};
use crate::storage::read::Reader;
use crate::values::ids::{EntityKey, TaskId};
use crate::values::time::{Day, Timestamp};
use schemars::JsonSchema;
use serde::Serialize;
use std::collections::HashMap;

/// The parameters of the request.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct SchedulesParameters {
    include_paused: bool,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    include_timezone: bool,
    #[serde(flatten, skip_serializing_if = "PageRequest::is_not_requested")]
    page: PageRequest,
}

/// The parameter `limit`.
const PAGE_LIMIT: Integer = Integer {
    name: "limit",
    about: "Rows a page, at most: 50 if only `page` is given. Without `page` and `limit` all are listed, up to 10,000.",
    min: 1,
    max: 1000,
    default: 50,
};
/// The page of an answer that is not paged: at most 10,000 rows, so that it stays under Lambda's 6 MB, unless ids are
/// very long.
const UNPAGED: PageRequest = PageRequest { requested: false, page: 1, limit: 10_000 };
/// `recent_executions` counts today and this many days before.
const RECENT_DAYS: i64 = 29;

impl QueryParameters for SchedulesParameters {
    fn read(params: &mut ParameterReader) -> Self {
        let page = params.optional_page(&PAGE_LIMIT);
        let include_paused = params.flag("include_paused", "Whether paused ones are listed too.");
        let include_timezone = params.flag("include_timezone", "Whether each row has its `timezone`.");
        Self { include_paused, include_timezone, page }
    }
}

/// The answer.
#[derive(Debug, Serialize, JsonSchema)]
pub struct SchedulesPage {
    /// The schedules on the page, or all of them, newest first.
    pub schedules: Vec<ScheduleRow>,
    /// Schedules on all pages.
    pub total: i128,
}

/// One schedule.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ScheduleRow {
    /// The schedule's id in Temporal.
    pub schedule_id: String,
    /// The id of its task.
    pub task_id: TaskId,
    /// The email of its user today; null while no event has stated it.
    pub user_email: Option<String>,
    /// The cron expression by which it fires.
    pub cron: String,
    /// The name of its time zone: the one that its events state, even where the expression names another; `UTC` if
    /// they state none. Only with `include_timezone`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub timezone: Option<String>,
    /// Whether it is paused.
    pub is_paused: bool,
    /// The number of executions of its task today and on the 29 days before, in UTC.
    pub recent_executions: i128,
    /// When Temporal fires it next; null if it is paused, never fires again or Temporal refuses it.
    pub next_run_time: Option<Timestamp>,
    /// Its page in Temporal's web interface.
    pub temporal_ui_url: String,
}

/// Two round trips near the top, at most four anywhere else, and there one more while rows move; one more for each
/// megabyte of rows of an answer that is not paged, and one more if there are rows that do not carry their schedule:
/// its id or cron string is too long, or an earlier release has written them.
///
/// # Errors
/// If the store does not answer, or an item cannot be interpreted.
pub async fn answer<R: Reader>(
    reader: &R,
    query: &SchedulesParameters,
    now: Timestamp,
    ui: &TemporalUi,
) -> Result<SchedulesPage, R::Error> {
    let request = ListRequest {
        list: Index::Schedules.into(),
        partitions: if query.include_paused {
            &[StatusPartition::Active, StatusPartition::Inactive]
        } else {
            &[StatusPartition::Active]
        },
        since: None,
        now,
        page: if query.page.requested { query.page } else { UNPAGED },
        consistent: false,
        rows: RowContent::Summaries,
    };
    let listed = request.read(reader).await?;
    let schedules = read_summaries(reader, &listed.rows, query.include_paused).await?;
    let owners = schedules.iter().map(|(schedule, _)| schedule.owners);
    let referenced = ReferencedEntities::read_users_and_totals(reader, owners).await?;
    let mut runs = NextRuns::after(now);
    let row = |(schedule, paused): (ScheduleSummary, bool)| {
        let timezone = query.include_timezone.then(|| zone_of(&schedule));
        let task = referenced.entity(&EntityKey::Task(schedule.owners.task_id));
        let recent = task.map_or(0, |task| recent_executions(&task.totals, now));
        ScheduleRow { timezone, ..row(schedule, (paused, recent), &referenced, &mut runs, ui) }
    };
    let schedules = schedules.into_iter().map(row).collect();
    Ok(SchedulesPage { schedules, total: listed.total })
}

/// The schedules that some rows stand for, and whether each is paused: no round trip; one if there are rows that do
/// not carry their schedule, and one more if a replica lags behind them.
async fn read_summaries<R: Reader>(
    reader: &R,
    rows: &[Item],
    include_paused: bool,
) -> Result<Vec<(ScheduleSummary, bool)>, R::Error> {
    let carried = rows.iter().map(ScheduleSummary::load).collect::<Result<Vec<_>, _>>()?;
    let without = rows.iter().zip(&carried).filter(|(_, carried)| carried.is_none()).map(|(row, _)| row);
    let listed = |entity: &Entity| {
        let schedule = Schedule::of(&entity.state);
        let is_listed = !schedule.deleted && (include_paused || !schedule.paused);
        ScheduleSummary::of(&schedule).filter(|_| is_listed).map(|summary| (summary, schedule.paused))
    };
    let read = read_listed(reader, &keys_of(without), listed).await?;
    let mut read: HashMap<Key, (ScheduleSummary, bool)> = read.into_iter().collect();
    let summary = |(row, carried): (&Item, Option<ScheduleSummary>)| match carried {
        Some(schedule) => Some((schedule, keys::is_row_of(&row.key, StatusPartition::Inactive))),
        None => read.remove(&keys::row_entity(row.text(views::OF)?)),
    };
    Ok(rows.iter().zip(carried).filter_map(summary).collect())
}

fn zone_of(schedule: &ScheduleSummary) -> String {
    if schedule.timezone.is_empty() { "UTC".to_owned() } else { schedule.timezone.clone() }
}

/// How many executions of a task began today and on the days before.
pub(super) fn recent_executions(totals: &TaskTotals, now: Timestamp) -> i128 {
    let today = now.day();
    totals.between(Day(today.0 - RECENT_DAYS), today)
}

/// The row of a schedule, without its time zone, from whether it is paused and its task's number of recent executions.
pub(super) fn row(
    schedule: ScheduleSummary,
    (paused, recent_executions): (bool, i128),
    referenced: &ReferencedEntities,
    runs: &mut NextRuns,
    ui: &TemporalUi,
) -> ScheduleRow {
    let ScheduleSummary { id, owners: Owners { task_id, user_id }, cron, timezone } = schedule;
    ScheduleRow {
        temporal_ui_url: ui.page(&["schedules", &id]),
        schedule_id: id,
        task_id,
        user_email: referenced.email(user_id),
        is_paused: paused,
        recent_executions,
        next_run_time: if paused { None } else { runs.of(&cron, &timezone) },
        cron,
        timezone: None,
    }
}
