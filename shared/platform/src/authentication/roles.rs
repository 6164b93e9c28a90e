//! Where a user's role comes from.

use super::backend::ClerkBackend;
use super::misconfigured::IdentityProviderMisconfigured;
use crate::config::IdentityProviderSettings;
use crate::error::IdentityProviderError;
use torale_domain::access::credentials::Caller;

/// The one source of roles.
#[derive(Debug)]
pub(super) enum RoleSource {
    /// The projections.
    Projection,
    /// Clerk's Backend API, which is called on every request.
    Clerk(ClerkBackend),
}

impl RoleSource {
    /// The source that the settings name.
    pub(super) fn new(settings: &IdentityProviderSettings) -> Result<Self, IdentityProviderMisconfigured> {
        match settings.role_source.as_str() {
            "projection" => Ok(Self::Projection),
            "clerk" => Ok(Self::Clerk(ClerkBackend::new(settings)?)),
            _neither => Err(IdentityProviderMisconfigured::RoleSource),
        }
    }

    /// The caller's current role.
    pub(super) async fn role(&self, caller: &Caller) -> Result<Option<String>, IdentityProviderError> {
        match self {
            Self::Projection => Ok(caller.role.clone()),
            Self::Clerk(backend) => backend.role(&caller.clerk_user_id).await,
        }
    }
}
