//! Commands: what other systems must do after a deactivation, as CloudEvents 1.0 on the queue
//! `torale-commands` (docs/contract/events.md, "Commands").

#[cfg(test)]
mod tests;

use crate::events::{self, SOURCE};
use crate::values::ids::{ApiKeyId, ClerkUserId, ScheduleId, TaskId, UserId};
use crate::values::json;
use crate::values::text::without_mark;
use crate::values::time::Timestamp;
use crate::values::trace::TraceParent;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use uuid::Uuid;

/// The prefix of every command type on the queue.
pub const TYPE_PREFIX: &str = "ai.torale.command.";
/// Who requests a deactivation by the deletion of an identity at the provider.
pub const CLERK: &str = "clerk";
/// The extension attribute of a command to pause a task all of whose schedules are deleted: `true`, or absent.
pub const SCHEDULES_DELETED: &str = "schedulesdeleted";
/// The extension attribute of a command whose target is a schedule that is called like a task: `true`, or absent.
pub const SCHEDULE_TARGET: &str = "scheduletarget";
/// The most characters of the reason in a note.
const NOTE_CHARS: usize = 500;
/// Characters of a UUID with hyphens.
const UUID_CHARS: usize = 36;
/// The UUID namespace of command ids: version 5 of the DNS namespace and `commands.torale.ai`.
const NAMESPACE: Uuid = Uuid::from_u128(0x596c_473a_dc37_5da9_8cdd_3834_9374_3b05);

/// A command to another system.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Command {
    /// Pause a task and its Temporal schedules.
    PauseTask {
        /// The task.
        task_id: TaskId,
        /// The owner of the task.
        user_id: UserId,
        /// The schedules of the task, as far as they fit into a message.
        #[serde(flatten)]
        schedules: KnownSchedules,
        /// The schedule that made this necessary, if it was not the task itself. It is the command's target, so the
        /// message names it as its subject.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        because_of: Option<ScheduleId>,
    },
    /// Revoke an API key.
    RevokeKey {
        /// The key.
        key_id: ApiKeyId,
        /// The owner of the key.
        user_id: UserId,
    },
    /// Block one login of a user and end its sessions.
    BanUser {
        /// The user.
        user_id: UserId,
        /// The identity at the provider.
        clerk_user_id: ClerkUserId,
    },
}

/// What events say of a task's schedules.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct KnownSchedules {
    /// All that are not deleted, paused or not, by id; may be empty.
    #[serde(rename = "schedule_ids", default)]
    pub ids: Vec<ScheduleId>,
    /// Whether events have named schedules of the task, and all of them are deleted: then there is none to look for. A
    /// message says so by the extension attribute [`SCHEDULES_DELETED`].
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub all_deleted: bool,
}

impl KnownSchedules {
    /// The most bytes that the ids of a command take in its message: far below what a message may have.
    const BYTES: usize = 100 * 1024;
    /// The most ids that a command names: as many as can be paused by one message's receipt.
    const IDS: usize = 500;

    /// Those that a command for the task names: the first ones, as far as they fit. Each of the others gets a command
    /// of its own, which names it alone.
    #[must_use]
    pub fn bounded(mut self, because_of: Option<&ScheduleId>) -> Self {
        let mut bytes = 0;
        let fits = |id: &ScheduleId| {
            bytes += bytes_as_json(id.as_str());
            bytes <= Self::BYTES
        };
        let fitting = self.ids.iter().take(Self::IDS).map(fits).take_while(|fits| *fits).count();
        match because_of {
            Some(schedule) if fitting < self.ids.len() => self.ids = vec![schedule.clone()],
            Some(_) | None => self.ids.truncate(fitting),
        }
        self
    }
}

/// The bytes of a text in JSON, without its quotation marks, if every character that may be escaped is.
fn bytes_as_json(text: &str) -> usize {
    let of_character = |character: char| match character {
        character if character.is_control() => 6,
        '\u{fffe}' | '\u{ffff}' => 6,
        '"' | '\\' => 2,
        character => character.len_utf8(),
    };
    text.chars().map(of_character).sum()
}

/// Why a command is sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cause {
    /// The id of the event that deactivated the user.
    pub event: String,
    /// The id of the admin who requested it, or [`CLERK`] where the provider has deleted the identity.
    pub requested_by: String,
    /// The reason, for people.
    pub reason: String,
    /// The trace of the request or event that led to the command.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trace: Option<TraceParent>,
}

/// A command as it was received from the queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReceivedCommand {
    /// Its id; the same for each time that it is sent.
    pub id: Uuid,
    /// Its time; later than that of the event whose effect it undoes.
    pub at: Timestamp,
    /// What to do.
    pub command: Command,
    /// The reason, for people.
    pub reason: String,
    /// The id of the admin who requested the deactivation.
    pub requested_by: String,
    /// The trace that the command belongs to.
    pub trace: Option<TraceParent>,
}

/// Why a message is not accepted as a command.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidCommand {
    /// It is no CloudEvent, or a required field is missing or has the wrong type.
    #[error("not a command: {0}")]
    Malformed(String),
    /// Its type is not known to this release.
    #[error("unknown type {0}")]
    Unknown(String),
}

impl Command {
    /// The kinds of all commands: their types without [`TYPE_PREFIX`].
    pub const KINDS: [&'static str; 3] = ["task.pause", "api_key.revoke", "user.ban"];

    /// The kind of the command: its type without [`TYPE_PREFIX`].
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::PauseTask { .. } => "task.pause",
            Self::RevokeKey { .. } => "api_key.revoke",
            Self::BanUser { .. } => "user.ban",
        }
    }

    /// The same with the schedules that are known of its task; other commands stay as they are.
    #[must_use]
    pub fn with_schedules(&self, schedules: KnownSchedules) -> Self {
        match self {
            Self::PauseTask { task_id, user_id, because_of, .. } => Self::PauseTask {
                task_id: *task_id,
                user_id: *user_id,
                schedules: schedules.bounded(because_of.as_ref()),
                because_of: because_of.clone(),
            },
            Self::RevokeKey { .. } | Self::BanUser { .. } => self.clone(),
        }
    }

    /// The same with the schedules that are known of its task, and a command for each schedule that it has no room to
    /// name.
    pub fn and_rest(&self, schedules: KnownSchedules) -> Vec<Self> {
        let all = match self {
            Self::PauseTask { because_of: None, .. } => schedules.ids.clone(),
            Self::PauseTask { .. } | Self::RevokeKey { .. } | Self::BanUser { .. } => Vec::new(),
        };
        let command = self.with_schedules(schedules);
        let Self::PauseTask { task_id, user_id, schedules: named, .. } = &command else {
            return vec![command];
        };
        let rest = all.into_iter().filter(|schedule| !named.ids.contains(schedule)).map(|schedule| {
            let schedules = KnownSchedules { ids: vec![schedule.clone()], all_deleted: false };
            Self::PauseTask { task_id: *task_id, user_id: *user_id, schedules, because_of: Some(schedule) }
        });
        let rest: Vec<Self> = rest.collect();
        [command].into_iter().chain(rest).collect()
    }

    /// The id of the task, schedule, key or identity that it concerns.
    pub fn target(&self) -> String {
        match self {
            Self::PauseTask { because_of: Some(schedule), .. } => schedule.as_str().to_owned(),
            Self::PauseTask { task_id, .. } => task_id.to_string(),
            Self::RevokeKey { key_id, .. } => key_id.as_str().to_owned(),
            Self::BanUser { clerk_user_id, .. } => clerk_user_id.as_str().to_owned(),
        }
    }

    /// Whether its target is a schedule whose id reads like that of a task, which it must not be mistaken for.
    fn targets_schedule_named_like_a_task(&self) -> bool {
        matches!(self, Self::PauseTask { because_of: Some(schedule), .. } if TaskId::parse(schedule.as_str()).is_some())
    }

    /// The kind of the command and of its target: two commands of one such kind with the same
    /// [`target`](Self::target) have the same one.
    pub fn kind_of_target(&self) -> &'static str {
        if self.targets_schedule_named_like_a_task() { "task.pause.schedule" } else { self.kind() }
    }

    /// The id of the command. It follows from kind, target and cause, so it is the same for each
    /// time that the command is sent.
    pub fn id(&self, cause: &Cause) -> Uuid {
        let name = [self.kind_of_target(), &self.target(), &cause.event].join("\n");
        Uuid::new_v5(&NAMESPACE, name.as_bytes())
    }

    /// The message for the queue.
    pub fn message(&self, cause: &Cause, at: Timestamp) -> String {
        let mut data = json!(self);
        if let Value::Object(fields) = &mut data {
            fields.remove("because_of");
            fields.remove("all_deleted");
            fields.insert("reason".to_owned(), json!(cause.reason));
            fields.insert("requested_by".to_owned(), json!(cause.requested_by));
        }
        let mut message = json!({
            "specversion": "1.0", "id": self.id(cause), "source": SOURCE,
            "type": format!("{TYPE_PREFIX}{}", self.kind()), "subject": self.target(), "time": at,
            "datacontenttype": "application/json", "data": data,
        });
        let all_deleted = matches!(self, Self::PauseTask { schedules, .. } if schedules.all_deleted);
        let marks =
            [(SCHEDULES_DELETED, all_deleted), (SCHEDULE_TARGET, self.targets_schedule_named_like_a_task())];
        if let Value::Object(fields) = &mut message {
            let holding = marks.into_iter().filter(|(_, holds)| *holds);
            fields.extend(holding.map(|(mark, _)| (mark.to_owned(), json!(true))));
        }
        with_trace(message, cause.trace.as_ref()).to_string()
    }

    /// Reads a message from the queue.
    ///
    /// # Errors
    /// If it is malformed, or its type is unknown.
    pub fn receive(body: &str) -> Result<ReceivedCommand, InvalidCommand> {
        let malformed = |fault: &dyn std::fmt::Display| InvalidCommand::Malformed(fault.to_string());
        let message = json::parse(without_mark(body)).map_err(|e| malformed(&e))?;
        let text = |name: &str| message.get(name).and_then(Value::as_str).ok_or_else(|| malformed(&name));
        let (id, kind) = (Uuid::try_parse(text("id")?).map_err(|e| malformed(&e))?, text("type")?);
        let data = message.get("data").unwrap_or(&Value::Null);
        fn field<T: serde::de::DeserializeOwned>(data: &Value, name: &str) -> Result<T, InvalidCommand> {
            T::deserialize(data.get(name).unwrap_or(&Value::Null))
                .map_err(|e| InvalidCommand::Malformed(format!("{name}: {e}")))
        }
        let user_id = || field(data, "user_id");
        let command = match kind.strip_prefix(TYPE_PREFIX) {
            Some("task.pause") => {
                let task_id: TaskId = field(data, "task_id")?;
                let is_marked = |mark| message.get(mark) == Some(&Value::Bool(true));
                let is_schedule =
                    |subject: &&str| is_marked(SCHEDULE_TARGET) || TaskId::parse(subject) != Some(task_id);
                Self::PauseTask {
                    task_id,
                    user_id: user_id()?,
                    schedules: KnownSchedules {
                        // Commands of an earlier release have none.
                        ids: field::<Option<Vec<ScheduleId>>>(data, "schedule_ids")?.unwrap_or_default(),
                        all_deleted: is_marked(SCHEDULES_DELETED),
                    },
                    because_of: text("subject").ok().filter(is_schedule).and_then(ScheduleId::parse),
                }
            }
            Some("api_key.revoke") => Self::RevokeKey { key_id: field(data, "key_id")?, user_id: user_id()? },
            Some("user.ban") => {
                Self::BanUser { user_id: user_id()?, clerk_user_id: field(data, "clerk_user_id")? }
            }
            Some(_) | None => return Err(InvalidCommand::Unknown(kind.to_owned())),
        };
        let at = text("time").and_then(|time| Timestamp::parse(time).ok_or_else(|| malformed(&"time")));
        Ok(ReceivedCommand {
            id,
            at: at?,
            command,
            reason: field(data, "reason")?,
            requested_by: field(data, "requested_by")?,
            trace: text("traceparent").ok().and_then(TraceParent::parse),
        })
    }
}

/// The event with the extension attribute `traceparent`, if there is a trace.
pub fn with_trace(mut event: Value, trace: Option<&TraceParent>) -> Value {
    if let (Value::Object(fields), Some(trace)) = (&mut event, trace) {
        fields.insert("traceparent".to_owned(), json!(trace));
    }
    event
}

/// How the Temporal schedules of tasks are called of which no event has named one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SchedulePattern {
    before: String,
    after: String,
}

impl SchedulePattern {
    /// Reads a pattern: a text with `{task_id}` in it. `None` if it makes no schedule's id.
    pub fn parse(pattern: &str) -> Option<Self> {
        let (before, after) = pattern.split_once("{task_id}")?;
        let pattern = Self { before: before.to_owned(), after: after.to_owned() };
        // All task ids have the same length.
        pattern.id(&TaskId(Uuid::nil())).map(|_| pattern)
    }

    /// The id of a task's schedule.
    pub fn id(&self, task: &TaskId) -> Option<ScheduleId> {
        ScheduleId::parse(&format!("{}{task}{}", self.before, self.after))
    }

    /// The task that an id made by this pattern names; the id may go on with a hyphen, as that of a schedule's run
    /// does.
    pub fn task_of(&self, id: &str) -> Option<TaskId> {
        let (task, rest) = id.strip_prefix(self.before.as_str())?.split_at_checked(UUID_CHARS)?;
        let rest = rest.strip_prefix(self.after.as_str())?;
        if rest.is_empty() || rest.starts_with('-') { TaskId::parse(task) } else { None }
    }
}

impl ReceivedCommand {
    /// A note for people, stored by the other system with what the command changed.
    pub fn note(&self) -> String {
        let reason: String = self.reason.chars().take(NOTE_CHARS).collect();
        format!("{reason} (requested by {}, command {})", self.requested_by, self.id)
    }

    /// The events that confirm the command once it has been carried out, for the queue
    /// `torale-events`; none if it changes no projection. `paused` are the schedules that were
    /// there and are paused now.
    ///
    /// The ids of the events are the same at every delivery of the command. Their time is `now`,
    /// or that of the command if it is later, because the event whose effect it undoes may be
    /// ahead of this system's clock.
    pub fn confirming_events(&self, paused: &[ScheduleId], now: Timestamp) -> Vec<String> {
        match &self.command {
            Command::PauseTask { task_id, because_of, .. } => {
                // A command for a schedule is sent while its task is not active: a completed one stays so.
                let task = because_of.is_none().then(|| {
                    self.event("task.paused", &task_id.to_string(), json!({ "task_id": task_id }), now)
                });
                task.into_iter().chain(self.confirming_pauses(paused, now)).collect()
            }
            Command::RevokeKey { key_id, user_id } => {
                let data = json!({ "key_id": key_id, "user_id": user_id });
                vec![self.event("api_key.revoked", key_id.as_str(), data, now)]
            }
            Command::BanUser { .. } => Vec::new(),
        }
    }

    /// The events that confirm a part of a command, whose other schedules could not be paused: `paused` are paused now.
    /// They have the same ids as among the [`confirming_events`](Self::confirming_events).
    pub fn confirming_pauses(&self, paused: &[ScheduleId], now: Timestamp) -> Vec<String> {
        let confirm = |schedule: &ScheduleId| {
            let data = json!({ "schedule_id": schedule });
            self.event("temporal.schedule.paused", schedule.as_str(), data, now)
        };
        paused.iter().map(confirm).collect()
    }

    /// An event that confirms something of the command.
    fn event(&self, kind: &str, subject: &str, data: Value, now: Timestamp) -> String {
        let at = now.max(self.at);
        let kind = format!("{}{kind}", events::TYPE_PREFIX);
        let id = Uuid::new_v5(&self.id, [&kind, subject].join("\n").as_bytes());
        let message = json!({
            "specversion": "1.0", "id": id, "source": SOURCE, "type": kind, "subject": subject, "time": at,
            "datacontenttype": "application/json", "data": data,
        });
        with_trace(message, self.trace.as_ref()).to_string()
    }
}
