//! PATCH /admin/users/{id}/reactivate: reactivates a user.

use torale_domain::requests::changes::{ReactivateUserAnswer, UserIdRequest};
use torale_platform::error::AdminError;
use torale_platform::serve::{Change, ChangeContext, ChangeOutcome, Endpoint, HttpMethod};

/// The endpoint.
#[derive(Debug)]
pub struct ReactivateUser;

impl Change for ReactivateUser {
    const ENDPOINT: Endpoint = Endpoint {
        method: HttpMethod::PATCH,
        path: "/admin/users/{id}/reactivate",
        action: "users.reactivate",
    };
    type Request = UserIdRequest;
    type Answer = ReactivateUserAnswer;

    async fn handle(
        context: &ChangeContext<'_>,
        user: UserIdRequest,
    ) -> Result<ChangeOutcome<ReactivateUserAnswer>, AdminError> {
        context.reactivate(user).await
    }
}
