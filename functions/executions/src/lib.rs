//! GET /admin/executions: the executions of the last hours.

use torale_domain::pages::executions;
use torale_platform::error::AdminError;
use torale_platform::serve::{Call, Endpoint, Handler, Method};

/// The endpoint.
#[derive(Debug)]
pub struct Executions;

impl Handler for Executions {
    const ENDPOINT: Endpoint =
        Endpoint { method: Method::GET, path: "/admin/executions", action: "executions.list" };
    type Answer = executions::ExecutionsPage;

    async fn handle(call: &Call<'_>) -> Result<Self::Answer, AdminError> {
        let query = executions::ExecutionsQuery::parse(call.query)?;
        Ok(executions::answer(call.reader, &query, call.now).await?)
    }
}
