//! Session tokens: the core reads them, `jsonwebtoken` checks their signatures, the key set is the instance's.

use super::jwks::KeyCache;
use super::provider::Trouble;
use jsonwebtoken::{Algorithm, DecodingKey, crypto};
use std::sync::Arc;
use torale_domain::session::{Fault, Refused, Rules, Session, Token};
use torale_domain::time::Timestamp;

/// Where keys come from.
#[derive(Debug)]
pub(super) enum Keys {
    /// One key, given: nothing is asked.
    Given(Arc<DecodingKey>),
    /// The instance's key set.
    Fetched(KeyCache),
}

/// What verifies session tokens.
#[derive(Debug)]
pub(super) struct Verifier {
    pub(super) rules: Rules,
    pub(super) keys: Keys,
}

impl Verifier {
    /// The session that a token stands for. Keys are asked for only if nothing else is wrong with the token.
    pub(super) async fn verify(
        &self,
        token: &str,
        now: Timestamp,
    ) -> Result<Result<Session, Refused>, Trouble> {
        let token = match Token::read(token) {
            Ok(token) => token,
            Err(fault) => return Ok(Err(fault.into())),
        };
        let checked = token.check(&self.rules, now);
        if let Err(Refused::Invalid(_)) = checked {
            return Ok(checked);
        }
        let Some(key) = self.key(&token).await? else { return Ok(Err(Fault::UnknownKey.into())) };
        let signed = crypto::verify(token.signature, token.message.as_bytes(), &key, Algorithm::RS256);
        Ok(if signed.unwrap_or(false) { checked } else { Err(Fault::Signature.into()) })
    }

    async fn key(&self, token: &Token<'_>) -> Result<Option<Arc<DecodingKey>>, Trouble> {
        match (&self.keys, &token.key_id) {
            (Keys::Given(key), _) => Ok(Some(Arc::clone(key))),
            (Keys::Fetched(cache), Some(name)) => cache.key(name).await,
            (Keys::Fetched(_), None) => Ok(None),
        }
    }
}
