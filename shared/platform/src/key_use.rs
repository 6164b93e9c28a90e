//! When API keys were used last: kept at most once a minute a key, and never waited for longer than the answer is.

use crate::store::{Store, Usage};
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use torale_domain::ids::KeyId;
use torale_domain::time::{MINUTE, Timestamp};

/// Keys that an instance remembers at most; past that it starts to remember anew.
const REMEMBERED: usize = 1000;
/// The longest that noting a use may take; it is tried again with the key's next request.
const PATIENCE: Duration = Duration::from_millis(500);

/// The uses that this instance knows to be noted.
#[derive(Debug, Default)]
pub(crate) struct KeyUse {
    noted: Mutex<HashMap<KeyId, Timestamp>>,
}

impl KeyUse {
    /// Notes that a key was used, unless that was noted less than a minute ago. A failure is only logged.
    pub(crate) async fn note(&self, store: &Store, key: &KeyId, now: Timestamp, usage: &Usage) {
        if !self.is_due(key, now) {
            return;
        }
        match tokio::time::timeout(PATIENCE, store.note_use(key, now, usage)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                self.forget(key);
                tracing::warn!(key = key.as_str(), %error, "the use of a key was not noted");
            }
            Err(_elapsed) => self.forget(key),
        }
    }

    fn is_due(&self, key: &KeyId, now: Timestamp) -> bool {
        let mut noted = self.noted.lock().unwrap_or_else(PoisonError::into_inner);
        if noted.get(key).is_some_and(|at| now < at.plus(MINUTE)) {
            return false;
        }
        if noted.len() >= REMEMBERED {
            noted.clear();
        }
        noted.insert(key.clone(), now);
        true
    }

    fn forget(&self, key: &KeyId) {
        self.noted.lock().unwrap_or_else(PoisonError::into_inner).remove(key);
    }
}
