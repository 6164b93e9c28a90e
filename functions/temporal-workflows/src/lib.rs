//! GET /admin/temporal/workflows: the workflow runs of the last 24 hours.

use torale_domain::pages::workflows;
use torale_platform::error::AdminError;
use torale_platform::serve::{Endpoint, Handler, HttpMethod, RequestContext};

/// The endpoint.
#[derive(Debug)]
pub struct Workflows;

impl Handler for Workflows {
    const ENDPOINT: Endpoint =
        Endpoint { method: HttpMethod::GET, path: "/admin/temporal/workflows", action: "workflows.list" };
    type Parameters = workflows::WorkflowsParameters;
    type Answer = workflows::WorkflowsPage;

    async fn handle(
        context: &RequestContext<'_>,
        query: &Self::Parameters,
    ) -> Result<Self::Answer, AdminError> {
        Ok(workflows::answer(context.reader, query, context.now, context.temporal_ui).await?)
    }
}
