//! GET /admin/temporal/workflows: the workflow runs of the last 24 hours.

use torale_domain::pages::workflows;
use torale_platform::error::AdminError;
use torale_platform::serve::{Call, Endpoint, Handler, HttpMethod};

/// The endpoint.
#[derive(Debug)]
pub struct Workflows;

impl Handler for Workflows {
    const ENDPOINT: Endpoint =
        Endpoint { method: HttpMethod::GET, path: "/admin/temporal/workflows", action: "workflows.list" };
    type Query = workflows::WorkflowsQuery;
    type Answer = workflows::WorkflowsPage;

    async fn handle(call: &Call<'_>, query: &Self::Query) -> Result<Self::Answer, AdminError> {
        Ok(workflows::answer(call.reader, query, call.now, call.temporal_ui).await?)
    }
}
