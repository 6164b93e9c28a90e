//! Keys of identities and of their links with users.

use super::parts::{Fixed, Id, MAX_ID, Part, fixed, key, pk};
use crate::storage::item::Key;
use crate::values::ids::{ClerkUserId, UserId};

/// The prefix of the sort keys of an identity's links.
const LINKED_USERS: &str = "u#";

pub(super) fn identity_part(clerk: &ClerkUserId) -> impl Part {
    (fixed!("i#"), Id::<MAX_ID>(clerk.as_str()))
}

/// The partition of an identity: its own item and its links.
pub fn identity_pk(clerk: &ClerkUserId) -> String {
    pk(identity_part(clerk))
}

/// The link of an identity with a user, in the identity's partition.
pub fn identity_link(clerk: &ClerkUserId, user: UserId) -> Key {
    key(identity_part(clerk), (fixed!(LINKED_USERS), user))
}

/// The user of an [`identity_link`]; `None` for the identity's own item.
pub fn parse_identity_link(key: &Key) -> Option<UserId> {
    UserId::parse(key.sk.strip_prefix(LINKED_USERS)?)
}

const fn links_part(user: UserId) -> (Fixed<2>, UserId) {
    (fixed!("y#"), user)
}

/// The link of a user with an identity: what the identity says, for this user.
pub fn user_link(user: UserId, clerk: &ClerkUserId) -> Key {
    key(links_part(user), Id::<MAX_ID>(clerk.as_str()))
}

/// The partition of a user's links.
pub fn user_links(user: UserId) -> String {
    pk(links_part(user))
}

const fn claims_part(user: UserId) -> (Fixed<2>, UserId) {
    (fixed!("z#"), user)
}

/// That an identity may belong to a user id: it names the id, or the id is derived from it.
pub fn identity_claim(user: UserId, clerk: &ClerkUserId) -> Key {
    key(claims_part(user), Id::<MAX_ID>(clerk.as_str()))
}

/// The partition of the identities that may belong to a user id.
pub fn identity_claims(user: UserId) -> String {
    pk(claims_part(user))
}
