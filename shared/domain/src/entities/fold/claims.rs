//! The claims of an API key (`docs/contract/events.md`, "API keys"): all hashes and users that `api_key.created` events
//! gave it, which no register can hold.

use crate::events::{Body, Event, UnreadableEvent};
use crate::values::ids::{ApiKeyHash, UserId};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// The most hashes, and the most users, of an API key. A key with more is refused for ever: what one event changes of
/// the projections must fit into one transaction.
pub const MAX_KEY_CLAIMS: usize = 16;

/// All hashes and users that events gave an API key: almost always one of each. Of more than [`MAX_KEY_CLAIMS`] the
/// least ones are kept and one more, whatever the order in which they came.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApiKeyClaims {
    /// SHA-256 of the whole key.
    pub hashes: BTreeSet<ApiKeyHash>,
    /// The users whom the key authenticates.
    pub users: BTreeSet<UserId>,
    /// Hashes that the key was given and does not keep, of the events folded since the state was read. They are not
    /// stored: each has a row by then, which is never deleted (docs/adr/0024-dead-hashes-are-rows.md).
    #[serde(skip)]
    pub dropped_hashes: BTreeSet<ApiKeyHash>,
}

/// How claims are stored: no event has this field.
#[derive(Serialize, Deserialize)]
struct StoredClaims {
    claims: ApiKeyClaims,
}

/// What the text of [`StoredClaims`] begins with.
const BEGINNING: &str = "{\"claims\":";

impl ApiKeyClaims {
    /// Adds the claims of an event; false if it changed nothing.
    pub(super) fn add(&mut self, event: &Event) -> bool {
        match Some(&event.body) {
            Some(Body::ApiKeyCreated(data)) => {
                let hash = self.add_hash(data.key_hash.clone());
                insert(&mut self.users, data.user_id).changed || hash
            }
            _other_types => false,
        }
    }

    /// Adds a hash; false if it changed nothing.
    fn add_hash(&mut self, hash: ApiKeyHash) -> bool {
        let Inserted { changed, given_up } = insert(&mut self.hashes, hash);
        let dropped = given_up.is_some_and(|hash| self.dropped_hashes.insert(hash));
        changed || dropped
    }

    /// Adds all that others have.
    pub(super) fn merge(&mut self, other: Self) {
        for hash in other.hashes {
            self.add_hash(hash);
        }
        self.dropped_hashes.extend(other.dropped_hashes);
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
        let hashes = self.hashes.len() + self.dropped_hashes.len();
        hashes * (size_of::<ApiKeyHash>() + 64) + self.users.len() * size_of::<UserId>()
    }

    /// As text for the store.
    pub(super) fn store(&self) -> Result<String, UnreadableEvent> {
        let stored = StoredClaims { claims: self.clone() };
        serde_json::to_string(&stored).map_err(|e| UnreadableEvent::new(&e))
    }

    /// Reads what [`ApiKeyClaims::store`] wrote; `None` if the text is something else.
    pub(super) fn load(text: &str) -> Result<Option<Self>, UnreadableEvent> {
        if !text.starts_with(BEGINNING) {
            return Ok(None);
        }
        let StoredClaims { claims } = serde_json::from_str(text).map_err(|e| UnreadableEvent::new(&e))?;
        Ok(Some(claims))
    }
}

/// What came of adding a value.
struct Inserted<T> {
    /// Whether other values are kept than before.
    changed: bool,
    /// The value that is not kept, since there are too many.
    given_up: Option<T>,
}

/// Adds a value, and gives up the greatest if there are too many.
fn insert<T: Ord + Clone>(values: &mut BTreeSet<T>, value: T) -> Inserted<T> {
    let added = values.insert(value.clone());
    let given_up = if values.len() > MAX_KEY_CLAIMS + 1 { values.pop_last() } else { None };
    Inserted { changed: added && given_up.as_ref() != Some(&value), given_up }
}
