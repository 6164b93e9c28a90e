//! Who may ask: the rules, without the reading.

use crate::entities::linkage::Identity;
use crate::entities::readings::User;
use crate::projections::entity::Entity;
use crate::projections::links;
use crate::projections::views;
use crate::storage::item::Item;
use crate::storage::keys;
use crate::storage::read::Corrupt;
use crate::values::digest;
use crate::values::ids::{ClerkUserId, EntityKey, KeyHash, KeyId, UserId};

/// The only role that may use the admin API.
pub const ADMIN: &str = "admin";
/// How every API key begins.
pub const KEY_PREFIX: &str = "sk_";

/// Why a request is refused. The order of the variants is the order of the checks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AccessRefusal {
    /// No `Authorization` header, or not of the form `Bearer <token>`.
    Missing,
    /// A key that is unknown, revoked, or whose user is deactivated.
    InvalidKey,
    /// Any other token.
    InvalidToken,
    /// A session token that was good until it expired.
    Expired,
    /// Authenticated, but not an admin.
    NotAdmin,
}

/// What a request presents.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Credentials {
    /// An API key, by the SHA-256 of its text; `None` for a text that can't be a key.
    ApiKey(Option<KeyHash>),
    /// A session token of the identity provider.
    Session(String),
}

impl Credentials {
    /// Reads the value of the `Authorization` header. The scheme is read in any case.
    pub fn read(header: Option<&[u8]>) -> Result<Self, AccessRefusal> {
        let header =
            header.and_then(|bytes| std::str::from_utf8(bytes).ok()).ok_or(AccessRefusal::Missing)?;
        let (scheme, token) = header.trim_matches(' ').split_once(' ').ok_or(AccessRefusal::Missing)?;
        let token = token.trim_start_matches(' ');
        if !scheme.eq_ignore_ascii_case("bearer") || token.is_empty() || token.contains(' ') {
            return Err(AccessRefusal::Missing);
        }
        if token.starts_with(KEY_PREFIX) {
            let hash = can_be_key(token).then(|| digest::sha256_hex(&[token.as_bytes()]));
            return Ok(Self::ApiKey(hash.and_then(|hash| KeyHash::parse(&hash))));
        }
        Ok(Self::Session(token.to_owned()))
    }
}

/// `sk_` and at least 20 more printable characters, 200 in all at most: anything else is refused unread.
pub fn can_be_key(token: &str) -> bool {
    (KEY_PREFIX.len() + 20..=200).contains(&token.len()) && token.bytes().all(|b| b.is_ascii_graphic())
}

/// A key and its owner.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyOwner {
    /// The key.
    pub key_id: KeyId,
    /// Whether it is revoked.
    pub revoked: bool,
    /// Its owner.
    pub user_id: UserId,
}

/// The key that a look-up found: of several keys with one text a live one, and of those the one with the least id.
pub fn key_owner(lookups: &[Item]) -> Result<Option<KeyOwner>, Corrupt> {
    let Some(item) = lookups.first() else { return Ok(None) };
    let key_id = keys::parse_key_lookup(&item.key);
    let user_id = item.text(views::OWNER).and_then(UserId::parse);
    match key_id.zip(user_id) {
        Some(((key_id, revoked), user_id)) => Ok(Some(KeyOwner { key_id, revoked, user_id })),
        None => Err(Corrupt::new(&item.key, "not a key's look-up")),
    }
}

/// Whom a session logs in as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Login {
    /// This user, or this stand-in.
    As(UserId),
    /// Nobody yet.
    Nobody,
    /// The identity was deleted: nobody, for ever.
    Deleted,
}

/// Whom a session of an identity logs in as, by the identity's partition: of several users the one whose `user.created` is
/// greatest, else the stand-in (docs/contract/events.md, "Whose an identity is").
pub fn login(clerk: &ClerkUserId, partition: &[Item]) -> Result<Login, Corrupt> {
    let own = keys::entity(&EntityKey::Identity(clerk.clone()));
    let identity = Entity::load(partition.iter().find(|item| item.key == own))?;
    if (Identity { clerk, state: &identity.state, users: identity.linkage.users }).is_deleted() {
        return Ok(Login::Deleted);
    }
    let links = links::links_of(partition)?;
    let greatest = links.into_iter().max_by(|(_, a), (_, b)| a.cmp(b));
    Ok(greatest.map_or(Login::Nobody, |(user, _)| Login::As(user)))
}

/// What counts of a user who asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// Its name at the identity provider.
    pub clerk_user_id: ClerkUserId,
    /// Its role in the projections.
    pub role: Option<String>,
}

/// The user who asks, if it may at all; `deactivated` is how credentials of a deactivated user are refused.
/// A user that no event has created yet has no role that counts.
pub fn caller(user: &Entity, deactivated: AccessRefusal) -> Result<Caller, AccessRefusal> {
    let user = User::of(&user.state, &user.linkage.linked);
    if !user.active {
        return Err(deactivated);
    }
    let clerk_user_id = user.clerk_user_id.ok_or(AccessRefusal::NotAdmin)?.clone();
    Ok(Caller { clerk_user_id, role: user.role.map(str::to_owned) })
}

/// Whether a role may use the admin API.
pub fn admit(role: Option<&str>) -> Result<(), AccessRefusal> {
    if role == Some(ADMIN) { Ok(()) } else { Err(AccessRefusal::NotAdmin) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_bearer_tokens_are_read() {
        for refused in ["", "Bearer", "Bearer ", "Basic abc", "Bearer a b", "sk_abc"] {
            assert_eq!(Credentials::read(Some(refused.as_bytes())), Err(AccessRefusal::Missing), "{refused}");
        }
        assert_eq!(Credentials::read(None), Err(AccessRefusal::Missing));
        assert_eq!(Credentials::read(Some(b"bEaReR abc")), Ok(Credentials::Session("abc".to_owned())));
    }

    #[test]
    fn a_text_that_cannot_be_a_key_has_no_hash() {
        let of = |token: &str| Credentials::read(Some(format!("Bearer {token}").as_bytes())).unwrap();
        assert_eq!(of("sk_short"), Credentials::ApiKey(None));
        assert_eq!(of(&format!("sk_{}", "é".repeat(20))), Credentials::ApiKey(None));
        assert_eq!(of(&format!("sk_{}", "x".repeat(198))), Credentials::ApiKey(None));
        // Computed with another program: SHA-256 of the whole key.
        let expected = KeyHash::parse("9061563bb6dd424f57277cb554c16cf0043f5b7f04fdde6921b792c4f753aa19");
        assert_eq!(of(&format!("sk_{}", "x".repeat(20))), Credentials::ApiKey(expected));
    }
}
