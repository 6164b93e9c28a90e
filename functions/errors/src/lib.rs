//! GET /admin/errors: what failed in the last hours, and how.

use torale_domain::pages::errors;
use torale_platform::error::AdminError;
use torale_platform::serve::{Call, Endpoint, Handler, Method};

/// The endpoint.
#[derive(Debug)]
pub struct Errors;

impl Handler for Errors {
    const ENDPOINT: Endpoint = Endpoint { method: Method::GET, path: "/admin/errors", action: "errors.list" };
    type Answer = errors::ErrorsPage;

    async fn handle(call: &Call<'_>) -> Result<Self::Answer, AdminError> {
        let query = errors::ErrorsQuery::parse(call.query)?;
        Ok(errors::answer(call.reader, &query, call.now).await?)
    }
}
