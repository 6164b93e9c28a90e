//! GET /admin/temporal/schedules: the active schedules, newest first, and when each fires next.

use super::listing::Listing;
use super::{Names, TemporalUi, read_entities};
use crate::calendar;
use crate::entities::Schedule;
use crate::fold::EntityKey;
use crate::ids::TaskId;
use crate::keys::{self, Index, Stream};
use crate::params::{Integer, PageOf, Params, Query};
use crate::read::Reader;
use crate::time::{Day, Timestamp};
use crate::views;
use schemars::JsonSchema;
use serde::Serialize;

/// What is asked for.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct SchedulesQuery {
    include_paused: bool,
    #[serde(flatten)]
    page: PageOf,
}

/// Rows a page.
const PAGE_LIMIT: Integer = Integer {
    name: "limit",
    about: "Rows a page, at most: 50 if only `page` is given. Without `page` and `limit` all are listed, up to 10,000.",
    min: 1,
    max: 1000,
    default: 50,
};
/// Rows of an answer that is not paged: it must stay under Lambda's 6 MB.
const UNPAGED_ROWS: usize = 10_000;
/// `recent_executions` counts today and this many days before.
const RECENT_DAYS: i64 = 29;

impl Query for SchedulesQuery {
    fn read(params: &mut Params) -> Self {
        let page = params.page_if_asked(&PAGE_LIMIT);
        let include_paused = params.flag("include_paused", "Whether paused ones are listed too.");
        Self { include_paused, page }
    }
}

/// The answer.
#[derive(Debug, Serialize, JsonSchema)]
pub struct SchedulesPage {
    /// The page, or all, newest first.
    pub schedules: Vec<ScheduleRow>,
    /// Schedules on all pages.
    pub total: i128,
}

/// One schedule.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ScheduleRow {
    /// The schedule's id in Temporal.
    pub schedule_id: String,
    /// Its task.
    pub task_id: TaskId,
    /// The email of its user today; null while no event has told it.
    pub user_email: Option<String>,
    /// When it fires.
    pub cron: String,
    /// Whether it does not fire for now.
    pub is_paused: bool,
    /// Executions of its task today and on the 29 days before, in UTC.
    pub recent_executions: i128,
    /// When Temporal fires it next; null if it is paused, never fires again or Temporal refuses it.
    pub next_run_time: Option<Timestamp>,
    /// Its page in Temporal's web interface.
    pub temporal_ui_url: String,
}

/// Three round trips near the top, at most five anywhere else.
pub async fn answer<R: Reader>(
    reader: &R,
    query: &SchedulesQuery,
    now: Timestamp,
    ui: &TemporalUi,
) -> Result<SchedulesPage, R::Error> {
    let (offset, rows) =
        if query.page.asked { (query.page.offset(), query.page.rows()) } else { (0, UNPAGED_ROWS) };
    let listed = Listing {
        index: Index::Schedules,
        streams: if query.include_paused { &[Stream::Active, Stream::Inactive] } else { &[Stream::Active] },
        since: None,
        offset,
        rows,
        consistent: false,
    };
    let listed = listed.read(reader).await?;
    let keys: Vec<_> =
        listed.rows.iter().filter_map(|row| row.text(views::OF)).map(keys::row_entity).collect();
    let entities = read_entities(reader, &keys).await?;
    let schedules: Vec<_> = entities.iter().map(|(_, entity)| Schedule::of(&entity.state)).collect();
    let owners = schedules
        .iter()
        .filter_map(|schedule| schedule.created.map(|(data, _)| (data.task_id, data.user_id)));
    let names = Names::read(reader, owners).await?;
    let schedules = schedules.iter().filter_map(|schedule| row(schedule, &names, now, ui)).collect();
    Ok(SchedulesPage { schedules, total: listed.total })
}

fn row(schedule: &Schedule<'_>, names: &Names, now: Timestamp, ui: &TemporalUi) -> Option<ScheduleRow> {
    let (created, _) = schedule.created?;
    let (cron, zone) = (schedule.cron?, schedule.timezone?);
    let today = now.day();
    let recent = names.entity(&EntityKey::Task(created.task_id));
    let id = created.schedule_id.as_str();
    Some(ScheduleRow {
        schedule_id: id.to_owned(),
        task_id: created.task_id,
        user_email: names.email(created.user_id),
        cron: cron.to_owned(),
        is_paused: schedule.paused,
        recent_executions: recent.map_or(0, |task| task.totals.between(Day(today.0 - RECENT_DAYS), today)),
        next_run_time: if schedule.paused { None } else { calendar::next_run(cron, zone, now) },
        temporal_ui_url: ui.page(&["schedules", id]),
    })
}
