//! Users and identities of a whole generation, joined in two steps that each need only a part of them.
//!
//! First by identity: its own events, the users that name it, and the events of the user id that is derived from it.
//! Its links come out, some of them for the case that a user exists or does not. Then by user id: its own events and
//! its links. Every part has a user id (of an identity, the derived one), by whose hash a unit that is too large is
//! halved.

use crate::entities::fold::State;
use crate::entities::linkage::{self, Existence, KnownIdentity, Linkage};
use crate::events::UnreadableEvent;
use crate::projections::links::{join, link_items};
use crate::storage::item::Item;
use crate::values::ids::{ClerkUserId, UserId};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

/// Bytes of an entry beside its texts.
const ENTRY: usize = 200;

/// Whether a link holds, as far as that depends on the user.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LinkHolds {
    /// In any case.
    Always,
    /// If a `user.created` has made the user.
    IfCreated,
    /// If none has.
    IfNotCreated,
}

/// A part of what is known of users and identities.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PersonPart {
    /// An identity's own events.
    Identity(ClerkUserId, State),
    /// A user that exists and names an identity.
    Named(ClerkUserId, UserId),
    /// Those of a user's events that are an identity's too, if the id is derived from it.
    OfDerived(UserId, State),
    /// A user's own events.
    User(UserId, State),
    /// A link.
    Link(UserId, ClerkUserId, State, LinkHolds),
}

/// All that concerns the identities from which one user id is derived: one identity, in practice.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
struct IdentityGroup {
    identities: BTreeMap<ClerkUserId, State>,
    named: BTreeMap<ClerkUserId, BTreeSet<UserId>>,
    of_derived: State,
}

/// The most users of one part of a [`JoinedIdentity`].
const USERS_OF_A_PART: usize = 32;

/// An identity that is joined with the users that it may belong to, or a part of one that has many: what an identity
/// says is stored for each of its users, which must not be in memory for all of them at once.
#[derive(Debug)]
pub struct JoinedIdentity {
    /// Its id at the provider.
    pub clerk: ClerkUserId,
    /// Its own events, and how many users that exist name it; `None` in all parts but the first.
    pub own: Option<(State, u64)>,
    says: Arc<State>,
    users: Vec<(UserId, LinkHolds)>,
}

impl JoinedIdentity {
    /// The links of this part, for whichever user exists.
    pub fn links(&self) -> impl Iterator<Item = PersonPart> {
        let link = |(user, holds): &(UserId, LinkHolds)| {
            PersonPart::Link(*user, self.clerk.clone(), State::clone(&self.says), *holds)
        };
        self.users.iter().map(link)
    }
}

/// All that concerns one user id.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Person {
    own: State,
    links: BTreeMap<ClerkUserId, (State, LinkHolds)>,
}

/// Parts, gathered.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct People {
    identities: HashMap<UserId, IdentityGroup>,
    people: HashMap<UserId, Person>,
    weight: usize,
}

impl People {
    /// True if there are none.
    pub fn is_empty(&self) -> bool {
        self.identities.is_empty() && self.people.is_empty()
    }

    /// About how many bytes they take in memory.
    pub const fn weight(&self) -> usize {
        self.weight
    }

    /// Adds a part.
    pub fn add(&mut self, part: PersonPart) {
        self.weight += ENTRY;
        match part {
            PersonPart::Identity(clerk, state) => {
                self.weight += state.weight();
                self.group(&clerk).identities.entry(clerk).or_default().merge(state);
            }
            PersonPart::Named(clerk, user) => {
                self.group(&clerk).named.entry(clerk).or_default().insert(user);
            }
            PersonPart::OfDerived(user, state) => {
                self.weight += state.weight();
                self.identities.entry(user).or_default().of_derived.merge(state);
            }
            PersonPart::User(user, state) => {
                self.weight += state.weight();
                self.people.entry(user).or_default().own.merge(state);
            }
            PersonPart::Link(user, clerk, state, holds) => {
                self.weight += state.weight();
                self.people.entry(user).or_default().links.insert(clerk, (state, holds));
            }
        }
    }

    fn group(&mut self, clerk: &ClerkUserId) -> &mut IdentityGroup {
        self.identities.entry(linkage::derived(clerk)).or_default()
    }

    /// The parts of a user's own events.
    pub fn add_user(&mut self, user: UserId, own: State) {
        if let Some((_, created)) = linkage::created(&own) {
            self.add(PersonPart::Named(created.clerk_user_id.clone(), user));
        }
        let of_derived = linkage::of_derived(&own);
        if !of_derived.is_empty() {
            self.add(PersonPart::OfDerived(user, of_derived));
        }
        self.add(PersonPart::User(user, own));
    }

    /// All identities with their links, in parts, in an order that depends on them alone.
    pub fn take_identities(&mut self) -> Vec<JoinedIdentity> {
        let mut groups: Vec<_> = self.identities.drain().collect();
        groups.sort_unstable_by_key(|(id, _)| *id);
        groups.into_iter().flat_map(|(_, group)| group.into_identities()).collect()
    }

    /// All users, in the order of their ids.
    pub fn take_people(&mut self) -> Vec<(UserId, Person)> {
        let mut people: Vec<_> = self.people.drain().collect();
        people.sort_unstable_by_key(|(id, _)| *id);
        people
    }

    /// The parts, to be put elsewhere.
    pub fn into_parts(self) -> impl Iterator<Item = PersonPart> {
        let identities = self.identities.into_iter().flat_map(|(id, group)| {
            let IdentityGroup { identities, named, of_derived } = group;
            let identities = identities.into_iter().map(|(clerk, state)| PersonPart::Identity(clerk, state));
            let named = named.into_iter().flat_map(|(clerk, users)| {
                users.into_iter().map(move |user| PersonPart::Named(clerk.clone(), user))
            });
            let of_derived = Some(of_derived).filter(|state| !state.is_empty());
            identities.chain(named).chain(of_derived.map(|state| PersonPart::OfDerived(id, state)))
        });
        let people = self.people.into_iter().flat_map(|(id, person)| {
            let links = person.links.into_iter();
            let links = links.map(move |(clerk, (says, holds))| PersonPart::Link(id, clerk, says, holds));
            let own = Some(person.own).filter(|own| !own.is_empty());
            own.map(|own| PersonPart::User(id, own)).into_iter().chain(links)
        });
        identities.chain(people)
    }
}

impl IdentityGroup {
    fn into_identities(self) -> Vec<JoinedIdentity> {
        let Self { mut identities, mut named, of_derived } = self;
        let ids: BTreeSet<ClerkUserId> = identities.keys().chain(named.keys()).cloned().collect();
        let each = ids.into_iter().map(|clerk| {
            let state = identities.remove(&clerk).unwrap_or_default();
            let named = named.remove(&clerk).unwrap_or_default();
            let users = u64::try_from(named.len()).unwrap_or(u64::MAX);
            let identity = KnownIdentity { clerk: &clerk, state: &state, users };
            let says = Arc::new(identity.says(&of_derived));
            let linked = linked_users(&identity, &named);
            let mut own = Some((state, users));
            let parts = linked.chunks(USERS_OF_A_PART).map(<[_]>::to_vec);
            let first = linked.is_empty().then(Vec::new);
            let part = |users| JoinedIdentity {
                clerk: clerk.clone(),
                own: own.take(),
                says: Arc::clone(&says),
                users,
            };
            parts.chain(first).map(part).collect::<Vec<_>>()
        });
        each.flatten().collect()
    }
}

/// The users that an identity is linked to, or would be if they existed or did not.
fn linked_users(identity: &KnownIdentity<'_>, named: &BTreeSet<UserId>) -> Vec<(UserId, LinkHolds)> {
    let others = identity.external().into_iter().chain([linkage::derived(identity.clerk)]);
    let targets: BTreeSet<UserId> = named.iter().copied().chain(others).collect();
    let holds = |user: UserId| {
        if named.contains(&user) {
            return Some(LinkHolds::Always);
        }
        let linked = |existence| identity.is_linked_to(user, existence);
        match (linked(Existence::NamesAnother), linked(Existence::NotCreated)) {
            (true, true) => Some(LinkHolds::Always),
            (true, false) => Some(LinkHolds::IfCreated),
            (false, true) => Some(LinkHolds::IfNotCreated),
            (false, false) => None,
        }
    };
    targets.into_iter().filter_map(|user| Some((user, holds(user)?))).collect()
}

impl Person {
    /// The user's own state, what its identities say, and the items of its links.
    pub fn into_entity(self, user: UserId) -> Result<(State, Linkage, Vec<Item>), UnreadableEvent> {
        let Self { own, links } = self;
        let is_created = linkage::created(&own).is_some();
        let holds = |holds: LinkHolds| match holds {
            LinkHolds::Always => true,
            LinkHolds::IfCreated => is_created,
            LinkHolds::IfNotCreated => !is_created,
        };
        let links = links.into_iter().filter(|(_, (_, link))| holds(*link));
        let links: Vec<(ClerkUserId, State)> = links.map(|(clerk, (says, _))| (clerk, says)).collect();
        let mut items = Vec::new();
        for (clerk, says) in &links {
            items.extend(link_items(user, clerk, &own, says)?.into_items());
        }
        let linkage = join(&links, 0)?;
        Ok((own, linkage, items))
    }
}
