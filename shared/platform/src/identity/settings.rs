//! How an instance identifies who asks, as the environment says.

use super::Identity;
use super::backend::ClerkBackend;
use super::jwks::KeyCache;
use super::provider::ProviderClient;
use super::roles::RoleSource;
use super::session::{SessionKeys, SessionVerifier};
use crate::config;
use jsonwebtoken::DecodingKey;
use std::sync::Arc;
use std::time::Duration;
use torale_domain::access::session::SessionRules;

/// What can be set. The default admits API keys only.
pub struct IdentitySettings {
    /// The instance's issuer; without it there are no session tokens.
    pub issuer: Option<String>,
    /// Where its key set is.
    pub jwks_url: Option<String>,
    /// Its one key as PEM, instead of the key set.
    pub jwt_key: Option<String>,
    /// The origins that tokens must be made for; any without it.
    pub authorized_parties: Option<Vec<String>>,
    /// Clerk's Backend API.
    pub api_url: String,
    /// The secret key for it.
    pub secret_key: Option<String>,
    /// Where roles come from: `projection` or `clerk`.
    pub role_source: String,
    /// Longest time for one answer of the identity provider.
    pub timeout: Duration,
}

impl Default for IdentitySettings {
    fn default() -> Self {
        Self {
            issuer: None,
            jwks_url: None,
            jwt_key: None,
            authorized_parties: None,
            api_url: "https://api.clerk.com".to_owned(),
            secret_key: None,
            role_source: "projection".to_owned(),
            timeout: config::IDENTITY_TIMEOUT,
        }
    }
}

/// Settings that can't be meant. A function that finds them does not start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum IdentityMisconfigured {
    /// An issuer without keys.
    #[error("CLERK_ISSUER needs CLERK_JWKS_URL or CLERK_JWT_KEY")]
    NoKeys,
    /// A key that no signature can be checked with.
    #[error("CLERK_JWT_KEY is not the PEM of an RSA public key of 2,048 bits or more")]
    Key,
    /// An address whose answers anyone could forge.
    #[error("{0} is not an https address")]
    Address(&'static str),
    /// A list without entries.
    #[error("CLERK_AUTHORIZED_PARTIES is set but names none")]
    NoParties,
    /// Neither of the sources.
    #[error("ROLE_SOURCE is neither projection nor clerk")]
    RoleSource,
    /// No secret key, or one that can't be sent.
    #[error("Clerk's Backend API needs a CLERK_SECRET_KEY")]
    SecretKey,
}

impl Identity {
    /// As the settings say.
    pub fn new(settings: &IdentitySettings) -> Result<Self, IdentityMisconfigured> {
        Ok(Self { sessions: sessions(settings)?, roles: roles(settings)? })
    }
}

fn sessions(settings: &IdentitySettings) -> Result<Option<SessionVerifier>, IdentityMisconfigured> {
    let Some(issuer) = settings.issuer.clone() else { return Ok(None) };
    if settings.authorized_parties.as_ref().is_some_and(Vec::is_empty) {
        return Err(IdentityMisconfigured::NoParties);
    }
    let keys = match (&settings.jwt_key, &settings.jwks_url) {
        (Some(pem), _) => SessionKeys::Given(Arc::new(given(pem)?)),
        (None, Some(url)) => {
            let url = trusted(url, config::CLERK_JWKS_URL)?;
            SessionKeys::Fetched(KeyCache::new(ProviderClient::new(settings.timeout), url))
        }
        (None, None) => return Err(IdentityMisconfigured::NoKeys),
    };
    let authorized_parties = settings.authorized_parties.clone().unwrap_or_default();
    Ok(Some(SessionVerifier { rules: SessionRules { issuer, authorized_parties }, keys }))
}

fn roles(settings: &IdentitySettings) -> Result<RoleSource, IdentityMisconfigured> {
    match settings.role_source.as_str() {
        "projection" => Ok(RoleSource::Projection),
        "clerk" => Ok(RoleSource::Clerk(ClerkBackend::new(settings)?)),
        _neither => Err(IdentityMisconfigured::RoleSource),
    }
}

/// An address whose answers come from where it says: over TLS, or from this machine.
pub(super) fn trusted(url: &str, variable: &'static str) -> Result<String, IdentityMisconfigured> {
    let trusted = ["https://", "http://127.0.0.1:", "http://localhost:"];
    let trusted = trusted.iter().any(|prefix| url.starts_with(prefix)) && !url.contains('@');
    if trusted { Ok(url.to_owned()) } else { Err(IdentityMisconfigured::Address(variable)) }
}

/// A public key given as PEM; line breaks may be written as `\n`, as in an environment file.
fn given(pem: &str) -> Result<DecodingKey, IdentityMisconfigured> {
    let key = DecodingKey::from_rsa_pem(pem.replace("\\n", "\n").as_bytes())
        .map_err(|_| IdentityMisconfigured::Key)?;
    // The verification itself refuses weak keys: this tells before there is a token.
    let strong = key.try_get_as_bytes().is_ok_and(|der| der.len() >= 2048 / 8);
    if strong && pem.contains("PUBLIC KEY") { Ok(key) } else { Err(IdentityMisconfigured::Key) }
}
