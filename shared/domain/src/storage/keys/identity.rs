//! Keys of identities and of their links with users.

use super::{Key, key, short_enough};
use crate::values::ids::{ClerkUserId, UserId};

/// How the sort keys of an identity's links begin.
const LINKED_USERS: &str = "u#";

/// The partition of an identity: its own item and its links.
pub fn identity_pk(clerk: &ClerkUserId) -> String {
    format!("i#{}", short_enough(clerk.as_str()))
}

/// The link of an identity with a user, in the identity's partition.
pub fn identity_link(clerk: &ClerkUserId, user: UserId) -> Key {
    key(identity_pk(clerk), format!("{LINKED_USERS}{user}"))
}

/// The user of an [`identity_link`]; `None` for the identity's own item.
pub fn parse_identity_link(key: &Key) -> Option<UserId> {
    UserId::parse(key.sk.strip_prefix(LINKED_USERS)?)
}

/// The link of a user with an identity: what the identity says, for this user.
pub fn user_link(user: UserId, clerk: &ClerkUserId) -> Key {
    key(user_links(user), short_enough(clerk.as_str()))
}

/// The partition of a user's links.
pub fn user_links(user: UserId) -> String {
    format!("y#{user}")
}

/// That an identity may concern a user id: it names the id, or the id is derived from it.
pub fn identity_claim(user: UserId, clerk: &ClerkUserId) -> Key {
    key(identity_claims(user), short_enough(clerk.as_str()))
}

/// The partition of the identities that may concern a user id.
pub fn identity_claims(user: UserId) -> String {
    format!("z#{user}")
}
