//! Summaries: what the row of a list carries of its execution or schedule, so that a page of the list
//! does not read these. Rows move or change with what they carry, so they cost no further write unit
//! (docs/adr/0025-rows-carry-their-page.md).
//!
//! | attribute | of | holds |
//! |---|---|---|
//! | `t`, `u` | all | the task and the user, 16 bytes each |
//! | `e`, `d` | executions that ended | when it ended, in milliseconds since 1970; its duration in milliseconds |
//! | `c` | executions that succeeded | 1 if the condition was met, else 0 |
//! | `i`, `c`, `z` | schedules | id, cron string, zone |
//! | `y`, `m`, `r`, `w` | errors | type, message, number of retries, 1 if it will be retried, else 0 |

mod schedule;

use crate::entities::readings::{Execution, ExecutionState, ExecutionStatus};
use crate::storage::item::{Attributes, Item, Value};
use crate::storage::keys;
use crate::storage::read::Corrupt;
use crate::values::ids::{TaskId, UserId};
use crate::values::time::Timestamp;
pub use schedule::ScheduleSummary;
use uuid::Uuid;

/// Of a longer message an error's row carries nothing but the task and the user. Rows that are skipped on
/// the way to a page are read whole, and a row over 1 KB would be two write units.
const MAX_MESSAGE_BYTES: usize = 160;

const TASK: &str = "t";
const USER: &str = "u";
const ENDED_AT: &str = "e";
const DURATION: &str = "d";
const CONDITION_MET: &str = "c";
const ERROR_TYPE: &str = "y";
const MESSAGE: &str = "m";
const RETRY_COUNT: &str = "r";
const WILL_RETRY: &str = "w";

/// Whose an execution is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Owners {
    /// The task that ran.
    pub task_id: TaskId,
    /// The user it ran for.
    pub user_id: UserId,
}

/// What a row carries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Carried<S> {
    /// All that a page shows of the execution.
    Summary(S),
    /// Whose it is: the rest would be too long for a row.
    Owners(Owners),
    /// Nothing: an earlier release wrote the row.
    Nothing,
}

/// All that a page shows of an execution itself.
pub trait Summary: Sized + Send + Sync {
    /// The summary of an execution; `None` if the list does not hold it.
    fn of(execution: &Execution<'_>) -> Option<Self>;

    /// What the row of the list carries.
    ///
    /// # Errors
    /// If it is not of the form that [`Summary::attributes`] gives it.
    fn load(row: &Item) -> Result<Carried<Self>, Corrupt>;

    /// The attributes of the row.
    fn attributes(&self) -> Attributes;

    /// Whose the execution is.
    fn owners(&self) -> Owners;

    /// Whether the execution has ended.
    fn has_ended(&self) -> bool;
}

/// What a list of executions shows of an execution.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExecutionSummary {
    /// Whose it is.
    pub owners: Owners,
    /// When it began.
    pub started_at: Timestamp,
    /// How it stands.
    pub status: ExecutionStatus,
    /// Whether what the task looks for was found; `None` unless it succeeded.
    pub condition_met: Option<bool>,
    /// When it ended, and how long it took in milliseconds; `None` while it runs.
    pub ended: Option<(Timestamp, u64)>,
}

/// What the list of errors shows of a failure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ErrorSummary {
    /// Whose the execution is.
    pub owners: Owners,
    /// When it failed.
    pub occurred_at: Timestamp,
    /// The type of the error.
    pub error_type: String,
    /// The first 2,000 characters of the message.
    pub error_message: String,
    /// How often the execution had been retried.
    pub retry_count: u64,
    /// Whether it will be retried.
    pub will_retry: bool,
}

impl Owners {
    const fn of(execution: &Execution<'_>) -> Self {
        Self { task_id: execution.task_id, user_id: execution.user_id }
    }

    fn attributes(self) -> Attributes {
        let bytes = |id: Uuid| Value::Bytes(id.into_bytes().to_vec());
        Attributes::from([(TASK.to_owned(), bytes(self.task_id.0)), (USER.to_owned(), bytes(self.user_id.0))])
    }

    /// `None` if the row carries nothing.
    fn load(row: &Item) -> Result<Option<Self>, Corrupt> {
        let id = |name: &str| match row.attributes.get(name) {
            Some(Value::Bytes(bytes)) => Uuid::from_slice(bytes).ok(),
            Some(Value::Text(_) | Value::Number(_)) | None => None,
        };
        if row.attributes.is_empty() {
            return Ok(None);
        }
        let owners = id(TASK).zip(id(USER)).ok_or_else(|| Corrupt::new(&row.key, "no task and user"))?;
        Ok(Some(Self { task_id: TaskId(owners.0), user_id: UserId(owners.1) }))
    }
}

impl Summary for ExecutionSummary {
    fn of(execution: &Execution<'_>) -> Option<Self> {
        let condition_met = match execution.status {
            ExecutionState::Success { condition_met } => Some(condition_met),
            ExecutionState::Running | ExecutionState::Failed(_) => None,
        };
        Some(Self {
            owners: Owners::of(execution),
            started_at: execution.started_at,
            status: execution.status.status(),
            condition_met,
            ended: execution.completed_at.map(|at| (at, execution.duration_ms)),
        })
    }

    fn load(row: &Item) -> Result<Carried<Self>, Corrupt> {
        let Some(owners) = Owners::load(row)? else { return Ok(Carried::Nothing) };
        let ended = Option::zip(time(row, ENDED_AT), count(row, DURATION));
        let condition_met = flag(row, CONDITION_MET);
        let status = match (ended, condition_met) {
            (None, _) => ExecutionStatus::Running,
            (Some(_), Some(_)) => ExecutionStatus::Success,
            (Some(_), None) => ExecutionStatus::Failed,
        };
        let started_at = keys::row_at(&row.key).ok_or_else(|| Corrupt::new(&row.key, "no time"))?;
        Ok(Carried::Summary(Self { owners, started_at, status, condition_met, ended }))
    }

    fn attributes(&self) -> Attributes {
        let ended = self.ended.map(|(at, millis)| {
            [(ENDED_AT, Value::from(at)), (DURATION, Value::Number(millis.into()))].into_iter()
        });
        let met = self.condition_met.map(|met| (CONDITION_MET, Value::Number(met.into())));
        with(self.owners.attributes(), ended.into_iter().flatten().chain(met))
    }

    fn owners(&self) -> Owners {
        self.owners
    }

    fn has_ended(&self) -> bool {
        self.ended.is_some()
    }
}

impl Summary for ErrorSummary {
    fn of(execution: &Execution<'_>) -> Option<Self> {
        let (ExecutionState::Failed(error), Some(occurred_at)) = (execution.status, execution.completed_at)
        else {
            return None;
        };
        Some(Self {
            owners: Owners::of(execution),
            occurred_at,
            error_type: error.error_type.as_str().to_owned(),
            error_message: error.error_message.as_str().to_owned(),
            retry_count: error.retry_count.0,
            will_retry: error.will_retry,
        })
    }

    fn load(row: &Item) -> Result<Carried<Self>, Corrupt> {
        let Some(owners) = Owners::load(row)? else { return Ok(Carried::Nothing) };
        let Some(error_type) = row.text(ERROR_TYPE) else { return Ok(Carried::Owners(owners)) };
        let rest = row.text(MESSAGE).zip(keys::row_at(&row.key));
        let rest = rest.zip(count(row, RETRY_COUNT)).zip(flag(row, WILL_RETRY));
        let (((message, occurred_at), retry_count), will_retry) =
            rest.ok_or_else(|| Corrupt::new(&row.key, "not the row of an error"))?;
        let (error_type, error_message) = (error_type.to_owned(), message.to_owned());
        Ok(Carried::Summary(Self { owners, occurred_at, error_type, error_message, retry_count, will_retry }))
    }

    fn attributes(&self) -> Attributes {
        if self.error_message.len() > MAX_MESSAGE_BYTES {
            return self.owners.attributes();
        }
        let error = [
            (ERROR_TYPE, Value::Text(self.error_type.clone())),
            (MESSAGE, Value::Text(self.error_message.clone())),
            (RETRY_COUNT, Value::Number(self.retry_count.into())),
            (WILL_RETRY, Value::Number(self.will_retry.into())),
        ];
        with(self.owners.attributes(), error)
    }

    fn owners(&self) -> Owners {
        self.owners
    }

    fn has_ended(&self) -> bool {
        true
    }
}

fn with(attributes: Attributes, more: impl IntoIterator<Item = (&'static str, Value)>) -> Attributes {
    attributes.into_iter().chain(more.into_iter().map(|(name, value)| (name.to_owned(), value))).collect()
}

/// A number attribute; `None` if it does not exist or does not fit.
fn count(row: &Item, name: &str) -> Option<u64> {
    match row.attributes.get(name) {
        Some(Value::Number(number)) => u64::try_from(*number).ok(),
        Some(Value::Text(_) | Value::Bytes(_)) | None => None,
    }
}

fn flag(row: &Item, name: &str) -> Option<bool> {
    count(row, name).map(|number| number == 1)
}

fn time(row: &Item, name: &str) -> Option<Timestamp> {
    count(row, name).and_then(|millis| i64::try_from(millis).ok()).map(Timestamp::from_millis)
}

#[cfg(test)]
mod tests;
