//! PATCH /admin/users/{id}/deactivate: bars a user, and orders that its tasks, keys and login stop.

use torale_domain::requests::changes::{DeactivateUserAnswer, UserIdRequest};
use torale_platform::error::AdminError;
use torale_platform::serve::{Change, ChangeContext, Endpoint, HttpMethod};

/// The endpoint.
#[derive(Debug)]
pub struct DeactivateUser;

impl Change for DeactivateUser {
    const ENDPOINT: Endpoint = Endpoint {
        method: HttpMethod::PATCH,
        path: "/admin/users/{id}/deactivate",
        action: "users.deactivate",
    };
    type Request = UserIdRequest;
    type Answer = DeactivateUserAnswer;

    async fn handle(
        changing: &ChangeContext<'_>,
        user: UserIdRequest,
    ) -> Result<DeactivateUserAnswer, AdminError> {
        changing.deactivate(user).await
    }
}
