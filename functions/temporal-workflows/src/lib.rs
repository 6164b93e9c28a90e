//! GET /admin/temporal/workflows: the workflow runs of the last 24 hours.

use torale_domain::pages::workflows;
use torale_platform::error::AdminError;
use torale_platform::serve::{Call, Endpoint, Handler, Method};

/// The endpoint.
#[derive(Debug)]
pub struct Workflows;

impl Handler for Workflows {
    const ENDPOINT: Endpoint =
        Endpoint { method: Method::GET, path: "/admin/temporal/workflows", action: "workflows.list" };
    type Answer = workflows::WorkflowsPage;

    async fn handle(call: &Call<'_>) -> Result<Self::Answer, AdminError> {
        let query = workflows::WorkflowsQuery::parse(call.query)?;
        Ok(workflows::answer(call.reader, &query, call.now, call.temporal_ui).await?)
    }
}
