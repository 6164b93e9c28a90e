//! GET /admin/tasks: the tasks that are not deleted, newest first (docs/contract/http.md, "GET
//! /admin/tasks").

use super::list_parameters::{LIMIT, average};
use super::listing::{ListRequest, RowContent, each_once};
use super::queries::hundredths;
use super::referenced_entities::ReferencedEntities;
use crate::calendar::NextRuns;
use crate::entities::readings::{Execution, ExecutionStatus, Task, TaskState};
use crate::projections::entity::Entity;
use crate::projections::views::task::status_partition;
use crate::projections::views::{self, TaskTotals};
use crate::requests::parameters::{PageRequest, ParameterReader, QueryParameters, RecordedText};
use crate::storage::item::Item;
use crate::storage::keys::{self, FilteredIndex, Index, IndexFilter, StatusPartition};
use crate::storage::read::{Corrupt, Range, ReadPlan, Reader};
use crate::values::ids::{EntityKey, ExecutionId, TaskId, UserId};
use crate::values::text::MAX_QUERY_CHARS;
use crate::values::time::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

/// The parameters of the request.
#[derive(Debug, Clone, Serialize)]
pub struct TasksParameters {
    #[serde(skip_serializing_if = "Option::is_none")]
    state: Option<StatusPartition>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user_id: Option<UserId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    search_query: Option<RecordedText>,
    #[serde(flatten)]
    page: PageRequest,
}

const STATES: [(&str, StatusPartition); 3] = [
    ("active", StatusPartition::Active),
    ("paused", StatusPartition::Paused),
    ("completed", StatusPartition::Completed),
];

impl QueryParameters for TasksParameters {
    fn read(params: &mut ParameterReader) -> Self {
        params.at_most_one(&["state", "user_id", "search_query"]);
        let state = params.choice("state", "Only tasks in this state.", &STATES);
        let user_id = params.user("user_id", "Only tasks of this user.");
        let about = "Only tasks with exactly this query.";
        let search_query = params.text("search_query", about, MAX_QUERY_CHARS);
        let page = params.page(&LIMIT);
        Self { state, user_id, search_query, page }
    }
}

/// The answer.
#[derive(Debug, Serialize, JsonSchema)]
pub struct TasksPage {
    /// The tasks on the page, newest first.
    pub tasks: Vec<TaskRow>,
    /// Tasks on all pages.
    pub total: i128,
    /// The number of the page, as requested.
    pub page: u64,
    /// The number of rows on a page, as requested.
    pub limit: u64,
}

/// One task.
#[derive(Debug, Serialize, JsonSchema)]
pub struct TaskRow {
    /// The id of the task.
    pub id: TaskId,
    /// Its name; null while no event has stated one.
    pub name: Option<String>,
    /// What it searches for.
    pub search_query: String,
    /// The id of its user.
    pub user_id: UserId,
    /// The email of its user today; null while no event has stated it.
    pub user_email: Option<String>,
    /// Its state.
    pub state: TaskState,
    /// Its own schedule, as it was sent; null while no event has stated one.
    pub schedule: Option<String>,
    /// When it was created.
    pub created_at: Timestamp,
    /// The number of its executions, of all time and in every status.
    pub total_executions: i128,
    /// The share of successes among its finished executions, to two decimals; 0 if none finished.
    #[serde(serialize_with = "hundredths")]
    #[schemars(with = "f64", range(min = 0, max = 1))]
    pub success_rate: i128,
    /// The mean duration of its finished executions, in milliseconds; 0 if none finished.
    pub avg_duration_ms: i128,
    /// The execution that began last; null if there is none.
    pub last_execution: Option<LastExecution>,
    /// The earliest time at which Temporal fires one of its schedules; null if none is unpaused and
    /// fires again.
    pub next_run_time: Option<Timestamp>,
}

/// The execution of a task that began last.
#[derive(Debug, Serialize, JsonSchema)]
pub struct LastExecution {
    /// The id of the execution.
    pub id: ExecutionId,
    /// Its status.
    pub status: ExecutionStatus,
    /// When it began.
    pub started_at: Timestamp,
}

impl TasksParameters {
    /// Whether a task is wanted; not if it is deleted or was never created.
    fn wants(&self, task: &Task<'_>) -> bool {
        let is_of = |user: UserId| self.user_id.is_none_or(|wanted| user == wanted);
        let searches = |wanted: &RecordedText| task.query == Some(&*wanted.text);
        task.user_id.is_some_and(is_of)
            && !task.deleted
            && self.state.is_none_or(|wanted| status_partition(task.state) == wanted)
            && self.search_query.as_ref().is_none_or(searches)
    }
}

/// Three round trips near the top, at most five anywhere else, and there one more while rows move; one more if a task
/// has more than two unpaused schedules, and one for each of its other two reads if a replica lags behind the list.
///
/// # Errors
/// If the store does not answer, or an item cannot be interpreted.
pub async fn answer<R: Reader>(
    reader: &R,
    query: &TasksParameters,
    now: Timestamp,
) -> Result<TasksPage, R::Error> {
    let hash = query.search_query.as_ref().map(|query| keys::query_hash(&query.text));
    let filter = match (query.user_id, &hash) {
        (Some(user), _) => IndexFilter::User(user),
        (None, Some(hash)) => IndexFilter::Query(hash),
        (None, None) => IndexFilter::Whole,
    };
    let states = STATES.map(|(_, state)| state);
    let partitions = match (filter, &query.state) {
        (IndexFilter::Whole, Some(state)) => std::slice::from_ref(state),
        (IndexFilter::Whole, None) => &states,
        (IndexFilter::User(_) | IndexFilter::Query(_) | IndexFilter::ErrorType(_), _) => {
            &[StatusPartition::All]
        }
    };
    let list = FilteredIndex { index: Index::Tasks, filter };
    let request = ListRequest {
        list,
        partitions,
        since: None,
        now,
        page: query.page,
        consistent: false,
        rows: RowContent::References(&[]),
    };
    let listed = request.read(reader).await?;
    let id = |row: &Item| keys::row_task(&row.key).ok_or_else(|| Corrupt::new(&row.key, "no task"));
    let ids = listed.rows.iter().map(id).collect::<Result<Vec<_>, _>>()?;
    let tasks = rows(reader, &each_once(ids), (query, now)).await?;
    Ok(TasksPage { tasks, total: listed.total, page: query.page.page, limit: query.page.limit })
}

/// The items of a task's partition that a row needs: its entity, up to two unpaused schedules, the
/// newest execution.
const SUMMARY_ITEMS: usize = 4;

/// What the partition of a task says.
struct Summary {
    id: TaskId,
    entity: Entity,
    /// Rows of the unpaused schedules.
    schedules: Vec<Item>,
    last: Option<ExecutionId>,
}

impl Summary {
    fn of(id: TaskId, items: Vec<Item>) -> Result<Self, Corrupt> {
        let entity = keys::entity(&EntityKey::Task(id));
        let entity = Entity::load(items.iter().find(|item| item.key == entity))?;
        let last = items.iter().find_map(|item| keys::parse_task_execution(&item.key));
        let schedules = items.into_iter().filter(|item| keys::is_task_unpaused(&item.key)).collect();
        Ok(Self { id, entity, schedules, last })
    }

    /// The earliest time at which Temporal fires one of the schedules.
    fn next_run(&self, runs: &mut NextRuns) -> Option<Timestamp> {
        let fires = |row: &Item| runs.of(row.text(views::CRON)?, row.text(views::ZONE)?);
        self.schedules.iter().filter_map(fires).min()
    }
}

/// Some tasks, in their order: two round trips, one more for each in which a replica lags; none without ids. A task
/// that has changed since its row was read, so that it is no longer wanted, is left out.
async fn rows<R: Reader>(
    reader: &R,
    ids: &[TaskId],
    (query, now): (&TasksParameters, Timestamp),
) -> Result<Vec<TaskRow>, R::Error> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let summaries = wanted(reader, ids, query).await?;
    let owners = summaries.iter().filter_map(|one| Task::of(&one.entity.state).user_id);
    let last: Vec<_> = summaries.iter().filter_map(|one| one.last).map(EntityKey::Execution).collect();
    let entities = owners.map(EntityKey::User).chain(last.iter().cloned());
    let mut referenced = ReferencedEntities::read_all(reader, entities).await?;
    let missing: Vec<_> = last.into_iter().filter(|last| referenced.entity(last).is_none()).collect();
    referenced.read_again(reader, missing).await?;
    let mut runs = NextRuns::after(now);
    let mut row = |one: &Summary| {
        let task = Task::of(&one.entity.state);
        let row = row(one.id, (&task, task.user_id?), &one.entity.totals, &referenced)?;
        let last = one.last.and_then(|id| Some((id, referenced.entity(&EntityKey::Execution(id))?)));
        let last = last.and_then(|(id, entity)| Some(last_execution(id, &Execution::of(&entity.state)?)));
        Some(TaskRow { last_execution: last, next_run_time: one.next_run(&mut runs), ..row })
    };
    Ok(summaries.iter().filter_map(&mut row).collect())
}

/// What the partitions of those tasks say that are wanted. One that is not wanted by what a replica says, which may lag
/// behind the list, is read again, strongly consistent: one more round trip, only then.
async fn wanted<R: Reader>(
    reader: &R,
    ids: &[TaskId],
    query: &TasksParameters,
) -> Result<Vec<Summary>, R::Error> {
    let is_wanted = |one: &Summary| query.wants(&Task::of(&one.entity.state));
    let mut summaries = read_summaries(reader, ids, false).await?;
    let doubtful: Vec<&mut Summary> = summaries.iter_mut().filter(|one| !is_wanted(one)).collect();
    if !doubtful.is_empty() {
        let ids: Vec<TaskId> = doubtful.iter().map(|one| one.id).collect();
        let again = read_summaries(reader, &ids, true).await?;
        doubtful.into_iter().zip(again).for_each(|(one, again)| *one = again);
    }
    summaries.retain(is_wanted);
    Ok(summaries)
}

/// Reads the partition of each task from its entity downwards: one round trip, one more if a task has
/// so many unpaused schedules that they hide its newest execution.
async fn read_summaries<R: Reader>(
    reader: &R,
    ids: &[TaskId],
    consistent: bool,
) -> Result<Vec<Summary>, R::Error> {
    let plan = |ranges| ReadPlan { consistent, ..ReadPlan::ranges(ranges) };
    let down = |range: keys::KeyRange, limit| Range { descending: true, limit, ..range.into() };
    let ranges = ids.iter().map(|id| down(keys::task_summary(*id), Some(SUMMARY_ITEMS))).collect();
    let mut found = reader.read(plan(ranges)).await?.ranges;
    let cut = |items: &[Item]| {
        items.len() == SUMMARY_ITEMS && items.last().is_some_and(|item| keys::is_task_unpaused(&item.key))
    };
    let hidden: Vec<usize> = (0..found.len()).filter(|at| found.get(*at).is_some_and(|i| cut(i))).collect();
    if !hidden.is_empty() {
        let all = |id: &TaskId| {
            let newest = down(keys::task_executions(*id), Some(1));
            [down(keys::task_unpaused_schedules(*id), None), newest]
        };
        let ranges = hidden.iter().filter_map(|at| ids.get(*at)).flat_map(all).collect();
        let more = reader.read(plan(ranges)).await?.ranges;
        for (at, more) in hidden.iter().zip(more.chunks(2)) {
            if let Some(items) = found.get_mut(*at) {
                items.retain(|item| !keys::is_task_unpaused(&item.key));
                items.extend(more.iter().flatten().cloned());
            }
        }
    }
    Ok(ids.iter().zip(found).map(|(id, items)| Summary::of(*id, items)).collect::<Result<_, _>>()?)
}

pub(super) fn last_execution(id: ExecutionId, execution: &Execution<'_>) -> LastExecution {
    LastExecution { id, status: execution.status.status(), started_at: execution.started_at }
}

/// What the task itself and its totals say; `None` without its creation.
pub(super) fn row(
    id: TaskId,
    (task, user_id): (&Task<'_>, UserId),
    totals: &TaskTotals,
    referenced: &ReferencedEntities,
) -> Option<TaskRow> {
    let sums = totals.sums;
    Some(TaskRow {
        id,
        name: task.name.map(str::to_owned),
        search_query: task.query?.to_owned(),
        user_id,
        user_email: referenced.email(user_id),
        state: task.state,
        schedule: task.schedule.map(str::to_owned),
        created_at: task.created_at?,
        total_executions: sums.n,
        success_rate: average(sums.s * 100, sums.s + sums.f),
        avg_duration_ms: average(sums.d, sums.s + sums.f),
        last_execution: None,
        next_run_time: None,
    })
}
