//! PATCH /admin/users/{id}/reactivate: a user may use the platform again.

use torale_domain::requests::changes::{ReactivateUserAnswer, UserIdRequest};
use torale_platform::error::AdminError;
use torale_platform::serve::{Change, ChangeContext, Endpoint, HttpMethod};

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
        changing: &ChangeContext<'_>,
        user: UserIdRequest,
    ) -> Result<ReactivateUserAnswer, AdminError> {
        changing.reactivate(user).await
    }
}
