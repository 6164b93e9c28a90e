//! The outbox: what a deactivation still has to command, and how an order becomes commands.
//!
//! An order is put into the outbox in the transaction that deactivates, and leaves it only after the queue took every
//! command. A deactivation's order names no task and no key: they are read when it is worked off, page by page, so
//! that a user with thousands of them needs no larger transaction.

use crate::deactivation::commands::{CLERK, Cause, Command};
use crate::entities::fold::{Register, State};
use crate::entities::readings::User;
use crate::events::Event;
use crate::projections::{links, views};
use crate::storage::item::{Attributes, Item, Key, Value};
use crate::storage::keys::{self, Owned};
use crate::storage::read::{Corrupt, Range, ReadPlan, ReadResult};
use crate::storage::write::{Action, Write, unchanged};
use crate::values::ids::{ClerkUserId, KeyId, ScheduleId, TaskId, UserId};
use crate::values::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

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
    /// Stop all that a user has: the active tasks, unpaused schedules, live keys and logins.
    Everything {
        /// The user.
        user_id: UserId,
        /// The identity that the user named as theirs at that moment.
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

    /// What to read first for the next step; nothing for an entry that needs nothing.
    pub fn reads(&self) -> ReadPlan {
        let whole = |pk| Range { pk, ..Range::default() };
        let ranges = match &self.order.what {
            OutboxAction::Everything { user_id, .. } => {
                let page = Range {
                    pk: keys::owned(*user_id),
                    from: self.cursor.as_deref().map(keys::next),
                    limit: Some(PAGE),
                    ..Range::default()
                };
                // Logins are blocked with the first page.
                let links = self.cursor.is_none().then(|| whole(keys::user_links(*user_id)));
                [Some(page), links].into_iter().flatten().collect()
            }
            OutboxAction::Late { command: Command::PauseTask { task_id, .. }, .. } => {
                vec![whole(keys::task_schedules(*task_id))]
            }
            OutboxAction::Late { .. } => Vec::new(),
        };
        ReadPlan::ranges(ranges).consistent()
    }

    /// What to read then, in the order of [`OutboxRows::stoppable`]: the schedules of each task, and which tasks of
    /// schedules are active themselves.
    pub fn details(&self, rows: &OutboxRows) -> Result<ReadPlan, Corrupt> {
        let (OutboxAction::Everything { user_id, .. }, stoppable) = (&self.order.what, rows.stoppable()?)
        else {
            return Ok(ReadPlan::default());
        };
        let tasks = stoppable.iter().filter_map(|(_, what)| what.task());
        let schedules = |task| Range { pk: keys::task_schedules(task), ..Range::default() };
        let ranges = tasks.clone().map(schedules).collect();
        let gets = tasks.map(|task| keys::active_task(*user_id, task));
        let gets = BTreeSet::from_iter(gets).into_iter().collect();
        Ok(ReadPlan { gets, ranges, consistent: true })
    }

    /// The next step. Blocking logins comes first: nothing else may keep it back.
    pub fn step(&self, rows: &OutboxRows, details: ReadResult) -> Result<OutboxStep, Corrupt> {
        let OutboxEntry { cause, at, what, .. } = &self.order;
        let (user_id, clerk_user_id) = match what {
            OutboxAction::Late { command, since } => {
                let command = command.with_schedules(schedule_ids(&rows.owned)?);
                return Ok(OutboxStep {
                    messages: vec![command.message(cause, later(*at, *since))],
                    cursor: None,
                });
            }
            OutboxAction::Everything { user_id, clerk_user_id } => (*user_id, clerk_user_id),
        };
        let mut messages = Vec::with_capacity(rows.owned.len() + 1);
        if self.cursor.is_none() {
            for clerk_user_id in logins(clerk_user_id, &rows.links)? {
                messages.push(Command::BanUser { user_id, clerk_user_id }.message(cause, *at));
            }
        }
        let mut schedules = details.ranges.into_iter();
        for (row, what) in rows.stoppable()? {
            let of_task = what.task().and_then(|_| schedules.next()).unwrap_or_default();
            let is_active = |task| details.items.contains_key(&keys::active_task(user_id, task));
            // The command for an active task pauses all of its schedules.
            if what.schedule().is_some() && what.task().is_some_and(is_active) {
                continue;
            }
            let since = i64::try_from(row.number(views::SINCE)).unwrap_or(0);
            let at = later(*at, Timestamp::from_millis(since));
            let command = what.command(user_id).with_schedules(schedule_ids(&of_task)?);
            messages.push(command.message(cause, at));
        }
        let last = rows.owned.last().filter(|_| rows.owned.len() == PAGE);
        Ok(OutboxStep { messages, cursor: last.map(|row| row.key.sk.clone()) })
    }
}

/// The rows that [`StoredOutboxEntry::reads`] asks for.
#[derive(Debug, Clone, Default)]
pub struct OutboxRows {
    /// A page of what the user has; of a task that was resumed late, its schedules.
    pub owned: Vec<Item>,
    /// The links of the user with identities.
    pub links: Vec<Item>,
}

impl OutboxRows {
    /// From the ranges that were read.
    pub fn new(mut found: ReadResult) -> Self {
        let [owned, links] = [found.take_ranges(1), found.take_ranges(1)];
        Self { owned: owned.into_iter().flatten().collect(), links: links.into_iter().flatten().collect() }
    }

    fn stoppable(&self) -> Result<Vec<(&Item, Stoppable)>, Corrupt> {
        self.owned.iter().map(|row| Ok((row, Stoppable::of(row)?))).collect()
    }
}

/// Something that is stopped when its user is deactivated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stoppable {
    /// An active task.
    Task(TaskId),
    /// A live API key.
    Key(KeyId),
    /// An unpaused schedule of a task.
    Schedule(ScheduleId, TaskId),
}

impl Stoppable {
    /// What a row of [`keys::owned`] stands for.
    fn of(row: &Item) -> Result<Self, Corrupt> {
        let what = match keys::parse_owned(&row.key) {
            Some(Owned::Task(id)) => Some(Self::Task(id)),
            Some(Owned::Key(id)) => Some(Self::Key(id)),
            Some(Owned::Schedule) => {
                let schedule = row.text(views::OF).and_then(ScheduleId::parse);
                let task = row.text(views::TASK).and_then(TaskId::parse);
                schedule.zip(task).map(|(schedule, task)| Self::Schedule(schedule, task))
            }
            None => None,
        };
        what.ok_or_else(|| Corrupt::new(&row.key, "neither a task nor a key nor a schedule"))
    }

    const fn task(&self) -> Option<TaskId> {
        match self {
            Self::Task(id) | Self::Schedule(_, id) => Some(*id),
            Self::Key(_) => None,
        }
    }

    const fn schedule(&self) -> Option<&ScheduleId> {
        match self {
            Self::Schedule(id, _) => Some(id),
            Self::Task(_) | Self::Key(_) => None,
        }
    }

    /// The command that stops it; the schedules of a task are not known yet.
    pub fn command(&self, user_id: UserId) -> Command {
        let pause = |task_id, because_of| Command::PauseTask {
            task_id,
            user_id,
            schedule_ids: Vec::new(),
            because_of,
        };
        match self {
            Self::Task(task_id) => pause(*task_id, None),
            Self::Schedule(schedule, task_id) => pause(*task_id, Some(schedule.clone())),
            Self::Key(key_id) => Command::RevokeKey { key_id: key_id.clone(), user_id },
        }
    }
}

/// The ids of a task's schedules, by id.
fn schedule_ids(rows: &[Item]) -> Result<Vec<ScheduleId>, Corrupt> {
    let id = |row: &Item| {
        let id = row.text(views::OF).and_then(ScheduleId::parse);
        id.ok_or_else(|| Corrupt::new(&row.key, "not a schedule"))
    };
    let ids: BTreeSet<ScheduleId> = rows.iter().map(id).collect::<Result<_, _>>()?;
    Ok(ids.into_iter().collect())
}

/// The logins of a user: of the identity that the user named, and of those that are linked; none that is deleted.
fn logins(named: &ClerkUserId, links: &[Item]) -> Result<BTreeSet<ClerkUserId>, Corrupt> {
    let links = links.iter().map(links::linked_identity).collect::<Result<Vec<_>, _>>()?;
    let is_deleted = |clerk: &ClerkUserId| links.iter().any(|(of, deleted)| of == clerk && *deleted);
    let all = links.iter().map(|(clerk, _)| clerk).chain([named]);
    Ok(all.filter(|clerk| !is_deleted(clerk)).cloned().collect())
}

/// The time of a command: later than what it is to undo, whose time may be ahead of our clock.
fn later(at: Timestamp, since: Timestamp) -> Timestamp {
    at.max(since.plus(1))
}

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

/// Why commands are sent for what the user has or gets, if at all: a PATCH or the deletion of an identity that has
/// deactivated the user and that no later event has taken back. Of both, the later one.
pub fn standing_cause(
    id: UserId,
    patch: Option<&Deactivation>,
    user: &User<'_>,
    linked: &State,
) -> Option<Cause> {
    let patch = patch.filter(|patch| patch.holds(user));
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
            requested_by: self.requested_by.to_string(),
            reason: REASON.to_owned(),
            trace: None,
        }
    }
}

/// The reason that commands give.
pub const REASON: &str = "user deactivated by an administrator";

/// The reason that commands give where the identity provider has deleted the user.
pub const DELETION_REASON: &str = "user deleted at the identity provider";
