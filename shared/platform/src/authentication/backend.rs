//! Clerk's Backend API: reads a user's role, and bans a user.

use super::misconfigured::{IdentityProviderMisconfigured, trusted_url};
use super::provider::ProviderClient;
use crate::config::{self, IdentityProviderSettings};
use crate::error::IdentityProviderError;
use http::{HeaderValue, Method, StatusCode};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;
use serde_json::Value;
use torale_domain::values::ids::ClerkUserId;
use torale_domain::values::json;

const IN_PATH: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_');
/// The code of the error with which Clerk answers about a user whom it does not know.
const NO_SUCH_USER: &str = "resource_not_found";

/// A client of Clerk's Backend API.
#[derive(Debug)]
pub struct ClerkBackend {
    provider: ProviderClient,
    /// Without a trailing slash.
    url: String,
    /// Marked as sensitive, so that it is never printed.
    authorization: HeaderValue,
}

/// The fields of Clerk's user object that are read.
#[derive(Deserialize)]
struct ClerkUser {
    id: String,
    #[serde(default, deserialize_with = "json::value")]
    public_metadata: Value,
}

/// The body of Clerk's errors, as far as it is read.
#[derive(Deserialize)]
struct ClerkErrors {
    errors: Vec<ClerkErrorDetail>,
}

#[derive(Deserialize)]
struct ClerkErrorDetail {
    code: String,
}

/// Whether a 404 says that there is no such user. Any other 404 is that of a wrong address, such as a `CLERK_API_URL`
/// that ends in `/v1`, or of a proxy, and says nothing about the user.
fn is_unknown_user(body: &[u8]) -> bool {
    let errors = serde_json::from_slice::<ClerkErrors>(body);
    errors.is_ok_and(|body| body.errors.iter().any(|error| error.code == NO_SUCH_USER))
}

impl ClerkBackend {
    /// A client with the address, the secret key and the timeout of these settings.
    ///
    /// # Errors
    /// If the secret key is missing or unusable, or the address is not trusted.
    pub fn new(settings: &IdentityProviderSettings) -> Result<Self, IdentityProviderMisconfigured> {
        let secret = settings.secret_key.as_deref().ok_or(IdentityProviderMisconfigured::SecretKey)?;
        let authorization = HeaderValue::from_str(&format!("Bearer {secret}"));
        let mut authorization = authorization.map_err(|_| IdentityProviderMisconfigured::SecretKey)?;
        authorization.set_sensitive(true);
        let url = trusted_url(settings.api_url.trim_end_matches('/'), config::CLERK_API_URL)?;
        Ok(Self { provider: ProviderClient::new(settings.timeout), url, authorization })
    }

    /// The role in the user's public metadata; `None` also if Clerk does not know the user.
    pub(super) async fn role(&self, user: &ClerkUserId) -> Result<Option<String>, IdentityProviderError> {
        let (status, body) = self.send(Method::GET, user, "").await?;
        match status {
            StatusCode::OK => {
                let found: ClerkUser =
                    serde_json::from_slice(&body).map_err(|_| IdentityProviderError::UnreadableResponse)?;
                if found.id != user.as_str() {
                    return Err(IdentityProviderError::UnreadableResponse);
                }
                let role = found.public_metadata.get("role").and_then(Value::as_str);
                Ok(role.map(str::to_owned))
            }
            StatusCode::NOT_FOUND if is_unknown_user(&body) => Ok(None),
            other => Err(IdentityProviderError::Status(other)),
        }
    }

    /// Bans a user, which blocks the login and ends the user's sessions. Returns whether Clerk knows the user. Banning
    /// a user again changes nothing.
    ///
    /// # Errors
    /// If Clerk has not confirmed the ban.
    pub async fn ban(&self, user: &ClerkUserId) -> Result<bool, IdentityProviderError> {
        let (status, body) = self.send(Method::POST, user, "/ban").await?;
        match status {
            status if status.is_success() => Ok(true),
            StatusCode::NOT_FOUND if is_unknown_user(&body) => Ok(false),
            other => Err(IdentityProviderError::Status(other)),
        }
    }

    async fn send(
        &self,
        method: Method,
        user: &ClerkUserId,
        action: &str,
    ) -> Result<(StatusCode, Vec<u8>), IdentityProviderError> {
        let url = format!("{}/v1/users/{}{action}", self.url, utf8_percent_encode(user.as_str(), IN_PATH));
        self.provider.send(method, &url, Some(&self.authorization)).await
    }
}
