//! GET /admin/errors: what failed in the last hours, and how.

use torale_domain::pages::errors;
use torale_platform::error::AdminError;
use torale_platform::serve::{Endpoint, Handler, HttpMethod, RequestContext};

/// The endpoint.
#[derive(Debug)]
pub struct Errors;

impl Handler for Errors {
    const ENDPOINT: Endpoint =
        Endpoint { method: HttpMethod::GET, path: "/admin/errors", action: "errors.list" };
    type Parameters = errors::ErrorsQuery;
    type Answer = errors::ErrorsPage;

    async fn handle(call: &RequestContext<'_>, query: &Self::Parameters) -> Result<Self::Answer, AdminError> {
        Ok(errors::answer(call.reader, query, call.now).await?)
    }
}
