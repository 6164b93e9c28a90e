//! GET /admin/errors: what failed in the last hours, and how.

use torale_domain::pages::errors;
use torale_platform::error::AdminError;
use torale_platform::serve::{Call, Endpoint, Handler, HttpMethod};

/// The endpoint.
#[derive(Debug)]
pub struct Errors;

impl Handler for Errors {
    const ENDPOINT: Endpoint =
        Endpoint { method: HttpMethod::GET, path: "/admin/errors", action: "errors.list" };
    type Query = errors::ErrorsQuery;
    type Answer = errors::ErrorsPage;

    async fn handle(call: &Call<'_>, query: &Self::Query) -> Result<Self::Answer, AdminError> {
        Ok(errors::answer(call.reader, query, call.now).await?)
    }
}
