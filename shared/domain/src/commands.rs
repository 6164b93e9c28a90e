//! Commands: what a deactivation asks the outside world to do, as CloudEvents 1.0 on `torale-commands`.

use crate::ids::{ClerkUserId, KeyId, TaskId, UserId};
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use uuid::Uuid;

/// Prefix of every command type on the wire.
pub const TYPE_PREFIX: &str = "ai.torale.command.";
/// The source of every command.
pub const SOURCE: &str = "/torale/admin";
/// The namespace of the ids of commands: UUID v5 of the DNS namespace and `commands.torale.ai`.
const NAMESPACE: Uuid = Uuid::from_u128(0x596c_473a_dc37_5da9_8cdd_3834_9374_3b05);

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Command {
    /// Pause a task and its Temporal schedule.
    PauseTask {
        /// The task.
        task_id: TaskId,
        /// Its owner.
        user_id: UserId,
    },
    /// Revoke an API key.
    RevokeKey {
        /// The key.
        key_id: KeyId,
        /// Its owner.
        user_id: UserId,
    },
    /// Bar a user's login and end its sessions.
    BanUser {
        /// The user.
        user_id: UserId,
        /// The user at the identity provider.
        clerk_user_id: ClerkUserId,
    },
}

/// Why it is to be done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cause {
    /// The id of the `user.deactivated` event that caused it.
    pub event: String,
    /// The admin who asked for it.
    pub requested_by: UserId,
    /// For people.
    pub reason: String,
}

/// A command as it came from the queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Received {
    /// Its id: the same however often it is sent.
    pub id: Uuid,
    /// What is to be done.
    pub command: Command,
}

/// Why a message is no command.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoCommand {
    /// It is no CloudEvent, or a needed field is missing or of the wrong kind.
    #[error("not a command: {0}")]
    Malformed(String),
    /// It is of a type that this release does not know.
    #[error("unknown type {0}")]
    Unknown(String),
}

impl Command {
    /// Its type without the prefix.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::PauseTask { .. } => "task.pause",
            Self::RevokeKey { .. } => "api_key.revoke",
            Self::BanUser { .. } => "user.ban",
        }
    }

    /// The id of what it is to be done to.
    pub fn target(&self) -> String {
        match self {
            Self::PauseTask { task_id, .. } => task_id.to_string(),
            Self::RevokeKey { key_id, .. } => key_id.as_str().to_owned(),
            Self::BanUser { user_id, .. } => user_id.to_string(),
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
        data["reason"] = json!(cause.reason);
        data["requested_by"] = json!(cause.requested_by);
        json!({
            "specversion": "1.0", "id": self.id(cause), "source": SOURCE,
            "type": format!("{TYPE_PREFIX}{}", self.kind()), "subject": self.target(), "time": at,
            "datacontenttype": "application/json", "data": data,
        })
        .to_string()
    }

    /// Reads a message from the queue.
    pub fn receive(body: &str) -> Result<Received, NoCommand> {
        let malformed = |fault: &dyn std::fmt::Display| NoCommand::Malformed(fault.to_string());
        let message: Value = serde_json::from_str(body).map_err(|e| malformed(&e))?;
        let text = |name: &str| message[name].as_str().ok_or_else(|| malformed(&name));
        let (id, kind) = (Uuid::try_parse(text("id")?).map_err(|e| malformed(&e))?, text("type")?);
        let data = &message["data"];
        fn field<T: serde::de::DeserializeOwned>(data: &Value, name: &str) -> Result<T, NoCommand> {
            T::deserialize(&data[name]).map_err(|e| NoCommand::Malformed(format!("{name}: {e}")))
        }
        let user_id = || field(data, "user_id");
        let command = match kind.strip_prefix(TYPE_PREFIX) {
            Some("task.pause") => Self::PauseTask { task_id: field(data, "task_id")?, user_id: user_id()? },
            Some("api_key.revoke") => Self::RevokeKey { key_id: field(data, "key_id")?, user_id: user_id()? },
            Some("user.ban") => {
                Self::BanUser { user_id: user_id()?, clerk_user_id: field(data, "clerk_user_id")? }
            }
            Some(_) | None => return Err(NoCommand::Unknown(kind.to_owned())),
        };
        Ok(Received { id, command })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const USER: &str = "00000000-0000-0000-0000-0000000000ad";

    fn commands() -> [Command; 3] {
        let user_id = UserId::parse(USER).unwrap();
        [
            Command::PauseTask {
                task_id: TaskId::parse("22222222-0000-4000-8000-000000000001").unwrap(),
                user_id,
            },
            Command::RevokeKey { key_id: KeyId::parse("key_1").unwrap(), user_id },
            Command::BanUser { user_id, clerk_user_id: ClerkUserId::parse("user_2abc").unwrap() },
        ]
    }

    fn cause(event: &str) -> Cause {
        Cause {
            event: event.to_owned(),
            requested_by: UserId::parse(USER).unwrap(),
            reason: "deactivated".to_owned(),
        }
    }

    #[test]
    fn a_command_comes_back_as_it_was_sent() {
        for command in commands() {
            let message = command.message(&cause("e1"), Timestamp::from_millis(1_774_953_030_500));
            let received = Command::receive(&message).unwrap();
            assert_eq!(received.id, command.id(&cause("e1")));
            assert_eq!(received.command, command);
        }
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
        ] {
            let refused = Command::receive(body).unwrap_err().to_string();
            assert!(refused.contains(reason), "{body}: {refused}");
        }
    }
}
