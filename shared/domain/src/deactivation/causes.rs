//! Causes: why commands are sent for a user, and for what the user gets later.
//!
//! Two events cause commands: the `user.deactivated` that an admin's request wrote, and an `identity.deleted` that
//! deactivates a user. A `user.deactivated` that the platform sent causes none (docs/contract/events.md, "Commands out").

use crate::deactivation::commands::{CLERK, Cause};
use crate::entities::fold::{Register, State};
use crate::entities::readings::User;
use crate::events::Event;
use crate::storage::item::{Attributes, Item, Key, Value};
use crate::storage::keys;
use crate::storage::read::Corrupt;
use crate::storage::write::{Action, Write, unchanged};
use crate::values::ids::UserId;
use crate::values::time::Timestamp;

/// The last deactivation of a user that an admin requested.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deactivation {
    /// The id of its `user.deactivated` event.
    pub event: String,
    /// The time of the event.
    pub at: Timestamp,
    /// How many active tasks the user had at that time.
    pub tasks: i128,
    /// The admin who requested it.
    pub requested_by: UserId,
}

impl Deactivation {
    /// Reads the item of a deactivation.
    ///
    /// # Errors
    /// If the item is no deactivation.
    pub fn load(item: &Item) -> Result<Self, Corrupt> {
        let event = item.text("event").zip(item.text("by").and_then(UserId::parse));
        let (event, requested_by) = event.ok_or_else(|| Corrupt::new(&item.key, "not a deactivation"))?;
        let at = i64::try_from(item.number("at")).map_err(|e| Corrupt::new(&item.key, e))?;
        let (event, at) = (event.to_owned(), Timestamp::from_millis(at));
        Ok(Self { event, at, tasks: item.number("tasks"), requested_by })
    }

    /// The attributes of its item.
    pub fn store(&self) -> Attributes {
        [
            ("event", Value::Text(self.event.clone())),
            ("at", Value::Number(self.at.millis().into())),
            ("tasks", Value::Number(self.tasks)),
            ("by", Value::Text(self.requested_by.to_string())),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .into()
    }

    /// Whether it is still in effect: no event has reactivated the user since. If both have the
    /// same time, the reactivation counts as the later one.
    pub fn is_in_effect(&self, user: &User<'_>) -> bool {
        !user.active && user.reactivated_at.is_none_or(|at| at < self.at)
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

/// Why commands are sent for a user whose identity was deleted at the provider. One deletion may deactivate several users:
/// the outbox entry of each has a name of its own.
pub fn deletion_cause(user: UserId, deleted: &Event) -> Cause {
    Cause {
        event: format!("{}\n{user}", deleted.id),
        requested_by: CLERK.to_owned(),
        reason: DELETION_REASON.to_owned(),
        trace: None,
    }
}

/// The cause of commands for what a user has or gets, if there is one: a PATCH or the deletion of an identity that has
/// deactivated the user and that no later event has taken back. Of both, the later one.
pub fn standing_cause(
    id: UserId,
    patch: Option<&Deactivation>,
    user: &User<'_>,
    linked: &State,
) -> Option<Cause> {
    let patch = patch.filter(|patch| patch.is_in_effect(user));
    let deleted = linked
        .winner(Register::Deleted)
        .filter(|event| !user.active && user.reactivated_at.is_none_or(|at| at < event.time));
    match (patch, deleted) {
        (Some(patch), Some(deleted)) if deleted.time > patch.at => Some(deletion_cause(id, deleted)),
        (Some(patch), _) => Some(patch.cause()),
        (None, deleted) => deleted.map(|deleted| deletion_cause(id, deleted)),
    }
}

/// That the commands of a deletion at the identity provider were asked for.
#[derive(Debug)]
pub struct RequestedDeletion<'a> {
    user: UserId,
    deleted: &'a Event,
}

impl<'a> RequestedDeletion<'a> {
    /// Of a user whom the deletion of an identity deactivates.
    pub const fn new(user: UserId, deleted: &'a Event) -> Self {
        Self { user, deleted }
    }

    /// Where it is noted: in one place for a user, over what was noted of an earlier deletion.
    pub fn key(&self) -> Key {
        keys::requested_deletion(self.user)
    }

    /// Whether it is noted already.
    pub fn is_noted(&self, item: Option<&Item>) -> bool {
        item.and_then(|item| item.text(EVENT)) == Some(&self.text())
    }

    /// Notes it over what was read.
    pub fn note(&self, item: Option<&Item>) -> Write {
        let old = item.map(|item| item.attributes.clone()).unwrap_or_default();
        let attributes = Attributes::from([(EVENT.to_owned(), Value::Text(self.text()))]);
        Write { key: self.key(), action: Action::Put(attributes), conditions: unchanged(&old, &[EVENT]) }
    }

    fn text(&self) -> String {
        let Event { id, source, time, .. } = self.deleted;
        format!("{} {id} {source}", time.millis())
    }
}

/// The attribute with the event of a [`RequestedDeletion`].
const EVENT: &str = "event";

/// The reason that commands state where the identity provider has deleted the user.
pub const DELETION_REASON: &str = "user deleted at the identity provider";
