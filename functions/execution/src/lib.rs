//! GET /admin/executions/{id}: one execution, and which event says so.

use torale_domain::pages::execution;
use torale_platform::error::AdminError;
use torale_platform::serve::{Endpoint, Handler, HttpMethod, RequestContext};

/// The endpoint.
#[derive(Debug)]
pub struct ReadExecution;

impl Handler for ReadExecution {
    const ENDPOINT: Endpoint =
        Endpoint { method: HttpMethod::GET, path: "/admin/executions/{id}", action: "executions.read" };
    type Parameters = execution::ExecutionParameters;
    type Answer = execution::ExecutionDetail;

    async fn handle(
        context: &RequestContext<'_>,
        request: &Self::Parameters,
    ) -> Result<Self::Answer, AdminError> {
        execution::answer(context.reader, request).await?.ok_or(AdminError::ExecutionNotFound)
    }
}
