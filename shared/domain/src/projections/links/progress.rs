//! The links of an identity that very many users share: they are read in pages, and what is up to date is noted, so
//! that a message that comes again goes on where its time ran out.
//!
//! A note says: with this content of the identity, the links of all users up to one are up to date. Content only grows,
//! so what a note says of it stays true, and a note of other content is worth nothing. A link that comes later, by an
//! event of its user, is brought up to date by that event. The first page has no part in it: it is checked at each
//! delivery, with the users that the identity stands in for.

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
    /// The last user whose link is.
    pub through: UserId,
}

impl LinkProgress {
    /// Reads a note; one that says nothing is none.
    pub fn load(item: &Item) -> Option<Self> {
        Some(Self { content: item.text(CONTENT)?.to_owned(), through: UserId::parse(item.text(THROUGH)?)? })
    }

    /// The attributes of its item.
    pub fn store(&self) -> Attributes {
        let through = Value::Text(self.through.to_string());
        [(CONTENT.to_owned(), Value::Text(self.content.clone())), (THROUGH.to_owned(), through)].into()
    }
}
