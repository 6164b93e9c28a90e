//! GET /admin/executions: the executions that began in the last hours, newest first
//! (docs/contract/http.md, "GET /admin/executions").

use super::entities::DisplayNames;
use super::listing::ListRequest;
use super::recent;
use super::window::{HOURS, LIMIT, last_hours};
use crate::entities::readings::{Execution, ExecutionState};
use crate::requests::parameters::{PageRequest, ParameterReader, QueryParameters};
use crate::storage::keys::{self, Index, StatusPartition};
use crate::storage::read::{Range, ReadPlan, Reader};
use crate::values::ids::{ExecutionId, TaskId};
use crate::values::time::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

/// The parameters of the request.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct ExecutionsQuery {
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<StatusPartition>,
    #[serde(skip_serializing_if = "Option::is_none")]
    task_id: Option<TaskId>,
    hours: u64,
    #[serde(flatten)]
    page: PageRequest,
}

const STATUSES: [(&str, StatusPartition); 3] = [
    ("success", StatusPartition::Success),
    ("failed", StatusPartition::Failed),
    ("running", StatusPartition::Running),
];

impl QueryParameters for ExecutionsQuery {
    fn read(params: &mut ParameterReader) -> Self {
        let status = params.choice("status", "Only executions with this status.", &STATUSES);
        let task_id = params.task("task_id", "Only executions of this task.");
        let hours = params.integer(&HOURS);
        let page = params.page(&LIMIT);
        Self { status, task_id, hours, page }
    }
}

/// The answer.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ExecutionsPage {
    /// The executions on the page, newest first.
    pub executions: Vec<ExecutionRow>,
    /// Executions on all pages.
    pub total: i128,
    /// The number of the page, as requested.
    pub page: u64,
    /// The number of rows on a page, as requested.
    pub limit: u64,
}

/// One execution.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ExecutionRow {
    /// The id of the execution.
    pub id: ExecutionId,
    /// The id of its task.
    pub task_id: TaskId,
    /// The email of its user today; null while no event has stated it.
    pub user_email: Option<String>,
    /// The query of its task today; null while no event has stated it.
    pub search_query: Option<String>,
    /// Its status.
    pub status: ExecutionStatus,
    /// Whether what is searched for was found; null unless it succeeded.
    pub condition_met: Option<bool>,
    /// How long it took, in milliseconds; null while it runs.
    pub duration_ms: Option<u64>,
    /// When it began.
    pub started_at: Timestamp,
    /// When it ended; null while it runs.
    pub completed_at: Option<Timestamp>,
}

/// The status of an execution.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub enum ExecutionStatus {
    /// It succeeded.
    Success,
    /// It failed.
    Failed,
    /// It has not ended.
    Running,
}

impl ExecutionStatus {
    /// How an execution stands.
    pub(super) const fn of(state: &ExecutionState<'_>) -> Self {
        match state {
            ExecutionState::Running => Self::Running,
            ExecutionState::Success { .. } => Self::Success,
            ExecutionState::Failed(_) => Self::Failed,
        }
    }
}

/// Three round trips near the top, at most five anywhere else. With `task_id` three, one more for each
/// megabyte of rows of that task's executions in the window, and with `status` also one more for each
/// further thousand of them.
///
/// # Errors
/// If the store does not answer, or an item cannot be interpreted.
pub async fn answer<R: Reader>(
    reader: &R,
    query: &ExecutionsQuery,
    now: Timestamp,
) -> Result<ExecutionsPage, R::Error> {
    if let Some(task) = query.task_id {
        return of_task(reader, query, task, last_hours(now, query.hours)).await;
    }
    let all = STATUSES.map(|(_, partition)| partition);
    let request = ListRequest {
        list: Index::Executions.into(),
        partitions: query.status.as_ref().map_or(&all, std::slice::from_ref),
        since: Some(last_hours(now, query.hours)),
        page: query.page,
        consistent: false,
    };
    let recent =
        recent::read(reader, &request, |id, execution, names| Some(row(id, execution, names))).await?;
    Ok(ExecutionsPage {
        executions: recent.rows,
        total: recent.total,
        page: query.page.page,
        limit: query.page.limit,
    })
}

/// Those of one task. Its rows have no statuses, so a filter reads all of its executions in the window.
async fn of_task<R: Reader>(
    reader: &R,
    query: &ExecutionsQuery,
    task: TaskId,
    since: Timestamp,
) -> Result<ExecutionsPage, R::Error> {
    let range =
        Range { descending: true, attributes: Some(&[]), ..keys::task_executions_since(task, since).into() };
    let rows = reader.read(ReadPlan::ranges(vec![range])).await?.ranges.into_iter().flatten();
    let ids: Vec<ExecutionId> = rows.filter_map(|row| keys::parse_task_execution(&row.key)).collect();
    let (offset, limit) = (query.page.offset(), query.page.rows());
    let (total, entities) = match query.status {
        None => {
            let page: Vec<_> = ids.iter().skip(offset).take(limit).copied().collect();
            (ids.len(), recent::read_ids(reader, &page).await?)
        }
        Some(status) => {
            let has_status = |one: Execution<'_>| partition(&one.status) == status;
            let (mut total, mut page) = (0, Vec::new());
            for some in ids.chunks(recent::AT_ONCE) {
                for (id, entity) in recent::read_ids(reader, some).await? {
                    if !Execution::of(&entity.state).is_some_and(has_status) {
                        continue;
                    }
                    if total >= offset && page.len() < limit {
                        page.push((id, entity));
                    }
                    total += 1;
                }
            }
            (total, page)
        }
    };
    let total = i128::try_from(total).unwrap_or(i128::MAX);
    let executions = recent::shown(reader, &entities, |id, one, names| Some(row(id, one, names))).await?;
    Ok(ExecutionsPage { executions, total, page: query.page.page, limit: query.page.limit })
}

/// The status partition of an execution.
const fn partition(state: &ExecutionState<'_>) -> StatusPartition {
    match state {
        ExecutionState::Running => StatusPartition::Running,
        ExecutionState::Success { .. } => StatusPartition::Success,
        ExecutionState::Failed(_) => StatusPartition::Failed,
    }
}

/// The row of an execution.
pub(super) fn row(id: ExecutionId, execution: &Execution<'_>, names: &DisplayNames) -> ExecutionRow {
    let condition_met = match execution.status {
        ExecutionState::Success { condition_met } => Some(condition_met),
        ExecutionState::Running | ExecutionState::Failed(_) => None,
    };
    ExecutionRow {
        id,
        task_id: execution.task_id,
        user_email: names.email(execution.user_id),
        search_query: names.query(execution.task_id),
        status: ExecutionStatus::of(&execution.status),
        condition_met,
        duration_ms: execution.completed_at.map(|_| execution.duration_ms),
        started_at: execution.started_at,
        completed_at: execution.completed_at,
    }
}
