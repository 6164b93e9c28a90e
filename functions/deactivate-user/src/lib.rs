//! PATCH /admin/users/{id}/deactivate: bars a user, and orders that its tasks, keys and login stop.

use torale_domain::changes::{Deactivated, OneUser};
use torale_platform::error::AdminError;
use torale_platform::serve::{Change, Changing, Endpoint, HttpMethod};

/// The endpoint.
#[derive(Debug)]
pub struct DeactivateUser;

impl Change for DeactivateUser {
    const ENDPOINT: Endpoint = Endpoint {
        method: HttpMethod::PATCH,
        path: "/admin/users/{id}/deactivate",
        action: "users.deactivate",
    };
    type Input = OneUser;
    type Answer = Deactivated;

    async fn handle(changing: &Changing<'_>, user: OneUser) -> Result<Deactivated, AdminError> {
        changing.deactivate(user).await
    }
}
