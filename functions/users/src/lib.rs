//! GET /admin/users: one page of users with their activity.

use torale_domain::pages::users;
use torale_platform::error::AdminError;
use torale_platform::serve::{Call, Endpoint, Handler, Method};

/// The endpoint.
#[derive(Debug)]
pub struct Users;

impl Handler for Users {
    const ENDPOINT: Endpoint = Endpoint { method: Method::GET, path: "/admin/users", action: "users.list" };
    type Answer = users::UsersPage;

    async fn handle(call: &Call<'_>) -> Result<Self::Answer, AdminError> {
        let query = users::UsersQuery::parse(call.query)?;
        Ok(users::answer(call.reader, &query, call.now).await?)
    }
}
