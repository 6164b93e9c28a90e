//! The outbox: which commands a deactivation must still send, and which events of this system the consumer must still
//! see.
//!
//! The transaction that deactivates a user also writes an outbox entry. The entry is deleted only
//! after the queue has accepted every command that follows from it. It names neither tasks nor
//! keys: these are read page by page when the commands are sent, so that the transaction does not
//! grow with what the user has.

#[cfg(test)]
mod tests;

use crate::deactivation::commands::{Cause, Command, KnownSchedules};
use crate::projections::{links, views};
use crate::storage::item::{Attributes, Item, Key, Value};
use crate::storage::keys::{self, StoppableRow};
use crate::storage::read::{Corrupt, Range, ReadPlan, ReadResult};
use crate::storage::write::Condition;
use crate::values::ids::{ApiKeyId, ClerkUserId, ScheduleId, TaskId, UserId};
use crate::values::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// The attribute with the text of an outbox entry.
const ENTRY: &str = "order";
/// The attribute with the progress of an outbox entry: the sort key of the last row whose
/// command was sent.
pub const CURSOR: &str = "cursor";
/// The target in the key of an entry that holds an event.
const ANNOUNCEMENT: &str = "event";
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
    /// What makes an entry that is put once more, over one that may still wait, differ from the one before. A relay
    /// that works on the former then does not delete it. Empty where the one that is put again asks for the same.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub request: String,
}

/// Which commands follow from an outbox entry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum OutboxAction {
    /// Those that stop everything of a user: their active tasks, unpaused schedules, live API keys and logins.
    #[serde(rename = "everything")]
    StopUser {
        /// The user.
        user_id: UserId,
        /// The identity that the user named as theirs at that moment.
        clerk_user_id: ClerkUserId,
    },
    /// The one that stops a task, schedule or key that was created or resumed after the deactivation of its user.
    #[serde(rename = "late")]
    StopResumed {
        /// The command.
        command: Command,
        /// The time of the event that created or resumed it.
        since: Timestamp,
    },
    /// No command, but an event of this system, for the consumer: it may concern other users than its own.
    #[serde(rename = "event")]
    Announce {
        /// The event's message.
        message: String,
    },
}

/// An outbox entry as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredOutboxEntry {
    /// The key of its item.
    pub key: Key,
    /// The entry.
    pub entry: OutboxEntry,
    /// The entry as it is stored. It may be put again for another login while a relay works on it.
    text: String,
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
                format!("{} {} {}", since.millis(), command.kind_of_target(), command.target())
            }
            OutboxAction::Announce { .. } => ANNOUNCEMENT.to_owned(),
        };
        let key = keys::outbox(&self.cause.event, &target);
        let attributes = Attributes::from([(ENTRY.to_owned(), Value::Text(serde_json::to_string(self)?))]);
        Ok(Item { key, attributes })
    }
}

/// The queue that takes the messages of an outbox entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OutgoingQueue {
    /// `torale-commands`.
    Commands,
    /// `torale-events`.
    Events,
}

/// The next messages of an outbox entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutboxStep {
    /// The queue that they are for.
    pub queue: OutgoingQueue,
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
        let cursor = item.text(CURSOR).map(str::to_owned);
        Ok(Self { key: item.key.clone(), entry, text: text.to_owned(), cursor })
    }

    /// The conditions that the item is as it was read.
    pub fn unchanged(&self) -> Vec<Condition> {
        let cursor = match &self.cursor {
            Some(cursor) => Condition::Equals(CURSOR.to_owned(), Value::Text(cursor.clone())),
            None => Condition::Absent(CURSOR.to_owned()),
        };
        vec![Condition::Equals(ENTRY.to_owned(), Value::Text(self.text.clone())), cursor]
    }

    /// What to read for [`StoredOutboxEntry::commands`].
    pub fn rest(&self) -> ReadPlan {
        let ranges = self.reads().ranges.into_iter().map(|range| Range { limit: None, ..range });
        ReadPlan::ranges(ranges.collect()).consistent()
    }

    /// How many commands are still to be sent. `rows` are those of [`StoredOutboxEntry::rest`].
    ///
    /// # Errors
    /// If a row stands for nothing that can be stopped.
    pub fn commands(&self, rows: &OutboxRows) -> Result<usize, Corrupt> {
        let clerk_user_id = match &self.entry.action {
            OutboxAction::StopUser { clerk_user_id, .. } => clerk_user_id,
            OutboxAction::StopResumed { .. } => return Ok(1),
            OutboxAction::Announce { .. } => return Ok(0),
        };
        let logins = if self.cursor.is_none() { logins(clerk_user_id, &rows.links)?.len() } else { 0 };
        let stoppable = rows.stoppable()?;
        // The command for an active task pauses the schedules that it names: of very many only the first. Paused ones,
        // which it names too, have no rows here, so that it may name fewer than are counted.
        let mut named: BTreeMap<TaskId, KnownSchedules> = BTreeMap::new();
        for (_, what) in &stoppable {
            if let Stoppable::Task(task) = what {
                named.insert(*task, KnownSchedules::default());
            }
        }
        for (_, what) in &stoppable {
            if let Stoppable::Schedule(schedule, task) = what
                && let Some(schedules) = named.get_mut(task)
            {
                schedules.ids.push(schedule.clone());
            }
        }
        let named = named.into_values().map(|mut schedules| {
            schedules.ids.sort();
            schedules.bounded(None).ids.len()
        });
        Ok(logins + stoppable.len() - named.sum::<usize>())
    }

    /// What to read first for the next step; nothing for an entry that needs nothing.
    pub fn reads(&self) -> ReadPlan {
        let whole = |pk| Range { pk, ..Range::default() };
        let ranges = match &self.entry.action {
            OutboxAction::StopUser { user_id, .. } => {
                let page = Range {
                    pk: keys::stoppable_of(*user_id),
                    from: self.cursor.as_deref().map(keys::next),
                    limit: Some(PAGE),
                    ..Range::default()
                };
                // Logins are blocked with the first page.
                let links = self.cursor.is_none().then(|| links::links_of(*user_id));
                [Some(page), links].into_iter().flatten().collect()
            }
            OutboxAction::StopResumed { command: Command::PauseTask { task_id, .. }, .. } => {
                vec![whole(keys::task_schedules(*task_id))]
            }
            OutboxAction::StopResumed { .. } | OutboxAction::Announce { .. } => Vec::new(),
        };
        ReadPlan::ranges(ranges).consistent()
    }

    /// What to read then: the schedules of each task, however many rows are about it, and which tasks of schedules are
    /// active themselves.
    ///
    /// # Errors
    /// If a row stands for nothing that can be stopped.
    pub fn details(&self, rows: &OutboxRows) -> Result<ReadPlan, Corrupt> {
        // The rows of what was resumed late are its task's schedules, with all that is to be known.
        let OutboxAction::StopUser { user_id, .. } = &self.entry.action else {
            return Ok(ReadPlan::default());
        };
        let tasks = tasks_of(&rows.stoppable()?);
        let schedules = |task| Range { pk: keys::task_schedules(task), ..Range::default() };
        let ranges = tasks.iter().copied().map(schedules).collect();
        let gets = tasks.iter().map(|task| keys::active_task(*user_id, *task)).collect();
        Ok(ReadPlan { gets, ranges, consistent: true, ..ReadPlan::default() })
    }

    /// The next step. Logins are blocked first, so that no other command can delay that.
    ///
    /// # Errors
    /// If a row stands for nothing that can be stopped.
    pub fn step(&self, rows: &OutboxRows, details: ReadResult) -> Result<OutboxStep, Corrupt> {
        let OutboxEntry { cause, at, action, .. } = &self.entry;
        let (user_id, clerk_user_id) = match action {
            OutboxAction::StopResumed { command, since } => {
                let schedules = schedules(&rows.stoppable)?;
                let at = command_time(*at, schedules.since.max(*since));
                let commands = command.and_rest(schedules.known);
                let messages = commands.iter().map(|command| command.message(cause, at)).collect();
                return Ok(OutboxStep { queue: OutgoingQueue::Commands, messages, cursor: None });
            }
            OutboxAction::Announce { message } => {
                let messages = vec![message.clone()];
                return Ok(OutboxStep { queue: OutgoingQueue::Events, messages, cursor: None });
            }
            OutboxAction::StopUser { user_id, clerk_user_id } => (*user_id, clerk_user_id),
        };
        let mut messages = Vec::with_capacity(rows.stoppable.len() + 1);
        if self.cursor.is_none() {
            for clerk_user_id in logins(clerk_user_id, &rows.links)? {
                messages.push(Command::BanUser { user_id, clerk_user_id }.message(cause, *at));
            }
        }
        let stoppable = rows.stoppable()?;
        let mut of_tasks = BTreeMap::new();
        for (task, rows) in tasks_of(&stoppable).into_iter().zip(details.ranges) {
            let schedules = schedules(&rows)?;
            let is_active = details.items.contains_key(&keys::active_task(user_id, task));
            // The command for an active task pauses the schedules that it names.
            let named = if is_active { schedules.known.clone().bounded(None).ids } else { Vec::new() };
            of_tasks.insert(task, (schedules, BTreeSet::from_iter(named)));
        }
        let no_task = (schedules(&[])?, BTreeSet::new());
        let mut sent = BTreeSet::new();
        for (row, what) in stoppable {
            let (schedules, named) = what.task().and_then(|task| of_tasks.get(&task)).unwrap_or(&no_task);
            // Its task's command goes with it: the task may not be active any more when a later step comes to its row.
            let is_named = what.schedule().is_some_and(|schedule| named.contains(schedule));
            let task = what.task().filter(|_| is_named);
            let row_of = |task| details.items.get(&keys::active_task(user_id, task));
            let row = task.and_then(row_of).unwrap_or(row);
            let command = task.map_or(what, Stoppable::Task).command(user_id);
            if !sent.insert(command.id(cause)) {
                continue;
            }
            let at = command_time(*at, schedules.since.max(since(row)));
            messages.push(command.with_schedules(schedules.known.clone()).message(cause, at));
        }
        let last = rows.stoppable.last().filter(|_| rows.stoppable.len() == PAGE);
        let cursor = last.map(|row| row.key.sk.clone());
        Ok(OutboxStep { queue: OutgoingQueue::Commands, messages, cursor })
    }
}

/// The tasks that rows are about, each once.
fn tasks_of(stoppable: &[(&Item, Stoppable)]) -> BTreeSet<TaskId> {
    stoppable.iter().filter_map(|(_, what)| what.task()).collect()
}

/// The rows that [`StoredOutboxEntry::reads`] asks for.
#[derive(Debug, Clone, Default)]
pub struct OutboxRows {
    /// A page of what the user has; of a task that was resumed late, its schedules.
    pub stoppable: Vec<Item>,
    /// The links of the user with identities.
    pub links: Vec<Item>,
}

impl OutboxRows {
    /// From the ranges that were read.
    pub fn new(mut found: ReadResult) -> Self {
        let [stoppable, links] = [found.take_ranges(1), found.take_ranges(1)];
        Self {
            stoppable: stoppable.into_iter().flatten().collect(),
            links: links.into_iter().flatten().collect(),
        }
    }

    fn stoppable(&self) -> Result<Vec<(&Item, Stoppable)>, Corrupt> {
        self.stoppable.iter().map(|row| Ok((row, Stoppable::of(row)?))).collect()
    }
}

/// Something that is stopped when its user is deactivated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stoppable {
    /// An active task.
    Task(TaskId),
    /// A live API key.
    Key(ApiKeyId),
    /// An unpaused schedule of a task.
    Schedule(ScheduleId, TaskId),
}

impl Stoppable {
    /// What a row of [`keys::stoppable_of`] stands for.
    fn of(row: &Item) -> Result<Self, Corrupt> {
        let what = match keys::parse_stoppable_row(row) {
            Some(StoppableRow::Task(id)) => Some(Self::Task(id)),
            Some(StoppableRow::Key(id)) => Some(Self::Key(id)),
            Some(StoppableRow::Schedule) => {
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
        let schedules = KnownSchedules::default();
        let pause = |task_id, because_of| Command::PauseTask { task_id, user_id, schedules, because_of };
        match self {
            Self::Task(task_id) => pause(*task_id, None),
            Self::Schedule(schedule, task_id) => pause(*task_id, Some(schedule.clone())),
            Self::Key(key_id) => Command::RevokeKey { key_id: key_id.clone(), user_id },
        }
    }
}

/// The schedules of a task, and since when those of them that fire have done so.
struct Schedules {
    known: KnownSchedules,
    since: Timestamp,
}

/// The schedules of a task, by the items of [`keys::task_schedules`]: one row each, and how many more are deleted.
fn schedules(items: &[Item]) -> Result<Schedules, Corrupt> {
    let id = |row: &Item| {
        let id = row.text(views::OF).and_then(ScheduleId::parse);
        id.ok_or_else(|| Corrupt::new(&row.key, "not a schedule"))
    };
    let rows = || items.iter().filter(|item| !keys::is_deleted_schedules(&item.key));
    let ids: BTreeSet<ScheduleId> = rows().map(id).collect::<Result<_, _>>()?;
    let all_deleted = ids.is_empty() && !items.is_empty();
    let known = KnownSchedules { all_deleted, ids: ids.into_iter().collect() };
    Ok(Schedules { known, since: rows().map(since).max().unwrap_or(Timestamp::EARLIEST) })
}

/// Since when something that a row stands for is active; the earliest time if the row does not say.
fn since(row: &Item) -> Timestamp {
    i64::try_from(row.number(views::SINCE)).map_or(Timestamp::EARLIEST, Timestamp::from_millis)
}

/// The logins of a user: of the identity that the user named, and of those that are linked; none that is deleted.
fn logins(named: &ClerkUserId, links: &[Item]) -> Result<BTreeSet<ClerkUserId>, Corrupt> {
    let links = links.iter().map(links::linked_identity).collect::<Result<Vec<_>, _>>()?;
    let is_deleted = |clerk: &ClerkUserId| links.iter().any(|(of, deleted)| of == clerk && *deleted);
    let all = links.iter().map(|(clerk, _)| clerk).chain([named]);
    Ok(all.filter(|clerk| !is_deleted(clerk)).cloned().collect())
}

/// The time of a command: later than those of the events whose effect it undoes, which may be ahead
/// of this system's clock.
fn command_time(at: Timestamp, since: Timestamp) -> Timestamp {
    at.max(since.plus(1))
}
