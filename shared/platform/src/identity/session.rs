//! Session tokens: the core reads them, `jsonwebtoken` checks their signatures, the key set is the instance's.

use super::jwks::KeyCache;
use super::provider::IdentityProviderError;
use jsonwebtoken::{Algorithm, DecodingKey, crypto};
use std::sync::Arc;
use torale_domain::access::session::{Session, SessionRules, Token, TokenFault, TokenRefusal};
use torale_domain::values::time::Timestamp;

/// Where keys come from.
#[derive(Debug)]
pub(super) enum SessionKeys {
    /// One key, given: nothing is asked.
    Given(Arc<DecodingKey>),
    /// The instance's key set.
    Fetched(KeyCache),
}

/// What verifies session tokens.
#[derive(Debug)]
pub(super) struct SessionVerifier {
    pub(super) rules: SessionRules,
    pub(super) keys: SessionKeys,
}

impl SessionVerifier {
    /// The session that a token stands for. Keys are asked for only if nothing else is wrong with the token.
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
            (SessionKeys::Given(key), _) => Ok(Some(Arc::clone(key))),
            (SessionKeys::Fetched(cache), Some(name)) => cache.key(name).await,
            (SessionKeys::Fetched(_), None) => Ok(None),
        }
    }
}
