//! GET /admin/users: one page of users with their activity.

use torale_domain::pages::users;
use torale_platform::error::AdminError;
use torale_platform::serve::{Endpoint, Handler, HttpMethod, RequestContext};

/// The endpoint.
#[derive(Debug)]
pub struct Users;

impl Handler for Users {
    const ENDPOINT: Endpoint =
        Endpoint { method: HttpMethod::GET, path: "/admin/users", action: "users.list" };
    type Parameters = users::UsersParameters;
    type Answer = users::UsersPage;

    async fn handle(
        context: &RequestContext<'_>,
        query: &Self::Parameters,
    ) -> Result<Self::Answer, AdminError> {
        Ok(users::answer(context.reader, query, context.now).await?)
    }
}
