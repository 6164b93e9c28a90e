//! GET /admin/executions: the executions of the last hours.

use torale_domain::pages::executions;
use torale_platform::error::AdminError;
use torale_platform::serve::{Call, Endpoint, Handler, HttpMethod};

/// The endpoint.
#[derive(Debug)]
pub struct Executions;

impl Handler for Executions {
    const ENDPOINT: Endpoint =
        Endpoint { method: HttpMethod::GET, path: "/admin/executions", action: "executions.list" };
    type Query = executions::ExecutionsQuery;
    type Answer = executions::ExecutionsPage;

    async fn handle(call: &Call<'_>, query: &Self::Query) -> Result<Self::Answer, AdminError> {
        Ok(executions::answer(call.reader, query, call.now).await?)
    }
}
