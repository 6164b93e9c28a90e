//! The executor of `torale-commands`: each command is carried out where it belongs, and what the outside has
//! confirmed goes back onto `torale-events`.
//!
//! Carrying a command out twice is like doing it once, so whatever is not known to be done is handed back and comes
//! again, in the end to the dead-letter queue.

pub mod clerk;
pub mod confirm;
pub mod temporal;

use aws_lambda_events::sqs::{SqsBatchResponse, SqsEvent};
use clerk::{BanUsers, ClerkError};
use confirm::ConfirmationSink;
use futures::stream::{self, StreamExt};
use lambda_runtime::LambdaEvent;
use std::collections::BTreeMap;
use temporal::{PauseSchedules, TemporalError};
use tokio::time::{Duration, Instant, timeout_at};
use torale_domain::deactivation::commands::{Command, InvalidCommand, ReceivedCommand, temporal_schedule_id};
use torale_domain::values::time::Timestamp;
use torale_domain::values::trace::TraceParent;
use torale_platform::batch::{self, QueueMessage};
use torale_platform::clock::Clock;
use torale_platform::metrics::{self, MetricSet};
use torale_platform::queue::QueueError;

/// Commands that are carried out at once.
const PARALLEL: usize = 8;
/// So long before the deadline the batch ends, to be answered in time.
const RESERVE: Duration = Duration::from_secs(1);

/// What all invocations of an instance share.
#[derive(Debug)]
pub struct Executor<B, P, Q> {
    /// Where users are barred.
    pub clerk: B,
    /// Where schedules are paused.
    pub temporal: P,
    /// Where it is told what was done.
    pub events: Q,
    /// Where commands go that are not carried out here.
    pub forward: Option<Q>,
    /// The kinds of commands that are.
    pub handled: Vec<&'static str>,
    /// The present time.
    pub clock: Clock,
}

/// What became of a command that need not come again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CommandOutcome {
    /// It is carried out.
    CarriedOut,
    /// There was nothing outside to act on.
    NothingThere,
    /// Somebody else has it now.
    Forwarded,
}

/// Why a message is handed back.
#[derive(Debug, thiserror::Error)]
pub enum CommandFailure {
    /// It is no command.
    #[error(transparent)]
    InvalidCommand(#[from] InvalidCommand),
    /// It is of a kind that is neither carried out here nor passed on.
    #[error("not handled here, and there is no queue to pass it on to")]
    NotHandled,
    /// Clerk has not confirmed it.
    #[error(transparent)]
    ClerkBans(#[from] ClerkError),
    /// Temporal has not confirmed it.
    #[error(transparent)]
    TemporalPauses(#[from] TemporalError),
    /// It is done, but the queue of events has not taken that.
    #[error("done but not told: {0}")]
    NotTold(QueueError),
    /// The queue for such commands has not taken it.
    #[error("not forwarded: {0}")]
    NotForwarded(QueueError),
    /// There was no time left.
    #[error("no time left")]
    Late,
}

/// Carries out one batch; answers with the messages that must come again.
pub async fn handle(
    executor: &Executor<impl BanUsers, impl PauseSchedules, impl ConfirmationSink>,
    event: LambdaEvent<SqsEvent>,
) -> SqsBatchResponse {
    let started = Instant::now();
    let left = batch::time_left(event.context.deadline);
    let messages = batch::messages(event.payload);
    let outcomes = executor.carry_out(&messages, started + left.saturating_sub(RESERVE)).await;
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for (_, outcome) in &outcomes {
        *counts
            .entry(outcome.as_ref().map_or_else(CommandFailure::name, CommandOutcome::name))
            .or_default() += 1;
    }
    let failed = outcomes.iter().filter(|(_, outcome)| outcome.is_err()).map(|(message, _)| *message);
    let failed: Vec<&QueueMessage> = failed.collect();
    let now = (executor.clock)();
    metrics::emit(&[counters(messages.len(), &failed, now)], now);
    let batch_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
    tracing::info!(messages = messages.len(), failed = failed.len(), outcomes = ?counts, batch_ms, "batch");
    batch::hand_back(failed.into_iter().map(|message| message.id.clone()))
}

/// What CloudWatch counts of a batch. A command that fails is silent for a day otherwise: Lambda counts no error.
pub fn counters(commands: usize, failed: &[&QueueMessage], now: Timestamp) -> MetricSet {
    let number = |count| u64::try_from(count).unwrap_or(u64::MAX);
    let metrics = vec![
        ("Commands", "Count", number(commands)),
        ("HandedBack", "Count", number(failed.len())),
        ("StuckAge", "Seconds", batch::stuck(failed.iter().copied(), now)),
    ];
    MetricSet { namespace: "Torale/Commands", metrics }
}

impl<B: BanUsers, P: PauseSchedules, Q: ConfirmationSink> Executor<B, P, Q> {
    /// What became of each message by that time, in any order. Work that is under way then is given up.
    pub async fn carry_out<'a>(
        &self,
        messages: &'a [QueueMessage],
        until: Instant,
    ) -> Vec<(&'a QueueMessage, Result<CommandOutcome, CommandFailure>)> {
        let work = messages.iter().map(|message| async move {
            let in_time = Instant::now() < until;
            let outcome = match in_time {
                true => timeout_at(until, self.receive(message)).await.unwrap_or(Err(CommandFailure::Late)),
                false => Err(CommandFailure::Late),
            };
            log(message, &outcome);
            (message, outcome)
        });
        stream::iter(work).buffer_unordered(PARALLEL).collect().await
    }

    async fn receive(&self, message: &QueueMessage) -> Result<CommandOutcome, CommandFailure> {
        let received = Command::receive(&message.body)?;
        if self.handled.contains(&received.command.kind()) {
            return self.execute(&received).await;
        }
        let forward = self.forward.as_ref().ok_or(CommandFailure::NotHandled)?;
        forward.send(std::slice::from_ref(&message.body)).await.map_err(CommandFailure::NotForwarded)?;
        Ok(CommandOutcome::Forwarded)
    }

    async fn execute(&self, received: &ReceivedCommand) -> Result<CommandOutcome, CommandFailure> {
        let existed = match &received.command {
            Command::PauseTask { task_id, .. } => {
                self.temporal.pause(&temporal_schedule_id(task_id), &received.note()).await?
            }
            Command::BanUser { clerk_user_id, .. } => self.clerk.ban(clerk_user_id).await?,
            // The event is the revocation.
            Command::RevokeKey { .. } => true,
        };
        let events = received.confirming_events(existed, (self.clock)());
        self.events.send(&events).await.map_err(CommandFailure::NotTold)?;
        Ok(if existed { CommandOutcome::CarriedOut } else { CommandOutcome::NothingThere })
    }
}

impl CommandOutcome {
    /// As it is counted.
    const fn name(&self) -> &'static str {
        match self {
            Self::CarriedOut => "carried_out",
            Self::NothingThere => "nothing_there",
            Self::Forwarded => "forwarded",
        }
    }
}

impl CommandFailure {
    /// As it is counted.
    const fn name(&self) -> &'static str {
        match self {
            Self::InvalidCommand(_) => "no_command",
            Self::NotHandled => "not_handled",
            Self::ClerkBans(_) => "clerk",
            Self::TemporalPauses(_) => "temporal",
            Self::NotTold(_) => "not_told",
            Self::NotForwarded(_) => "not_forwarded",
            Self::Late => "late",
        }
    }
}

/// Which command it is and what became of it, never a body: it names people.
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
