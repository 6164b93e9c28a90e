//! Where a user's role comes from.

use super::backend::ClerkBackend;
use super::provider::IdentityProviderError;
use torale_domain::access::credentials::Caller;

/// The one authority on roles.
#[derive(Debug)]
pub(super) enum RoleSource {
    /// The projections.
    Projection,
    /// The identity provider, asked on every request.
    Clerk(ClerkBackend),
}

impl RoleSource {
    /// The role that counts now.
    pub(super) async fn role(&self, caller: &Caller) -> Result<Option<String>, IdentityProviderError> {
        match self {
            Self::Projection => Ok(caller.role.clone()),
            Self::Clerk(backend) => backend.role(&caller.clerk_user_id).await,
        }
    }
}
