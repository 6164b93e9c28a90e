//! PATCH /admin/users/{id}/reactivate: a user may use the platform again.

use torale_domain::changes::{OneUser, Reactivated};
use torale_platform::error::AdminError;
use torale_platform::serve::{Change, Changing, Endpoint, HttpMethod};

/// The endpoint.
#[derive(Debug)]
pub struct ReactivateUser;

impl Change for ReactivateUser {
    const ENDPOINT: Endpoint = Endpoint {
        method: HttpMethod::PATCH,
        path: "/admin/users/{id}/reactivate",
        action: "users.reactivate",
    };
    type Input = OneUser;
    type Answer = Reactivated;

    async fn handle(changing: &Changing<'_>, user: OneUser) -> Result<Reactivated, AdminError> {
        changing.reactivate(user).await
    }
}
