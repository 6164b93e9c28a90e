//! GET /admin/errors: the executions that failed in the last hours, newest failure first, and
//! their types (docs/contract/http.md, "GET /admin/errors").

use super::execution_list::{self, ExecutionListPage};
use super::list_parameters::{HOURS, LIMIT, last_hours};
use super::listing::{ListRequest, RowContent};
use crate::projections::entity::Entity;
use crate::projections::index::{Timeline, Window};
use crate::projections::summary::{ErrorSummary, Owners};
use crate::requests::parameters::{PageRequest, ParameterReader, QueryParameters, RecordedText};
use crate::storage::keys::{self, FilteredIndex, Index, IndexFilter, StatusPartition};
use crate::storage::read::{ReadPlan, Reader};
use crate::values::ids::{EntityKey, ExecutionId, TaskId};
use crate::values::time::Timestamp;
use schemars::JsonSchema;
use serde::{Serialize, Serializer};
use std::cmp::Reverse;
use std::collections::BTreeMap;

/// The parameters of the request.
#[derive(Debug, Clone, Serialize)]
pub struct ErrorsParameters {
    #[serde(skip_serializing_if = "Option::is_none")]
    error_type: Option<RecordedText>,
    #[serde(skip_serializing_if = "Option::is_none")]
    task_id: Option<TaskId>,
    hours: u64,
    #[serde(flatten)]
    page: PageRequest,
}

impl QueryParameters for ErrorsParameters {
    fn read(params: &mut ParameterReader) -> Self {
        let error_type = params.error_type("error_type", "Only failures with exactly this error type.");
        let task_id = params.task("task_id", "Only failures of this task.");
        let hours = params.integer(&HOURS);
        let page = params.page(&LIMIT);
        Self { error_type, task_id, hours, page }
    }
}

impl ErrorsParameters {
    /// Whether an error is of the requested type.
    fn wants(&self, error: &ErrorSummary) -> bool {
        self.error_type.as_ref().is_none_or(|wanted| wanted.text == error.error_type)
    }
}

/// The answer.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ErrorsPage {
    /// The failures on the page, newest first.
    pub errors: Vec<ErrorRow>,
    /// Failed executions on all pages.
    pub total: i128,
    /// The number of failures in the whole window by error type, whatever the filters; the greatest
    /// number first.
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

/// Two round trips near the top, at most five anywhere else, and there one more while rows move; one more if an earlier
/// release has written rows of the page. The errors of one task: four, and one more for each further thousand of its
/// executions.
///
/// # Errors
/// If the store does not answer, or an item cannot be interpreted.
pub async fn answer<R: Reader>(
    reader: &R,
    query: &ErrorsParameters,
    now: Timestamp,
) -> Result<ErrorsPage, R::Error> {
    let since = last_hours(now, query.hours);
    if let Some(task) = query.task_id {
        return of_task(reader, query, task, (since, now)).await;
    }
    let filter = match &query.error_type {
        Some(error_type) => IndexFilter::ErrorType(&error_type.text),
        None => IndexFilter::Whole,
    };
    let request = ListRequest {
        list: FilteredIndex { index: Index::Errors, filter },
        partitions: &[StatusPartition::All],
        since: Some(since),
        now,
        page: query.page,
        consistent: false,
        rows: RowContent::Summaries,
    };
    let wanted = |error: &ErrorSummary| query.wants(error);
    let found = execution_list::read_execution_list(reader, &request, wanted).await?;
    Ok(ErrorsPage {
        errors: page_rows(found.page),
        total: found.total,
        error_types: most_first(found.timeline.tags()),
    })
}

/// The errors of one task: four round trips, one more for each further thousand of its executions.
/// Reads the task's executions from the window's start less the time of its slowest failure, at most
/// twice that, and keeps those that failed in the window.
async fn of_task<R: Reader>(
    reader: &R,
    query: &ErrorsParameters,
    task: TaskId,
    (since, now): (Timestamp, Timestamp),
) -> Result<ErrorsPage, R::Error> {
    let key = keys::entity(&EntityKey::Task(task));
    let window = Window::new(Index::Errors, reader.lanes(), Some(since), now);
    let found = reader.read(ReadPlan::gets([key.clone()]).and(window.plan())).await?;
    let error_types = most_first(Timeline::of(window, &found).tags());
    let slowest = Entity::load(found.items.get(&key))?.totals.slowest_failure();
    let Some(slowest) = slowest else { return Ok(ErrorsPage { errors: Vec::new(), total: 0, error_types }) };

    let first = Timestamp::from_millis(since.millis().saturating_sub(slowest)).max(Timestamp::EARLIEST);
    let ids = execution_list::executions_of_task(reader, task, first).await?;
    let wanted = |error: &ErrorSummary| error.occurred_at >= since && query.wants(error);
    let mut failed = Vec::new();
    // Only failures are kept in memory, however many executions there are.
    let keep = |id, error| {
        if wanted(&error) {
            failed.push((id, error));
        }
    };
    execution_list::visit_summaries(reader, &ids, keep).await?;
    failed.sort_by_key(|(id, error)| Reverse((error.occurred_at, *id)));
    let total = i128::try_from(failed.len()).unwrap_or(i128::MAX);
    let page = failed.into_iter().skip(query.page.offset()).take(query.page.rows()).collect();
    let errors = page_rows(execution_list::with_references(reader, page).await?);
    Ok(ErrorsPage { errors, total, error_types })
}

/// Error types with their counts, the greatest count first; equal counts by name.
fn most_first(types: &BTreeMap<String, i128>) -> Vec<(String, i128)> {
    let mut types: Vec<_> =
        types.iter().filter(|(_, n)| **n > 0).map(|(name, n)| (name.clone(), *n)).collect();
    types.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    types
}

fn page_rows(page: ExecutionListPage<ErrorSummary>) -> Vec<ErrorRow> {
    let ExecutionListPage { rows, referenced } = page;
    let row = |(execution_id, error): (ExecutionId, ErrorSummary)| {
        let Owners { task_id, user_id } = error.owners;
        ErrorRow {
            execution_id,
            task_id,
            user_email: referenced.email(user_id),
            search_query: referenced.search_query(task_id),
            error_message: error.error_message,
            error_type: error.error_type,
            retry_count: error.retry_count,
            will_retry: error.will_retry,
            occurred_at: error.occurred_at,
        }
    };
    rows.into_iter().map(row).collect()
}
