//! The executor of `torale-commands`: executes each command at Clerk or Temporal, and sends the events that confirm it
//! to `torale-events` (`docs/contract/events.md`, "Commands").
//!
//! Executing a command twice has the effect of executing it once. So a command that is not confirmed is returned to the
//! queue and comes again, and after many attempts it goes to the dead-letter queue.

pub mod clerk;
pub mod confirm;
pub mod pause;
pub mod rest;
#[cfg(feature = "temporal")]
pub mod temporal;

use aws_lambda_events::sqs::{SqsBatchResponse, SqsEvent};
use clerk::{BanUsers, ClerkError};
use confirm::ConfirmationSink;
use futures::stream::{self, StreamExt};
use lambda_runtime::LambdaEvent;
use pause::{PauseError, PauseSchedules};
use rest::TemporalRest;
use std::collections::BTreeMap;
use std::error::Error;
use tokio::time::{Duration, Instant, timeout_at};
use torale_domain::deactivation::commands::{
    Command, InvalidCommand, KnownSchedules, ReceivedCommand, SchedulePattern,
};
use torale_domain::values::ids::{ScheduleId, TaskId};
use torale_domain::values::time::Timestamp;
use torale_domain::values::trace::TraceParent;
use torale_platform::clock::Clock;
use torale_platform::config::{COMMAND_TIMEOUT, QUEUE_TIMEOUT};
use torale_platform::metrics::{self, MetricSet};
use torale_platform::queue::QueueError;
use torale_platform::sqs::{self, QueueMessage};

/// Commands that are executed in parallel.
const PARALLEL: usize = 8;
/// The part of a batch's time that is reserved for the response.
const RESERVE: Duration = Duration::from_secs(1);
/// The time that is left when the last call of Temporal for a command begins: for the call, and to confirm what is
/// paused.
const LAST_CALL: Duration = COMMAND_TIMEOUT.saturating_add(QUEUE_TIMEOUT);
/// Where among its schedules each delivery of a command begins, in parts of 2^32, times the number of the deliveries
/// before it: the golden ratio, by which any number of deliveries begin far from each other.
const TURN: u32 = 0x9e37_79b9;

/// What all invocations of an instance share.
#[derive(Debug)]
pub struct Executor<B, P, Q> {
    /// Where users are banned.
    pub clerk: B,
    /// Where schedules are paused.
    pub temporal: P,
    /// Whether it is left alone for a while.
    pub temporal_rest: TemporalRest,
    /// Where the confirming events are sent.
    pub events: Q,
    /// Where commands of other kinds are forwarded, if anywhere.
    pub forward: Option<Q>,
    /// The kinds of commands that are executed here.
    pub handled: Vec<&'static str>,
    /// How the schedules of tasks are called of which no event has named one.
    pub schedules: SchedulePattern,
    /// The current time.
    pub clock: Clock,
}

/// The result of a command that need not come again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CommandOutcome {
    /// It was executed and confirmed.
    CarriedOut,
    /// Its target does not exist at Clerk.
    NothingThere,
    /// The task is paused, but so many of its schedules do not exist at Temporal: they may run under other names.
    SchedulesMissing(usize),
    /// It was forwarded to the other queue.
    Forwarded,
}

/// Why a message is returned to the queue.
#[derive(Debug, thiserror::Error)]
pub enum CommandFailure {
    /// It is not a command.
    #[error(transparent)]
    InvalidCommand(#[from] InvalidCommand),
    /// It is of a kind that is neither executed here nor forwarded.
    #[error("not handled here, and there is no queue to pass it on to")]
    NotHandled,
    /// Clerk has not confirmed it.
    #[error(transparent)]
    Clerk(#[from] ClerkError),
    /// Temporal has not confirmed it.
    #[error("{0}")]
    Temporal(Box<dyn Error + Send + Sync>),
    /// Temporal was not called, since it did not answer before.
    #[error("Temporal did not answer several calls in a row, so none is made for some seconds")]
    TemporalRests,
    /// It was executed, but the event queue has not taken the confirming events.
    #[error("done but not told: {0}")]
    NotConfirmed(QueueError),
    /// The other queue has not taken it.
    #[error("not forwarded: {0}")]
    NotForwarded(QueueError),
    /// The deadline has passed.
    #[error("no time left")]
    OutOfTime,
}

/// Executes the commands of one batch. The response names the messages that must come again.
pub async fn handle(
    executor: &Executor<impl BanUsers, impl PauseSchedules, impl ConfirmationSink>,
    event: LambdaEvent<SqsEvent>,
) -> SqsBatchResponse {
    let started = Instant::now();
    let left = sqs::time_left(event.context.deadline);
    let messages = sqs::messages(event.payload);
    let outcomes = executor.execute_all(&messages, started + left.saturating_sub(RESERVE)).await;
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for (_, outcome) in &outcomes {
        *counts
            .entry(outcome.as_ref().map_or_else(CommandFailure::name, CommandOutcome::name))
            .or_default() += 1;
    }
    let failed = outcomes.iter().filter(|(_, outcome)| outcome.is_err()).map(|(message, _)| *message);
    let failed: Vec<&QueueMessage> = failed.collect();
    let missing = outcomes.iter().map(|(_, outcome)| match outcome {
        Ok(CommandOutcome::SchedulesMissing(schedules)) => *schedules,
        _other_outcomes => 0,
    });
    let (now, missing) = ((executor.clock)(), missing.sum());
    metrics::emit(&[counters(messages.len(), missing, &failed, now)], now);
    let batch_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
    tracing::info!(messages = messages.len(), failed = failed.len(), outcomes = ?counts, batch_ms, "batch");
    sqs::return_to_queue(failed.into_iter().map(|message| message.id.clone()))
}

/// The metrics of a batch. Without them, failing commands would not be noticed for a day, since Lambda counts no
/// errors.
pub fn counters(
    commands: usize,
    missing_schedules: usize,
    failed: &[&QueueMessage],
    now: Timestamp,
) -> MetricSet {
    let number = |count| u64::try_from(count).unwrap_or(u64::MAX);
    let metrics = vec![
        ("Commands", "Count", number(commands)),
        ("HandedBack", "Count", number(failed.len())),
        ("MissingSchedules", "Count", number(missing_schedules)),
        ("StuckAge", "Seconds", sqs::stuck(failed.iter().copied(), now)),
    ];
    MetricSet { namespace: "Torale/Commands", metrics }
}

impl<B: BanUsers, P: PauseSchedules, Q: ConfirmationSink> Executor<B, P, Q> {
    /// Executes commands until the deadline, and returns the result of each in any order. Commands that are being
    /// executed at the deadline are abandoned.
    pub async fn execute_all<'a>(
        &self,
        messages: &'a [QueueMessage],
        deadline: Instant,
    ) -> Vec<(&'a QueueMessage, Result<CommandOutcome, CommandFailure>)> {
        let work = messages.iter().map(|message| async move {
            let in_time = Instant::now() < deadline;
            let outcome = match in_time {
                true => timeout_at(deadline, self.receive(message, deadline))
                    .await
                    .unwrap_or(Err(CommandFailure::OutOfTime)),
                false => Err(CommandFailure::OutOfTime),
            };
            log(message, &outcome);
            (message, outcome)
        });
        stream::iter(work).buffer_unordered(PARALLEL).collect().await
    }

    async fn receive(
        &self,
        message: &QueueMessage,
        deadline: Instant,
    ) -> Result<CommandOutcome, CommandFailure> {
        let received = Command::receive(&message.body)?;
        if self.handled.contains(&received.command.kind()) {
            return self.execute(&received, Delivery { number: message.received, deadline }).await;
        }
        let forward = self.forward.as_ref().ok_or(CommandFailure::NotHandled)?;
        forward.send(std::slice::from_ref(&message.body)).await.map_err(CommandFailure::NotForwarded)?;
        Ok(CommandOutcome::Forwarded)
    }

    async fn execute(
        &self,
        received: &ReceivedCommand,
        delivery: Delivery,
    ) -> Result<CommandOutcome, CommandFailure> {
        let (pauses, outcome) = match &received.command {
            Command::PauseTask { task_id, schedules, .. } => {
                let pauses = self.pause(task_id, schedules, &received.note(), delivery).await;
                let outcome = pauses.outcome();
                (pauses, outcome)
            }
            Command::BanUser { clerk_user_id, .. } => match self.clerk.ban(clerk_user_id).await? {
                true => (Pauses::default(), CommandOutcome::CarriedOut),
                false => (Pauses::default(), CommandOutcome::NothingThere),
            },
            // The confirming event is the revocation.
            Command::RevokeKey { .. } => (Pauses::default(), CommandOutcome::CarriedOut),
        };
        let now = (self.clock)();
        let events = match pauses.failed {
            None => received.confirming_events(&pauses.paused, now),
            Some(_) => received.confirming_pauses(&pauses.paused, now),
        };
        self.events.send(&events).await.map_err(CommandFailure::NotConfirmed)?;
        pauses.failed.map_or(Ok(outcome), Err)
    }

    /// Pauses the schedules of a task: those that events have named, or the one by the pattern if events have named
    /// none. One that fails keeps no other from being paused. One that does not exist counts as done, but never
    /// silently. For some of very many, or while Temporal is slow, there may be no time: each delivery begins with
    /// others.
    async fn pause(&self, task: &TaskId, named: &KnownSchedules, note: &str, delivery: Delivery) -> Pauses {
        let is_unknown = named.ids.is_empty() && !named.all_deleted;
        let by_pattern = self.schedules.id(task).filter(|_| is_unknown);
        let mut schedules: Vec<&ScheduleId> = named.ids.iter().chain(&by_pattern).collect();
        let first = delivery.first_of(schedules.len());
        schedules.rotate_left(first);
        let attempts: Vec<_> = schedules
            .into_iter()
            .map(|schedule| async move { (schedule, self.pause_one(schedule, note, delivery).await) })
            .collect();
        // In any order: while one schedule takes its time, the others go on.
        let mut results = stream::iter(attempts).buffer_unordered(PARALLEL);
        let mut pauses = Pauses::default();
        while let Some((schedule, result)) = results.next().await {
            match result {
                Ok(true) => pauses.paused.push(schedule.clone()),
                Ok(false) => {
                    pauses.missing += 1;
                    let schedule = schedule.as_str();
                    tracing::warn!(%task, schedule, "Temporal has no such schedule: the task may run under another");
                }
                Err(failure) => pauses.failed = pauses.failed.or(Some(failure)),
            }
        }
        pauses
    }

    /// Pauses one schedule, unless Temporal is left alone or it is too late. Returns whether the schedule exists.
    async fn pause_one(
        &self,
        schedule: &ScheduleId,
        note: &str,
        delivery: Delivery,
    ) -> Result<bool, CommandFailure> {
        let began = Instant::now();
        if delivery.deadline.saturating_duration_since(began) < LAST_CALL {
            return Err(CommandFailure::OutOfTime);
        }
        if self.temporal_rest.is_on() {
            return Err(CommandFailure::TemporalRests);
        }
        let result = self.temporal.pause(schedule.as_str(), note).await;
        self.temporal_rest.note_call(began, !result.as_ref().is_err_and(PauseError::is_unanswered));
        result.map_err(|error| CommandFailure::Temporal(Box::new(error)))
    }
}

/// One delivery of a command.
#[derive(Clone, Copy)]
struct Delivery {
    /// How often the command has been received, this time included.
    number: u32,
    /// When the time for its batch is over.
    deadline: Instant,
}

impl Delivery {
    /// With which of so many schedules it begins.
    fn first_of(self, schedules: usize) -> usize {
        let (turned, schedules) =
            (self.number.saturating_sub(1).wrapping_mul(TURN), u32::try_from(schedules));
        let first = (u64::from(turned) * u64::from(schedules.unwrap_or(u32::MAX))) >> 32;
        usize::try_from(first).unwrap_or(0)
    }
}

/// What became of the schedules of one command.
#[derive(Default)]
struct Pauses {
    /// Those that are paused now.
    paused: Vec<ScheduleId>,
    /// How many do not exist.
    missing: usize,
    /// Why others are not paused: the failure that came first.
    failed: Option<CommandFailure>,
}

impl Pauses {
    /// The result of the command if none has failed.
    const fn outcome(&self) -> CommandOutcome {
        match self.missing {
            0 => CommandOutcome::CarriedOut,
            missing => CommandOutcome::SchedulesMissing(missing),
        }
    }
}

impl CommandOutcome {
    /// Its name in logs.
    const fn name(&self) -> &'static str {
        match self {
            Self::CarriedOut => "carried_out",
            Self::NothingThere => "nothing_there",
            Self::SchedulesMissing(_) => "schedules_missing",
            Self::Forwarded => "forwarded",
        }
    }
}

impl CommandFailure {
    /// Its name in logs.
    const fn name(&self) -> &'static str {
        match self {
            Self::InvalidCommand(_) => "no_command",
            Self::NotHandled => "not_handled",
            Self::Clerk(_) => "clerk",
            Self::Temporal(_) | Self::TemporalRests => "temporal",
            Self::NotConfirmed(_) => "not_told",
            Self::NotForwarded(_) => "not_forwarded",
            Self::OutOfTime => "late",
        }
    }
}

/// Logs the command and its result, but never its body, which contains personal data.
fn log(message: &QueueMessage, outcome: &Result<CommandOutcome, CommandFailure>) {
    let received = Command::receive(&message.body).ok();
    let command = received.as_ref().map(|received| received.id.to_string());
    let kind = received.as_ref().map(|received| received.command.kind());
    let trace_id = received.as_ref().and_then(|received| received.trace.as_ref()).map(TraceParent::trace_id);
    let message_id = &message.id;
    match outcome {
        Ok(done) => tracing::info!(message_id, command, kind, trace_id, outcome = done.name(), "command"),
        Err(failure) => {
            let outcome = failure.name();
            tracing::error!(message_id, command, kind, trace_id, outcome, %failure, "handed back");
        }
    }
}
