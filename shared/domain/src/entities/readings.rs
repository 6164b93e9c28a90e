//! What is known of each entity: typed readings of its [`State`].

use crate::entities::fold::{ApiKeyClaims, Register, State};
pub use crate::events::types::TaskState;
use crate::events::types::{Count, Removable};
use crate::events::{Body, Event, types};
use crate::values::ids::{ClerkUserId, RunId, TaskId, UserId, WorkflowId};
use crate::values::time::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

/// A user: of the platform, or an identity that stands in for one. Before either is known it is a stub.
#[derive(Debug)]
pub struct User<'a> {
    /// When it was created; `None` for a stub.
    pub created_at: Option<Timestamp>,
    /// The identity that it names as its own, or that stands in for it; `None` for a stub.
    pub clerk_user_id: Option<&'a ClerkUserId>,
    /// Its email today.
    pub email: Option<&'a str>,
    /// Its role today.
    pub role: Option<&'a str>,
    /// False once deactivated.
    pub active: bool,
    /// The event that says whether it is active.
    pub state: Option<&'a Event>,
    /// Its last reactivation, whatever became of it since.
    pub reactivated: Option<&'a Event>,
    /// Its last login.
    pub last_login: Option<Timestamp>,
}

impl<'a> User<'a> {
    /// Reads a user: `own` is what its own events say, `linked` what those of its identities say.
    pub fn of(own: &'a State, linked: &'a State) -> Self {
        let winner = |register| own.winner(register).max(linked.winner(register));
        let created = own.winner(Register::Created).or_else(|| linked.winner(Register::Created));
        let (clerk_user_id, created_at) = match created.map(|event| (event, &event.body)) {
            Some((event, Body::UserCreated(data))) => {
                (Some(&data.clerk_user_id), Some(data.created_at.unwrap_or(event.time)))
            }
            Some((event, Body::IdentityCreated(data))) => {
                (Some(&data.clerk_user_id), Some(data.created_at.unwrap_or(event.time)))
            }
            _stub => (None, None),
        };
        let state = winner(Register::State);
        let inactive =
            |event: &Event| matches!(event.body, Body::UserDeactivated(_) | Body::IdentityDeleted(_));
        Self {
            created_at,
            clerk_user_id,
            email: winner(Register::Email).and_then(email),
            role: winner(Register::Role).and_then(role),
            active: !state.is_some_and(inactive),
            state,
            reactivated: winner(Register::Reactivated),
            last_login: winner(Register::LastLogin).map(|event| event.time),
        }
    }

    /// Whether an event of the user's that has deactivated them still holds, whichever event holds the state: the user
    /// is not active, and nothing greater has reactivated them.
    pub fn is_deactivated_by(&self, event: &Event) -> bool {
        !self.active && self.reactivated.is_none_or(|reactivated| reactivated < event)
    }

    /// Whether it is listed and counted.
    pub const fn exists(&self) -> bool {
        self.created_at.is_some()
    }
}

fn email(event: &Event) -> Option<&str> {
    match Some(&event.body) {
        Some(Body::UserCreated(data)) => Some(data.email.as_str()),
        Some(Body::UserUpdated(types::UserUpdated { email, .. })) => email.as_ref().map(types::Text::as_str),
        Some(Body::IdentityCreated(data)) => data.email.as_ref().map(types::Text::as_str),
        Some(Body::IdentityUpdated(data)) => data.email.as_ref().map(types::Text::as_str),
        _other_types => None,
    }
}

fn role(event: &Event) -> Option<&str> {
    match Some(&event.body) {
        Some(Body::UserCreated(data)) => data.role.as_ref().map(types::Text::as_str),
        Some(Body::UserUpdated(data)) => data.role.as_ref().and_then(Removable::set).map(types::Text::as_str),
        Some(Body::IdentityCreated(data)) => data.role.as_ref().map(types::Text::as_str),
        Some(Body::IdentityUpdated(data)) => {
            data.role.as_ref().and_then(Removable::set).map(types::Text::as_str)
        }
        _other_types => None,
    }
}

fn body(state: &State, register: Register) -> Option<&Body> {
    state.winner(register).map(|event| &event.body)
}

/// An API key (`docs/contract/events.md`, "API keys").
#[derive(Debug)]
pub struct ApiKey<'a> {
    /// The facts of its greatest `api_key.created` event; `None` for a stub.
    pub created: Option<&'a types::ApiKeyCreated>,
    /// All hashes and users that events gave it.
    pub claims: &'a ApiKeyClaims,
    /// Whether an event revoked it.
    pub revoked: bool,
}

impl<'a> ApiKey<'a> {
    /// Reads a key's state.
    pub fn of(state: &'a State) -> Self {
        let created = match body(state, Register::Created) {
            Some(Body::ApiKeyCreated(data)) => Some(data),
            _other_types => None,
        };
        Self { created, claims: state.claims(), revoked: state.winner(Register::Deleted).is_some() }
    }

    /// Whether it is refused for ever: it is revoked, or has too many claims.
    pub fn is_refused(&self) -> bool {
        self.revoked || self.claims.is_over_limit()
    }
}

/// A task. Before its `task.created` event it is a stub.
#[derive(Debug)]
pub struct Task<'a> {
    /// Its owner; `None` for a stub.
    pub user_id: Option<UserId>,
    /// When it was created; `None` for a stub.
    pub created_at: Option<Timestamp>,
    /// Its query today.
    pub query: Option<&'a str>,
    /// Its name today; `None` while no event has stated one.
    pub name: Option<&'a str>,
    /// Its own schedule today, as it was sent; `None` while no event has stated one.
    pub schedule: Option<&'a str>,
    /// Its state.
    pub state: TaskState,
    /// The time of the event that says so.
    pub state_at: Option<Timestamp>,
    /// Whether it is gone.
    pub deleted: bool,
}

impl<'a> Task<'a> {
    /// Reads a task's state.
    pub fn of(state: &'a State) -> Self {
        Self {
            user_id: match body(state, Register::Created) {
                Some(Body::TaskCreated(data)) => Some(data.user_id),
                _other_types => None,
            },
            created_at: state.winner(Register::Created).map(|event| event.time),
            name: match body(state, Register::Name) {
                Some(Body::TaskCreated(data)) => data.name.as_ref().map(types::Text::as_str),
                Some(Body::TaskUpdated(data)) => data.name.as_ref().map(types::Text::as_str),
                _other_types => None,
            },
            schedule: match body(state, Register::Schedule) {
                Some(Body::TaskCreated(data)) => data.schedule.as_ref().map(types::Text::as_str),
                Some(Body::TaskUpdated(data)) => data.schedule.as_ref().map(types::Text::as_str),
                _other_types => None,
            },
            query: match body(state, Register::Query) {
                Some(Body::TaskCreated(data)) => Some(data.search_query.as_str()),
                Some(Body::TaskUpdated(data)) => data.search_query.as_ref().map(types::SearchQuery::as_str),
                _other_types => None,
            },
            state: match body(state, Register::State) {
                Some(Body::TaskCreated(data)) => data.state,
                Some(Body::TaskPaused(_)) => TaskState::Paused,
                Some(Body::TaskCompleted(_)) => TaskState::Completed,
                _resumed_or_none => TaskState::Active,
            },
            state_at: state.winner(Register::State).map(|event| event.time),
            deleted: state.winner(Register::Deleted).is_some(),
        }
    }
}

/// The status of an execution.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub enum ExecutionStatus {
    /// It succeeded.
    Success,
    /// It failed.
    Failed,
    /// It has not ended.
    Running,
}

impl ExecutionState<'_> {
    /// The status alone.
    pub const fn status(&self) -> ExecutionStatus {
        match self {
            Self::Running => ExecutionStatus::Running,
            Self::Success { .. } => ExecutionStatus::Success,
            Self::Failed(_) => ExecutionStatus::Failed,
        }
    }
}

/// How an execution stands.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum ExecutionState<'a> {
    /// It has not ended.
    Running,
    /// It ended well.
    Success {
        /// Whether what the task looks for was found.
        condition_met: bool,
    },
    /// It ended with an error.
    Failed(&'a types::ExecutionFailed),
}

/// One run of a task: its latest status event says all of it.
#[derive(Debug)]
pub struct Execution<'a> {
    /// The task that ran.
    pub task_id: TaskId,
    /// The user it ran for.
    pub user_id: UserId,
    /// When it began.
    pub started_at: Timestamp,
    /// How it stands.
    pub status: ExecutionState<'a>,
    /// When it ended; `None` while running.
    pub completed_at: Option<Timestamp>,
    /// How long it took, in milliseconds; 0 while running.
    pub duration_ms: u64,
}

impl<'a> Execution<'a> {
    /// Reads an execution's state; `None` before its first event.
    pub fn of(state: &'a State) -> Option<Self> {
        let Event { time, body, .. } = state.winner(Register::State)?;
        let ended = |started: Timestamp, completed: Option<Timestamp>, duration: Option<Count>| {
            let completed = completed.unwrap_or(*time);
            let lasted = u64::try_from(completed.millis() - started.millis()).unwrap_or(0);
            (Some(completed), duration.map_or(lasted, |count| count.0))
        };
        match Some(body) {
            Some(Body::ExecutionStarted(data)) => Some(Self {
                task_id: data.task_id,
                user_id: data.user_id,
                started_at: data.started_at.unwrap_or(*time),
                status: ExecutionState::Running,
                completed_at: None,
                duration_ms: 0,
            }),
            Some(Body::ExecutionSucceeded(data)) => {
                let (completed_at, duration_ms) = ended(data.started_at, data.completed_at, data.duration_ms);
                let status = ExecutionState::Success { condition_met: data.condition_met };
                let (task_id, user_id, started_at) = (data.task_id, data.user_id, data.started_at);
                Some(Self { task_id, user_id, started_at, status, completed_at, duration_ms })
            }
            Some(Body::ExecutionFailed(data)) => {
                let (completed_at, duration_ms) = ended(data.started_at, data.completed_at, data.duration_ms);
                let (task_id, user_id, started_at) = (data.task_id, data.user_id, data.started_at);
                Some(Self {
                    task_id,
                    user_id,
                    started_at,
                    status: ExecutionState::Failed(data),
                    completed_at,
                    duration_ms,
                })
            }
            _other_types => None,
        }
    }
}

/// A notification that was sent.
#[derive(Debug)]
pub struct Notification {
    /// To whom.
    pub user_id: UserId,
    /// When.
    pub sent_at: Timestamp,
}

impl Notification {
    /// Reads a notification's state; `None` before its first event.
    pub fn of(state: &State) -> Option<Self> {
        match state.winner(Register::Created) {
            Some(Event { body: Body::NotificationSent(data), time, .. }) => {
                Some(Self { user_id: data.user_id, sent_at: *time })
            }
            _other_types => None,
        }
    }
}

/// One run of a workflow: its latest event says all of it.
#[derive(Debug)]
pub struct Run<'a> {
    /// The workflow.
    pub workflow_id: &'a WorkflowId,
    /// The run.
    pub run_id: &'a RunId,
    /// Its type.
    pub workflow_type: &'a str,
    /// `RUNNING`, or how it ended.
    pub status: &'a str,
    /// When it began.
    pub start_time: Timestamp,
    /// When it ended; `None` while running.
    pub close_time: Option<Timestamp>,
}

impl<'a> Run<'a> {
    /// Reads a run's state; `None` before its first event.
    pub fn of(state: &'a State) -> Option<Self> {
        let event = state.winner(Register::State)?;
        match Some(&event.body) {
            Some(Body::WorkflowStarted(data)) => Some(Self {
                workflow_id: &data.workflow_id,
                run_id: &data.run_id,
                workflow_type: data.workflow_type.as_str(),
                status: "RUNNING",
                start_time: data.start_time.unwrap_or(event.time),
                close_time: None,
            }),
            Some(Body::WorkflowClosed(data)) => Some(Self {
                workflow_id: &data.workflow_id,
                run_id: &data.run_id,
                workflow_type: data.workflow_type.as_str(),
                status: data.status.as_str(),
                start_time: data.start_time,
                close_time: Some(data.close_time.unwrap_or(event.time)),
            }),
            _other_types => None,
        }
    }
}

/// A schedule. Before its `temporal.schedule.created` event it is a stub.
#[derive(Debug)]
pub struct Schedule<'a> {
    /// The facts of its creation; `None` for a stub.
    pub created: Option<(&'a types::ScheduleCreated, Timestamp)>,
    /// When it fires.
    pub cron: Option<&'a str>,
    /// In which zone.
    pub timezone: Option<&'a str>,
    /// Whether it does not fire for now.
    pub paused: bool,
    /// The time of the event that says so.
    pub state_at: Option<Timestamp>,
    /// Whether it is gone.
    pub deleted: bool,
}

impl<'a> Schedule<'a> {
    /// Reads a schedule's state.
    pub fn of(state: &'a State) -> Self {
        let created = match state.winner(Register::Created) {
            Some(Event { body: Body::ScheduleCreated(data), time, .. }) => Some((data, *time)),
            _other_types => None,
        };
        Self {
            created,
            cron: match body(state, Register::Cron) {
                Some(Body::ScheduleCreated(data)) => Some(data.cron.as_str()),
                Some(Body::ScheduleUpdated(data)) => data.cron.as_ref().map(types::Text::as_str),
                _other_types => None,
            },
            timezone: match body(state, Register::Timezone) {
                Some(Body::ScheduleCreated(data)) => Some(data.timezone.as_str()),
                Some(Body::ScheduleUpdated(data)) => data.timezone.as_ref().map(types::Text::as_str),
                _other_types => None,
            },
            paused: match body(state, Register::State) {
                Some(Body::ScheduleCreated(data)) => data.paused,
                Some(Body::SchedulePaused(_)) => true,
                _unpaused_or_none => false,
            },
            state_at: state.winner(Register::State).map(|event| event.time),
            deleted: state.winner(Register::Deleted).is_some(),
        }
    }
}
