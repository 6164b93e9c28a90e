//! Links between users and identities: the plan that brings one of them up to date.
//!
//! Whoever has changed a user or an identity brings all links up to date that the change can concern, *after* the change
//! is stored ([`identities_of`], [`users_of`]). Each is one transaction over the items of both, guarded by what was read.
//! So of two consumers that store a user and its identity at the same moment, the later one sees both
//! (docs/adr/0017-one-person-one-row.md).

use crate::entities::fold::{Register, State};
use crate::entities::linkage::{self, Existence, KnownIdentity, Linkage};
use crate::entities::readings::User;
use crate::events::{Body, Event, UnreadableEvent};
use crate::projections::diff::ProjectionDiff;
use crate::projections::entity::{Entities, Entity, untouched};
use crate::projections::plan::{FoundItems, PlanError};
use crate::projections::views::OF;
use crate::storage::item::{Attributes, Item, Key, Value};
use crate::storage::keys::{self, Lanes};
use crate::storage::read::{Corrupt, Range, ReadPlan, ReadResult};
use crate::storage::write::Write;
use crate::values::digest::sha256;
use crate::values::ids::{ClerkUserId, EntityKey, UserId};
use std::collections::BTreeSet;

const STATE: &str = "state";
const CREATED: &str = "created";

/// What must be read to learn which identities may concern a user.
pub fn user_reads(user: UserId) -> ReadPlan {
    let partition = |pk| Range { pk, ..Range::default() };
    let ranges = vec![partition(keys::identity_claims(user)), partition(keys::user_links(user))];
    ReadPlan { gets: vec![keys::user(user)], ranges, consistent: true }
}

/// The identities that may concern a user: the one that it names, and those that claim it or are linked to it.
pub fn identities_of(user: UserId, found: &ReadResult) -> Result<BTreeSet<ClerkUserId>, Corrupt> {
    let own = Entity::load(found.items.get(&keys::user(user)))?;
    let named = linkage::created(&own.state).map(|(_, created)| Ok(created.clerk_user_id.clone()));
    named.into_iter().chain(found.ranges.iter().flatten().map(clerk_of)).collect()
}

/// The partition that says which users an identity may concern.
pub fn identity_reads(clerk: &ClerkUserId) -> Range {
    Range { pk: keys::identity_pk(clerk), ..Range::default() }
}

/// The users that an identity may concern: those it is linked to, and those that it would be linked to by its own events.
pub fn users_of(clerk: &ClerkUserId, partition: &[Item]) -> Result<BTreeSet<UserId>, Corrupt> {
    let own = keys::entity(&EntityKey::Identity(clerk.clone()));
    let identity = Entity::load(partition.iter().find(|item| item.key == own))?;
    let linked = partition.iter().filter_map(|item| keys::parse_identity_link(&item.key));
    Ok(linked.chain([linkage::derived(clerk)]).chain(linkage::external(&identity.state)).collect())
}

fn clerk_of(row: &Item) -> Result<ClerkUserId, Corrupt> {
    let clerk = row.text(OF).and_then(ClerkUserId::parse);
    clerk.ok_or_else(|| Corrupt::new(&row.key, "no identity"))
}

/// The identity of a user's link, and whether the provider has deleted it.
pub fn linked_identity(row: &Item) -> Result<(ClerkUserId, bool), Corrupt> {
    Ok((clerk_of(row)?, said(row)?.winner(Register::Deleted).is_some()))
}

/// The users that an identity is linked to, each with the event that created it, if it exists.
pub fn links_of(partition: &[Item]) -> Result<Vec<(UserId, Option<Event>)>, Corrupt> {
    let linked = partition.iter().filter_map(|item| Some((keys::parse_identity_link(&item.key)?, item)));
    let read = |(user, item): (UserId, &Item)| match item.text(CREATED).map(State::load) {
        Some(Ok(state)) => Ok((user, linkage::created(&state).map(|(event, _)| event.clone()))),
        Some(Err(error)) => Err(Corrupt::new(&item.key, error)),
        None => Ok((user, None)),
    };
    linked.map(read).collect()
}

/// Step 1: read both sides of a link.
#[derive(Debug)]
pub struct LinkReads {
    user: UserId,
    clerk: ClerkUserId,
}

impl LinkReads {
    /// Of one user id and one identity.
    pub const fn new(user: UserId, clerk: ClerkUserId) -> Self {
        Self { user, clerk }
    }

    fn sides(&self) -> [EntityKey; 3] {
        let derived = EntityKey::User(linkage::derived(&self.clerk));
        [EntityKey::User(self.user), EntityKey::Identity(self.clerk.clone()), derived]
    }

    /// What to read, strongly consistent: both sides, their link, and all links of the user.
    pub fn reads(&self) -> ReadPlan {
        let mut gets = BTreeSet::from(self.sides().map(|side| keys::entity(&side)));
        gets.insert(keys::identity_link(&self.clerk, self.user));
        let gets = gets.into_iter().collect();
        let links = Range { pk: keys::user_links(self.user), ..Range::default() };
        ReadPlan { gets, ranges: vec![links], consistent: true }
    }

    /// The difference that brings the link up to date.
    pub fn diff(self, found: &ReadResult, lanes: Lanes) -> Result<LinkDiff, PlanError> {
        let [user_key, identity_key, derived_key] = self.sides();
        let load = |key: &EntityKey| Entity::load(found.items.get(&keys::entity(key)));
        let (user, identity, derived) = (load(&user_key)?, load(&identity_key)?, load(&derived_key)?);
        let of = KnownIdentity { clerk: &self.clerk, state: &identity.state, users: identity.linkage.users };
        let is_linked = of.is_linked_to(self.user, Existence::of(&user.state, &self.clerk));
        let says = of.says(&linkage::of_derived(&derived.state));
        let [own, reverse] = link_items(self.user, &self.clerk, &user.state, &says)?;

        let links = found.ranges.iter().flatten();
        let others = links.filter(|row| row.key != own.key).map(|row| Ok((clerk_of(row)?, said(row)?)));
        let mut all = others.collect::<Result<Vec<_>, Corrupt>>()?;
        if is_linked {
            all.push((self.clerk.clone(), says));
        }
        let joined = join(&all, user.linkage.users)?;
        let deactivated_by = deletion(&user.state, &joined.linked);

        let before = Entities::from([(user_key.clone(), user.clone())]);
        let mut after = before.clone();
        after.entry(user_key.clone()).or_default().linkage = joined;
        let mut diff = ProjectionDiff::of(&before, &mut after, lanes)?;
        let stored = found.ranges.iter().flatten().find(|row| row.key == own.key);
        let stored = [stored, found.items.get(&reverse.key)];
        for (item, stored) in [own, reverse].into_iter().zip(stored) {
            let stored = stored.map(|item| item.attributes.clone());
            diff.replace_row(item.key, stored, is_linked.then_some(item.attributes));
        }

        let mut checks = vec![untouched(&identity_key, &identity)?];
        if derived_key != user_key {
            checks.push(untouched(&derived_key, &derived)?);
        }
        if !diff.changes(&user_key) {
            checks.push(untouched(&user_key, &user)?);
        }
        Ok(LinkDiff { diff, checks, deactivated_by })
    }
}

/// What the row of a link says.
fn said(row: &Item) -> Result<State, Corrupt> {
    let text = row.text(STATE).map_or_else(|| Ok(State::default()), State::load);
    text.map_err(|error| Corrupt::new(&row.key, error))
}

/// The two items of a link: the user's and the identity's.
pub(crate) fn link_items(
    user: UserId,
    clerk: &ClerkUserId,
    own: &State,
    says: &State,
) -> Result<[Item; 2], UnreadableEvent> {
    let mut attributes = Attributes::from([(OF.to_owned(), Value::Text(clerk.as_str().to_owned()))]);
    if !says.is_empty() {
        attributes.insert(STATE.to_owned(), Value::Text(says.store()?));
    }
    let of_user = Item { key: keys::user_link(user, clerk), attributes };
    let mut attributes = Attributes::new();
    if let Some((event, _)) = linkage::created(own) {
        let mut created = State::default();
        created.fold(event.clone());
        attributes.insert(CREATED.to_owned(), Value::Text(created.store()?));
    }
    Ok([of_user, Item { key: keys::identity_link(clerk, user), attributes }])
}

/// What linked identities say together.
pub(crate) fn join(links: &[(ClerkUserId, State)], users: u64) -> Result<Linkage, UnreadableEvent> {
    let mut joined = Linkage { users, ..Linkage::default() };
    for (clerk, says) in links {
        joined.linked.merge(says.clone());
        let [a, b, c, d, e, f, g, h, ..] = sha256(&[clerk.as_str().as_bytes(), says.store()?.as_bytes()]);
        joined.links = joined.links.wrapping_add(u64::from_be_bytes([a, b, c, d, e, f, g, h]));
    }
    Ok(joined)
}

/// The deletion of an identity that holds the state of a user, who is deactivated by it.
fn deletion(own: &State, linked: &State) -> Option<Event> {
    let user = User::of(own, linked);
    let deleted = user.state.filter(|event| matches!(event.body, Body::IdentityDeleted(_)));
    deleted.filter(|_| user.exists()).cloned()
}

/// Step 2: read the counters from which something is taken.
#[derive(Debug)]
pub struct LinkDiff {
    diff: ProjectionDiff,
    checks: Vec<Write>,
    /// The deletion of an identity that holds the user's state: its commands are due in the same transaction, unless an
    /// earlier one has seen to them.
    pub deactivated_by: Option<Event>,
}

impl LinkDiff {
    /// The items to read, strongly consistent.
    pub fn keys(&self) -> Vec<Key> {
        self.diff.shrinking()
    }

    /// Whether the link is up to date: nothing is to be written.
    pub fn is_empty(&self) -> bool {
        self.diff.is_empty()
    }

    /// The writes, and the checks that what they were planned from still holds. These alone if the link is up to date.
    pub fn writes(self, found: &FoundItems) -> Vec<Write> {
        let mut writes = self.diff.writes(found);
        writes.extend(self.checks);
        writes
    }
}
