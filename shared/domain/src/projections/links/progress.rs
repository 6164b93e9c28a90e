//! The links of an identity that very many users share: they are read in pages, and what is up to date is noted, so
//! that a message that comes again goes on where its time ran out.
//!
//! A note says: with this content of the identity, the links of all users after one and up to another are up to date.
//! Content only grows, so what a note says of it stays true, and a note of other content is worth nothing. A link that
//! comes later, by an event of its user, is brought up to date by that event. The first page has no part in it: it is
//! checked at each delivery, with the users that the identity stands in for. New users may push others out of it: so a
//! note says where it ended.

use super::identity_key;
use crate::entities::linkage;
use crate::events::UnreadableEvent;
use crate::projections::entity::Entity;
use crate::projections::plan::PlanError;
use crate::storage::item::{Attributes, Item, Value};
use crate::storage::keys;
use crate::storage::read::{Range, ReadPlan, ReadResult};
use crate::values::digest::sha256_hex;
use crate::values::ids::{ClerkUserId, UserId};

const CONTENT: &str = "content";
const AFTER: &str = "after";
const THROUGH: &str = "through";

/// What must be read to learn the content of an identity: its own events, and those of the user id derived from it.
pub fn content_reads(clerk: &ClerkUserId) -> ReadPlan {
    ReadPlan::gets([identity_key(clerk), keys::user(linkage::derived(clerk))]).consistent()
}

/// A digest of all that decides what an identity's links say and whether they are there, but for the users themselves.
///
/// # Errors
/// If an item cannot be read.
pub fn content(clerk: &ClerkUserId, found: &ReadResult) -> Result<String, PlanError> {
    let identity = Entity::load(found.items.get(&identity_key(clerk)))?.state;
    let derived = Entity::load(found.items.get(&keys::user(linkage::derived(clerk))))?.state;
    let texts = (|| Ok::<_, UnreadableEvent>([identity.store()?, linkage::of_derived(&derived).store()?]))()?;
    Ok(sha256_hex(&texts.each_ref().map(String::as_bytes)))
}

/// The next page of an identity's links, after a user.
pub fn page_reads(clerk: &ClerkUserId, after: UserId, limit: usize) -> ReadPlan {
    let page = Range { limit: Some(limit), ..keys::identity_links_after(clerk, after).into() };
    ReadPlan::ranges(vec![page]).consistent()
}

/// The users of a page.
pub fn page_users(found: &ReadResult) -> Vec<UserId> {
    found.ranges.iter().flatten().filter_map(|row| keys::parse_identity_link(&row.key)).collect()
}

/// The last user of an identity's first page, if that is full: there may be more.
pub fn last_of_full_page(clerk: &ClerkUserId, found: &ReadResult, limit: usize) -> Option<UserId> {
    let own = identity_key(clerk);
    let rows: Vec<&Item> = found.ranges.iter().flatten().filter(|row| row.key.pk == own.pk).collect();
    rows.last().filter(|_| rows.len() >= limit).and_then(|row| keys::parse_identity_link(&row.key))
}

/// A note of how far an identity's links are up to date.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LinkProgress {
    /// With which [`content`].
    pub content: String,
    /// The last user of the first page, which the note says nothing about.
    pub after: UserId,
    /// The last user whose link is.
    pub through: UserId,
}

impl LinkProgress {
    /// After which user to go on, where the first page ends with this one.
    pub fn go_on_after(&self, first_page: UserId) -> UserId {
        if self.after <= first_page { self.through.max(first_page) } else { first_page }
    }

    /// Reads a note; one that says nothing is none.
    pub fn load(item: &Item) -> Option<Self> {
        let user = |name| item.text(name).and_then(UserId::parse);
        Some(Self { content: item.text(CONTENT)?.to_owned(), after: user(AFTER)?, through: user(THROUGH)? })
    }

    /// The attributes of its item.
    pub fn store(&self) -> Attributes {
        let texts = [
            (CONTENT, self.content.clone()),
            (AFTER, self.after.to_string()),
            (THROUGH, self.through.to_string()),
        ];
        texts.map(|(name, text)| (name.to_owned(), Value::Text(text))).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    #[test]
    fn users_whom_new_ones_push_out_of_the_first_page_are_not_passed_over() {
        let user = |n| UserId(Uuid::from_u128(n));
        let noted = LinkProgress { content: String::new(), after: user(10), through: user(30) };

        assert_eq!(noted.go_on_after(user(10)), user(30), "the first page ends where it did");
        assert_eq!(noted.go_on_after(user(12)), user(30), "some of its users are gone");
        assert_eq!(noted.go_on_after(user(40)), user(40), "very many are");
        assert_eq!(noted.go_on_after(user(8)), user(8), "9 and 10 were in the first page");
    }
}
