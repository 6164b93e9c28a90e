//! GET /admin/executions/{id}: one execution, and which event says so (docs/contract/http.md, "GET
//! /admin/executions/{id}").

use super::executions::{self, ExecutionRow};
use super::history::{HistoryEntry, history};
use super::referenced_entities::ReferencedEntities;
use crate::entities::fold::Register;
use crate::entities::readings::{Execution, ExecutionState};
use crate::projections::entity::Entity;
use crate::projections::summary::{ExecutionSummary, Summary};
use crate::requests::parameters::{ParameterReader, QueryParameters};
use crate::storage::keys;
use crate::storage::read::{ReadPlan, Reader};
use crate::values::ids::{ExecutionId, UserId};
use schemars::JsonSchema;
use serde::Serialize;
use uuid::Uuid;

/// The parameters of the request.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct ExecutionParameters {
    #[serde(skip)]
    id: ExecutionId,
}

impl QueryParameters for ExecutionParameters {
    fn read(params: &mut ParameterReader) -> Self {
        let id = params.path_id("The execution.", ExecutionId::parse);
        // Without an id there is a fault, and the value does not count.
        Self { id: id.unwrap_or(ExecutionId(Uuid::nil())) }
    }

    fn target(&self) -> Option<String> {
        Some(self.id.to_string())
    }
}

/// The answer.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ExecutionDetail {
    /// What the list of executions shows of it.
    #[serde(flatten)]
    pub row: ExecutionRow,
    /// The id of the user it ran for.
    pub user_id: UserId,
    /// The type of the error; null unless it failed.
    pub error_type: Option<String>,
    /// The first 2,000 characters of the error message; null unless it failed.
    pub error_message: Option<String>,
    /// How often it had been retried; null unless it failed.
    pub retry_count: Option<u64>,
    /// Whether it will be retried; null unless it failed.
    pub will_retry: Option<bool>,
    /// Which event says so.
    pub history: Vec<HistoryEntry>,
}

/// The fields that every status event decides, and those that only the event of an end, a success or
/// a failure does.
const ALWAYS: [&str; 4] = ["started_at", "status", "task_id", "user_id"];
const ENDED: [&str; 2] = ["completed_at", "duration_ms"];
const SUCCEEDED: [&str; 1] = ["condition_met"];
const FAILED: [&str; 4] = ["error_message", "error_type", "retry_count", "will_retry"];

/// Two round trips; `None` if no event has named the execution.
///
/// # Errors
/// If the store does not answer, or an item cannot be interpreted.
pub async fn answer<R: Reader>(
    reader: &R,
    request: &ExecutionParameters,
) -> Result<Option<ExecutionDetail>, R::Error> {
    let key = keys::execution(request.id);
    let found = reader.read(ReadPlan::gets([key.clone()])).await?;
    let entity = Entity::load(found.items.get(&key))?;
    let Some(execution) = Execution::of(&entity.state) else { return Ok(None) };
    let Some(summary) = ExecutionSummary::of(&execution) else { return Ok(None) };
    let referenced = ReferencedEntities::read(reader, [summary.owners()]).await?;
    let error = match execution.status {
        ExecutionState::Failed(error) => Some(error),
        ExecutionState::Running | ExecutionState::Success { .. } => None,
    };
    Ok(Some(ExecutionDetail {
        row: executions::row(request.id, &summary, &referenced),
        user_id: execution.user_id,
        error_type: error.map(|error| error.error_type.as_str().to_owned()),
        error_message: error.map(|error| error.error_message.as_str().to_owned()),
        retry_count: error.map(|error| error.retry_count.0),
        will_retry: error.map(|error| error.will_retry),
        history: history(
            |register| entity.state.winner(register),
            &[(Register::State, &decided(&execution.status))],
        ),
    }))
}

/// The fields that the event of a status decides: those that are not null, and not another entity's.
fn decided(status: &ExecutionState<'_>) -> Vec<&'static str> {
    match status {
        ExecutionState::Running => ALWAYS.to_vec(),
        ExecutionState::Success { .. } => [&ALWAYS[..], &ENDED, &SUCCEEDED].concat(),
        ExecutionState::Failed(_) => [&ALWAYS[..], &ENDED, &FAILED].concat(),
    }
}
