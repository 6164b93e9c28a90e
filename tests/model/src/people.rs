//! Users and identities: who is listed, and what holds for whom ("Which users an identity belongs to").
//!
//! Where an identity's events go follows from all events together, so there are three passes: what
//! is known of users and identities themselves; whom each identity's events hold for; then every
//! event for all of those.

use std::collections::{BTreeMap, BTreeSet};

use sha1_smol::Sha1;

use crate::facts::{Fact, IdentityFact, PersonChange};
use crate::fields::uuid_text;
use crate::history::Writers;

/// The registers of a user, a stand-in or a stub; `None` while no event has written one.
#[derive(Default)]
pub(crate) struct ModelUser {
    /// What makes it more than a stub.
    pub(crate) listing: Option<Listing>,
    pub(crate) email: Option<String>,
    pub(crate) role: Option<String>,
    /// Without an event that says so nobody is deactivated.
    pub(crate) deactivated: bool,
    /// When the event happened that says so, and who caused it.
    pub(crate) state_set: Option<(i64, Option<String>)>,
    pub(crate) last_login: Option<i64>,
    /// The Clerk ids of the identities whose events hold here.
    pub(crate) identities: BTreeSet<String>,
    pub(crate) writers: Writers,
}

/// The facts of the greatest `user.created`, or, of a stand-in, those of the greatest
/// `identity.created`.
pub(crate) struct Listing {
    pub(crate) clerk_user_id: String,
    pub(crate) created_at: i64,
    pub(crate) is_stand_in: bool,
    /// The place of that event in the merge order: of two, the greater event has the greater
    /// place.
    pub(crate) place: usize,
}

/// What is known of an identity itself.
#[derive(Default)]
pub(crate) struct ModelIdentity {
    pub(crate) exists: bool,
    pub(crate) external_id: Option<String>,
    pub(crate) deleted: bool,
}

/// Users and identities by their ids, from all facts in the merge order.
#[allow(clippy::wildcard_enum_match_arm, reason = "three kinds of facts are about people")]
pub(crate) fn fold_people(facts: &[Fact]) -> (BTreeMap<String, ModelUser>, BTreeMap<String, ModelIdentity>) {
    let (mut users, identities) = users_and_identities(facts);
    let holders: BTreeMap<&str, Vec<String>> = identities
        .iter()
        .map(|(clerk_user_id, identity)| (clerk_user_id.as_str(), holders(&users, clerk_user_id, identity)))
        .collect();
    for (clerk_user_id, user_ids) in &holders {
        for user_id in user_ids {
            users.entry(user_id.clone()).or_default().identities.insert((*clerk_user_id).to_owned());
        }
    }
    // Point 4: "`user.updated`, ... that name the UUID v5 id of an identity are events of that
    // identity".
    let derived: BTreeMap<String, &str> = holders.keys().map(|id| (derived_id(id), *id)).collect();

    for (place, fact) in facts.iter().enumerate() {
        match fact {
            Fact::UserCreated { user_id, change, .. } => {
                let user = users.entry(user_id.clone()).or_default();
                user.apply(place, change);
                user.listed_by(place);
            }
            Fact::UserChanged { user_id, change } => {
                let of_identity = derived.get(user_id).map(|clerk_user_id| holders[clerk_user_id].clone());
                for holder in of_identity.into_iter().flatten().chain([user_id.clone()]) {
                    users.entry(holder).or_default().apply(place, change);
                }
            }
            Fact::Identity(fact) => {
                for holder in holders.get(fact.clerk_user_id.as_str()).into_iter().flatten() {
                    let user = users.entry(holder.clone()).or_default();
                    user.apply(place, &fact.change);
                    user.stand_in(fact, place);
                }
            }
            _ => {}
        }
    }
    (users, identities)
}

/// The first pass: the listings of users with a `user.created`, and all identities.
#[allow(clippy::wildcard_enum_match_arm, reason = "three kinds of facts are about people")]
fn users_and_identities(facts: &[Fact]) -> (BTreeMap<String, ModelUser>, BTreeMap<String, ModelIdentity>) {
    let mut users: BTreeMap<String, ModelUser> = BTreeMap::new();
    let mut identities: BTreeMap<String, ModelIdentity> = BTreeMap::new();
    for (place, fact) in facts.iter().enumerate() {
        match fact {
            Fact::UserCreated { user_id, clerk_user_id, created_at, .. } => {
                users.entry(user_id.clone()).or_default().listing = Some(Listing {
                    clerk_user_id: clerk_user_id.clone(),
                    created_at: *created_at,
                    is_stand_in: false,
                    place,
                });
            }
            Fact::Identity(fact) if fact.says_something() => {
                let identity = identities.entry(fact.clerk_user_id.clone()).or_default();
                identity.exists |= fact.created_at.is_some();
                identity.deleted |= fact.deleted;
                if let Some(external_id) = &fact.external_id {
                    identity.external_id.clone_from(external_id);
                }
            }
            _ => {}
        }
    }
    (users, identities)
}

/// Whom an identity's events hold for: the users it belongs to, else the id it stands in under,
/// else nobody.
fn holders(
    users: &BTreeMap<String, ModelUser>,
    clerk_user_id: &str,
    identity: &ModelIdentity,
) -> Vec<String> {
    let owners = owners(users, clerk_user_id, identity.external_id.as_deref());
    if !owners.is_empty() {
        return owners;
    }
    // "Only identities with an `identity.created` stand in; one without, that belongs to nobody,
    // holds for nobody."
    if identity.exists { vec![stand_in_id(clerk_user_id, identity)] } else { Vec::new() }
}

/// Point 1: "each user that has a `user.created` and whose `clerk_user_id` is the identity's, or
/// whose id is the identity's `external_id`", in any letter case.
pub(crate) fn owners(
    users: &BTreeMap<String, ModelUser>,
    clerk_user_id: &str,
    external_id: Option<&str>,
) -> Vec<String> {
    let belongs = |user_id: &str, listing: &Listing| {
        !listing.is_stand_in
            && (listing.clerk_user_id == clerk_user_id
                || external_id.is_some_and(|id| id.eq_ignore_ascii_case(user_id)))
    };
    users
        .iter()
        .filter(|(user_id, user)| user.listing.as_ref().is_some_and(|listing| belongs(user_id, listing)))
        .map(|(user_id, _)| user_id.clone())
        .collect()
}

/// Point 3: "under `external_id` where that is a UUID, else under the UUID v5".
pub(crate) fn stand_in_id(clerk_user_id: &str, identity: &ModelIdentity) -> String {
    let external_id = identity.external_id.as_deref().and_then(uuid_text);
    external_id.unwrap_or_else(|| derived_id(clerk_user_id))
}

/// "the UUID v5 of the DNS namespace and `clerk:<clerk_user_id>`"
pub fn derived_id(clerk_user_id: &str) -> String {
    uuid_v5(&format!("clerk:{clerk_user_id}"))
}

/// RFC 9562, 5.5: the first 16 bytes of SHA-1 over the namespace and the name, with version and
/// variant set.
fn uuid_v5(name: &str) -> String {
    const DNS_NAMESPACE: u128 = 0x6ba7_b810_9dad_11d1_80b4_00c0_4fd4_30c8;
    let mut input = DNS_NAMESPACE.to_be_bytes().to_vec();
    input.extend_from_slice(name.as_bytes());
    let mut bytes: [u8; 16] = Sha1::from(input).digest().bytes()[..16].try_into().unwrap();
    bytes[6] = (bytes[6] & 0x0f) | 0x50;
    bytes[8] = (bytes[8] & 0x3f) | 0x80;
    let hex = format!("{:032x}", u128::from_be_bytes(bytes));
    format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
}

impl ModelUser {
    fn apply(&mut self, place: usize, change: &PersonChange) {
        match change {
            PersonChange::Profile { email, role } => {
                if let Some(email) = email {
                    self.email = Some(email.clone());
                    self.writers.insert("email", place);
                }
                if let Some(role) = role {
                    self.role.clone_from(role);
                    self.writers.insert("role", place);
                }
            }
            // "greatest `time`": the events come in the order of their times.
            PersonChange::LoggedIn { time } => {
                self.last_login = Some(*time);
                self.writers.insert("last_login", place);
            }
            PersonChange::State { deactivated, at, by } => {
                self.deactivated = *deactivated;
                self.state_set = Some((*at, by.clone()));
                self.writers.insert("state", place);
            }
        }
    }

    /// "`created_at` and `clerk_user_id` of the greatest `identity.created`"; those of a user are
    /// its own.
    fn stand_in(&mut self, fact: &IdentityFact, place: usize) {
        let is_user = self.listing.as_ref().is_some_and(|listing| !listing.is_stand_in);
        if let Some(created_at) = fact.created_at
            && !is_user
        {
            let clerk_user_id = fact.clerk_user_id.clone();
            self.listing = Some(Listing { clerk_user_id, created_at, is_stand_in: true, place });
            self.listed_by(place);
        }
    }

    /// What an event of creation alone decides.
    fn listed_by(&mut self, place: usize) {
        self.writers.insert("clerk_user_id", place);
        self.writers.insert("created_at", place);
    }
}

#[cfg(test)]
mod tests {
    use super::uuid_v5;

    #[test]
    fn uuids_of_the_dns_namespace() {
        // The examples of RFC 9562 (A.4) and of Python's `uuid` module.
        assert_eq!(uuid_v5("www.example.com"), "2ed6657d-e927-568b-95e1-2665a8aea6a2");
        assert_eq!(uuid_v5("python.org"), "886313e1-3b8a-5372-9b90-0c9aee199e5d");
    }
}
