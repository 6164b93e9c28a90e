//! Users and identities of a whole generation, joined in two steps that each need only a part of them.
//!
//! First by identity ([`JoinedIdentities`]): its own events, the users that name it, and the events of the user id that
//! is derived from it. Its links come out, some of them for the case that a user exists or does not. Then by user id
//! ([`JoinedUsers`]): its own events and its links. Every part has a user id (of an identity, the derived one), by
//! whose hash a unit that is too large is halved.
//!
//! Each step passes over its parts twice. The first pass folds all of them: it keeps something for each identity and
//! for each user, and nothing for each link between them. The second makes the links, one at a time. So one identity of
//! very many users, and one user with very many identities, need no more memory than others.

use crate::entities::fold::State;
use crate::entities::linkage::{self, Existence, KnownIdentity, Linkage};
use crate::events::UnreadableEvent;
use crate::projections::entity::Entity;
use crate::projections::links::{MergedIdentities, link_items};
use crate::projections::views::TaskTotals;
use crate::storage::item::Item;
use crate::values::ids::{ClerkUserId, UserId};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap};

/// Bytes of an entry beside its texts.
const ENTRY: usize = 200;

/// Whether a link holds, as far as that depends on the user.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LinkCondition {
    /// In any case.
    Always,
    /// If a `user.created` has made the user.
    IfCreated,
    /// If none has.
    IfNotCreated,
}

/// What the join of users and identities reads: one fact of one of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum JoinInput {
    /// An identity's own events.
    Identity(ClerkUserId, State),
    /// A user that exists and names an identity.
    Named(ClerkUserId, UserId),
    /// Those of a user's events that are an identity's too, if the id is derived from it.
    OfDerived(UserId, State),
    /// A user's own events.
    User(UserId, State),
    /// A link.
    Link(UserId, ClerkUserId, State, LinkCondition),
}

impl JoinInput {
    /// About how many bytes it takes in memory.
    pub fn weight(&self) -> usize {
        ENTRY
            + match self {
                Self::OfDerived(_, state) | Self::User(_, state) => state.weight(),
                Self::Identity(clerk, state) | Self::Link(_, clerk, state, _) => {
                    clerk.as_str().len() + state.weight()
                }
                Self::Named(clerk, _) => clerk.as_str().len(),
            }
    }
}

/// The parts of a user's own events.
pub fn user_parts(user: UserId, own: State) -> impl Iterator<Item = JoinInput> {
    let named =
        linkage::created(&own).map(|(_, created)| JoinInput::Named(created.clerk_user_id.clone(), user));
    let of_derived = linkage::may_be_derived(user).then(|| linkage::of_derived(&own));
    let of_derived = of_derived.filter(|state| !state.is_empty());
    let of_derived = of_derived.map(|state| JoinInput::OfDerived(user, state));
    named.into_iter().chain(of_derived).chain([JoinInput::User(user, own)])
}

/// Merges a state into another; returns by how many bytes that has grown.
fn merge(state: &mut State, other: State) -> usize {
    let before = state.weight();
    state.merge(other);
    state.weight().saturating_sub(before)
}

/// An identity, without the users that name it.
#[derive(Debug, Default)]
struct IdentityParts {
    own: State,
    /// How many users that exist name it.
    users: u64,
    /// Whether the user that it says it is of, and the one whose id is derived from it, are among them. Known after the
    /// second pass.
    names_external: bool,
    names_derived: bool,
}

/// Step 1: identities, with the users that name them.
#[derive(Debug, Default)]
pub struct JoinedIdentities {
    identities: BTreeMap<ClerkUserId, IdentityParts>,
    of_derived: HashMap<UserId, State>,
    weight: usize,
    /// What the identity of the last link says: the next is often one of the same.
    says: Option<(ClerkUserId, State)>,
}

impl JoinedIdentities {
    /// About how many bytes they take in memory.
    pub const fn weight(&self) -> usize {
        self.weight
    }

    /// First pass: takes a part in. Each `Named` may come once.
    pub fn add(&mut self, part: JoinInput) {
        match part {
            JoinInput::Identity(clerk, state) => {
                let grown = merge(&mut self.identity(clerk).own, state);
                self.weight += grown;
            }
            JoinInput::Named(clerk, _) => self.identity(clerk).users += 1,
            JoinInput::OfDerived(user, state) => {
                let of_derived = self.of_derived.entry(user).or_insert_with(|| {
                    self.weight += ENTRY;
                    State::default()
                });
                self.weight += merge(of_derived, state);
            }
            JoinInput::User(..) | JoinInput::Link(..) => {}
        }
    }

    fn identity(&mut self, clerk: ClerkUserId) -> &mut IdentityParts {
        let id = clerk.as_str().len();
        self.identities.entry(clerk).or_insert_with(|| {
            self.weight += ENTRY + id;
            IdentityParts::default()
        })
    }

    /// The identities as they are stored, in the order of their ids.
    pub fn entities(&self) -> impl Iterator<Item = (ClerkUserId, Entity)> {
        self.identities.iter().map(|(clerk, IdentityParts { own, users, .. })| {
            let linkage = Linkage { users: *users, ..Linkage::default() };
            (clerk.clone(), Entity { state: own.clone(), totals: TaskTotals::default(), linkage })
        })
    }

    /// Second pass: the link of a user that names an identity. Every `Named` must come again.
    pub fn link(&mut self, clerk: ClerkUserId, user: UserId) -> JoinInput {
        let says = self.says(&clerk);
        let parts = self.identity(clerk.clone());
        parts.names_external |= linkage::external(&parts.own) == Some(user);
        parts.names_derived |= linkage::derived(&clerk) == user;
        JoinInput::Link(user, clerk, says, LinkCondition::Always)
    }

    /// After the second pass: the links of users that do not name the identity, for whichever of them exists.
    pub fn other_links(&self) -> impl Iterator<Item = JoinInput> {
        self.identities.iter().flat_map(|(clerk, parts)| {
            let identity = KnownIdentity { clerk, state: &parts.own, users: parts.users };
            let derived = linkage::derived(clerk);
            let external =
                identity.external().filter(|external| !parts.names_external && *external != derived);
            let others = [external, (!parts.names_derived).then_some(derived)];
            let holds = others.into_iter().flatten().filter_map(|user| Some((user, holds(&identity, user)?)));
            holds
                .map(|(user, holds)| JoinInput::Link(user, clerk.clone(), self.said(&identity), holds))
                .collect::<Vec<_>>()
        })
    }

    fn says(&mut self, clerk: &ClerkUserId) -> State {
        match &self.says {
            Some((of, says)) if of == clerk => says.clone(),
            _another => {
                let parts = self.identities.get(clerk);
                let (state, users) =
                    parts.map_or_else(Default::default, |parts| (parts.own.clone(), parts.users));
                let says = self.said(&KnownIdentity { clerk, state: &state, users });
                self.says = Some((clerk.clone(), says.clone()));
                says
            }
        }
    }

    fn said(&self, identity: &KnownIdentity<'_>) -> State {
        let nothing = State::default();
        identity.says(self.of_derived.get(&linkage::derived(identity.clerk)).unwrap_or(&nothing))
    }
}

/// Whether an identity is linked to a user that does not name it.
fn holds(identity: &KnownIdentity<'_>, user: UserId) -> Option<LinkCondition> {
    let linked = |existence| identity.is_linked_to(user, existence);
    match (linked(Existence::NamesAnother), linked(Existence::NotCreated)) {
        (true, true) => Some(LinkCondition::Always),
        (true, false) => Some(LinkCondition::IfCreated),
        (false, true) => Some(LinkCondition::IfNotCreated),
        (false, false) => None,
    }
}

/// All that concerns one user id: its own events, and its links by when they hold.
#[derive(Debug, Default)]
struct UserParts {
    own: State,
    always: MergedIdentities,
    if_created: MergedIdentities,
    if_not_created: MergedIdentities,
}

impl UserParts {
    fn holds(&self, holds: LinkCondition) -> bool {
        let is_created = || linkage::created(&self.own).is_some();
        match holds {
            LinkCondition::Always => true,
            LinkCondition::IfCreated => is_created(),
            LinkCondition::IfNotCreated => !is_created(),
        }
    }

    fn entity(&self) -> Entity {
        let depends =
            if self.holds(LinkCondition::IfCreated) { &self.if_created } else { &self.if_not_created };
        let linkage = self.always.clone().and(depends).into_linkage(0);
        Entity { state: self.own.clone(), totals: TaskTotals::default(), linkage }
    }
}

/// Step 2: users, with what their identities say.
#[derive(Debug, Default)]
pub struct JoinedUsers {
    users: BTreeMap<UserId, UserParts>,
    weight: usize,
}

impl JoinedUsers {
    /// About how many bytes they take in memory.
    pub const fn weight(&self) -> usize {
        self.weight
    }

    /// First pass: takes a part in. Each `Link` may come once.
    ///
    /// # Errors
    /// If a state cannot be written.
    pub fn add(&mut self, part: JoinInput) -> Result<(), UnreadableEvent> {
        match part {
            JoinInput::User(user, state) => {
                let grown = merge(&mut self.user(user).own, state);
                self.weight += grown;
            }
            JoinInput::Link(user, clerk, says, holds) => {
                let parts = self.user(user);
                let joined = match holds {
                    LinkCondition::Always => &mut parts.always,
                    LinkCondition::IfCreated => &mut parts.if_created,
                    LinkCondition::IfNotCreated => &mut parts.if_not_created,
                };
                let before = joined.weight();
                joined.add(&clerk, says)?;
                let grown = joined.weight().saturating_sub(before);
                self.weight += grown;
            }
            JoinInput::Identity(..) | JoinInput::Named(..) | JoinInput::OfDerived(..) => {}
        }
        Ok(())
    }

    fn user(&mut self, user: UserId) -> &mut UserParts {
        self.users.entry(user).or_insert_with(|| {
            self.weight += ENTRY;
            UserParts::default()
        })
    }

    /// The ids, in their order.
    pub fn ids(&self) -> Vec<UserId> {
        self.users.keys().copied().collect()
    }

    /// A user as stored; one of whom nothing is known if there is none.
    pub fn entity(&self, user: UserId) -> Entity {
        self.users.get(&user).map(UserParts::entity).unwrap_or_default()
    }

    /// Leaves a user out: they have no links either.
    pub fn leave_out(&mut self, user: UserId) {
        self.users.remove(&user);
    }

    /// Second pass: the items of a link; none if it does not hold, or the user was left out.
    ///
    /// # Errors
    /// If a state cannot be written.
    pub fn link_items(
        &self,
        user: UserId,
        clerk: &ClerkUserId,
        says: &State,
        holds: LinkCondition,
    ) -> Result<Vec<Item>, UnreadableEvent> {
        match self.users.get(&user).filter(|parts| parts.holds(holds)) {
            Some(parts) => Ok(link_items(user, clerk, &parts.own, says)?.into_items().into()),
            None => Ok(Vec::new()),
        }
    }
}
