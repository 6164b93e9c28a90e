//! GET /admin/executions: the executions that started in the last hours.

use torale_domain::pages::executions;
use torale_platform::error::AdminError;
use torale_platform::serve::{Endpoint, Handler, HttpMethod, RequestContext};

/// The endpoint.
#[derive(Debug)]
pub struct Executions;

impl Handler for Executions {
    const ENDPOINT: Endpoint =
        Endpoint { method: HttpMethod::GET, path: "/admin/executions", action: "executions.list" };
    type Parameters = executions::ExecutionsParameters;
    type Answer = executions::ExecutionsPage;

    async fn handle(
        context: &RequestContext<'_>,
        query: &Self::Parameters,
    ) -> Result<Self::Answer, AdminError> {
        Ok(executions::answer(context.reader, query, context.now).await?)
    }
}
