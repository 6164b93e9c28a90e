//! Barring users at Clerk.

use std::future::Future;
use torale_domain::values::ids::ClerkUserId;
use torale_platform::identity::{
    ClerkBackend, IdentityMisconfigured, IdentityProviderError, IdentitySettings,
};

/// Why a user is not known to be barred.
#[derive(Debug, thiserror::Error)]
pub enum ClerkError {
    /// Clerk can't be asked at all.
    #[error(transparent)]
    IdentityMisconfigured(#[from] IdentityMisconfigured),
    /// Clerk has not confirmed it. A 429 or a 5xx may be another answer when the message comes again.
    #[error(transparent)]
    IdentityProviderError(#[from] IdentityProviderError),
}

/// Bars users' logins.
pub trait BanUsers: Sync {
    /// Bars a user's login and ends its sessions, however often it is called; `false` if there is no such user.
    fn ban(&self, user: &ClerkUserId) -> impl Future<Output = Result<bool, ClerkError>> + Send;
}

/// Clerk itself. Without good settings every ban fails, and other commands don't suffer.
#[derive(Debug)]
pub struct ClerkBans(Result<ClerkBackend, IdentityMisconfigured>);

impl ClerkBans {
    /// As the settings say.
    pub fn new(settings: &IdentitySettings) -> Self {
        Self(ClerkBackend::new(settings))
    }
}

impl BanUsers for ClerkBans {
    async fn ban(&self, user: &ClerkUserId) -> Result<bool, ClerkError> {
        let backend = self.0.as_ref().map_err(|misconfigured| *misconfigured)?;
        Ok(backend.ban(user).await?)
    }
}
