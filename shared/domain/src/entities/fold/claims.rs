//! The claims of an API key (`docs/contract/events.md`, "API keys"): all hashes and users that `api_key.created` events
//! gave it, which no register can hold.

use crate::events::{Body, Event, UnreadableEvent};
use crate::values::ids::{KeyHash, UserId};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// The most hashes, and the most users, of an API key. A key with more is refused for ever, like a revoked one: what one
/// event changes of the projections must fit into one transaction.
pub const MAX_KEY_CLAIMS: usize = 16;

/// All hashes and users that events gave an API key: almost always one of each. Of more than [`MAX_KEY_CLAIMS`] the least
/// ones are kept and one more, whatever the order in which they came.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyClaims {
    /// SHA-256 of the whole key.
    pub hashes: BTreeSet<KeyHash>,
    /// The users whom the key authenticates.
    pub users: BTreeSet<UserId>,
}

/// How claims are stored: no event has this field.
#[derive(Serialize, Deserialize)]
struct StoredClaims {
    claims: KeyClaims,
}

/// What the text of [`StoredClaims`] begins with.
const BEGINNING: &str = "{\"claims\":";

impl KeyClaims {
    /// Adds the claims of an event; false if it changed nothing.
    pub(super) fn add(&mut self, event: &Event) -> bool {
        match Some(&event.body) {
            Some(Body::ApiKeyCreated(data)) => {
                let hash = insert(&mut self.hashes, data.key_hash.clone());
                insert(&mut self.users, data.user_id) || hash
            }
            _other_types => false,
        }
    }

    /// Adds all that others have.
    pub(super) fn merge(&mut self, other: Self) {
        for hash in other.hashes {
            insert(&mut self.hashes, hash);
        }
        for user in other.users {
            insert(&mut self.users, user);
        }
    }

    /// Whether there are more than [`MAX_KEY_CLAIMS`] of a kind.
    pub fn is_over_limit(&self) -> bool {
        self.hashes.len() > MAX_KEY_CLAIMS || self.users.len() > MAX_KEY_CLAIMS
    }

    /// About how many bytes they take in memory.
    pub(super) fn weight(&self) -> usize {
        self.hashes.len() * (size_of::<KeyHash>() + 64) + self.users.len() * size_of::<UserId>()
    }

    /// As text for the store.
    pub(super) fn store(&self) -> Result<String, UnreadableEvent> {
        let stored = StoredClaims { claims: self.clone() };
        serde_json::to_string(&stored).map_err(|e| UnreadableEvent::new(&e))
    }

    /// Reads what [`KeyClaims::store`] wrote; `None` if the text is something else.
    pub(super) fn load(text: &str) -> Result<Option<Self>, UnreadableEvent> {
        if !text.starts_with(BEGINNING) {
            return Ok(None);
        }
        let StoredClaims { claims } = serde_json::from_str(text).map_err(|e| UnreadableEvent::new(&e))?;
        Ok(Some(claims))
    }
}

/// Adds a value, and gives up the greatest if there are too many; false if nothing has changed.
fn insert<T: Ord + Clone>(values: &mut BTreeSet<T>, value: T) -> bool {
    let added = values.insert(value.clone());
    if values.len() > MAX_KEY_CLAIMS + 1 {
        return values.pop_last() != Some(value);
    }
    added
}
