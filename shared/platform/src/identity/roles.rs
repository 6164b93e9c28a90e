//! Where a user's role comes from.

use super::backend::Backend;
use super::provider::Trouble;
use torale_domain::auth::Asker;

/// The one authority on roles.
#[derive(Debug)]
pub(super) enum Roles {
    /// The projections.
    Projection,
    /// The identity provider, asked on every request.
    Clerk(Backend),
}

impl Roles {
    /// The role that counts now.
    pub(super) async fn role(&self, asker: &Asker) -> Result<Option<String>, Trouble> {
        match self {
            Self::Projection => Ok(asker.role.clone()),
            Self::Clerk(backend) => backend.role(&asker.clerk_user_id).await,
        }
    }
}
