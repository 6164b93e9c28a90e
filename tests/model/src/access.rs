//! Who a request is: whose an API key or a Clerk session is, and what it is answered.

use std::collections::BTreeSet;

use crate::api_keys::ModelApiKey;
use crate::fold::World;
use crate::people::{Listing, owners, stand_in_id};

/// Whom a Clerk session logs in ("Which users an identity belongs to", point 5).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ModelSession {
    /// The id of a user with a `user.created`, deactivated or not.
    User(String),
    /// The id under which the identity stands in.
    StandIn(String),
    /// Neither of the two: 403.
    NoUser,
    /// "A deleted identity's sessions are refused (401) for ever", whomever the identity belongs
    /// to.
    IdentityDeleted,
}

/// Whose an API key is, by its hash (section "API keys").
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ModelKey {
    /// All keys with this hash have this one user, and none of them is revoked.
    Good(String),
    /// No key has this hash: 401.
    Unknown,
    /// At least one key with this hash is revoked, or has too many hashes or users: 401, for ever.
    Revoked,
    /// Keys of two users or more have this hash: 401.
    Shared,
}

impl World {
    /// Whom a session of this Clerk id logs in.
    pub fn session(&self, clerk_user_id: &str) -> ModelSession {
        let identity = self.identities.get(clerk_user_id);
        if identity.is_some_and(|identity| identity.deleted) {
            return ModelSession::IdentityDeleted;
        }
        let external_id = identity.and_then(|identity| identity.external_id.as_deref());
        let owners = owners(&self.users, clerk_user_id, external_id);
        // "of several, as the one whose `user.created` is greatest by the register rule, ... no
        // other is tried"
        let greatest = owners.into_iter().max_by_key(|id| self.listing(id).map(|listing| listing.place));
        match (greatest, identity) {
            (Some(user_id), _) => ModelSession::User(user_id),
            (None, Some(identity)) if identity.exists => {
                ModelSession::StandIn(stand_in_id(clerk_user_id, identity))
            }
            (None, _) => ModelSession::NoUser,
        }
    }

    /// How a valid session of this Clerk id is answered: 200 to an admin, else 401 or 403.
    pub fn session_status(&self, clerk_user_id: &str) -> u16 {
        match self.session(clerk_user_id) {
            ModelSession::User(user_id) | ModelSession::StandIn(user_id) => self.status_of(&user_id),
            ModelSession::NoUser => 403,
            ModelSession::IdentityDeleted => 401,
        }
    }

    /// Whose a key is whose text has this SHA-256 (lower-case hex).
    pub fn key(&self, key_hash: &str) -> ModelKey {
        let keys: Vec<&ModelApiKey> =
            self.keys.values().filter(|key| key.hashes.contains(key_hash)).collect();
        if keys.iter().any(|key| key.is_refused()) {
            return ModelKey::Revoked;
        }
        let users: BTreeSet<&String> = keys.iter().flat_map(|key| &key.users).collect();
        let mut users = users.into_iter();
        match (users.next(), users.next()) {
            (None, _) => ModelKey::Unknown,
            (Some(user_id), None) => ModelKey::Good(user_id.clone()),
            (Some(_), Some(_)) => ModelKey::Shared,
        }
    }

    /// How a request with this key is answered: 200 to an admin, else 401 or 403.
    pub fn key_status(&self, key_hash: &str) -> u16 {
        match self.key(key_hash) {
            ModelKey::Good(user_id) => self.status_of(&user_id),
            ModelKey::Unknown | ModelKey::Revoked | ModelKey::Shared => 401,
        }
    }

    /// "listed under the user of its greatest `api_key.created`"; `None` while no such event has
    /// arrived.
    pub fn key_listed_under(&self, key_id: &str) -> Option<&str> {
        self.keys.get(key_id)?.listed_under.as_deref()
    }

    /// The ids of the keys that go with this user: a key is "revoked with any of its users".
    pub fn keys_to_revoke(&self, user_id: &str) -> Vec<&str> {
        let revoked = self.keys.iter().filter(|(_, key)| key.is_revoked_with(user_id));
        revoked.map(|(key_id, _)| key_id.as_str()).collect()
    }

    /// The Clerk ids of a user or stand-in that a deactivation bars: "its own and those of its
    /// identities that are not deleted".
    pub fn clerk_ids_to_ban(&self, user_id: &str) -> BTreeSet<&str> {
        let own = self.listing(user_id).map(|listing| listing.clerk_user_id.as_str());
        let of_identities =
            self.users.get(user_id).into_iter().flat_map(|user| &user.identities).map(String::as_str);
        let is_deleted = |id: &str| self.identities.get(id).is_some_and(|identity| identity.deleted);
        own.into_iter().chain(of_identities).filter(|id| !is_deleted(id)).collect()
    }

    /// Whether this id is listed among the users: by a `user.created`, or as a stand-in. Else it
    /// is a 404.
    pub fn is_listed(&self, user_id: &str) -> bool {
        self.listing(user_id).is_some()
    }

    /// The role of a user, a stand-in or a stub.
    pub fn role(&self, user_id: &str) -> Option<&str> {
        self.users.get(user_id)?.role.as_deref()
    }

    /// Whether the state of a user, a stand-in or a stub is `deactivated`.
    pub fn is_deactivated(&self, user_id: &str) -> bool {
        self.users.get(user_id).is_some_and(|user| user.deactivated)
    }

    fn listing(&self, user_id: &str) -> Option<&Listing> {
        self.users.get(user_id)?.listing.as_ref()
    }

    /// "Refusals come in this order: ... 401, 429, 403": first whether the user may come in at
    /// all.
    fn status_of(&self, user_id: &str) -> u16 {
        if self.is_deactivated(user_id) {
            return 401;
        }
        // "A key whose user no event has created yet is a 403, unless an identity stands in for
        // that user."
        let is_admin = self.is_listed(user_id) && self.role(user_id) == Some("admin");
        if is_admin { 200 } else { 403 }
    }
}
