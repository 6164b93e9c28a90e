//! GET /admin/errors: the executions that failed in the last hours.

use torale_domain::pages::errors;
use torale_platform::error::AdminError;
use torale_platform::serve::{Endpoint, Handler, HttpMethod, RequestContext};

/// The endpoint.
#[derive(Debug)]
pub struct Errors;

impl Handler for Errors {
    const ENDPOINT: Endpoint =
        Endpoint { method: HttpMethod::GET, path: "/admin/errors", action: "errors.list" };
    type Parameters = errors::ErrorsParameters;
    type Answer = errors::ErrorsPage;

    async fn handle(
        context: &RequestContext<'_>,
        query: &Self::Parameters,
    ) -> Result<Self::Answer, AdminError> {
        Ok(errors::answer(context.reader, query, context.now).await?)
    }
}
