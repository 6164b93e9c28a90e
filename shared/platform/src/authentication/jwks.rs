//! The key set of the Clerk instance, cached: fetched rarely, by one request at a time, and kept through an outage.

use super::provider::ProviderClient;
use crate::error::IdentityProviderError;
use http::{Method, StatusCode};
use jsonwebtoken::DecodingKey;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::Instant;
use torale_domain::access::session::jwks;

/// How long a key set is used before it is fetched again.
const FRESH: Duration = Duration::from_secs(10 * 60);
/// How long a key set is used if no newer one can be fetched.
const USABLE: Duration = Duration::from_secs(24 * 60 * 60);
/// The least time between two fetches while there is a usable key set.
const PAUSE: Duration = Duration::from_secs(30);
/// The least time between two fetches while there is none.
const COLD_PAUSE: Duration = Duration::from_secs(2);

/// Keys by their names (`kid`).
type KeySet = HashMap<String, Arc<DecodingKey>>;

/// The cached key set.
#[derive(Debug)]
pub(super) struct JwksCache {
    provider: ProviderClient,
    url: String,
    state: Mutex<CacheState>,
    /// Held while the key set is being fetched.
    fetching: tokio::sync::Mutex<()>,
}

#[derive(Debug, Default)]
struct CacheState {
    /// The key set, and when it was fetched.
    keys: Option<(KeySet, Instant)>,
    /// When the last fetch began.
    fetched_at: Option<Instant>,
    /// Whether the last fetch failed: the key set may have changed since.
    is_outdated: bool,
}

impl CacheState {
    /// The key set, if it is younger than `age`.
    fn keys(&self, age: Duration) -> Option<&KeySet> {
        self.keys.as_ref().filter(|(_, at)| at.elapsed() < age).map(|(keys, _)| keys)
    }

    fn key(&self, name: &str, age: Duration) -> Option<Arc<DecodingKey>> {
        self.keys(age)?.get(name).cloned()
    }

    fn may_fetch(&self) -> bool {
        let pause = if self.keys(USABLE).is_some() { PAUSE } else { COLD_PAUSE };
        self.fetched_at.is_none_or(|at| at.elapsed() >= pause)
    }
}

impl JwksCache {
    /// An empty cache for the key set at this address.
    pub(super) fn new(provider: ProviderClient, url: String) -> Self {
        Self { provider, url, state: Mutex::default(), fetching: tokio::sync::Mutex::default() }
    }

    /// The key of a name; `None` if the key set has no such key. An error if it cannot be known whether it has.
    pub(super) async fn key(&self, name: &str) -> Result<Option<Arc<DecodingKey>>, IdentityProviderError> {
        if let Some(key) = self.state().key(name, FRESH) {
            return Ok(Some(key));
        }
        let _one_at_a_time = self.fetching.lock().await;
        let is_due = {
            let state = self.state();
            state.key(name, FRESH).is_none() && state.may_fetch()
        };
        let failure = if is_due { self.refresh().await.err() } else { None };
        let state = self.state();
        match state.key(name, USABLE) {
            Some(key) => Ok(Some(key)),
            None if state.keys(USABLE).is_some() && !state.is_outdated => Ok(None),
            None => Err(failure.unwrap_or(IdentityProviderError::NoKeys)),
        }
    }

    async fn refresh(&self) -> Result<(), IdentityProviderError> {
        self.state().fetched_at = Some(Instant::now());
        let fetched = self.fetch().await;
        self.state().is_outdated = fetched.is_err();
        let keys = fetched.inspect_err(|error| tracing::warn!(%error, "the key set could not be fetched"))?;
        self.state().keys = Some((keys, Instant::now()));
        Ok(())
    }

    async fn fetch(&self) -> Result<KeySet, IdentityProviderError> {
        let (status, body) = self.provider.send(Method::GET, &self.url, None).await?;
        if status != StatusCode::OK {
            return Err(IdentityProviderError::Status(status));
        }
        let keys = jwks::select(&body).ok_or(IdentityProviderError::UnreadableResponse)?;
        let decoding = |key: jwks::RsaKey| Arc::new(DecodingKey::from_rsa_raw_components(&key.n, &key.e));
        Ok(keys.into_iter().map(|(name, key)| (name, decoding(key))).collect())
    }

    fn state(&self) -> MutexGuard<'_, CacheState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
