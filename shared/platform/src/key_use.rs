//! When API keys were last used (`last_used_at`): stored once for each minute in which a key is used.

use crate::store::{Store, Usage};
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use torale_domain::values::ids::ApiKeyId;
use torale_domain::values::time::Timestamp;

/// The most keys that an instance remembers. When there are more, it forgets all of them.
const REMEMBERED: usize = 1000;
/// The longest time that an answer waits for the use to be stored, if it waits for nothing else.
const TIMEOUT: Duration = Duration::from_millis(500);

/// Stores when API keys are used, and remembers what this instance has stored.
#[derive(Debug, Default)]
pub(crate) struct KeyUseRecorder {
    recorded: Mutex<HashMap<ApiKeyId, Timestamp>>,
}

impl KeyUseRecorder {
    /// Stores the use of a key, unless this instance did so in the same minute. A failure is only logged.
    pub(crate) async fn record(&self, store: &Store, key: &ApiKeyId, now: Timestamp, usage: &Usage) {
        if !self.is_due(key, now) {
            return;
        }
        match tokio::time::timeout(TIMEOUT, store.record_key_use(key, now, usage)).await {
            Ok(Ok(())) => self.remember(key, now),
            Ok(Err(error)) => {
                tracing::warn!(key = key.as_str(), %error, "the use of a key was not recorded");
            }
            Err(_elapsed) => {}
        }
    }

    fn is_due(&self, key: &ApiKeyId, now: Timestamp) -> bool {
        let recorded = self.recorded.lock().unwrap_or_else(PoisonError::into_inner);
        recorded.get(key).is_none_or(|at| at.floor_to_minute() < now.floor_to_minute())
    }

    /// Only a stored use is remembered: the caller may stop waiting before.
    fn remember(&self, key: &ApiKeyId, now: Timestamp) {
        let mut recorded = self.recorded.lock().unwrap_or_else(PoisonError::into_inner);
        if recorded.len() >= REMEMBERED {
            recorded.clear();
        }
        recorded.insert(key.clone(), now);
    }
}
