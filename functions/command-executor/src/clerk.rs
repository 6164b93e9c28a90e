//! Bans users at Clerk.

use std::future::Future;
use torale_domain::values::ids::ClerkUserId;
use torale_platform::authentication::{
    ClerkBackend, IdentityProviderError, IdentityProviderMisconfigured, IdentityProviderSettings,
};

/// Why a ban is not confirmed.
#[derive(Debug, thiserror::Error)]
pub enum ClerkError {
    /// The settings of Clerk's Backend API are invalid.
    #[error(transparent)]
    IdentityProviderMisconfigured(#[from] IdentityProviderMisconfigured),
    /// Clerk has not confirmed the ban. After a 429 or a 5xx, a retry may succeed.
    #[error(transparent)]
    IdentityProviderError(#[from] IdentityProviderError),
}

/// Bans users.
pub trait BanUsers: Sync {
    /// Bans a user, which blocks the login and ends the user's sessions. Returns whether the user exists. It may be
    /// repeated.
    fn ban(&self, user: &ClerkUserId) -> impl Future<Output = Result<bool, ClerkError>> + Send;
}

/// Bans users by Clerk's Backend API. With invalid settings every ban fails, but other commands are executed.
#[derive(Debug)]
pub struct ClerkBans(Result<ClerkBackend, IdentityProviderMisconfigured>);

impl ClerkBans {
    /// A client with these settings.
    pub fn new(settings: &IdentityProviderSettings) -> Self {
        Self(ClerkBackend::new(settings))
    }
}

impl BanUsers for ClerkBans {
    async fn ban(&self, user: &ClerkUserId) -> Result<bool, ClerkError> {
        let backend = self.0.as_ref().map_err(|misconfigured| *misconfigured)?;
        Ok(backend.ban(user).await?)
    }
}
