//! Where a user's role comes from.

use super::provider::{Provider, Trouble};
use lambda_http::http::{HeaderValue, StatusCode};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;
use serde_json::Value;
use torale_domain::auth::Asker;
use torale_domain::ids::ClerkUserId;

const IN_PATH: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_');

/// The one authority on roles.
#[derive(Debug)]
pub(super) enum Roles {
    /// The projections.
    Projection,
    /// The identity provider, asked on every request.
    Clerk(Backend),
}

/// Clerk's Backend API.
#[derive(Debug)]
pub(super) struct Backend {
    pub(super) provider: Provider,
    /// Without a slash at its end.
    pub(super) url: String,
    /// Marked as sensitive, so that it is never printed.
    pub(super) authorization: HeaderValue,
}

/// The part of Clerk's user that counts.
#[derive(Deserialize)]
struct ClerkUser {
    id: String,
    public_metadata: Option<Value>,
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

impl Backend {
    async fn role(&self, user: &ClerkUserId) -> Result<Option<String>, Trouble> {
        let url = format!("{}/v1/users/{}", self.url, utf8_percent_encode(user.as_str(), IN_PATH));
        let (status, body) = self.provider.get(&url, Some(&self.authorization)).await?;
        match status {
            StatusCode::OK => {
                let found: ClerkUser = serde_json::from_slice(&body).map_err(|_| Trouble::Unreadable)?;
                if found.id != user.as_str() {
                    return Err(Trouble::Unreadable);
                }
                let role = found.public_metadata.as_ref().and_then(|metadata| metadata.get("role"));
                Ok(role.and_then(Value::as_str).map(str::to_owned))
            }
            StatusCode::NOT_FOUND => Ok(None),
            other => Err(Trouble::Status(other)),
        }
    }
}
