//! An administrator's own ids: those that they cannot deactivate (docs/contract/http.md, "PATCH
//! /admin/users/{id}/deactivate").
//!
//! A user id is an administrator's own if it is the one that they are logged in as, if an event that names it is one of
//! an identity of theirs and so would deactivate them, or if a login of theirs would be blocked with it.

use crate::entities::linkage;
use crate::entities::readings::User;
use crate::projections::entity::Entity;
use crate::projections::links;
use crate::storage::item::Item;
use crate::storage::keys;
use crate::storage::read::{Corrupt, Range, ReadPlan};
use crate::values::ids::{ClerkUserId, UserId};
use std::collections::BTreeMap;

/// The most links with identities that are read of one user. An administrator with as many deactivates nobody: which
/// logins are theirs would take more reads than a request may make.
pub const MAX_LINKS: usize = 100;

/// One of two users: their id, what is stored of them, and the rows of their links, as [`reads`] asks for them.
#[derive(Debug, Clone, Copy)]
pub struct LinkedUser<'a> {
    /// Their id.
    pub id: UserId,
    /// What is stored of them.
    pub entity: &'a Entity,
    /// Their links with identities: all of them, or the first [`MAX_LINKS`].
    pub links: &'a [Item],
}

/// Whether a user id is the administrator's own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OwnId {
    /// It is, or it cannot be ruled out.
    Yes,
    /// It is not.
    No,
    /// It is if one of these items exists: the user has more links than were read.
    IfAnyExists(ReadPlan),
}

/// What must be read to decide: the links of a user.
pub fn reads(user: UserId) -> Range {
    Range { pk: keys::user_links(user), limit: Some(MAX_LINKS), ..Range::default() }
}

/// Whether the user to be deactivated is the administrator who calls.
///
/// # Errors
/// If a row is not a link.
pub fn is_own_id(caller: &LinkedUser<'_>, target: &LinkedUser<'_>) -> Result<OwnId, Corrupt> {
    if caller.id == target.id || caller.links.len() >= MAX_LINKS {
        return Ok(OwnId::Yes);
    }
    let (own, others) = (logins(caller)?, logins(target)?);
    // Nobody logs in by an identity that the provider has deleted, so it makes no two users one.
    let logs_in = |clerk: &&ClerkUserId| own.get(*clerk) == Some(&false);
    let shares = others.keys().any(|clerk| logs_in(&clerk));
    if shares || own.keys().any(|clerk| linkage::derived(clerk) == target.id) {
        return Ok(OwnId::Yes);
    }
    if target.links.len() < MAX_LINKS {
        return Ok(OwnId::No);
    }
    let links = own.keys().filter(logs_in).map(|clerk| keys::user_link(target.id, clerk));
    Ok(OwnId::IfAnyExists(ReadPlan::gets(links).consistent()))
}

/// The identities whose sessions log in as a user, or have done so: the one that the user names, and those that are
/// linked; each with whether the provider has deleted it.
fn logins(user: &LinkedUser<'_>) -> Result<BTreeMap<ClerkUserId, bool>, Corrupt> {
    let named = User::of(&user.entity.state, &user.entity.linkage.linked).clerk_user_id.cloned();
    let named = named.map(|clerk| Ok((clerk, false)));
    named.into_iter().chain(user.links.iter().map(links::linked_identity)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::item::{Attributes, Value};

    fn link(user: UserId, clerk: &str) -> Item {
        let clerk = ClerkUserId::parse(clerk).unwrap();
        let attributes = Attributes::from([("of".to_owned(), Value::Text(clerk.as_str().to_owned()))]);
        Item { key: keys::user_link(user, &clerk), attributes }
    }

    fn user(number: u128) -> UserId {
        UserId(uuid::Uuid::from_u128(number))
    }

    fn decide(caller: (UserId, &[&str]), target: (UserId, &[&str])) -> OwnId {
        let entity = Entity::default();
        let rows = |(id, clerks): (UserId, &[&str])| -> Vec<Item> {
            clerks.iter().map(|clerk| link(id, clerk)).collect()
        };
        let (own, others) = (rows(caller), rows(target));
        let caller = LinkedUser { id: caller.0, entity: &entity, links: &own };
        is_own_id(&caller, &LinkedUser { id: target.0, entity: &entity, links: &others }).unwrap()
    }

    #[test]
    fn an_id_is_the_administrators_own_by_itself_by_a_shared_login_or_by_derivation() {
        let (ann, bob) = (user(1), user(2));
        assert_eq!(decide((ann, &["a"]), (ann, &["a"])), OwnId::Yes);
        assert_eq!(decide((ann, &["a", "c"]), (bob, &["b", "c"])), OwnId::Yes);
        assert_eq!(decide((ann, &["a"]), (bob, &["b"])), OwnId::No);
        let derived = linkage::derived(&ClerkUserId::parse("a").unwrap());
        assert_eq!(decide((ann, &["a"]), (derived, &[])), OwnId::Yes);
        assert_eq!(decide((ann, &["b"]), (derived, &[])), OwnId::No);
    }

    #[test]
    fn what_was_not_read_is_read_by_key_or_counts_as_own() {
        let (ann, bob) = (user(1), user(2));
        let names: Vec<String> = (0..MAX_LINKS).map(|number| format!("c{number:03}")).collect();
        let many: Vec<&str> = names.iter().map(String::as_str).collect();
        let by_key = ReadPlan::gets([link(bob, "a").key]).consistent();
        assert_eq!(decide((ann, &["a"]), (bob, &many)), OwnId::IfAnyExists(by_key));
        assert_eq!(decide((ann, &["a"]), (bob, &many[1..])), OwnId::No);
        assert_eq!(decide((ann, &many), (bob, &["a"])), OwnId::Yes);
    }
}
