//! GET /admin/queries: every distinct query with what its tasks add up to.

use torale_domain::pages::queries;
use torale_platform::error::AdminError;
use torale_platform::serve::{Endpoint, Handler, HttpMethod, RequestContext};

/// The endpoint.
#[derive(Debug)]
pub struct Queries;

impl Handler for Queries {
    const ENDPOINT: Endpoint =
        Endpoint { method: HttpMethod::GET, path: "/admin/queries", action: "queries.list" };
    type Parameters = queries::QueriesQuery;
    type Answer = queries::QueriesPage;

    async fn handle(call: &RequestContext<'_>, query: &Self::Parameters) -> Result<Self::Answer, AdminError> {
        Ok(queries::answer(call.reader, query).await?)
    }
}
