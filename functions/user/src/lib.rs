//! GET /admin/users/{id}: one user with their API keys and their deactivation, and which events say so.

use torale_domain::pages::user;
use torale_platform::error::AdminError;
use torale_platform::serve::{Endpoint, Handler, HttpMethod, RequestContext};

/// The endpoint.
#[derive(Debug)]
pub struct ReadUser;

impl Handler for ReadUser {
    const ENDPOINT: Endpoint =
        Endpoint { method: HttpMethod::GET, path: "/admin/users/{id}", action: "users.read" };
    type Parameters = user::UserParameters;
    type Answer = user::UserDetail;

    async fn handle(
        context: &RequestContext<'_>,
        request: &Self::Parameters,
    ) -> Result<Self::Answer, AdminError> {
        let found = user::answer(context.reader, context.control, request, context.now).await?;
        found.ok_or(AdminError::UserNotFound)
    }
}
