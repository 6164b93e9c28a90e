//! The instance's key set, cached: fetched rarely, one fetch at a time, and kept through an outage.

use super::provider::{IdentityProviderError, ProviderClient};
use jsonwebtoken::DecodingKey;
use lambda_http::http::{Method, StatusCode};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::Instant;
use torale_domain::access::session::jwks;

/// How long a key set is used without asking again.
const FRESH: Duration = Duration::from_secs(10 * 60);
/// How long a key set is used while there is no newer one to be had.
const USABLE: Duration = Duration::from_secs(24 * 60 * 60);
/// Least time between two fetches, whatever asks for them, while there is a key set in hand.
const PAUSE: Duration = Duration::from_secs(30);
/// Least time between two fetches while there is none.
const COLD_PAUSE: Duration = Duration::from_secs(2);

#[derive(Debug)]
pub(super) struct KeyCache {
    provider: ProviderClient,
    url: String,
    known: Mutex<Known>,
    fetching: tokio::sync::Mutex<()>,
}

#[derive(Debug, Default)]
struct Known {
    keys: Option<(HashMap<String, Arc<DecodingKey>>, Instant)>,
    asked_at: Option<Instant>,
}

impl Known {
    /// The keys, if they are no older than this.
    fn keys(&self, age: Duration) -> Option<&HashMap<String, Arc<DecodingKey>>> {
        self.keys.as_ref().filter(|(_, at)| at.elapsed() < age).map(|(keys, _)| keys)
    }

    fn key(&self, name: &str, age: Duration) -> Option<Arc<DecodingKey>> {
        self.keys(age)?.get(name).cloned()
    }

    fn may_ask(&self) -> bool {
        let pause = if self.keys(USABLE).is_some() { PAUSE } else { COLD_PAUSE };
        self.asked_at.is_none_or(|at| at.elapsed() >= pause)
    }
}

impl KeyCache {
    pub(super) fn new(provider: ProviderClient, url: String) -> Self {
        Self { provider, url, known: Mutex::default(), fetching: tokio::sync::Mutex::default() }
    }

    /// The key of a name, or `None` if the set has none.
    pub(super) async fn key(&self, name: &str) -> Result<Option<Arc<DecodingKey>>, IdentityProviderError> {
        if let Some(key) = self.known().key(name, FRESH) {
            return Ok(Some(key));
        }
        let _one_at_a_time = self.fetching.lock().await;
        let wanted = {
            let known = self.known();
            known.key(name, FRESH).is_none() && known.may_ask()
        };
        let trouble = if wanted { self.fetch().await.err() } else { None };
        match (self.known().keys(USABLE), trouble) {
            (Some(keys), _) => Ok(keys.get(name).cloned()),
            (None, trouble) => Err(trouble.unwrap_or(IdentityProviderError::NoKeys)),
        }
    }

    async fn fetch(&self) -> Result<(), IdentityProviderError> {
        self.known().asked_at = Some(Instant::now());
        let keys = self.ask().await.inspect_err(|trouble| tracing::warn!(%trouble, "no new key set"))?;
        self.known().keys = Some((keys, Instant::now()));
        Ok(())
    }

    async fn ask(&self) -> Result<HashMap<String, Arc<DecodingKey>>, IdentityProviderError> {
        let (status, body) = self.provider.send(Method::GET, &self.url, None).await?;
        if status != StatusCode::OK {
            return Err(IdentityProviderError::Status(status));
        }
        let keys = jwks::select(&body).ok_or(IdentityProviderError::UnreadableEvent)?;
        let decoding = |key: jwks::RsaKey| Arc::new(DecodingKey::from_rsa_raw_components(&key.n, &key.e));
        Ok(keys.into_iter().map(|(name, key)| (name, decoding(key))).collect())
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
