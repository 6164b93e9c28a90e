//! Linkage: how users of the platform and identities at the provider meet (docs/contract/events.md, "Which users
//! an identity belongs to").
//!
//! A user and an identity are entities of their own. A *link* says that what an identity says holds for a user id: the
//! identity belongs to a user that exists, or it stands in for one that does not. Whether there is a link depends on
//! both entities alone, never on which came first.

use crate::entities::fold::{Register, State};
use crate::events::{Body, Event, types};
use crate::values::ids::{ClerkUserId, UserId};
use uuid::Uuid;

/// What joins users and identities, kept next to their own states.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Linkage {
    /// Of a user: what its linked identities say, merged.
    pub linked: State,
    /// Of a user: the sum of the fingerprints of its links. It changes with every link, also with one that says nothing
    /// new, so that a commit which is guarded by it cannot miss any.
    pub links: u64,
    /// Of an identity: how many users that exist name it as theirs.
    pub users: u64,
}

/// The id under which an identity stands in for a user, unless it names another: UUID v5 of the DNS namespace and
/// `clerk:<clerk user id>`.
pub fn derived(clerk: &ClerkUserId) -> UserId {
    UserId(Uuid::new_v5(&Uuid::NAMESPACE_DNS, format!("clerk:{}", clerk.as_str()).as_bytes()))
}

/// The event that holds a register of a user, by the user's own events and by what its identities say. The user's own
/// `user.created` alone says what it was created as.
pub fn winner<'a>(own: &'a State, linked: &'a State, register: Register) -> Option<&'a Event> {
    match own.winner(Register::Created).filter(|_| register == Register::Created) {
        Some(created) => Some(created),
        None => own.winner(register).max(linked.winner(register)),
    }
}

/// Whether an id may be [`derived`] from an identity's: it is a UUID of version 5. Its user's events may then concern
/// other users, who belong to that identity.
pub fn may_be_derived(user: UserId) -> bool {
    user.0.get_version_num() == 5
}

/// What decides whether a user id is linked to an identity, as far as it depends on the user.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Existence {
    /// A `user.created` has made the user, and names the identity.
    NamesIt,
    /// A `user.created` has made the user, and names another.
    NamesAnother,
    /// None has.
    NotCreated,
}

impl Existence {
    /// Of a user with these events of its own, as seen from an identity.
    pub fn of(own: &State, clerk: &ClerkUserId) -> Self {
        match created(own) {
            Some((_, data)) if data.clerk_user_id == *clerk => Self::NamesIt,
            Some(_) => Self::NamesAnother,
            None => Self::NotCreated,
        }
    }
}

/// An identity with all that decides whom it is linked to.
#[derive(Debug)]
pub struct KnownIdentity<'a> {
    /// Its id at the provider.
    pub clerk: &'a ClerkUserId,
    /// What its own events say.
    pub state: &'a State,
    /// How many users that exist name it.
    pub users: u64,
}

impl KnownIdentity<'_> {
    /// The user that it says it is of, where that can be one.
    pub fn external(&self) -> Option<UserId> {
        external(self.state)
    }

    /// The id under which it would stand in for a user.
    pub fn stand_in(&self) -> UserId {
        self.external().unwrap_or_else(|| derived(self.clerk))
    }

    /// Whether the provider has deleted it: nobody logs in with it any more.
    pub fn is_deleted(&self) -> bool {
        self.state.winner(Register::Deleted).is_some()
    }

    /// Whether what it says holds for a user id: it belongs to the user, or stands in under the id. A user that has
    /// come to have the id of a stand-in without naming its identity shares the row.
    pub fn is_linked_to(&self, user: UserId, existence: Existence) -> bool {
        let stands_in = || {
            let exists = self.state.winner(Register::Created).is_some();
            exists && self.users == 0 && self.stand_in() == user
        };
        match existence {
            Existence::NamesIt => true,
            Existence::NamesAnother => self.external() == Some(user) || stands_in(),
            Existence::NotCreated => stands_in(),
        }
    }

    /// What it says: its own events, and those of a user that name the id derived from it. An identity that no event of
    /// its own has made known says nothing, so that logs without identities keep their answers.
    pub fn says(&self, of_derived: &State) -> State {
        let mut all = self.state.clone();
        if !all.is_empty() {
            all.merge(of_derived.clone());
        }
        shown_by_user(&all)
    }
}

/// The user that an identity says it is of, where that can be one.
pub fn external(state: &State) -> Option<UserId> {
    let external = match state.winner(Register::ExternalId).map(|event| &event.body) {
        Some(Body::IdentityCreated(data)) => data.external_id.as_ref(),
        Some(Body::IdentityUpdated(data)) => data.external_id.as_ref().and_then(types::Removable::set),
        _other_types => None,
    };
    UserId::parse(external?.as_str())
}

/// Of a user's own events, those that are an identity's too if the user's id is the one derived from it.
pub fn of_derived(own: &State) -> State {
    let registers = [
        Register::UpdatedEmail,
        Register::UpdatedRole,
        Register::LastLogin,
        Register::State,
        Register::Reactivated,
        Register::AdminDeactivated,
    ];
    own.only(&registers)
}

/// Of what identities say, that which a user shows or is judged by.
pub fn shown_by_user(identities: &State) -> State {
    let registers = [
        Register::Created,
        Register::Deleted,
        Register::State,
        Register::Reactivated,
        Register::AdminDeactivated,
        Register::Email,
        Register::Role,
        Register::LastLogin,
    ];
    identities.only(&registers)
}

/// The event that created a user of the platform.
pub fn created(own: &State) -> Option<(&Event, &types::UserCreated)> {
    match own.winner(Register::Created) {
        Some(event @ Event { body: Body::UserCreated(data), .. }) => Some((event, data)),
        _other_types => None,
    }
}
