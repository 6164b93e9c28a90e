//! The outbox: what a deactivation still has to command, and how an order becomes commands.
//!
//! An order is put into the outbox in the transaction that deactivates, and leaves it only after the queue took every
//! command. A deactivation's order names no task and no key: they are read when it is worked off, page by page, so
//! that a user with thousands of them needs no larger transaction.

use crate::deactivation::commands::{Cause, Command};
use crate::entities::readings::User;
use crate::projections::views;
use crate::storage::item::{Attributes, Item, Key, Value};
use crate::storage::keys::{self, Owned};
use crate::storage::read::{Corrupt, Range};
use crate::values::ids::{ClerkUserId, UserId};
use crate::values::time::Timestamp;
use serde::{Deserialize, Serialize};

const ORDER: &str = "order";
/// The attribute that tells how far an order is worked off: the sort key of the last row whose command is sent.
pub const CURSOR: &str = "cursor";
/// Rows that are turned into commands at once.
pub const PAGE: usize = 100;

/// An order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutboxEntry {
    /// Why.
    pub cause: Cause,
    /// When.
    pub at: Timestamp,
    /// The generation of projections that was live then: what it asks for is to be found there.
    pub generation: String,
    /// What.
    pub what: OutboxAction,
}

/// What an order asks for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OutboxAction {
    /// Stop all that a user has: its active tasks, its live keys, its login.
    Everything {
        /// The user.
        user_id: UserId,
        /// The user at the identity provider.
        clerk_user_id: ClerkUserId,
    },
    /// One thing that appeared, or came to life again, after its user was deactivated.
    Late {
        /// How it is stopped.
        command: Command,
        /// The time of the event that says it is alive, of a task.
        since: Timestamp,
    },
}

/// An order as stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredOutboxEntry {
    /// Where.
    pub key: Key,
    /// What.
    pub order: OutboxEntry,
    /// How far it is worked off.
    pub cursor: Option<String>,
}

impl OutboxEntry {
    /// The item to put into the outbox.
    pub fn item(&self) -> Result<Item, serde_json::Error> {
        let target = match &self.what {
            OutboxAction::Everything { .. } => String::new(),
            OutboxAction::Late { command, since } => {
                format!("{} {} {}", since.millis(), command.kind(), command.target())
            }
        };
        // One order for each time that something came to life, however often it is made.
        let key = keys::outbox(&self.cause.event, &target);
        let attributes = Attributes::from([(ORDER.to_owned(), Value::Text(serde_json::to_string(self)?))]);
        Ok(Item { key, attributes })
    }
}

/// The next commands of an order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutboxStep {
    /// The messages to send.
    pub messages: Vec<String>,
    /// How far the order is worked off once they are sent; without it, all of it is.
    pub cursor: Option<String>,
}

impl StoredOutboxEntry {
    /// Reads an item of the outbox.
    pub fn load(item: &Item) -> Result<Self, Corrupt> {
        let text = item.text(ORDER).ok_or_else(|| Corrupt::new(&item.key, "not an order"))?;
        let order = serde_json::from_str(text).map_err(|e| Corrupt::new(&item.key, e))?;
        Ok(Self { key: item.key.clone(), order, cursor: item.text(CURSOR).map(str::to_owned) })
    }

    /// The rows to read for the next step; none for an order that needs none.
    pub fn range(&self) -> Option<Range> {
        match &self.order.what {
            OutboxAction::Everything { user_id, .. } => Some(Range {
                pk: keys::owned(*user_id),
                from: self.cursor.as_deref().map(keys::next),
                limit: Some(PAGE),
                ..Range::default()
            }),
            OutboxAction::Late { .. } => None,
        }
    }

    /// The next step, from the rows of [`StoredOutboxEntry::range`]. The ban comes first: nothing else may keep it back.
    pub fn step(&self, rows: &[Item]) -> Result<OutboxStep, Corrupt> {
        let OutboxEntry { cause, at, what, .. } = &self.order;
        let (user_id, clerk_user_id) = match what {
            OutboxAction::Late { command, since } => {
                return Ok(OutboxStep {
                    messages: vec![command.message(cause, later(*at, *since))],
                    cursor: None,
                });
            }
            OutboxAction::Everything { user_id, clerk_user_id } => (*user_id, clerk_user_id),
        };
        let mut messages = Vec::with_capacity(rows.len() + 1);
        if self.cursor.is_none() {
            let ban = Command::BanUser { user_id, clerk_user_id: clerk_user_id.clone() };
            messages.push(ban.message(cause, *at));
        }
        for row in rows {
            let owned = keys::parse_owned(&row.key);
            let owned = owned.ok_or_else(|| Corrupt::new(&row.key, "neither a task nor a key"))?;
            let since = i64::try_from(row.number(views::SINCE)).unwrap_or(0);
            let at = later(*at, Timestamp::from_millis(since));
            messages.push(stopping(owned, user_id).message(cause, at));
        }
        let last = rows.last().filter(|_| rows.len() == PAGE);
        Ok(OutboxStep { messages, cursor: last.map(|row| row.key.sk.clone()) })
    }
}

/// The time of a command: later than what it is to undo, whose time may be ahead of our clock.
fn later(at: Timestamp, since: Timestamp) -> Timestamp {
    at.max(since.plus(1))
}

/// The command that stops a task or a key.
pub fn stopping(owned: Owned, user_id: UserId) -> Command {
    match owned {
        Owned::Task(task_id) => Command::PauseTask { task_id, user_id },
        Owned::Key(key_id) => Command::RevokeKey { key_id, user_id },
    }
}

/// The last deactivation of a user that an admin asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deactivation {
    /// Its event.
    pub event: String,
    /// The event's time.
    pub at: Timestamp,
    /// Active tasks of the user at that moment.
    pub tasks: i128,
    /// The admin who asked for it.
    pub requested_by: UserId,
}

impl Deactivation {
    /// Reads its item.
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

    /// Whether it still holds: until an event reactivates the user. Where times are equal the reactivation is later.
    pub fn holds(&self, user: &User<'_>) -> bool {
        !user.active && user.reactivated_at.is_none_or(|at| at < self.at)
    }

    /// Why its commands are sent.
    pub fn cause(&self) -> Cause {
        Cause {
            event: self.event.clone(),
            requested_by: self.requested_by,
            reason: REASON.to_owned(),
            trace: None,
        }
    }
}

/// The reason that commands give.
pub const REASON: &str = "user deactivated by an administrator";
