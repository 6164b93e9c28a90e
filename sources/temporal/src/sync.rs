//! One run of the sync: schedules first, then runs, each until its part of the time is over.
//!
//! What is sent twice changes no answer, so an instance remembers what it has sent only to send less.

mod run_pass;
mod schedule_pass;

use crate::connection::TemporalError;
use crate::reads::ReadTemporal;
use crate::task_ids::TaskIds;
use serde::Serialize;
use std::collections::{HashMap, HashSet};
use temporalio_client::tonic::Code;
use tokio::sync::Mutex;
use tokio::time::Instant;
use torale_domain::entities::fold::State;
use torale_domain::entities::readings;
use torale_domain::events::{ReceivedMessage, parse};
use torale_domain::values::json;
use torale_domain::values::time::Timestamp;
use torale_platform::clock::Clock;
use torale_platform::queue::{MessageQueue, QueueError};
use torale_platform::store::{Generations, Store, StoreError, Usage};

/// What all runs of an instance share.
pub struct TemporalSync<R> {
    /// Temporal.
    pub temporal: R,
    /// Which server and namespace it reads: what was read and seen there is stored under this name.
    pub source: String,
    /// How ids name their tasks.
    pub tasks: TaskIds,
    /// The store: what is known of schedules and tasks, and how far runs were read.
    pub store: Store,
    /// Which generation of projections is live.
    pub generations: Generations,
    /// The event queue.
    pub events: MessageQueue,
    /// The current time.
    pub clock: Clock,
    /// What this instance has sent.
    pub memory: Mutex<SyncMemory>,
}

/// What an instance remembers between its runs.
#[derive(Debug, Default)]
pub struct SyncMemory {
    /// Schedules that were looked at, by id.
    schedules: HashMap<String, SeenSchedule>,
    /// When the whole list of schedules was last compared with the projections.
    compared: Option<Timestamp>,
    /// Schedules that the list does not have and that Temporal could not describe: each run asks for them again.
    undescribed: HashSet<String>,
    /// The ids of the events of runs that were sent and may be found again.
    sent: HashSet<String>,
}

impl SyncMemory {
    /// Schedules that are known to be deleted and exist, also those that this run has not looked at.
    fn recreated(&self) -> u64 {
        let seen = self.schedules.values();
        count(seen.filter(|seen| readings::Schedule::of(&seen.state).deleted).count())
    }
}

/// A schedule as it was when it was last looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
struct SeenSchedule {
    /// What the list said of it.
    entry: Vec<u8>,
    /// Its next time, of a schedule that is shown by it.
    next: Option<Timestamp>,
    at: Timestamp,
    /// What is known of it once the events are consumed that were sent.
    state: State,
}

/// What a run did, and what it left.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct SyncReport {
    /// Events that SQS took.
    pub sent: u64,
    /// Runs and schedules that belong to no task.
    pub without_task: u64,
    /// Schedules whose user is not known: neither their arguments nor an event of the task names one.
    pub without_user: u64,
    /// Schedules that are known to be deleted and exist: the contract lets nothing be said of them.
    pub recreated: u64,
    /// What can't be an event, such as an id that is too long.
    pub invalid: u64,
    /// Schedules that this run had no time to look at.
    pub pending: u64,
    /// Schedules that are gone, or in another namespace: nothing is said of them until one that is known was found.
    pub unproven: u64,
    /// Schedules that Temporal can't describe: nothing is said of them.
    pub undescribed: u64,
    /// How far behind the runs are, in milliseconds.
    pub lag_ms: u64,
    /// Whether Temporal refused a call since there were too many; what was left is done in a later run.
    pub throttled: bool,
}

/// Why a run failed. What it has sent is sent.
#[derive(Debug, thiserror::Error)]
pub enum SyncError {
    /// Temporal fails.
    #[error(transparent)]
    Temporal(#[from] TemporalError),
    /// The store fails.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The queue has not taken every event.
    #[error(transparent)]
    Queue(#[from] QueueError),
}

impl SyncError {
    fn is_throttled(&self) -> bool {
        matches!(self, Self::Temporal(TemporalError::Answered(Code::ResourceExhausted, _)))
    }
}

impl<R: ReadTemporal> TemporalSync<R> {
    /// Looks at schedules until `half` and at runs until `deadline`. A page or a few schedules that are being read then
    /// are finished. Both are tried, even if the first fails.
    ///
    /// # Errors
    /// If Temporal, the store or the queue fails.
    pub async fn run(
        &self,
        half: Instant,
        deadline: Instant,
        usage: &Usage,
    ) -> Result<SyncReport, SyncError> {
        let (mut report, mut memory) = (SyncReport::default(), self.memory.lock().await);
        let mut state = self.store.temporal_sync(&self.source, usage).await?;
        let schedules = self.sync_schedules(&mut memory, &mut state, half, usage, &mut report).await;
        report.recreated += memory.recreated();
        let runs = self.sync_runs(&mut memory, &mut state, deadline, usage, &mut report).await;
        for result in [schedules, runs] {
            match result {
                Err(error) if error.is_throttled() => report.throttled = true,
                other => other?,
            }
        }
        Ok(report)
    }

    /// Sends events; leaves out and counts what the intake would refuse.
    async fn send(&self, events: Vec<String>, report: &mut SyncReport) -> Result<(), SyncError> {
        let now = (self.clock)();
        let is_event = |event: &String| matches!(parse(event, Some(now)), Ok(ReceivedMessage::Known(_)));
        let (valid, invalid): (Vec<_>, Vec<_>) = events.into_iter().partition(is_event);
        report.invalid += count(invalid.len());
        self.events.send_all(&valid).await?;
        report.sent += count(valid.len());
        Ok(())
    }
}

fn count(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}

/// The id of an event.
fn id_of(event: &str) -> Option<String> {
    let event = json::parse(event).ok()?;
    event.get("id")?.as_str().map(str::to_owned)
}
