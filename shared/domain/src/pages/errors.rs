//! GET /admin/errors: the executions that failed in the last hours, newest failure first, and
//! their types (docs/contract/http.md, "GET /admin/errors").

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
use serde::{Serialize, Serializer};
use std::collections::BTreeMap;

/// The parameters of the request.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct ErrorsQuery {
    hours: u64,
    #[serde(flatten)]
    page: PageRequest,
}

impl QueryParameters for ErrorsQuery {
    fn read(params: &mut ParameterReader) -> Self {
        let hours = params.integer(&HOURS);
        let page = params.page(&LIMIT);
        Self { hours, page }
    }
}

/// The answer.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ErrorsPage {
    /// The failures on the page, newest first.
    pub errors: Vec<ErrorRow>,
    /// Failed executions on all pages.
    pub total: i128,
    /// The number of them by error type, the greatest number first.
    #[serde(serialize_with = "in_order")]
    #[schemars(with = "BTreeMap<String, i128>")]
    pub error_types: Vec<(String, i128)>,
}

/// One failure.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ErrorRow {
    /// The id of the execution.
    pub execution_id: ExecutionId,
    /// The id of its task.
    pub task_id: TaskId,
    /// The email of its user today; null while no event has stated it.
    pub user_email: Option<String>,
    /// The query of its task today; null while no event has stated it.
    pub search_query: Option<String>,
    /// The first 2,000 characters of the error message.
    pub error_message: String,
    /// The type of the error.
    pub error_type: String,
    /// How often the execution has been retried.
    pub retry_count: u64,
    /// Whether the execution will be retried.
    pub will_retry: bool,
    /// When it failed.
    pub occurred_at: Timestamp,
}

/// Serialises pairs as an object whose names keep their order.
fn in_order<S: Serializer>(pairs: &[(String, i128)], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(pairs.iter().map(|(name, count)| (name, count)))
}

/// Three round trips near the top, at most five anywhere else.
///
/// # Errors
/// If the store does not answer, or an item cannot be interpreted.
pub async fn answer<R: Reader>(
    reader: &R,
    query: &ErrorsQuery,
    now: Timestamp,
) -> Result<ErrorsPage, R::Error> {
    let request = ListRequest {
        index: Index::Errors,
        partitions: &[StatusPartition::All],
        since: Some(last_hours(now, query.hours)),
        page: query.page,
        consistent: false,
    };
    let recent = recent::read(reader, &request, row).await?;
    Ok(ErrorsPage {
        errors: recent.rows,
        total: recent.total,
        error_types: most_first(recent.timeline.tags()),
    })
}

/// Error types with their counts, the greatest count first; equal counts by name.
fn most_first(types: &BTreeMap<String, i128>) -> Vec<(String, i128)> {
    let mut types: Vec<_> =
        types.iter().filter(|(_, n)| **n > 0).map(|(name, n)| (name.clone(), *n)).collect();
    types.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    types
}

/// The row of an execution. `None` if it has succeeded on a retry since its row was read.
fn row(id: ExecutionId, execution: &Execution<'_>, names: &DisplayNames) -> Option<ErrorRow> {
    let (ExecutionState::Failed(error), Some(occurred_at)) = (execution.status, execution.completed_at)
    else {
        return None;
    };
    Some(ErrorRow {
        execution_id: id,
        task_id: execution.task_id,
        user_email: names.email(execution.user_id),
        search_query: names.query(execution.task_id),
        error_message: error.error_message.as_str().to_owned(),
        error_type: error.error_type.as_str().to_owned(),
        retry_count: error.retry_count.0,
        will_retry: error.will_retry,
        occurred_at,
    })
}
