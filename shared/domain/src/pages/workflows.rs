//! GET /admin/temporal/workflows: the workflow runs that began in the last 24 hours, newest first
//! (docs/contract/http.md, "GET /admin/temporal/workflows").

use super::list_parameters::{LIMIT, last_hours};
use super::listing::{ListRequest, RowContent};
use super::referenced_entities::{keys_of, read_listed};
use super::temporal_ui::TemporalUi;
use crate::entities::readings::Run;
use crate::projections::entity::Entity;
use crate::projections::views;
use crate::requests::parameters::{PageRequest, ParameterReader, QueryParameters};
use crate::storage::keys::{Index, StatusPartition};
use crate::storage::read::Reader;
use crate::values::time::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

/// The parameters of the request.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct WorkflowsParameters {
    #[serde(flatten)]
    page: PageRequest,
}

impl QueryParameters for WorkflowsParameters {
    fn read(params: &mut ParameterReader) -> Self {
        let page = params.page(&LIMIT);
        Self { page }
    }
}

/// The answer.
#[derive(Debug, Serialize, JsonSchema)]
pub struct WorkflowsPage {
    /// The runs on the page, newest first.
    pub workflows: Vec<WorkflowRow>,
    /// Runs on all pages.
    pub total: i128,
}

/// One run.
#[derive(Debug, Serialize, JsonSchema)]
pub struct WorkflowRow {
    /// The id of the workflow.
    pub workflow_id: String,
    /// The type of the workflow.
    pub workflow_type: String,
    /// The status of the run: `RUNNING`, `COMPLETED`, `FAILED`, `CANCELED`, `TERMINATED`, `CONTINUED_AS_NEW`,
    /// `TIMED_OUT`, or one that Temporal adds later.
    pub status: String,
    /// When it began.
    pub start_time: Timestamp,
    /// When it ended; null while it runs.
    pub close_time: Option<Timestamp>,
    /// How long it took, in milliseconds; null while it runs.
    pub execution_duration_ms: Option<i64>,
    /// Its page in Temporal's web interface.
    pub temporal_ui_url: String,
}

/// How many hours the list reaches back.
const WINDOW_HOURS: u64 = 24;

/// Two round trips near the top, at most five anywhere else, six in a crowded minute, and there one more while rows
/// move.
///
/// # Errors
/// If the store does not answer, or an item cannot be interpreted.
pub async fn answer<R: Reader>(
    reader: &R,
    query: &WorkflowsParameters,
    now: Timestamp,
    ui: &TemporalUi,
) -> Result<WorkflowsPage, R::Error> {
    let request = ListRequest {
        list: Index::Workflows.into(),
        partitions: &[StatusPartition::All],
        since: Some(last_hours(now, WINDOW_HOURS)),
        now,
        page: query.page,
        consistent: false,
        rows: RowContent::References(&[views::OF]),
    };
    let listed = request.read(reader).await?;
    let rows = read_listed(reader, &keys_of(&listed.rows), |entity| row(entity, ui)).await?;
    Ok(WorkflowsPage { workflows: rows.into_iter().map(|(_, row)| row).collect(), total: listed.total })
}

fn row(entity: &Entity, ui: &TemporalUi) -> Option<WorkflowRow> {
    let run = Run::of(&entity.state)?;
    let (workflow, id) = (run.workflow_id.as_str(), run.run_id.as_str());
    Some(WorkflowRow {
        workflow_id: workflow.to_owned(),
        workflow_type: run.workflow_type.to_owned(),
        status: run.status.to_owned(),
        start_time: run.start_time,
        close_time: run.close_time,
        execution_duration_ms: run
            .close_time
            .map(|closed| (closed.millis() - run.start_time.millis()).max(0)),
        temporal_ui_url: ui.page(&["workflows", workflow, id, "history"]),
    })
}
