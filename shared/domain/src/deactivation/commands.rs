//! Commands: what a deactivation asks the outside world to do, as CloudEvents 1.0 on `torale-commands`.

use crate::events;
use crate::values::ids::{ClerkUserId, KeyId, ScheduleId, TaskId, UserId};
use crate::values::time::Timestamp;
use crate::values::trace::TraceParent;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use uuid::Uuid;

/// Prefix of every command type on the wire.
pub const TYPE_PREFIX: &str = "ai.torale.command.";
/// The source of every command.
pub const SOURCE: &str = "/torale/admin";
/// Who asks for a deactivation by the deletion of an identity at the provider.
pub const CLERK: &str = "clerk";
/// Most characters of the reason in a note.
const NOTE_CHARS: usize = 500;
/// The namespace of the ids of commands: UUID v5 of the DNS namespace and `commands.torale.ai`.
const NAMESPACE: Uuid = Uuid::from_u128(0x596c_473a_dc37_5da9_8cdd_3834_9374_3b05);

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Command {
    /// Pause a task and its Temporal schedules.
    PauseTask {
        /// The task.
        task_id: TaskId,
        /// Its owner.
        user_id: UserId,
        /// All schedules that are known of the task and not deleted, paused or not, by id; may be empty.
        #[serde(default)]
        schedule_ids: Vec<ScheduleId>,
        /// The schedule that made this necessary, if it was not the task itself. It is the command's target; the message
        /// does not carry it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        because_of: Option<ScheduleId>,
    },
    /// Revoke an API key.
    RevokeKey {
        /// The key.
        key_id: KeyId,
        /// Its owner.
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

/// Why it is to be done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cause {
    /// The id of the event that deactivated the user.
    pub event: String,
    /// The id of the admin who asked for it, or [`CLERK`] where the provider has deleted the identity.
    pub requested_by: String,
    /// For people.
    pub reason: String,
    /// The trace of the request, or of the event, that led to it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trace: Option<TraceParent>,
}

/// A command as it came from the queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReceivedCommand {
    /// Its id: the same however often it is sent.
    pub id: Uuid,
    /// When it was made; later than everything that it is to undo.
    pub at: Timestamp,
    /// What is to be done.
    pub command: Command,
    /// Why, for people.
    pub reason: String,
    /// Who asked for it.
    pub requested_by: String,
    /// The trace that it belongs to.
    pub trace: Option<TraceParent>,
}

/// Why a message is no command.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidCommand {
    /// It is no CloudEvent, or a needed field is missing or of the wrong kind.
    #[error("not a command: {0}")]
    Malformed(String),
    /// It is of a type that this release does not know.
    #[error("unknown type {0}")]
    Unknown(String),
}

impl Command {
    /// Every kind of command: its type without the prefix.
    pub const KINDS: [&'static str; 3] = ["task.pause", "api_key.revoke", "user.ban"];

    /// Its type without the prefix.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::PauseTask { .. } => "task.pause",
            Self::RevokeKey { .. } => "api_key.revoke",
            Self::BanUser { .. } => "user.ban",
        }
    }

    /// The same with the schedules that are known of its task; nothing changes for other commands.
    #[must_use]
    pub fn with_schedules(&self, schedule_ids: Vec<ScheduleId>) -> Self {
        match self {
            Self::PauseTask { task_id, user_id, because_of, .. } => Self::PauseTask {
                task_id: *task_id,
                user_id: *user_id,
                schedule_ids,
                because_of: because_of.clone(),
            },
            Self::RevokeKey { .. } | Self::BanUser { .. } => self.clone(),
        }
    }

    /// The id of what it is to be done to.
    pub fn target(&self) -> String {
        match self {
            Self::PauseTask { because_of: Some(schedule), .. } => schedule.as_str().to_owned(),
            Self::PauseTask { task_id, .. } => task_id.to_string(),
            Self::RevokeKey { key_id, .. } => key_id.as_str().to_owned(),
            Self::BanUser { clerk_user_id, .. } => clerk_user_id.as_str().to_owned(),
        }
    }

    /// The id under which it is sent for this cause, however often.
    pub fn id(&self, cause: &Cause) -> Uuid {
        let name = [self.kind(), &self.target(), &cause.event].join("\n");
        Uuid::new_v5(&NAMESPACE, name.as_bytes())
    }

    /// The message for the queue.
    pub fn message(&self, cause: &Cause, at: Timestamp) -> String {
        let mut data = json!(self);
        if let Value::Object(fields) = &mut data {
            fields.remove("because_of");
            fields.insert("reason".to_owned(), json!(cause.reason));
            fields.insert("requested_by".to_owned(), json!(cause.requested_by));
        }
        let message = json!({
            "specversion": "1.0", "id": self.id(cause), "source": SOURCE,
            "type": format!("{TYPE_PREFIX}{}", self.kind()), "subject": self.target(), "time": at,
            "datacontenttype": "application/json", "data": data,
        });
        for_queue(traced(message, cause.trace.as_ref()))
    }

    /// Reads a message from the queue.
    pub fn receive(body: &str) -> Result<ReceivedCommand, InvalidCommand> {
        let malformed = |fault: &dyn std::fmt::Display| InvalidCommand::Malformed(fault.to_string());
        let message: Value = serde_json::from_str(body).map_err(|e| malformed(&e))?;
        let text = |name: &str| message.get(name).and_then(Value::as_str).ok_or_else(|| malformed(&name));
        let (id, kind) = (Uuid::try_parse(text("id")?).map_err(|e| malformed(&e))?, text("type")?);
        let data = message.get("data").unwrap_or(&Value::Null);
        fn field<T: serde::de::DeserializeOwned>(data: &Value, name: &str) -> Result<T, InvalidCommand> {
            T::deserialize(data.get(name).unwrap_or(&Value::Null))
                .map_err(|e| InvalidCommand::Malformed(format!("{name}: {e}")))
        }
        let user_id = || field(data, "user_id");
        let command = match kind.strip_prefix(TYPE_PREFIX) {
            Some("task.pause") => Self::PauseTask {
                task_id: field(data, "task_id")?,
                user_id: user_id()?,
                // Commands of an earlier release have none.
                schedule_ids: field::<Option<Vec<ScheduleId>>>(data, "schedule_ids")?.unwrap_or_default(),
                because_of: None,
            },
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

/// An event with the extension that names its trace, if there is one.
pub fn traced(mut event: Value, trace: Option<&TraceParent>) -> Value {
    if let (Value::Object(fields), Some(trace)) = (&mut event, trace) {
        fields.insert("traceparent".to_owned(), json!(trace));
    }
    event
}

/// JSON as SQS takes it: the two characters that it refuses are escaped.
fn for_queue(message: Value) -> String {
    message.to_string().replace('\u{fffe}', "\\ufffe").replace('\u{ffff}', "\\uffff")
}

/// Where no event has named a task's schedule: the id that it has by a pattern.
pub fn schedule_of(pattern: &str, task: &TaskId) -> Option<ScheduleId> {
    ScheduleId::parse(&pattern.replace(TASK_IN_PATTERN, &task.to_string()))
}

/// What stands for the task's id in a pattern of schedule ids.
pub const TASK_IN_PATTERN: &str = "{task_id}";

impl ReceivedCommand {
    /// What is left beside the thing that it changes elsewhere, for people.
    pub fn note(&self) -> String {
        let reason: String = self.reason.chars().take(NOTE_CHARS).collect();
        format!("{reason} (requested by {}, command {})", self.requested_by, self.id)
    }

    /// The platform's own events once it has been carried out, for `torale-events`; none where nothing of ours
    /// changes. `paused` are the schedules that were there and are paused now. Their ids are the same at every
    /// redelivery. They are dated now, or as the command if that is later: it undoes what may be dated ahead of us.
    pub fn confirmed(&self, paused: &[ScheduleId], now: Timestamp) -> Vec<String> {
        let at = now.max(self.at);
        let event = |kind: &str, subject: &str, data: Value| {
            let kind = format!("{}{kind}", events::TYPE_PREFIX);
            let id = Uuid::new_v5(&self.id, [&kind, subject].join("\n").as_bytes());
            let message = json!({
                "specversion": "1.0", "id": id, "source": SOURCE, "type": kind, "subject": subject, "time": at,
                "datacontenttype": "application/json", "data": data,
            });
            for_queue(traced(message, self.trace.as_ref()))
        };
        match &self.command {
            Command::PauseTask { task_id, .. } => {
                let task = event("task.paused", &task_id.to_string(), json!({ "task_id": task_id }));
                let schedules = paused.iter().map(|schedule| {
                    event("temporal.schedule.paused", schedule.as_str(), json!({ "schedule_id": schedule }))
                });
                std::iter::once(task).chain(schedules).collect()
            }
            Command::RevokeKey { key_id, user_id } => {
                let data = json!({ "key_id": key_id, "user_id": user_id });
                vec![event("api_key.revoked", key_id.as_str(), data)]
            }
            Command::BanUser { .. } => Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const USER: &str = "00000000-0000-0000-0000-0000000000ad";
    const AT: Timestamp = Timestamp::from_millis(1_774_953_030_500);

    fn commands() -> [Command; 3] {
        let user_id = UserId::parse(USER).unwrap();
        [
            Command::PauseTask {
                task_id: TaskId::parse("22222222-0000-4000-8000-000000000001").unwrap(),
                user_id,
                schedule_ids: vec![schedule("schedule-22222222-0000-4000-8000-000000000001")],
                because_of: None,
            },
            Command::RevokeKey { key_id: KeyId::parse("key_1").unwrap(), user_id },
            Command::BanUser { user_id, clerk_user_id: ClerkUserId::parse("user_2abc").unwrap() },
        ]
    }

    fn schedule(id: &str) -> ScheduleId {
        ScheduleId::parse(id).unwrap()
    }

    fn cause(event: &str) -> Cause {
        Cause {
            event: event.to_owned(),
            requested_by: USER.to_owned(),
            reason: "deactivated".to_owned(),
            trace: None,
        }
    }

    #[test]
    fn a_trace_goes_through_a_command_to_the_events_that_confirm_it_and_changes_nothing_else() {
        let text = "00-5759e988bd862e3fe1be46a994272793-53995c3f42cd8ad8-01";
        let traced = Cause { trace: TraceParent::parse(text), ..cause("e1") };
        let [pause, ..] = commands();
        let received = Command::receive(&pause.message(&traced, AT)).unwrap();
        assert_eq!(received.trace, traced.trace);
        let paused = [schedule("s1")];
        let plain = super::tests::received(&pause).confirmed(&paused, AT);
        for (event, plain) in received.confirmed(&paused, AT).iter().zip(plain) {
            let mut event: Value = serde_json::from_str(event).unwrap();
            assert_eq!(event.as_object_mut().unwrap().remove("traceparent"), Some(json!(text)));
            assert_eq!(event, serde_json::from_str::<Value>(&plain).unwrap());
        }
        let wrong = pause.message(&traced, AT).replace(text, "ann@example.com");
        assert_eq!(Command::receive(&wrong).unwrap().trace, None);
    }

    #[test]
    fn a_command_comes_back_as_it_was_sent() {
        for command in commands() {
            let message = command.message(&cause("e1"), AT);
            let received = Command::receive(&message).unwrap();
            assert_eq!(received.id, command.id(&cause("e1")));
            assert_eq!(received.command, command);
            assert!(Command::KINDS.contains(&command.kind()));
        }
    }

    fn received(command: &Command) -> ReceivedCommand {
        Command::receive(&command.message(&cause("e1"), AT)).unwrap()
    }

    /// Types and data of the events that confirm a command.
    fn confirmed(command: &Command, paused: &[ScheduleId]) -> Vec<(String, Value)> {
        let messages = received(command).confirmed(paused, AT);
        assert_eq!(messages, received(command).confirmed(paused, AT));
        let read = |message: &String| {
            assert!(
                matches!(events::parse(message, Some(AT)), Ok(events::ReceivedMessage::Known(_))),
                "{message}"
            );
            let event: Value = serde_json::from_str(message).unwrap();
            assert_eq!((&event["source"], &event["time"]), (&json!(SOURCE), &json!(AT)));
            (event["type"].as_str().unwrap().to_owned(), event["data"].clone())
        };
        messages.iter().map(read).collect()
    }

    #[test]
    fn what_was_done_is_published_as_events_that_we_take_in() {
        let [pause, revoke, ban] = commands();
        let task = "22222222-0000-4000-8000-000000000001";
        let paused = ("ai.torale.task.paused".to_owned(), json!({ "task_id": task }));
        let of = |id: &str| ("ai.torale.temporal.schedule.paused".to_owned(), json!({ "schedule_id": id }));
        assert_eq!(confirmed(&pause, &[schedule("a"), schedule("b")]), [paused.clone(), of("a"), of("b")]);
        assert_eq!(confirmed(&pause, &[]), [paused], "a schedule that is not there was not paused");
        let revoked = json!({ "key_id": "key_1", "user_id": USER });
        assert_eq!(confirmed(&revoke, &[]), [("ai.torale.api_key.revoked".to_owned(), revoked)]);
        assert_eq!(confirmed(&ban, &[]), []);
    }

    #[test]
    fn the_events_ids_follow_from_the_command_their_types_and_subjects() {
        let [pause, ..] = commands();
        let ids = |at| -> Vec<String> {
            let paused = [schedule("schedule-22222222-0000-4000-8000-000000000001")];
            let messages = received(&pause).confirmed(&paused, at);
            let events = messages.iter().map(|message| serde_json::from_str::<Value>(message).unwrap());
            events.map(|event| event["id"].as_str().unwrap().to_owned()).collect()
        };
        assert_eq!(ids(AT), ids(AT.plus(1)));
        // Computed with another program: uuid5("d894aab6-0126-598f-ac9c-392538316029", type + "\n" + subject).
        assert_eq!(ids(AT), ["68983460-7598-528e-9d6d-ab448e6441c1", "1c66d2dd-c054-5ac7-97ff-686187e62f0f"]);
    }

    #[test]
    fn a_late_schedule_is_the_target_of_its_command_which_the_message_does_not_name_otherwise() {
        let [pause, ..] = commands();
        let Command::PauseTask { task_id, user_id, schedule_ids, .. } = pause.clone() else { panic!() };
        let id = schedule("schedule-22222222-0000-4000-8000-000000000001");
        let late = Command::PauseTask { task_id, user_id, schedule_ids, because_of: Some(id.clone()) };
        let message: Value = serde_json::from_str(&late.message(&cause("e1"), AT)).unwrap();
        assert_eq!(message["subject"], id.as_str());
        // Computed with another program, as the one of the task below.
        assert_eq!(message["id"], "be0c31b3-cddd-5aab-9a66-cfe138e66398");
        let received = Command::receive(&message.to_string()).unwrap();
        assert_eq!(received.command, pause);
    }

    #[test]
    fn a_command_of_an_earlier_release_names_no_schedules() {
        let [pause, ..] = commands();
        let mut message: Value = serde_json::from_str(&pause.message(&cause("e1"), AT)).unwrap();
        message["data"].as_object_mut().unwrap().remove("schedule_ids");
        let received = Command::receive(&message.to_string()).unwrap();
        assert_eq!(received.command, pause.with_schedules(Vec::new()));
    }

    #[test]
    fn a_schedule_that_nobody_named_has_its_id_by_a_pattern() {
        let task = TaskId::parse("22222222-0000-4000-8000-000000000001").unwrap();
        let of = |pattern| schedule_of(pattern, &task).map(|id| id.as_str().to_owned());
        assert_eq!(of("task-{task_id}").as_deref(), Some("task-22222222-0000-4000-8000-000000000001"));
        assert_eq!(of("everything").as_deref(), Some("everything"));
        assert_eq!(of(""), None);
    }

    #[test]
    fn a_note_says_why_who_and_which_command_and_has_an_end() {
        let [pause, ..] = commands();
        let note = "deactivated (requested by 00000000-0000-0000-0000-0000000000ad, command \
                    d894aab6-0126-598f-ac9c-392538316029)";
        assert_eq!(received(&pause).note(), note);
        let long = ReceivedCommand { reason: "é".repeat(10_000), ..received(&pause) };
        assert!(long.note().chars().count() < 700);
    }

    #[test]
    fn the_id_tells_action_target_and_cause_apart() {
        let ids = |event| commands().map(|command| command.id(&cause(event)));
        assert_eq!(ids("e1"), ids("e1"));
        assert!(ids("e1").iter().all(|id| !ids("e2").contains(id)));
        // Computed with another program: uuid5(namespace, "task.pause\n22222222-0000-4000-8000-000000000001\ne1").
        assert_eq!(ids("e1")[0].to_string(), "d894aab6-0126-598f-ac9c-392538316029");
    }

    #[test]
    fn what_is_no_command_is_refused_with_a_reason() {
        let [.., ban] = commands();
        let without_reason = ban.message(&cause("e1"), AT).replace("\"reason\"", "\"raisin\"");
        for (body, reason) in [
            ("{", "not a command"),
            ("{}", "not a command: id"),
            (
                r#"{"id":"00000000-0000-0000-0000-0000000000ad","type":"ai.torale.command.user.ban","data":{}}"#,
                "user_id",
            ),
            (
                r#"{"id":"00000000-0000-0000-0000-0000000000ad","type":"ai.torale.command.dance"}"#,
                "unknown type",
            ),
            (&without_reason, "reason"),
        ] {
            let refused = Command::receive(body).unwrap_err().to_string();
            assert!(refused.contains(reason), "{body}: {refused}");
        }
    }
}
