//! POST /admin/users/deactivate: bars several users, each by itself.

use torale_domain::changes::{AllDeactivated, SomeUsers};
use torale_platform::error::AdminError;
use torale_platform::serve::{Change, Changing, Endpoint, HttpMethod};

/// The endpoint.
#[derive(Debug)]
pub struct DeactivateUsers;

impl Change for DeactivateUsers {
    const ENDPOINT: Endpoint = Endpoint {
        method: HttpMethod::POST,
        path: "/admin/users/deactivate",
        action: "users.deactivate_many",
    };
    type Input = SomeUsers;
    type Answer = AllDeactivated;

    async fn handle(changing: &Changing<'_>, users: SomeUsers) -> Result<AllDeactivated, AdminError> {
        changing.deactivate_all(users).await
    }
}
