//! Barring users at Clerk.

use std::future::Future;
use torale_domain::ids::ClerkUserId;
use torale_platform::identity::{Backend, Misconfigured, Settings, Trouble};

/// Why a user is not known to be barred.
#[derive(Debug, thiserror::Error)]
pub enum ClerkError {
    /// Clerk can't be asked at all.
    #[error(transparent)]
    Misconfigured(#[from] Misconfigured),
    /// Clerk has not confirmed it. A 429 or a 5xx may be another answer when the message comes again.
    #[error(transparent)]
    Trouble(#[from] Trouble),
}

/// Bars users' logins.
pub trait Ban: Sync {
    /// Bars a user's login and ends its sessions, however often it is called; `false` if there is no such user.
    fn ban(&self, user: &ClerkUserId) -> impl Future<Output = Result<bool, ClerkError>> + Send;
}

/// Clerk itself. Without good settings every ban fails, and other commands don't suffer.
#[derive(Debug)]
pub struct Clerk(Result<Backend, Misconfigured>);

impl Clerk {
    /// As the settings say.
    pub fn new(settings: &Settings) -> Self {
        Self(Backend::new(settings))
    }
}

impl Ban for Clerk {
    async fn ban(&self, user: &ClerkUserId) -> Result<bool, ClerkError> {
        let backend = self.0.as_ref().map_err(|misconfigured| *misconfigured)?;
        Ok(backend.ban(user).await?)
    }
}
