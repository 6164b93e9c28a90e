//! GET /admin/executions: the executions that began in the last hours, newest first
//! (docs/contract/http.md, "GET /admin/executions").

use super::execution_list::{self, ExecutionListPage};
use super::list_parameters::{HOURS, LIMIT, last_hours};
use super::listing::{ListRequest, RowContent};
use super::referenced_entities::ReferencedEntities;
use crate::entities::readings::ExecutionStatus;
use crate::projections::summary::{ExecutionSummary, Owners};
use crate::requests::parameters::{PageRequest, ParameterReader, QueryParameters};
use crate::storage::keys::{Index, StatusPartition};
use crate::storage::read::Reader;
use crate::values::ids::{ExecutionId, TaskId};
use crate::values::time::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

/// The parameters of the request.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct ExecutionsParameters {
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<StatusPartition>,
    #[serde(skip_serializing_if = "Option::is_none")]
    task_id: Option<TaskId>,
    hours: u64,
    #[serde(flatten)]
    page: PageRequest,
}

/// Running ones come last: of two rows of an execution that ends while they are read, the first one counts.
const STATUSES: [(&str, StatusPartition); 3] = [
    ("success", StatusPartition::Success),
    ("failed", StatusPartition::Failed),
    ("running", StatusPartition::Running),
];

impl QueryParameters for ExecutionsParameters {
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

/// Two round trips near the top, at most five anywhere else, six in a crowded minute, and there one more while rows
/// move; one more if an earlier release has written rows of the page. With `task_id` three, one more for each
/// megabyte of rows of that task's executions in the window, and with `status` also one more for each
/// further thousand of them.
///
/// # Errors
/// If the store does not answer, or an item cannot be interpreted.
pub async fn answer<R: Reader>(
    reader: &R,
    query: &ExecutionsParameters,
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
        now,
        page: query.page,
        consistent: false,
        rows: RowContent::Summaries,
    };
    let wanted = |one: &ExecutionSummary| query.status.is_none_or(|status| partition(one.status) == status);
    let found = execution_list::read_execution_list(reader, &request, wanted).await?;
    Ok(ExecutionsPage {
        executions: page_rows(&found.page),
        total: found.total,
        page: query.page.page,
        limit: query.page.limit,
    })
}

/// Those of one task. Its rows have no statuses, so a filter reads all of its executions in the window.
async fn of_task<R: Reader>(
    reader: &R,
    query: &ExecutionsParameters,
    task: TaskId,
    since: Timestamp,
) -> Result<ExecutionsPage, R::Error> {
    let ids = execution_list::executions_of_task(reader, task, since).await?;
    let (offset, limit) = (query.page.offset(), query.page.rows());
    let (total, page) = match query.status {
        None => {
            let page: Vec<_> = ids.iter().skip(offset).take(limit).copied().collect();
            (ids.len(), execution_list::read_summaries(reader, &page).await?)
        }
        Some(status) => {
            let (mut total, mut page) = (0, Vec::new());
            let count = |id, execution: ExecutionSummary| {
                if partition(execution.status) != status {
                    return;
                }
                if total >= offset && page.len() < limit {
                    page.push((id, execution));
                }
                total += 1;
            };
            execution_list::visit_summaries(reader, &ids, count).await?;
            (total, page)
        }
    };
    let total = i128::try_from(total).unwrap_or(i128::MAX);
    let executions = page_rows(&execution_list::with_references(reader, page).await?);
    Ok(ExecutionsPage { executions, total, page: query.page.page, limit: query.page.limit })
}

/// The status partition of an execution.
const fn partition(status: ExecutionStatus) -> StatusPartition {
    match status {
        ExecutionStatus::Running => StatusPartition::Running,
        ExecutionStatus::Success => StatusPartition::Success,
        ExecutionStatus::Failed => StatusPartition::Failed,
    }
}

fn page_rows(page: &ExecutionListPage<ExecutionSummary>) -> Vec<ExecutionRow> {
    page.rows.iter().map(|(id, execution)| row(*id, execution, &page.referenced)).collect()
}

/// The row of an execution.
pub(super) fn row(
    id: ExecutionId,
    execution: &ExecutionSummary,
    referenced: &ReferencedEntities,
) -> ExecutionRow {
    let Owners { task_id, user_id } = execution.owners;
    ExecutionRow {
        id,
        task_id,
        user_email: referenced.email(user_id),
        search_query: referenced.search_query(task_id),
        status: execution.status,
        condition_met: execution.condition_met,
        duration_ms: execution.ended.map(|(_, millis)| millis),
        started_at: execution.started_at,
        completed_at: execution.ended.map(|(at, _)| at),
    }
}
