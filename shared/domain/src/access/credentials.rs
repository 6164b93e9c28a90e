//! Credentials: what a request presents, whom it stands for, and whether they may use the admin
//! API (docs/contract/http.md, "Authentication"). The reads that these rules need are done by
//! `shared/platform`.

use crate::entities::readings::User;
use crate::projections::entity::Entity;
use crate::projections::views;
use crate::storage::item::Item;
use crate::storage::keys;
use crate::storage::read::Corrupt;
use crate::values::digest;
use crate::values::ids::{ClerkUserId, KeyHash, KeyId, UserId};

/// The only role that may use the admin API.
pub const ADMIN: &str = "admin";
/// The beginning of every API key.
pub const KEY_PREFIX: &str = "sk_";

/// Why a request is denied access. The variants stand in the order of the checks. Which status and
/// text answer each: docs/contract/http.md, "Errors".
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AccessRefusal {
    /// There is no `Authorization` header, or it does not have the form `Bearer <token>`.
    Missing,
    /// The API key is unknown, revoked, or belongs to a deactivated user.
    InvalidKey,
    /// The token is no valid session token, or belongs to a deactivated user.
    InvalidToken,
    /// The session token has expired and is valid otherwise.
    Expired,
    /// The user is authenticated, but no admin.
    NotAdmin,
}

/// The credentials that a request presents.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Credentials {
    /// An API key, as the SHA-256 of its text; `None` for a text that does not have the
    /// form of a key.
    ApiKey(Option<KeyHash>),
    /// A session token of the identity provider, not checked yet.
    Session(String),
}

impl Credentials {
    /// Reads the value of the `Authorization` header. The scheme may be in any letter case.
    ///
    /// # Errors
    /// [`AccessRefusal::Missing`] if there is no header, or it does not have the form
    /// `Bearer <token>`.
    pub fn read(header: Option<&[u8]>) -> Result<Self, AccessRefusal> {
        let header =
            header.and_then(|bytes| std::str::from_utf8(bytes).ok()).ok_or(AccessRefusal::Missing)?;
        let (scheme, token) = header.trim_matches(' ').split_once(' ').ok_or(AccessRefusal::Missing)?;
        let token = token.trim_start_matches(' ');
        if !scheme.eq_ignore_ascii_case("bearer") || token.is_empty() || token.contains(' ') {
            return Err(AccessRefusal::Missing);
        }
        if token.starts_with(KEY_PREFIX) {
            let hash = has_key_format(token).then(|| digest::sha256_hex(&[token.as_bytes()]));
            return Ok(Self::ApiKey(hash.and_then(|hash| KeyHash::parse(&hash))));
        }
        Ok(Self::Session(token.to_owned()))
    }
}

/// Whether a text has the form of an API key: `sk_` and 20 to 197 more printable ASCII characters.
/// Any other text is refused without a look-up.
pub fn has_key_format(token: &str) -> bool {
    (KEY_PREFIX.len() + 20..=200).contains(&token.len()) && token.bytes().all(|b| b.is_ascii_graphic())
}

/// An API key and its owner.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyOwner {
    /// The key.
    pub key_id: KeyId,
    /// Whether it is revoked.
    pub revoked: bool,
    /// The owner.
    pub user_id: UserId,
}

/// The API key that a look-up by hash found; `None` if it found none. If several keys have the
/// same text, a live one wins over revoked ones, and then the one with the least id.
///
/// # Errors
/// If the stored look-up cannot be interpreted.
pub fn key_owner(lookups: &[Item]) -> Result<Option<KeyOwner>, Corrupt> {
    let Some(item) = lookups.first() else { return Ok(None) };
    let key_id = keys::parse_key_lookup(item);
    let user_id = item.text(views::OWNER).and_then(UserId::parse);
    match key_id.zip(user_id) {
        Some(((key_id, revoked), user_id)) => Ok(Some(KeyOwner { key_id, revoked, user_id })),
        None => Err(Corrupt::new(&item.key, "not a key's look-up")),
    }
}

/// The user that a look-up by login found; `None` if it found none. If several users have the same
/// login, the one with the least id wins.
///
/// # Errors
/// If the stored look-up cannot be interpreted.
pub fn login_owner(lookups: &[Item]) -> Result<Option<UserId>, Corrupt> {
    let Some(item) = lookups.first() else { return Ok(None) };
    match keys::parse_login_lookup(&item.key) {
        Some(user_id) => Ok(Some(user_id)),
        None => Err(Corrupt::new(&item.key, "not a login's look-up")),
    }
}

/// What authorisation needs to know of an authenticated caller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// The caller's id at the identity provider.
    pub clerk_user_id: ClerkUserId,
    /// The caller's role according to the projections.
    pub role: Option<String>,
}

/// The caller, from the user that the credentials belong to. `deactivated` is the refusal for a
/// deactivated user, which depends on the kind of credentials.
///
/// # Errors
/// `deactivated` if the user is deactivated; [`AccessRefusal::NotAdmin`] if no event has
/// created the user yet.
pub fn caller(user: &Entity, deactivated: AccessRefusal) -> Result<Caller, AccessRefusal> {
    let user = User::of(&user.state);
    if !user.active {
        return Err(deactivated);
    }
    let clerk_user_id = user.created.ok_or(AccessRefusal::NotAdmin)?.clerk_user_id.clone();
    Ok(Caller { clerk_user_id, role: user.role.map(str::to_owned) })
}

/// Checks that a role may use the admin API.
///
/// # Errors
/// [`AccessRefusal::NotAdmin`] for any other role and for none.
pub fn require_admin(role: Option<&str>) -> Result<(), AccessRefusal> {
    if role == Some(ADMIN) { Ok(()) } else { Err(AccessRefusal::NotAdmin) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_that_is_not_bearer_and_one_token_counts_as_missing() {
        for refused in ["", "Bearer", "Bearer ", "Basic abc", "Bearer a b", "sk_abc"] {
            assert_eq!(Credentials::read(Some(refused.as_bytes())), Err(AccessRefusal::Missing), "{refused}");
        }
        assert_eq!(Credentials::read(None), Err(AccessRefusal::Missing));
        assert_eq!(Credentials::read(Some(b"bEaReR abc")), Ok(Credentials::Session("abc".to_owned())));
    }

    #[test]
    fn a_text_without_the_form_of_a_key_has_no_hash() {
        let read = |token: &str| Credentials::read(Some(format!("Bearer {token}").as_bytes())).unwrap();
        assert_eq!(read("sk_short"), Credentials::ApiKey(None));
        assert_eq!(read(&format!("sk_{}", "é".repeat(20))), Credentials::ApiKey(None));
        assert_eq!(read(&format!("sk_{}", "x".repeat(198))), Credentials::ApiKey(None));
        // Computed with another program: SHA-256 of the whole key.
        let expected = KeyHash::parse("9061563bb6dd424f57277cb554c16cf0043f5b7f04fdde6921b792c4f753aa19");
        assert_eq!(read(&format!("sk_{}", "x".repeat(20))), Credentials::ApiKey(expected));
    }
}
