//! The outbox: which commands a deactivation must still send.
//!
//! The transaction that deactivates a user also writes an outbox entry. The entry is deleted only
//! after the queue has accepted every command that follows from it. It names neither tasks nor
//! keys: these are read page by page when the commands are sent, so that the transaction does not
//! grow with what the user has.

use crate::deactivation::commands::{Cause, Command};
use crate::entities::readings::User;
use crate::projections::views;
use crate::storage::item::{Attributes, Item, Key, Value};
use crate::storage::keys::{self, Owned};
use crate::storage::read::{Corrupt, Range};
use crate::values::ids::{ClerkUserId, UserId};
use crate::values::time::Timestamp;
use serde::{Deserialize, Serialize};

/// The attribute with the text of an outbox entry.
const ENTRY: &str = "order";
/// The attribute with the progress of an outbox entry: the sort key of the last row whose
/// command was sent.
pub const CURSOR: &str = "cursor";
/// The most rows that become commands in one step.
pub const PAGE: usize = 100;

/// An entry of the outbox.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutboxEntry {
    /// Why its commands are sent.
    pub cause: Cause,
    /// When it was written.
    pub at: Timestamp,
    /// The generation that was live at that time, in which the rows of the user's tasks and
    /// keys are found.
    pub generation: String,
    /// Which commands follow from it.
    #[serde(rename = "what")]
    pub action: OutboxAction,
}

/// Which commands follow from an outbox entry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum OutboxAction {
    /// Those that stop everything of a user: their active tasks, live API keys and login.
    #[serde(rename = "everything")]
    StopUser {
        /// The user.
        user_id: UserId,
        /// The user at the identity provider.
        clerk_user_id: ClerkUserId,
    },
    /// The one that stops a task or key that was created or resumed after the
    /// deactivation of its user.
    #[serde(rename = "late")]
    StopResumed {
        /// The command.
        command: Command,
        /// The time of the event that created or resumed it.
        since: Timestamp,
    },
}

/// An outbox entry as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredOutboxEntry {
    /// The key of its item.
    pub key: Key,
    /// The entry.
    pub entry: OutboxEntry,
    /// The sort key of the last row whose command was sent; `None` if none was.
    pub cursor: Option<String>,
}

impl OutboxEntry {
    /// The item to put into the outbox. An entry that is made again for the same event
    /// has the same key.
    ///
    /// # Errors
    /// If the entry cannot be written as JSON.
    pub fn item(&self) -> Result<Item, serde_json::Error> {
        let target = match &self.action {
            OutboxAction::StopUser { .. } => String::new(),
            OutboxAction::StopResumed { command, since } => {
                format!("{} {} {}", since.millis(), command.kind(), command.target())
            }
        };
        let key = keys::outbox(&self.cause.event, &target);
        let attributes = Attributes::from([(ENTRY.to_owned(), Value::Text(serde_json::to_string(self)?))]);
        Ok(Item { key, attributes })
    }
}

/// The next commands of an outbox entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutboxStep {
    /// The messages to send.
    pub messages: Vec<String>,
    /// The cursor of the entry once they are sent; `None` if the entry is then complete.
    pub cursor: Option<String>,
}

impl StoredOutboxEntry {
    /// Reads an item of the outbox.
    ///
    /// # Errors
    /// If the item is no outbox entry.
    pub fn load(item: &Item) -> Result<Self, Corrupt> {
        let text = item.text(ENTRY).ok_or_else(|| Corrupt::new(&item.key, "not an outbox entry"))?;
        let entry = serde_json::from_str(text).map_err(|e| Corrupt::new(&item.key, e))?;
        Ok(Self { key: item.key.clone(), entry, cursor: item.text(CURSOR).map(str::to_owned) })
    }

    /// The rows to read for the next step; `None` if the step needs none.
    pub fn range(&self) -> Option<Range> {
        match &self.entry.action {
            OutboxAction::StopUser { user_id, .. } => Some(Range {
                pk: keys::owned(*user_id),
                from: self.cursor.as_deref().map(keys::next),
                limit: Some(PAGE),
                ..Range::default()
            }),
            OutboxAction::StopResumed { .. } => None,
        }
    }

    /// The next step, from the rows of [`StoredOutboxEntry::range`]. The ban of the login is sent
    /// first, so that no other command can delay it.
    ///
    /// # Errors
    /// If a row stands for neither a task nor a key.
    pub fn step(&self, rows: &[Item]) -> Result<OutboxStep, Corrupt> {
        let OutboxEntry { cause, at, action, .. } = &self.entry;
        let (user_id, clerk_user_id) = match action {
            OutboxAction::StopResumed { command, since } => {
                let message = command.message(cause, command_time(*at, *since));
                return Ok(OutboxStep { messages: vec![message], cursor: None });
            }
            OutboxAction::StopUser { user_id, clerk_user_id } => (*user_id, clerk_user_id),
        };
        let mut messages = Vec::with_capacity(rows.len() + 1);
        if self.cursor.is_none() {
            let ban = Command::BanUser { user_id, clerk_user_id: clerk_user_id.clone() };
            messages.push(ban.message(cause, *at));
        }
        for row in rows {
            let owned = keys::parse_owned(row);
            let owned = owned.ok_or_else(|| Corrupt::new(&row.key, "neither a task nor a key"))?;
            let since = i64::try_from(row.number(views::SINCE)).unwrap_or(0);
            let at = command_time(*at, Timestamp::from_millis(since));
            messages.push(stop_command(owned, user_id).message(cause, at));
        }
        let last = rows.last().filter(|_| rows.len() == PAGE);
        Ok(OutboxStep { messages, cursor: last.map(|row| row.key.sk.clone()) })
    }
}

/// The time of a command: later than that of the event whose effect it undoes, which may be ahead
/// of this system's clock.
fn command_time(at: Timestamp, since: Timestamp) -> Timestamp {
    at.max(since.plus(1))
}

/// The command that stops a task or revokes a key.
pub fn stop_command(owned: Owned, user_id: UserId) -> Command {
    match owned {
        Owned::Task(task_id) => Command::PauseTask { task_id, user_id },
        Owned::Key(key_id) => Command::RevokeKey { key_id, user_id },
    }
}

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
            requested_by: self.requested_by,
            reason: REASON.to_owned(),
            trace: None,
        }
    }
}

/// The reason that commands state.
pub const REASON: &str = "user deactivated by an administrator";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::values::ids::{KeyId, TaskId};

    const USER: &str = "00000000-0000-0000-0000-0000000000ad";

    fn entry(action: OutboxAction) -> OutboxEntry {
        let cause = Cause {
            event: "e1".to_owned(),
            requested_by: UserId::parse(USER).unwrap(),
            reason: REASON.to_owned(),
            trace: None,
        };
        let at = Timestamp::parse("2026-03-31T10:30:30.500Z").unwrap();
        OutboxEntry { cause, at, generation: "g1".to_owned(), action }
    }

    fn stop_user() -> OutboxEntry {
        let clerk_user_id = ClerkUserId::parse("user_1").unwrap();
        entry(OutboxAction::StopUser { user_id: UserId::parse(USER).unwrap(), clerk_user_id })
    }

    fn stored(entry: &OutboxEntry) -> StoredOutboxEntry {
        StoredOutboxEntry::load(&entry.item().unwrap()).unwrap()
    }

    /// Entries that a release before has written must be read.
    #[test]
    fn the_stored_form_of_an_entry_stays_what_it_is() {
        let cause = format!(
            r#""cause":{{"event":"e1","requested_by":"{USER}","reason":"user deactivated by an administrator"}}"#
        );
        let at = r#""at":"2026-03-31T10:30:30.500Z","generation":"g1""#;
        let user = format!(r#"{{"everything":{{"user_id":"{USER}","clerk_user_id":"user_1"}}}}"#);
        let key = format!(
            r#"{{"late":{{"command":{{"key_id":"key_1","user_id":"{USER}"}},"since":"2026-03-31T10:30:31Z"}}}}"#
        );
        let command = Command::RevokeKey {
            key_id: KeyId::parse("key_1").unwrap(),
            user_id: UserId::parse(USER).unwrap(),
        };
        let since = Timestamp::parse("2026-03-31T10:30:31Z").unwrap();

        for (entry, action) in
            [(stop_user(), user), (entry(OutboxAction::StopResumed { command, since }), key)]
        {
            let text = format!("{{{cause},{at},\"what\":{action}}}");
            assert_eq!(entry.item().unwrap().text("order"), Some(text.as_str()));
            assert_eq!(stored(&entry).entry, entry);
        }
    }

    #[test]
    fn the_first_step_of_a_user_bans_the_login_before_it_stops_tasks() {
        let task = TaskId::parse("22222222-0000-4000-8000-000000000001").unwrap();
        let row = Item {
            key: keys::active_task(UserId::parse(USER).unwrap(), task),
            attributes: Attributes::from([("at".to_owned(), Value::Number(0))]),
        };

        let step = stored(&stop_user()).step(&[row]).unwrap();

        let kinds: Vec<_> =
            step.messages.iter().map(|message| Command::receive(message).unwrap().command.kind()).collect();
        assert_eq!((kinds.as_slice(), step.cursor), (["user.ban", "task.pause"].as_slice(), None));
    }

    #[test]
    fn a_command_is_later_than_the_event_whose_effect_it_undoes() {
        let at = Timestamp::from_millis(1_000);
        assert_eq!(command_time(at, Timestamp::from_millis(999)), at);
        assert_eq!(command_time(at, Timestamp::from_millis(5_000)), Timestamp::from_millis(5_001));
    }
}
