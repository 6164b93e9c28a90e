//! When API keys were used last: kept at most once a minute a key. No answer waits long for it.

use crate::store::{Store, Usage};
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use torale_domain::values::ids::KeyId;
use torale_domain::values::time::{MINUTE, Timestamp};

/// Keys that an instance remembers at most; past that it starts to remember anew.
const REMEMBERED: usize = 1000;
/// The longest that noting a use may take where nothing else is waited for.
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
            Ok(Ok(())) => self.remember(key, now),
            Ok(Err(error)) => {
                tracing::warn!(key = key.as_str(), %error, "the use of a key was not noted");
            }
            Err(_elapsed) => {}
        }
    }

    fn is_due(&self, key: &KeyId, now: Timestamp) -> bool {
        let noted = self.noted.lock().unwrap_or_else(PoisonError::into_inner);
        noted.get(key).is_none_or(|at| now >= at.plus(MINUTE))
    }

    /// Remembered only once it is done: whoever asks may give up waiting.
    fn remember(&self, key: &KeyId, now: Timestamp) {
        let mut noted = self.noted.lock().unwrap_or_else(PoisonError::into_inner);
        if noted.len() >= REMEMBERED {
            noted.clear();
        }
        noted.insert(key.clone(), now);
    }
}
