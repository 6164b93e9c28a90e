//! GET /admin/queries: every distinct query with what its tasks add up to.

use torale_domain::pages::queries;
use torale_platform::error::AdminError;
use torale_platform::serve::{Call, Endpoint, Handler, Method};

/// The endpoint.
#[derive(Debug)]
pub struct Queries;

impl Handler for Queries {
    const ENDPOINT: Endpoint =
        Endpoint { method: Method::GET, path: "/admin/queries", action: "queries.list" };
    type Answer = queries::QueriesPage;

    async fn handle(call: &Call<'_>) -> Result<Self::Answer, AdminError> {
        let query = queries::QueriesQuery::parse(call.query)?;
        Ok(queries::answer(call.reader, &query).await?)
    }
}
