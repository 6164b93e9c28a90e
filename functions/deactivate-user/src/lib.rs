//! PATCH /admin/users/{id}/deactivate: deactivates a user and sends commands that pause their tasks, revoke their API
//! keys and block their login.

use torale_domain::requests::changes::{DeactivateUserAnswer, UserIdRequest};
use torale_platform::error::AdminError;
use torale_platform::serve::{Change, ChangeContext, ChangeOutcome, Endpoint, HttpMethod};

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
        context: &ChangeContext<'_>,
        user: UserIdRequest,
    ) -> Result<ChangeOutcome<DeactivateUserAnswer>, AdminError> {
        context.deactivate(user).await
    }
}
