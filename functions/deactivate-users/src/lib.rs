//! POST /admin/users/deactivate: bars several users, each by itself.

use torale_domain::requests::changes::{DeactivateUsersAnswer, UserIdsRequest};
use torale_platform::error::AdminError;
use torale_platform::serve::{Change, ChangeContext, Endpoint, HttpMethod};

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
        changing: &ChangeContext<'_>,
        users: UserIdsRequest,
    ) -> Result<DeactivateUsersAnswer, AdminError> {
        changing.deactivate_all(users).await
    }
}
