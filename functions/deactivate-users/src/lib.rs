//! POST /admin/users/deactivate: deactivates several users, each independently of the others.

use torale_domain::requests::changes::{DeactivateUsersAnswer, UserIdsRequest};
use torale_platform::error::AdminError;
use torale_platform::serve::{Change, ChangeContext, ChangeOutcome, Endpoint, HttpMethod};

/// The endpoint.
#[derive(Debug)]
pub struct DeactivateUsers;

impl Change for DeactivateUsers {
    const ENDPOINT: Endpoint = Endpoint {
        method: HttpMethod::POST,
        path: "/admin/users/deactivate",
        action: "users.deactivate_many",
    };
    type Request = UserIdsRequest;
    type Answer = DeactivateUsersAnswer;

    async fn handle(
        context: &ChangeContext<'_>,
        users: UserIdsRequest,
    ) -> Result<ChangeOutcome<DeactivateUsersAnswer>, AdminError> {
        context.deactivate_all(users).await
    }
}
