//! Session tokens. The domain reads them and checks their claims, `jsonwebtoken` checks their signatures.

use super::jwks::JwksCache;
use super::misconfigured::{IdentityProviderMisconfigured, trusted_url};
use super::provider::ProviderClient;
use crate::config::{self, IdentityProviderSettings};
use crate::error::IdentityProviderError;
use jsonwebtoken::{Algorithm, DecodingKey, crypto};
use std::sync::Arc;
use torale_domain::access::session::{Session, SessionRules, Token, TokenFault, TokenRefusal};
use torale_domain::values::time::Timestamp;

/// Verifies session tokens of one Clerk instance.
#[derive(Debug)]
pub(super) struct SessionVerifier {
    rules: SessionRules,
    keys: SessionKeys,
}

/// Where the keys come from that tokens are signed with.
#[derive(Debug)]
enum SessionKeys {
    /// One key from the settings.
    Fixed(Arc<DecodingKey>),
    /// The instance's key set.
    Fetched(JwksCache),
}

fn names_any_party(settings: &IdentityProviderSettings) -> bool {
    settings.authorized_parties.iter().flatten().any(|party| party == config::ANY_PARTY)
}

/// The origins that session tokens must be made for; none accepts any, which is logged.
fn authorized_parties(settings: &IdentityProviderSettings) -> Vec<String> {
    let parties = settings.authorized_parties.clone().filter(|_| !names_any_party(settings));
    if parties.is_none() {
        tracing::warn!(
            setting = config::CLERK_AUTHORIZED_PARTIES,
            "session tokens that were made for any application of the Clerk instance are accepted"
        );
    }
    parties.unwrap_or_default()
}

impl SessionVerifier {
    /// A verifier with these settings; `None` if they name no issuer.
    pub(super) fn new(
        settings: &IdentityProviderSettings,
    ) -> Result<Option<Self>, IdentityProviderMisconfigured> {
        let Some(issuer) = settings.issuer.clone() else { return Ok(None) };
        match settings.authorized_parties.as_deref() {
            Some([]) => return Err(IdentityProviderMisconfigured::NoParties),
            Some([_, _, ..]) if names_any_party(settings) => {
                return Err(IdentityProviderMisconfigured::AnyPartyAndOthers);
            }
            Some(_) | None => {}
        }
        let keys = match (&settings.jwt_key, &settings.jwks_url) {
            (Some(pem), _) => SessionKeys::Fixed(Arc::new(public_key(pem)?)),
            (None, Some(url)) => {
                let url = trusted_url(url, config::CLERK_JWKS_URL)?;
                SessionKeys::Fetched(JwksCache::new(ProviderClient::new(settings.timeout), url))
            }
            (None, None) => return Err(IdentityProviderMisconfigured::NoKeys),
        };
        let authorized_parties = authorized_parties(settings);
        Ok(Some(Self { rules: SessionRules { issuer, authorized_parties }, keys }))
    }

    /// The session that a token stands for, or why the token is refused. A key is fetched only if nothing but the
    /// signature is left to check.
    pub(super) async fn verify(
        &self,
        token: &str,
        now: Timestamp,
    ) -> Result<Result<Session, TokenRefusal>, IdentityProviderError> {
        let token = match Token::read(token) {
            Ok(token) => token,
            Err(fault) => return Ok(Err(fault.into())),
        };
        let checked = token.check(&self.rules, now);
        if let Err(TokenRefusal::Invalid(_)) = checked {
            return Ok(checked);
        }
        let Some(key) = self.key(&token).await? else { return Ok(Err(TokenFault::UnknownKey.into())) };
        let signed = crypto::verify(token.signature, token.message.as_bytes(), &key, Algorithm::RS256);
        Ok(if signed.unwrap_or(false) { checked } else { Err(TokenFault::Signature.into()) })
    }

    async fn key(&self, token: &Token<'_>) -> Result<Option<Arc<DecodingKey>>, IdentityProviderError> {
        match (&self.keys, &token.key_id) {
            (SessionKeys::Fixed(key), _) => Ok(Some(Arc::clone(key))),
            (SessionKeys::Fetched(cache), Some(name)) => cache.key(name).await,
            (SessionKeys::Fetched(_), None) => Ok(None),
        }
    }
}

/// A public key in PEM. Line breaks may be written as `\n`, as in an environment file.
fn public_key(pem: &str) -> Result<DecodingKey, IdentityProviderMisconfigured> {
    let key = DecodingKey::from_rsa_pem(pem.replace("\\n", "\n").as_bytes())
        .map_err(|_| IdentityProviderMisconfigured::Key)?;
    // Verifying a signature refuses weak keys too, but only once there is a token.
    let is_strong = key.try_get_as_bytes().is_ok_and(|der| der.len() >= 2048 / 8);
    if is_strong && pem.contains("PUBLIC KEY") { Ok(key) } else { Err(IdentityProviderMisconfigured::Key) }
}
