//! The list of event types: the one place that gives each its name, its struct and its rank.

use super::types::*;

/// Prefix of every event type on the wire.
pub const TYPE_PREFIX: &str = "ai.torale.";

/// The `source` of every command, and of every event of this system.
pub const SOURCE: &str = "/torale/admin";

macro_rules! event_types {
    ($($(#[$doc:meta])* $kind:ident = $name:literal,)*) => {
        /// A type of event. Its position in this list is its rank: where times are equal the later one wins.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum EventType { $($(#[$doc])* $kind,)* }

        /// What an event says, by type.
        #[derive(Debug, Clone)]
        pub enum Body { $($(#[$doc])* $kind($kind),)* }

        impl EventType {
            /// Every type, in the order of their ranks.
            pub const ALL: &'static [Self] = &[$(Self::$kind,)*];

            /// The type's name without its prefix.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$kind => $name,)* }
            }

            /// The type with this name (without prefix).
            pub fn from_name(name: &str) -> Option<Self> {
                match name { $($name => Some(Self::$kind),)* _ => None }
            }

            /// Reads `data` in the newest version of the type; the error says what is wrong.
            pub fn body(self, data: &serde_json::Value) -> Result<Body, String> {
                match self {
                    $(Self::$kind => <$kind as serde::Deserialize>::deserialize(data)
                        .map(Body::$kind)
                        .map_err(|e| e.to_string()),)*
                }
            }

            /// Reads the text of `data` in the newest version of the type, without a tree of its values; the
            /// error says what is wrong.
            pub(crate) fn body_of_text(self, data: &str) -> serde_json::Result<Body> {
                match self { $(Self::$kind => serde_json::from_str(data).map(Body::$kind),)* }
            }
        }

        impl Body {
            /// The type of event this is the body of.
            pub const fn event_type(&self) -> EventType {
                match self { $(Self::$kind(_) => EventType::$kind,)* }
            }

            /// The listed fields as JSON, in the newest version.
            pub(crate) fn to_json(&self) -> serde_json::Result<String> {
                match self { $(Self::$kind(data) => serde_json::to_value(data).map(|v| v.to_string()),)* }
            }
        }
    };
}

impl EventType {
    /// The type's name on the wire.
    pub fn full_name(self) -> String {
        format!("{TYPE_PREFIX}{}", self.name())
    }
}

event_types! {
    /// A user exists.
    UserCreated = "user.created",
    /// A user's email or role changed.
    UserUpdated = "user.updated",
    /// A user logged in.
    UserLoggedIn = "user.logged_in",
    /// A user was barred.
    UserDeactivated = "user.deactivated",
    /// A barred user may use the platform again.
    UserReactivated = "user.reactivated",
    /// An identity exists at the identity provider.
    IdentityCreated = "identity.created",
    /// An identity's email, role or external id changed.
    IdentityUpdated = "identity.updated",
    /// An identity is gone, for ever.
    IdentityDeleted = "identity.deleted",
    /// Someone logged in with an identity.
    IdentityLoggedIn = "identity.logged_in",
    /// An API key exists.
    ApiKeyCreated = "api_key.created",
    /// An API key is dead.
    ApiKeyRevoked = "api_key.revoked",
    /// A recurring search exists.
    TaskCreated = "task.created",
    /// A task's query, schedule or name changed.
    TaskUpdated = "task.updated",
    /// A task stopped running.
    TaskPaused = "task.paused",
    /// A task runs again.
    TaskResumed = "task.resumed",
    /// A task has found what it looked for.
    TaskCompleted = "task.completed",
    /// A task is gone.
    TaskDeleted = "task.deleted",
    /// A run of a task began.
    ExecutionStarted = "execution.started",
    /// A run of a task failed.
    ExecutionFailed = "execution.failed",
    /// A run of a task succeeded.
    ExecutionSucceeded = "execution.succeeded",
    /// A user was notified.
    NotificationSent = "notification.sent",
    /// A Temporal workflow run began.
    WorkflowStarted = "temporal.workflow.started",
    /// A Temporal workflow run ended.
    WorkflowClosed = "temporal.workflow.closed",
    /// A Temporal schedule exists.
    ScheduleCreated = "temporal.schedule.created",
    /// A Temporal schedule's times changed.
    ScheduleUpdated = "temporal.schedule.updated",
    /// A Temporal schedule does not fire for now.
    SchedulePaused = "temporal.schedule.paused",
    /// A Temporal schedule fires again.
    ScheduleUnpaused = "temporal.schedule.unpaused",
    /// A Temporal schedule is gone.
    ScheduleDeleted = "temporal.schedule.deleted",
}
