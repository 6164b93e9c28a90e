//! GET /admin/queries: every distinct search query with the totals of its tasks.

use torale_domain::pages::queries;
use torale_platform::error::AdminError;
use torale_platform::serve::{Endpoint, Handler, HttpMethod, RequestContext};

/// The endpoint.
#[derive(Debug)]
pub struct Queries;

impl Handler for Queries {
    const ENDPOINT: Endpoint =
        Endpoint { method: HttpMethod::GET, path: "/admin/queries", action: "queries.list" };
    type Parameters = queries::QueriesParameters;
    type Answer = queries::QueriesPage;

    async fn handle(
        context: &RequestContext<'_>,
        query: &Self::Parameters,
    ) -> Result<Self::Answer, AdminError> {
        Ok(queries::answer(context.reader, query).await?)
    }
}
