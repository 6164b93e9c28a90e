//! Links between users and identities: the plan that brings one of them up to date.
//!
//! Whoever has changed a user or an identity brings all links up to date that the change can concern, *after* the
//! change is stored ([`users_of`]). Each is one transaction over the items of both, guarded by what was read. So of two
//! consumers that store a user and its identity at the same moment, the later one sees both
//! (docs/adr/0017-one-person-one-row.md).

pub mod progress;

use crate::entities::fold::{Register, State};
use crate::entities::linkage::{self, Existence, KnownIdentity, Linkage};
use crate::entities::readings::User;
use crate::events::{Event, UnreadableEvent};
use crate::projections::diff::ProjectionDiff;
use crate::projections::entity::{Entities, Entity, untouched};
use crate::projections::plan::{FoundItems, PlanError};
use crate::projections::views::OF;
use crate::storage::item::{Attributes, Item, Key, Value};
use crate::storage::keys::{self, Lanes};
use crate::storage::read::{Corrupt, Range, ReadPlan, ReadResult};
use crate::storage::write::{Action, Condition, Write};
use crate::values::digest::sha256;
use crate::values::ids::{ClerkUserId, EntityKey, UserId};
use std::collections::{BTreeSet, HashMap};

const STATE: &str = "state";
const CREATED: &str = "created";

/// What must be read to learn which identities may concern a user.
pub fn user_reads(user: UserId) -> ReadPlan {
    let claims = Range { pk: keys::identity_claims(user), ..Range::default() };
    let ranges = vec![claims, links_of(user)];
    ReadPlan { ranges, ..ReadPlan::gets([keys::user(user)]) }.consistent()
}

/// The identities that may concern a user.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UserIdentities {
    /// The one that the user names, if a `user.created` has made the user.
    pub named: Option<ClerkUserId>,
    /// That one, and those that claim the user or are linked to it.
    pub all: BTreeSet<ClerkUserId>,
}

impl UserIdentities {
    /// By what [`user_reads`] asks for.
    pub fn load(user: UserId, found: &ReadResult) -> Result<Self, Corrupt> {
        let own = Entity::load(found.items.get(&keys::user(user)))?;
        let named = linkage::created(&own.state).map(|(_, created)| created.clerk_user_id.clone());
        let others = found.ranges.iter().flatten().map(clerk_of);
        let all = named.clone().map(Ok).into_iter().chain(others).collect::<Result<_, _>>()?;
        Ok(Self { named, all })
    }
}

/// What must be read to learn which users an event of an entity may concern by some identities.
///
/// An event of the identity, or of the user id that is derived from it, concerns all users that it is linked to. That
/// of another user can change only whether the identity belongs to somebody, so it concerns the user that it would
/// stand in for: one item, however many users share the identity. Of all its users, the first `limit` are read
/// ([`progress`]).
pub fn users_reads(clerks: &[&ClerkUserId], event_of: &EntityKey, limit: usize) -> ReadPlan {
    let own = clerks.iter().map(|clerk| identity_key(clerk));
    let concerns_all = |clerk: &ClerkUserId| match Some(event_of) {
        Some(EntityKey::User(user)) => *user == linkage::derived(clerk),
        _identity => true,
    };
    let all = clerks.iter().filter(|clerk| concerns_all(clerk));
    let first = |clerk: &ClerkUserId| Range { limit: Some(limit), ..keys::identity_links(clerk).into() };
    let ranges = all.map(|clerk| first(clerk)).collect();
    ReadPlan { ranges, ..ReadPlan::gets(own) }.consistent()
}

/// The users that an event may concern by an identity: of those that it is linked to, as many as [`users_reads`] asks
/// for, and those that it would be linked to by its own events.
pub fn users_of(clerk: &ClerkUserId, found: &ReadResult) -> Result<BTreeSet<UserId>, Corrupt> {
    let own = identity_key(clerk);
    let identity = Entity::load(found.items.get(&own))?;
    let rows = found.ranges.iter().flatten().filter(|row| row.key.pk == own.pk);
    let linked = rows.filter_map(|row| keys::parse_identity_link(&row.key));
    Ok(linked.chain([linkage::derived(clerk)]).chain(linkage::external(&identity.state)).collect())
}

fn identity_key(clerk: &ClerkUserId) -> Key {
    keys::entity(&EntityKey::Identity(clerk.clone()))
}

/// The most users of one identity that a session compares. They are read greatest first by time, id and source of their
/// `user.created`. Only if more of them agree in all of these does the rest of the register rule not decide.
pub const MAX_LOGINS: usize = 10;

/// What must be read to learn whom a session of an identity logs in as: one round trip, however many users share it.
pub fn login_reads(clerk: &ClerkUserId) -> ReadPlan {
    let own = identity_key(clerk);
    let greatest = Range { descending: true, limit: Some(MAX_LOGINS), ..keys::identity_logins(clerk).into() };
    ReadPlan { ranges: vec![greatest], ..ReadPlan::gets([own]) }.consistent()
}

/// Where the links of a user stand: as many rows as the user has identities.
pub fn links_of(user: UserId) -> Range {
    Range { pk: keys::user_links(user), ..Range::default() }
}

/// Whether the rows of a user's links are of the moment at which the user's item was read.
pub fn are_of(rows: &[Item], user: &Entity) -> Result<bool, PlanError> {
    let links =
        rows.iter().map(|row| Ok((clerk_of(row)?, said(row)?))).collect::<Result<Vec<_>, Corrupt>>()?;
    Ok(join(links, 0)?.links == user.linkage.links)
}

/// The identities of the rows of a user's links.
pub fn identities_of(rows: &[Item]) -> Result<Vec<ClerkUserId>, Corrupt> {
    rows.iter().map(clerk_of).collect()
}

fn clerk_of(row: &Item) -> Result<ClerkUserId, Corrupt> {
    let clerk = row.text(OF).and_then(ClerkUserId::parse);
    clerk.ok_or_else(|| Corrupt::new(&row.key, "no identity"))
}

/// The identity of a user's link, and whether the provider has deleted it.
pub fn linked_identity(row: &Item) -> Result<(ClerkUserId, bool), Corrupt> {
    Ok((clerk_of(row)?, said(row)?.winner(Register::Deleted).is_some()))
}

/// The users that an identity's sessions may log in as, by the rows that [`login_reads`] asks for: each with the event
/// that created it, if it exists.
pub fn logins_of(rows: &[Item]) -> Result<Vec<(UserId, Option<Event>)>, Corrupt> {
    let logins = rows.iter().filter_map(|row| Some((keys::parse_identity_login(&row.key)?, row)));
    logins.map(|(user, row)| Ok((user, created_of(row)?))).collect()
}

/// The event that created the user of an identity's link.
fn created_of(row: &Item) -> Result<Option<Event>, Corrupt> {
    let Some(text) = row.text(CREATED) else { return Ok(None) };
    let state = State::load(text).map_err(|error| Corrupt::new(&row.key, error))?;
    Ok(linkage::created(&state).map(|(event, _)| event.clone()))
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
        let gets = gets.into_iter();
        ReadPlan { ranges: vec![links_of(self.user)], ..ReadPlan::gets(gets) }.consistent()
    }

    /// What to read of the user alone, strongly consistent.
    pub fn user_reads(&self) -> ReadPlan {
        ReadPlan::gets(vec![keys::user(self.user)]).consistent()
    }

    /// What to read to learn whether the link is up to date: all but the other links of the user.
    pub fn own_reads(&self) -> impl Iterator<Item = Key> {
        let sides = self.sides().map(|side| keys::entity(&side));
        let rows = [keys::user_link(self.user, &self.clerk), keys::identity_link(&self.clerk, self.user)];
        sides.into_iter().chain(rows)
    }

    /// Whether the link is up to date by what [`own_reads`](Self::own_reads) names: its rows are as they must be. They
    /// change in the transaction that changes the user's item, so a later reading of that has what they say.
    pub fn is_up_to_date(&self, found: &HashMap<Key, Item>) -> Result<bool, PlanError> {
        let LinkSides { user, identity, derived } = self.load(found)?;
        let (is_linked, says) = self.rule(&user, &identity, &derived);
        let LinkItems { of_user, of_identity, login: _ } =
            link_items(self.user, &self.clerk, &user.state, &says)?;
        let is_as = |row: Item| {
            found.get(&row.key).map(|stored| &stored.attributes) == is_linked.then_some(&row.attributes)
        };
        Ok(is_as(of_user) && is_as(of_identity))
    }

    fn load(&self, found: &HashMap<Key, Item>) -> Result<LinkSides, Corrupt> {
        let load = |key: EntityKey| Entity::load(found.get(&keys::entity(&key)));
        let [user, identity, derived] = self.sides();
        Ok(LinkSides { user: load(user)?, identity: load(identity)?, derived: load(derived)? })
    }

    const fn known<'a>(&'a self, identity: &'a Entity) -> KnownIdentity<'a> {
        KnownIdentity { clerk: &self.clerk, state: &identity.state, users: identity.linkage.users }
    }

    /// Whether there is a link, and what it says.
    fn rule(&self, user: &Entity, identity: &Entity, derived: &Entity) -> (bool, State) {
        let of = self.known(identity);
        let is_linked = of.is_linked_to(self.user, Existence::of(&user.state, &self.clerk));
        (is_linked, of.says(&linkage::of_derived(&derived.state)))
    }

    /// The difference that brings the link up to date.
    pub fn diff(&self, found: &ReadResult, lanes: Lanes) -> Result<LinkDiff, PlanError> {
        let [user_key, identity_key, derived_key] = self.sides();
        let LinkSides { user, identity, derived } = self.load(&found.items)?;
        let of = self.known(&identity);
        let (is_linked, says) = self.rule(&user, &identity, &derived);
        let LinkItems { of_user: own, of_identity, login } =
            link_items(self.user, &self.clerk, &user.state, &says)?;

        let links = found.ranges.iter().flatten();
        let others = links.filter(|row| row.key != own.key).map(|row| Ok((clerk_of(row)?, said(row)?)));
        let mut all = others.collect::<Result<Vec<_>, Corrupt>>()?;
        // Items and rows are read in parallel: they may be of different moments. A damaged row of this link is one more
        // reason to write it anew; of other links nothing else says what they say.
        let row = found.ranges.iter().flatten().find(|row| row.key == own.key);
        let torn = match row.map(|row| Ok((clerk_of(row)?, said(row)?))).transpose() {
            Ok::<_, Corrupt>(row) => join(all.iter().cloned().chain(row), 0)?.links != user.linkage.links,
            Err(_damaged) => true,
        };
        if is_linked {
            all.push((self.clerk.clone(), says));
        }
        let linked = all.iter().map(|(clerk, _says)| clerk.clone()).collect();
        let joined = join(all, user.linkage.users)?;
        let before = Entities::from([(user_key.clone(), user.clone())]);
        let mut after = before.clone();
        after.entry(user_key.clone()).or_default().linkage = joined;
        let mut diff = ProjectionDiff::of(&before, &mut after, lanes)?;
        let updated = after.remove(&user_key).unwrap_or_default();
        let stored = found.ranges.iter().flatten().find(|row| row.key == own.key);
        let stored = stored.map(|item| item.attributes.clone());
        let of_user_stored = stored.is_some();
        diff.replace_row(own.key, stored, is_linked.then_some(own.attributes));
        let stored = found.items.get(&of_identity.key);
        let old_login = match stored {
            Some(stored) => Some(login_item(self.user, &self.clerk, created_of(stored)?.as_ref())?),
            None => None,
        };
        let guarded = guarded(stored, is_linked.then_some(of_identity.clone()), &of_identity.key);
        let new_login = is_linked.then_some(login);
        let moved = old_login.as_ref().filter(|old| new_login.as_ref().is_none_or(|new| new.key != old.key));
        if let Some(old) = moved {
            diff.replace_row(old.key.clone(), Some(old.attributes.clone()), None);
        }
        if let Some(new) = new_login {
            let stored = old_login.filter(|old| old.key == new.key).map(|old| old.attributes);
            diff.replace_row(new.key, stored, Some(new.attributes));
        }

        let mut checks = vec![untouched(&identity_key, &identity)?];
        if derived_key != user_key {
            checks.push(untouched(&derived_key, &derived)?);
        }
        if !diff.changes(&user_key) {
            checks.push(untouched(&user_key, &user)?);
        }
        let is_active = |entity: &Entity| User::of(&entity.state, &entity.linkage.linked).active;
        let (was, is) = (is_active(&user), is_active(&updated));
        let (reactivates, deactivates) = (!was && is, was && !is);
        let goes = !is_linked && (guarded.is_some() || of_user_stored);
        let first = Some(of.stand_in()).filter(|stand_in| goes && *stand_in != self.user);
        Ok(LinkDiff { diff, guarded, checks, user: updated, linked, reactivates, deactivates, torn, first })
    }
}

/// Both sides of a link, and the user whose events may be the identity's.
struct LinkSides {
    user: Entity,
    identity: Entity,
    derived: Entity,
}

/// What the row of a link says.
fn said(row: &Item) -> Result<State, Corrupt> {
    let text = row.text(STATE).map_or_else(|| Ok(State::default()), State::load);
    text.map_err(|error| Corrupt::new(&row.key, error))
}

/// The write that brings the identity's row of a link up to date, over exactly what was read: the row says under which
/// key the row for logins stands, which must not be left behind.
fn guarded(stored: Option<&Item>, new: Option<Item>, key: &Key) -> Option<Write> {
    if stored.map(|item| &item.attributes) == new.as_ref().map(|item| &item.attributes) {
        return None;
    }
    let created = |item: &Item| match item.attributes.get(CREATED) {
        Some(value) => Condition::Equals(CREATED.to_owned(), value.clone()),
        None => Condition::Absent(CREATED.to_owned()),
    };
    let conditions = match stored {
        Some(item) => vec![Condition::Present(keys::PK.to_owned()), created(item)],
        None => vec![Condition::Absent(keys::PK.to_owned())],
    };
    let action = new.map_or(Action::Delete, |item| Action::Put(item.attributes));
    Some(Write { key: key.clone(), action, conditions })
}

/// The items of a link.
pub(crate) struct LinkItems {
    /// In the user's partition: what the identity says.
    pub(crate) of_user: Item,
    /// In the identity's partition, by user.
    pub(crate) of_identity: Item,
    /// In the identity's partition, in the order in which sessions prefer its users.
    pub(crate) login: Item,
}

impl LinkItems {
    pub(crate) fn into_items(self) -> [Item; 3] {
        [self.of_user, self.of_identity, self.login]
    }
}

/// The row of a user among those whom an identity's sessions may log in as.
fn login_item(user: UserId, clerk: &ClerkUserId, created: Option<&Event>) -> Result<Item, UnreadableEvent> {
    let mut attributes = Attributes::new();
    if let Some(event) = created {
        let mut state = State::default();
        state.fold(event.clone());
        attributes.insert(CREATED.to_owned(), Value::Text(state.store()?));
    }
    let order = created.map(|event| (event.time, event.id.as_str(), event.source.as_str()));
    Ok(Item { key: keys::identity_login(clerk, order, user), attributes })
}

/// The items of a link of a user with these events of their own.
pub(crate) fn link_items(
    user: UserId,
    clerk: &ClerkUserId,
    own: &State,
    says: &State,
) -> Result<LinkItems, UnreadableEvent> {
    let mut attributes = Attributes::from([(OF.to_owned(), Value::Text(clerk.as_str().to_owned()))]);
    if !says.is_empty() {
        attributes.insert(STATE.to_owned(), Value::Text(says.store()?));
    }
    let of_user = Item { key: keys::user_link(user, clerk), attributes };
    let login = login_item(user, clerk, linkage::created(own).map(|(event, _)| event))?;
    let of_identity = Item { key: keys::identity_link(clerk, user), attributes: login.attributes.clone() };
    Ok(LinkItems { of_user, of_identity, login })
}

/// What linked identities say together. Adding them up in any order, or in parts, leads to the same.
#[derive(Debug, Default, Clone)]
pub(crate) struct MergedIdentities {
    says: State,
    fingerprints: u64,
}

impl MergedIdentities {
    /// Adds a link.
    pub(crate) fn add(&mut self, clerk: &ClerkUserId, says: State) -> Result<(), UnreadableEvent> {
        let [a, b, c, d, e, f, g, h, ..] = sha256(&[clerk.as_str().as_bytes(), says.store()?.as_bytes()]);
        self.fingerprints = self.fingerprints.wrapping_add(u64::from_be_bytes([a, b, c, d, e, f, g, h]));
        self.says.merge(says);
        Ok(())
    }

    /// These and others.
    pub(crate) fn and(mut self, others: &Self) -> Self {
        self.fingerprints = self.fingerprints.wrapping_add(others.fingerprints);
        self.says.merge(others.says.clone());
        self
    }

    /// About how many bytes they take in memory.
    pub(crate) fn weight(&self) -> usize {
        self.says.weight()
    }

    /// As an entity keeps them. `users` is how many users name an identity, if it is one.
    pub(crate) fn into_linkage(self, users: u64) -> Linkage {
        Linkage { linked: linkage::shown_by_user(&self.says), links: self.fingerprints, users }
    }
}

fn join(
    links: impl IntoIterator<Item = (ClerkUserId, State)>,
    users: u64,
) -> Result<Linkage, UnreadableEvent> {
    let mut joined = MergedIdentities::default();
    links.into_iter().try_for_each(|(clerk, says)| joined.add(&clerk, says))?;
    Ok(joined.into_linkage(users))
}

/// Step 2: read the counters from which something is taken.
#[derive(Debug)]
pub struct LinkDiff {
    diff: ProjectionDiff,
    guarded: Option<Write>,
    checks: Vec<Write>,
    /// The user as the transaction leaves them. If a cause for commands holds for them, these are due in it, unless
    /// they were requested before and the user was inactive already.
    pub user: Entity,
    /// The identities that are linked to the user then.
    pub linked: Vec<ClerkUserId>,
    /// Whether the user was inactive before, and is active then.
    pub reactivates: bool,
    /// Whether the user was active before, and is inactive then.
    pub deactivates: bool,
    /// Whether the user's item and the rows of its links were read at different moments, or a row is lost or damaged.
    pub torn: bool,
    /// The user id that the identity stands in for, if the link goes: its link must be up to date first. Whoever has
    /// changed the user finds the identity by the link that goes, and by nothing else.
    pub first: Option<UserId>,
}

impl LinkDiff {
    /// The items to read, strongly consistent.
    pub fn keys(&self) -> Vec<Key> {
        self.diff.shrinking()
    }

    /// Whether the link is up to date: nothing is to be written.
    pub fn is_empty(&self) -> bool {
        self.diff.is_empty() && self.guarded.is_none()
    }

    /// The writes, and the checks that what they were planned from still holds. These alone if the link is up to date.
    pub fn writes(self, found: &FoundItems) -> Vec<Write> {
        let mut writes = self.diff.writes(found);
        writes.extend(self.guarded.into_iter().chain(self.checks));
        writes
    }
}
