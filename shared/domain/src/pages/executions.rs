//! GET /admin/executions: the executions that began in the last hours, newest first
//! (docs/contract/http.md, "GET /admin/executions").

use super::entities::DisplayNames;
use super::listing::ListRequest;
use super::recent;
use super::window::{HOURS, LIMIT, last_hours};
use crate::entities::readings::{Execution, ExecutionState};
use crate::requests::parameters::{PageRequest, ParameterReader, QueryParameters};
use crate::storage::keys::{Index, StatusPartition};
use crate::storage::read::Reader;
use crate::values::ids::{ExecutionId, TaskId};
use crate::values::time::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

/// The parameters of the request.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct ExecutionsQuery {
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<StatusPartition>,
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
        let hours = params.integer(&HOURS);
        let page = params.page(&LIMIT);
        Self { status, hours, page }
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

/// Three round trips near the top, at most five anywhere else.
///
/// # Errors
/// If the store does not answer, or an item cannot be interpreted.
pub async fn answer<R: Reader>(
    reader: &R,
    query: &ExecutionsQuery,
    now: Timestamp,
) -> Result<ExecutionsPage, R::Error> {
    let all = STATUSES.map(|(_, partition)| partition);
    let request = ListRequest {
        index: Index::Executions,
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
