//! GET /admin/executions: the executions that began in the last hours, newest first.

use super::entities::{DisplayNames, read_entities};
use super::listing::ListRequest;
use super::window::{HOURS, LIMIT, last_hours};
use crate::entities::readings::{Execution, ExecutionState};
use crate::projections::entity::Entity;
use crate::requests::parameters::{PageRequest, ParameterReader, QueryParameters};
use crate::storage::item::{Item, Key};
use crate::storage::keys::{self, Index, StatusPartition};
use crate::storage::read::{Corrupt, Reader};
use crate::values::ids::{ExecutionId, TaskId};
use crate::values::time::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;
use std::collections::HashMap;

/// What is asked for.
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
    /// The page, newest first.
    pub executions: Vec<ExecutionRow>,
    /// Executions on all pages.
    pub total: i128,
    /// The page asked for.
    pub page: u64,
    /// Rows a page, as asked for.
    pub limit: u64,
}

/// One execution.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ExecutionRow {
    /// The execution.
    pub id: ExecutionId,
    /// Its task.
    pub task_id: TaskId,
    /// The email of its user today; null while no event has told it.
    pub user_email: Option<String>,
    /// The query of its task today; null while no event has told it.
    pub search_query: Option<String>,
    /// How it stands.
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

/// How an execution stands.
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

/// Three round trips near the top, at most five anywhere else.
pub async fn answer<R: Reader>(
    reader: &R,
    query: &ExecutionsQuery,
    now: Timestamp,
) -> Result<ExecutionsPage, R::Error> {
    let all = STATUSES.map(|(_, stream)| stream);
    let listed = ListRequest {
        index: Index::Executions,
        streams: query.status.as_ref().map_or(&all, std::slice::from_ref),
        since: Some(last_hours(now, query.hours)),
        offset: query.page.offset(),
        rows: query.page.rows(),
        consistent: false,
    };
    let listed = listed.read(reader).await?;
    let entities = read_executions(reader, &listed.rows).await?;
    let executions: Vec<_> =
        entities.iter().filter_map(|(id, entity)| Some((*id, Execution::of(&entity.state)?))).collect();
    let names = DisplayNames::read(reader, executions.iter().map(|(_, e)| (e.task_id, e.user_id))).await?;
    Ok(ExecutionsPage {
        executions: executions.iter().map(|(id, execution)| row(*id, execution, &names)).collect(),
        total: listed.total,
        page: query.page.page,
        limit: query.page.limit,
    })
}

/// The executions of rows whose sort keys end in their ids: one round trip, none without rows.
pub(super) async fn read_executions<R: Reader>(
    reader: &R,
    rows: &[Item],
) -> Result<Vec<(ExecutionId, Entity)>, R::Error> {
    let ids = rows
        .iter()
        .map(|row| keys::row_execution(&row.key).ok_or_else(|| Corrupt::new(&row.key, "no execution")));
    let ids = ids.map(|id| id.map(|id| (keys::execution(id), id))).collect::<Result<Vec<_>, _>>()?;
    let keys: Vec<Key> = ids.iter().map(|(key, _)| key.clone()).collect();
    let ids: HashMap<Key, ExecutionId> = ids.into_iter().collect();
    let entities = read_entities(reader, &keys).await?.into_iter();
    Ok(entities.filter_map(|(key, entity)| Some((*ids.get(&key)?, entity))).collect())
}

fn row(id: ExecutionId, execution: &Execution<'_>, names: &DisplayNames) -> ExecutionRow {
    let (status, condition_met) = match execution.status {
        ExecutionState::Running => (ExecutionStatus::Running, None),
        ExecutionState::Success { condition_met } => (ExecutionStatus::Success, Some(condition_met)),
        ExecutionState::Failed(_) => (ExecutionStatus::Failed, None),
    };
    ExecutionRow {
        id,
        task_id: execution.task_id,
        user_email: names.email(execution.user_id),
        search_query: names.query(execution.task_id),
        status,
        condition_met,
        duration_ms: execution.completed_at.map(|_| execution.duration_ms),
        started_at: execution.started_at,
        completed_at: execution.completed_at,
    }
}
