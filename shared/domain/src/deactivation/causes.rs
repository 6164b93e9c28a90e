//! Causes: why commands are sent for a user, and for what the user gets later.
//!
//! Two events cause commands: the `user.deactivated` that an admin's request wrote, and an `identity.deleted`. They
//! cause them for the user that they name, and for every user whom they deactivate by an identity. A `user.deactivated`
//! that the platform sent causes none (docs/contract/events.md, "Commands").

use crate::deactivation::commands::{CLERK, Cause};
use crate::entities::fold::{Register, State};
use crate::entities::linkage;
use crate::entities::readings::User;
use crate::events::{Body, Event, UnreadableEvent};
use crate::projections::entity::{self, Entity};
use crate::storage::item::{Attributes, Item, Key, Value};
use crate::storage::keys;
use crate::storage::read::Corrupt;
use crate::storage::write::{Action, Condition, Write, unchanged};
use crate::values::digest::sha256_hex;
use crate::values::ids::{ClerkUserId, EntityKey, UserId};
use crate::values::time::Timestamp;
use std::collections::{BTreeMap, BTreeSet};

/// The last deactivation of a user that an admin requested.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestedDeactivation {
    /// The id of its `user.deactivated` event.
    pub event: String,
    /// The time of the event.
    pub at: Timestamp,
    /// How many active tasks the user had at that time.
    pub tasks: i128,
    /// The admin who requested it.
    pub requested_by: UserId,
}

impl RequestedDeactivation {
    /// Reads the item of a deactivation.
    ///
    /// # Errors
    /// If the item is no deactivation.
    pub fn load(item: &Item) -> Result<Self, Corrupt> {
        let event = item.text(EVENT).zip(item.text("by").and_then(UserId::parse));
        let (event, requested_by) = event.ok_or_else(|| Corrupt::new(&item.key, "not a deactivation"))?;
        let at = i64::try_from(item.number("at")).map_err(|e| Corrupt::new(&item.key, e))?;
        let (event, at) = (event.to_owned(), Timestamp::from_millis(at));
        Ok(Self { event, at, tasks: item.number("tasks"), requested_by })
    }

    /// The attributes of its item.
    pub fn store(&self) -> Attributes {
        let attributes = [
            (EVENT, Value::Text(self.event.clone())),
            ("at", Value::Number(self.at.millis().into())),
            ("tasks", Value::Number(self.tasks)),
            ("by", Value::Text(self.requested_by.to_string())),
        ];
        attributes.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
    }

    /// Whether it is still in effect: no event has reactivated the user since. If both have the
    /// same time, the reactivation counts as the later one.
    pub fn is_in_effect(&self, user: &User<'_>) -> bool {
        !user.active && user.reactivated.is_none_or(|event| event.time < self.at)
    }

    /// The cause that its commands state.
    pub fn cause(&self) -> Cause {
        Cause {
            event: self.event.clone(),
            requested_by: self.requested_by.to_string(),
            reason: REASON.to_owned(),
            trace: None,
        }
    }
}

/// The reason that commands state.
pub const REASON: &str = "user deactivated by an administrator";

/// The deactivations of some users by an administrator, by user.
pub type RequestedDeactivations = BTreeMap<UserId, RequestedDeactivation>;

/// What deactivates a user by what their identities say, and sends commands: the deletion of an identity, or the
/// deactivation of another user id, which is derived from one (docs/contract/events.md, "Deactivation by an identity").
#[derive(Debug, Clone, PartialEq, Eq)]
struct LinkedCause<'a> {
    event: &'a Event,
    /// The user id whose reactivation takes it back for all users of the identity.
    origin: UserId,
    requested_by: String,
    reason: &'static str,
}

impl LinkedCause<'_> {
    /// One event may deactivate several users: the outbox entry of each has a name of its own.
    fn cause(&self, user: UserId) -> Cause {
        Cause {
            event: linked_cause(user, self.event),
            requested_by: self.requested_by.clone(),
            reason: self.reason.to_owned(),
            trace: None,
        }
    }
}

/// The id that commands for a user name as their cause, if the event is one of the user's identities.
fn linked_cause(user: UserId, event: &Event) -> String {
    format!("{}\n{user}", event.id)
}

/// The event of a cause, without the user whom it names where one event deactivates several.
pub fn event_of(cause: &Cause) -> &str {
    cause.event.rsplit_once('\n').map_or(cause.event.as_str(), |(event, _user)| event)
}

fn deletion<'a>(user: &User<'_>, linked: &'a State) -> Option<LinkedCause<'a>> {
    let event = linked.winner(Register::Deleted).filter(|event| user.is_deactivated_by(event))?;
    let Body::IdentityDeleted(data) = &event.body else { return None };
    let origin = linkage::derived(&data.clerk_user_id);
    Some(LinkedCause { event, origin, requested_by: CLERK.to_owned(), reason: DELETION_REASON })
}

/// The deactivation of another user id by an administrator that still holds for this user.
fn of_another<'a>(id: UserId, user: &User<'_>, linked: &'a State) -> Option<(UserId, &'a Event)> {
    let event = linked.winner(Register::AdminDeactivated).filter(|event| user.is_deactivated_by(event))?;
    match Some(&event.body) {
        Some(Body::UserDeactivated(data)) if data.user_id != id => Some((data.user_id, event)),
        _own_or_other_types => None,
    }
}

/// Whose last deactivations must be read for [`effective_cause`]: the user's own, and that of a user id derived from
/// one of the user's identities. None while the user is active.
pub fn deactivations_of(id: UserId, Entity { state, linkage, .. }: &Entity) -> Vec<UserId> {
    let user = User::of(state, &linkage.linked);
    if user.active {
        return Vec::new();
    }
    [id].into_iter().chain(of_another(id, &user, &linkage.linked).map(|(other, _)| other)).collect()
}

/// Which other users must be read for [`effective_cause`]: those whose reactivation takes a cause back that one of the
/// user's identities is the reason for. None while the user is active.
pub fn origins_of(id: UserId, Entity { state, linkage, .. }: &Entity) -> Vec<UserId> {
    let user = User::of(state, &linkage.linked);
    let deletion = deletion(&user, &linkage.linked).map(|cause| cause.origin);
    let of_another = of_another(id, &user, &linkage.linked).map(|(other, _)| other);
    deletion.into_iter().chain(of_another).filter(|origin| *origin != id).collect()
}

/// What decides which cause of commands stands for some users, apart from their own items.
#[derive(Debug, Default)]
pub struct CauseRecords {
    /// The last deactivations of those of [`deactivations_of`]: an event alone does not prove that an administrator has
    /// requested it here.
    pub deactivations: RequestedDeactivations,
    /// Those of [`origins_of`].
    pub origins: BTreeMap<UserId, Entity>,
}

impl CauseRecords {
    /// What goes into the transaction of a request, so that it and a reactivation of the cause's origin do not pass
    /// each other unseen; `event` is the cause's, `unique` another text each time.
    ///
    /// # Errors
    /// If the origin can't be stored as it was read.
    pub fn origin_writes(
        &self,
        origin: UserId,
        event: &str,
        unique: String,
    ) -> Result<OriginWrites, UnreadableEvent> {
        let read = self.origins.get(&origin).cloned().unwrap_or_default();
        let check = entity::untouched(&EntityKey::User(origin), &read)?;
        Ok(OriginWrites { note: requested_for_others(origin, event, unique), check })
    }

    /// A user as they will be read once the events that have reactivated their origins have reached them: those are
    /// events of the identity, so they concern all of its users.
    fn read<'a>(&'a self, id: UserId, entity: &'a Entity) -> User<'a> {
        let user = User::of(&entity.state, &entity.linkage.linked);
        let origins = origins_of(id, entity).into_iter().filter_map(|origin| self.origins.get(&origin));
        // What other identities say of the origin is not said of this one's users.
        let taken_back = origins.filter_map(|origin| origin.state.winner(Register::Reactivated)).max();
        User { reactivated: user.reactivated.max(taken_back), ..user }
    }
}

/// What a request of commands for a user writes about another, whose reactivation takes the cause back.
#[derive(Debug)]
pub struct OriginWrites {
    /// In the control table: whoever reactivates the origin looks once more for commands that wait.
    pub note: Write,
    /// In the projections: nobody has reactivated the origin since it was read.
    pub check: Write,
}

/// The cause that is in effect for a user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EffectiveCause {
    /// The cause, as commands name it.
    pub cause: Cause,
    /// The other user whose reactivation takes it back, of those of [`origins_of`].
    pub origin: Option<UserId>,
}

/// The cause of commands for what a user has or gets, if there is one: a PATCH on the user or on a user id derived from
/// one of their identities, or the deletion of an identity, that has deactivated the user and that no later event has
/// taken back. Of several, the latest.
pub fn effective_cause(id: UserId, entity: &Entity, records: &CauseRecords) -> Option<EffectiveCause> {
    let (user, linked) = (records.read(id, entity), &entity.linkage.linked);
    let patch = records.deactivations.get(&id).filter(|patch| patch.is_in_effect(&user));
    let of_another = of_another(id, &user, linked).and_then(|(origin, event)| {
        let patch = records.deactivations.get(&origin).filter(|patch| patch.event == event.id)?;
        Some(LinkedCause { event, origin, requested_by: patch.requested_by.to_string(), reason: REASON })
    });
    let linked = deletion(&user, linked).into_iter().chain(of_another).max_by_key(|cause| cause.event);
    let by_link = |linked: LinkedCause<'_>| EffectiveCause {
        cause: linked.cause(id),
        origin: Some(linked.origin).filter(|origin| *origin != id),
    };
    match (patch, linked) {
        (Some(patch), Some(linked)) if linked.event.time > patch.at => Some(by_link(linked)),
        (Some(patch), _) => Some(EffectiveCause { cause: patch.cause(), origin: None }),
        (None, linked) => linked.map(by_link),
    }
}

/// A cause for which commands may wait.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct PendingCause {
    /// The id that the commands for the user name.
    pub id: String,
    /// The id of the event, if commands for other users may wait for it too, which the user's reactivation takes back.
    pub of_others: Option<String>,
}

/// The causes for which commands for a user may wait, whichever is in effect: something may have deactivated the user
/// again since they were requested. Of each kind the last. `patch` is the user's last deactivation by an administrator.
pub fn pending_causes(
    id: UserId,
    entity: &Entity,
    patch: Option<&RequestedDeactivation>,
) -> BTreeSet<PendingCause> {
    let (own, linked) = (&entity.state, &entity.linkage.linked);
    let is_origin = |event: &Event| match Some(&event.body) {
        Some(Body::IdentityDeleted(data)) => linkage::derived(&data.clerk_user_id) == id,
        _of_other_users => false,
    };
    let by_link = [Register::Deleted, Register::AdminDeactivated].map(|register| linked.winner(register));
    let by_link = by_link.into_iter().flatten().map(|event| PendingCause {
        id: linked_cause(id, event),
        of_others: is_origin(event).then(|| event.id.clone()),
    });
    let patch = patch.map(|patch| PendingCause {
        id: patch.event.clone(),
        of_others: linkage::may_be_derived(id).then(|| patch.event.clone()),
    });
    let state = deactivation_source(id, &User::of(own, linked));
    let state = state.map(|state| PendingCause { id: state.cause, of_others: None });
    let mut all: BTreeMap<String, PendingCause> = BTreeMap::new();
    for cause in state.into_iter().chain(by_link).chain(patch) {
        all.insert(cause.id.clone(), cause);
    }
    all.into_values().collect()
}

/// What has deactivated a user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeactivationSource {
    /// The id that its commands name as their cause.
    pub cause: String,
    /// The time of the event that says so.
    pub at: Timestamp,
    /// Who deactivated the user; `None` if the event does not say.
    pub by: Option<String>,
}

/// What has deactivated a user; `None` while the user is active.
pub fn deactivation_source(id: UserId, user: &User<'_>) -> Option<DeactivationSource> {
    let event = user.state.filter(|_| !user.active)?;
    let at = event.time;
    Some(match Some(&event.body) {
        Some(Body::UserDeactivated(data)) => {
            let by = data.by.as_ref().map(|by| by.as_str().to_owned());
            let cause = if data.user_id == id { event.id.clone() } else { linked_cause(id, event) };
            DeactivationSource { cause, at, by }
        }
        _deleted_identity => DeactivationSource { cause: linked_cause(id, event), at, by: None },
    })
}

/// Which logins a user has: the identity that they name, or that stands in for them, and those that are linked to them.
/// Those that the provider has deleted count too. A digest, since they may be thousands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoginsDigest(String);

impl LoginsDigest {
    /// Of a user who names this identity and has these linked.
    pub fn of<'a>(named: &'a ClerkUserId, linked: impl IntoIterator<Item = &'a ClerkUserId>) -> Self {
        let all: BTreeSet<&[u8]> =
            linked.into_iter().chain([named]).map(|clerk| clerk.as_str().as_bytes()).collect();
        Self(sha256_hex(&Vec::from_iter(all)))
    }
}

/// That the commands of a cause were requested for a user with some logins: by the administrator's deactivation, or by
/// the consumer.
#[derive(Debug)]
pub struct CommandRequestNote<'a> {
    user: UserId,
    cause: &'a Cause,
    logins: Option<&'a LoginsDigest>,
}

impl<'a> CommandRequestNote<'a> {
    /// Of a user whom the cause deactivates. With `None` for logins that are not all known, they will be requested once
    /// more.
    pub const fn new(user: UserId, cause: &'a Cause, logins: Option<&'a LoginsDigest>) -> Self {
        Self { user, cause, logins }
    }

    /// Where it is noted: in one place for a user, over what was noted of an earlier cause.
    pub fn key(user: UserId) -> Key {
        keys::requested_commands(user)
    }

    /// Whether the same commands are noted already. A user who got another login since has that to block. An earlier
    /// release has noted no logins, and nothing of deactivations by an administrator.
    pub fn is_noted(&self, item: Option<&Item>) -> bool {
        let text = |name| item.and_then(|item| item.text(name));
        let logins = self.logins.map(|logins| logins.0.as_str());
        text(EVENT) == Some(&self.cause.event) && logins.is_some() && text(LOGINS) == logins
    }

    /// Notes it, whatever is noted.
    pub fn put(&self) -> Write {
        let text = |text: &str| Value::Text(text.to_owned());
        let logins = self.logins.map(|logins| (LOGINS.to_owned(), text(&logins.0)));
        let event = (EVENT.to_owned(), text(&self.cause.event));
        let attributes = logins.into_iter().chain([event]).collect();
        Write { key: Self::key(self.user), action: Action::Put(attributes), conditions: Vec::new() }
    }

    /// Notes it over what was read.
    pub fn put_over(&self, read: Option<&Item>) -> Write {
        Write { conditions: as_read(read), ..self.put() }
    }
}

/// Notes over what was read that nothing is requested for a user whom nothing deactivates that sends commands: an
/// identity has left them. If it comes back, the same cause stops what they got meanwhile. `None` if nothing is noted.
pub fn nothing_requested(user: UserId, read: Option<&Item>) -> Option<Write> {
    read.and_then(|item| item.text(EVENT)).filter(|event| !event.is_empty())?;
    let attributes = Attributes::from([(EVENT.to_owned(), Value::Text(String::new()))]);
    Some(Write {
        key: CommandRequestNote::key(user),
        action: Action::Put(attributes),
        conditions: as_read(read),
    })
}

/// The check that nothing was requested for a user since this was read.
pub fn nothing_more_requested(user: UserId, read: Option<&Item>) -> Write {
    Write { key: CommandRequestNote::key(user), action: Action::Check, conditions: as_read(read) }
}

/// Marks in the note, whatever it says, that commands were requested for what a user got since: whoever reactivates the
/// user looks once more for commands that wait. `unique` is another text each time.
pub fn more_requested(user: UserId, unique: String) -> Write {
    let set = vec![(UNIQUE.to_owned(), Value::Text(unique))];
    let action = Action::Update { add: Vec::new(), set, remove: Vec::new() };
    Write { key: CommandRequestNote::key(user), action, conditions: Vec::new() }
}

/// Notes that commands were requested for another user by a cause that the reactivation of this one takes back.
fn requested_for_others(origin: UserId, event: &str, unique: String) -> Write {
    let attributes = [(EVENT, event.to_owned()), (UNIQUE, unique)];
    let attributes = attributes.map(|(name, text)| (name.to_owned(), Value::Text(text))).into();
    let key = keys::requested_for_others(origin);
    Write { key, action: Action::Put(attributes), conditions: Vec::new() }
}

/// The check that nothing was requested for others since this was read.
pub fn nothing_more_requested_for_others(origin: UserId, read: Option<&Item>) -> Write {
    let attributes = read.map(|item| item.attributes.clone()).unwrap_or_default();
    let conditions = unchanged(&attributes, &[EVENT, UNIQUE]);
    Write { key: keys::requested_for_others(origin), action: Action::Check, conditions }
}

/// The event for which commands for others were requested last. The origin's own item may not show it: the identity
/// may be another user's, or the origin's link may still be on its way.
pub fn last_requested_for_others(read: Option<&Item>) -> Option<&str> {
    read.and_then(|item| item.text(EVENT))
}

/// The conditions that a note is as it was read.
fn as_read(read: Option<&Item>) -> Vec<Condition> {
    unchanged(&read.map(|item| item.attributes.clone()).unwrap_or_default(), &[EVENT, LOGINS, UNIQUE])
}

/// The attribute with the event of a [`CommandRequestNote`] or a [`RequestedDeactivation`].
const EVENT: &str = "event";
/// The attribute by which two requests differ of which nothing else is noted.
const UNIQUE: &str = "unique";
/// The attribute of a [`CommandRequestNote`] with the [`LoginsDigest`] that the commands block.
const LOGINS: &str = "logins";

/// The reason that commands state where the identity provider has deleted the user.
pub const DELETION_REASON: &str = "user deleted at the identity provider";
