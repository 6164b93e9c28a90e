//! Credentials: what a request presents, whom it stands for, and whether they may use the admin
//! API (docs/contract/http.md, "Authentication"). The reads that these rules need are done by
//! `shared/platform`.

use crate::entities::linkage::KnownIdentity;
use crate::entities::readings::User;
use crate::projections::entity::Entity;
use crate::projections::links;
use crate::projections::views;
use crate::storage::item::Item;
use crate::storage::keys;
use crate::storage::read::Corrupt;
use crate::values::digest;
use crate::values::ids::{ApiKeyHash, ApiKeyId, ClerkUserId, EntityKey, UserId};
use std::collections::BTreeSet;

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
    ApiKey(Option<ApiKeyHash>),
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
            return Ok(Self::ApiKey(hash.and_then(|hash| ApiKeyHash::parse(&hash))));
        }
        Ok(Self::Session(token.to_owned()))
    }
}

/// Whether a text has the form of an API key: `sk_` and 20 to 197 more printable ASCII characters.
/// Any other text is refused without a look-up.
pub fn has_key_format(token: &str) -> bool {
    (KEY_PREFIX.len() + 20..=200).contains(&token.len()) && token.bytes().all(|b| b.is_ascii_graphic())
}

/// The most look-up rows of one hash that are read. With as many there may be more, so the hash is
/// refused.
pub const MAX_KEY_LOOKUPS: usize = 100;

/// Whose an API key is, by all keys with its hash (docs/contract/events.md, "API keys").
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ApiKeyOwner {
    /// One user's, and no key with this hash is revoked.
    User {
        /// The key; of several, the one with the least id.
        key_id: ApiKeyId,
        /// The user whom it authenticates.
        user_id: UserId,
    },
    /// Nobody's any more: a key with this hash is revoked, or has too many claims.
    Revoked {
        /// That key; of several, the one with the least id.
        key_id: ApiKeyId,
        /// The only user of the keys with this hash; `None` if they have several, or one has too many
        /// claims to name them.
        user_id: Option<UserId>,
    },
    /// Nobody's: the keys with this hash have several users, or there are too many of them.
    Shared {
        /// The key with the least id.
        key_id: ApiKeyId,
    },
}

/// Whose an API key is; `None` if no key has its hash. `lookups` are the rows of the hash's
/// partition, or the first [`MAX_KEY_LOOKUPS`] of them.
///
/// # Errors
/// If a stored look-up cannot be interpreted.
pub fn key_owner(lookups: &[Item]) -> Result<Option<ApiKeyOwner>, Corrupt> {
    let (mut live, mut revoked) = (None, None);
    let (mut users, mut all_named) = (BTreeSet::new(), true);
    for item in lookups {
        let corrupt = || Corrupt::new(&item.key, "not a key's look-up");
        let (key_id, is_revoked) = keys::parse_key_lookup(item).ok_or_else(corrupt)?;
        match item.text(views::OWNER) {
            Some(named) => {
                for user in named.split(' ') {
                    users.insert(UserId::parse(user).ok_or_else(corrupt)?);
                }
            }
            None if is_revoked => all_named = false,
            None => return Err(corrupt()),
        }
        let least = if is_revoked { &mut revoked } else { &mut live };
        least.get_or_insert(key_id);
    }
    let only_user = users.first().copied().filter(|_| users.len() == 1 && all_named);
    Ok(match (revoked, live, only_user) {
        (Some(key_id), _, user_id) => Some(ApiKeyOwner::Revoked { key_id, user_id }),
        (None, Some(key_id), Some(user_id)) if lookups.len() < MAX_KEY_LOOKUPS => {
            Some(ApiKeyOwner::User { key_id, user_id })
        }
        (None, Some(key_id), _) => Some(ApiKeyOwner::Shared { key_id }),
        (None, None, _) => None,
    })
}

/// Whom a session logs in as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SessionUser {
    /// This user, or this stand-in.
    As(UserId),
    /// Nobody yet.
    Nobody,
    /// The identity was deleted: nobody, for ever.
    Deleted,
}

/// Whom a session of an identity logs in as, by the items that [`links::login_reads`] asks for: of several users the
/// one whose `user.created` is greatest, else the stand-in (docs/contract/events.md, "Which users an identity
/// belongs to").
pub fn login(clerk: &ClerkUserId, items: &[Item]) -> Result<SessionUser, Corrupt> {
    let own = keys::entity(&EntityKey::Identity(clerk.clone()));
    let identity = Entity::load(items.iter().find(|item| item.key == own))?;
    if (KnownIdentity { clerk, state: &identity.state, users: identity.linkage.users }).is_deleted() {
        return Ok(SessionUser::Deleted);
    }
    let greatest = links::logins_of(items)?.into_iter().max_by(|(_, a), (_, b)| a.cmp(b));
    Ok(greatest.map_or(SessionUser::Nobody, |(user, _)| SessionUser::As(user)))
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
    let user = User::of(&user.state, &user.linkage.linked);
    if !user.active {
        return Err(deactivated);
    }
    let clerk_user_id = user.clerk_user_id.ok_or(AccessRefusal::NotAdmin)?.clone();
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
    use crate::storage::item::{Attributes, Value};

    #[test]
    fn a_header_that_is_not_bearer_and_one_token_counts_as_missing() {
        for refused in ["", "Bearer", "Bearer ", "Basic abc", "Bearer a b", "sk_abc"] {
            assert_eq!(Credentials::read(Some(refused.as_bytes())), Err(AccessRefusal::Missing), "{refused}");
        }
        assert_eq!(Credentials::read(None), Err(AccessRefusal::Missing));
        assert_eq!(Credentials::read(Some(b"bEaReR abc")), Ok(Credentials::Session("abc".to_owned())));
    }

    const ANN: &str = "11111111-0000-4000-8000-000000000001";
    const BOB: &str = "11111111-0000-4000-8000-000000000002";

    fn lookup(id: &str, revoked: bool, users: &str) -> Item {
        let (hash, id) = (ApiKeyHash::parse(&"a".repeat(64)).unwrap(), ApiKeyId::parse(id).unwrap());
        let key = keys::key_lookup(&hash, &id, revoked);
        Item { key, attributes: Attributes::from([(views::OWNER.to_owned(), Value::Text(users.to_owned()))]) }
    }

    #[test]
    fn key_is_good_if_all_keys_with_its_hash_are_one_users_and_live() {
        let id = |text: &str| ApiKeyId::parse(text).unwrap();
        let ann = UserId::parse(ANN).unwrap();
        let owner = |lookups: &[Item]| key_owner(lookups).unwrap();
        assert_eq!(owner(&[]), None);
        let good = ApiKeyOwner::User { key_id: id("a"), user_id: ann };
        assert_eq!(owner(&[lookup("a", false, ANN)]), Some(good.clone()));
        assert_eq!(owner(&[lookup("a", false, ANN), lookup("b", false, ANN)]), Some(good));

        let revoked = ApiKeyOwner::Revoked { key_id: id("b"), user_id: Some(ann) };
        assert_eq!(owner(&[lookup("a", false, ANN), lookup("b", true, ANN)]), Some(revoked));
        let of_both = ApiKeyOwner::Revoked { key_id: id("b"), user_id: None };
        assert_eq!(owner(&[lookup("a", false, ANN), lookup("b", true, BOB)]), Some(of_both));
        let shared = ApiKeyOwner::Shared { key_id: id("a") };
        assert_eq!(owner(&[lookup("a", false, ANN), lookup("b", false, BOB)]), Some(shared.clone()));
        assert_eq!(owner(&[lookup("a", false, &format!("{ANN} {BOB}"))]), Some(shared.clone()));

        let many: Vec<Item> = (0..MAX_KEY_LOOKUPS).map(|_| lookup("a", false, ANN)).collect();
        assert_eq!(owner(&many), Some(shared), "there may be more than are read");
        assert!(matches!(owner(&many[1..]), Some(ApiKeyOwner::User { .. })));
        assert!(key_owner(&[lookup("a", false, "ann")]).is_err());

        let unnamed = |revoked| Item { attributes: Attributes::new(), ..lookup("b", revoked, ANN) };
        let dead = ApiKeyOwner::Revoked { key_id: id("b"), user_id: None };
        assert_eq!(owner(&[lookup("a", false, ANN), unnamed(true)]), Some(dead), "of too many claims");
        assert!(key_owner(&[unnamed(false)]).is_err(), "a live key has a user");
    }

    #[test]
    fn a_text_without_the_form_of_a_key_has_no_hash() {
        let read = |token: &str| Credentials::read(Some(format!("Bearer {token}").as_bytes())).unwrap();
        assert_eq!(read("sk_short"), Credentials::ApiKey(None));
        assert_eq!(read(&format!("sk_{}", "é".repeat(20))), Credentials::ApiKey(None));
        assert_eq!(read(&format!("sk_{}", "x".repeat(198))), Credentials::ApiKey(None));
        // Computed with another program: SHA-256 of the whole key.
        let expected = ApiKeyHash::parse("9061563bb6dd424f57277cb554c16cf0043f5b7f04fdde6921b792c4f753aa19");
        assert_eq!(read(&format!("sk_{}", "x".repeat(20))), Credentials::ApiKey(expected));
    }
}
