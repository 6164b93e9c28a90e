//! Keys of identities and of their links with users.

use super::details::{KeyRange, beginning_with};
use super::segments::{Fixed, Id, KeySegment, MAX_ID, fixed, key, pk};
use super::{next, time_part};
use crate::storage::item::Key;
use crate::values::ids::{ClerkUserId, UserId};
use crate::values::time::Timestamp;

/// The prefix of the sort keys of an identity's links.
const LINKED_USERS: Fixed<2> = fixed!("u#");
/// The prefix of the sort keys of an identity's logins.
const LOGINS: Fixed<2> = fixed!("a#");
/// The most bytes of an event's id in the key of a login: all of it.
const LOGIN_ID: usize = 512;
/// The most bytes of an event's source in the key of a login: nearly always all of it.
const LOGIN_SOURCE: usize = 400;

pub(super) fn identity_part(clerk: &ClerkUserId) -> impl KeySegment {
    (fixed!("i#"), Id::<MAX_ID>(clerk.as_str()))
}

/// The link of an identity with a user, in the identity's partition.
pub fn identity_link(clerk: &ClerkUserId, user: UserId) -> Key {
    key(identity_part(clerk), (LINKED_USERS, user))
}

/// The user of an [`identity_link`]; `None` for the identity's own item.
pub fn parse_identity_link(key: &Key) -> Option<UserId> {
    UserId::parse(key.sk.strip_prefix(LINKED_USERS.0)?)
}

/// The links of an identity, by user.
pub fn identity_links(clerk: &ClerkUserId) -> KeyRange {
    beginning_with(pk(identity_part(clerk)), LINKED_USERS)
}

/// The links of an identity with the users after one.
pub fn identity_links_after(clerk: &ClerkUserId, user: UserId) -> KeyRange {
    KeyRange { from: next(&identity_link(clerk, user).sk), ..identity_links(clerk) }
}

/// The place of a user among those whom an identity's sessions may log in as: in the order of time, id and source of
/// the event that created the user, as far as they fit; before all others, of a user that does not exist.
pub fn identity_login(clerk: &ClerkUserId, created: Option<(Timestamp, &str, &str)>, user: UserId) -> Key {
    let (time, id, source) = created.unwrap_or((Timestamp::from_millis(0), "", ""));
    let (id, source) = (Id::<LOGIN_ID>(id), Id::<LOGIN_SOURCE>(source));
    let separated = (fixed!("\u{1}"), user);
    key(identity_part(clerk), (LOGINS, time_part(time), id, fixed!("\u{1}"), source, separated))
}

/// The users whom an identity's sessions may log in as; the greatest last.
pub fn identity_logins(clerk: &ClerkUserId) -> KeyRange {
    beginning_with(pk(identity_part(clerk)), LOGINS)
}

/// The user of an [`identity_login`]; `None` for other items of the identity.
pub fn parse_identity_login(key: &Key) -> Option<UserId> {
    let (_, user) = key.sk.strip_prefix(LOGINS.0)?.rsplit_once('\u{1}')?;
    UserId::parse(user)
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
