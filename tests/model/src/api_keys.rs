//! What the events of an API key say.

use std::collections::BTreeSet;

use crate::facts::ModelKeyListing;

/// All that the `api_key.*` events with one `key_id` gave.
#[derive(Default)]
pub(crate) struct ModelApiKey {
    pub(crate) hashes: BTreeSet<String>,
    pub(crate) users: BTreeSet<String>,
    /// The user of the greatest `api_key.created`; `None`: only its revocation has arrived.
    pub(crate) listed_under: Option<String>,
    pub(crate) listing: Option<ModelKeyListing>,
    pub(crate) revoked: bool,
}

impl ModelApiKey {
    /// Called in the merge order: the last call is the greatest event.
    pub(crate) fn created(&mut self, user_id: String, key_hash: String, listing: ModelKeyListing) {
        self.hashes.insert(key_hash);
        self.users.insert(user_id.clone());
        self.listed_under = Some(user_id);
        self.listing = Some(listing);
    }

    /// "A key that events gave more than 16 hashes, or more than 16 users, is refused for ever".
    pub(crate) fn is_refused(&self) -> bool {
        self.revoked || self.hashes.len() > 16 || self.users.len() > 16
    }

    /// Whether it is revoked when this user is deactivated: of more than 17 users, with the 17 smallest.
    pub(crate) fn is_revoked_with(&self, user_id: &str) -> bool {
        !self.revoked && self.users.iter().take(17).any(|user| user == user_id)
    }
}
