//! Where the events of a backfill go.

use super::progress::BackfillProgress;
use crate::BackfillError;
use torale_domain::events::ReceivedMessage;
use torale_domain::values::time::Timestamp;
use torale_platform::clock;
use torale_platform::queue::MessageQueue;
use torale_platform::store::log::LogEntry;
use torale_replay::{Replay, ReplayError};

/// Takes events: their texts, and what the intake reads in them.
pub trait EventSink {
    /// Returns when all events are durable.
    fn deliver(
        &self,
        events: &[(&str, ReceivedMessage)],
        now: Timestamp,
    ) -> impl Future<Output = Result<(), BackfillError>>;
}

/// The sinks of the command line.
#[derive(Debug)]
pub enum BackfillSink {
    /// Nowhere: a dry run.
    Nowhere,
    /// The event queue.
    Queue(MessageQueue),
    /// The log of an empty installation.
    Log(Replay),
}

impl BackfillSink {
    /// The log of an empty installation, or one that the backfill of this progress has begun to fill.
    ///
    /// # Errors
    /// If the log holds anything else, if the progress is of another log, or if the store fails.
    pub async fn into_log(replay: Replay, progress: &BackfillProgress) -> Result<Self, BackfillError> {
        let import = progress.import_digest();
        // What was delivered to another log is not in this one, and would not be read again.
        if !progress.tables().is_empty() && !replay.has_begun_import(&import).await? {
            return Err(progress.of_another_log());
        }
        progress.keep()?;
        match replay.begin_import(&import).await {
            Ok(()) => Ok(Self::Log(replay)),
            // Nothing has begun that another call could continue.
            Err(refused @ ReplayError::Refused(_)) => {
                progress.forget()?;
                Err(refused.into())
            }
            Err(error) => Err(error.into()),
        }
    }
}

impl EventSink for BackfillSink {
    async fn deliver(&self, events: &[(&str, ReceivedMessage)], now: Timestamp) -> Result<(), BackfillError> {
        match self {
            Self::Nowhere => Ok(()),
            Self::Queue(queue) => {
                let bodies: Vec<String> = events.iter().map(|(body, _)| (*body).to_owned()).collect();
                Ok(queue.send_all(&bodies).await?)
            }
            Self::Log(replay) => {
                let entries: Vec<LogEntry<'_>> =
                    events.iter().map(|(body, received)| LogEntry::of(body, received)).collect();
                Ok(replay.store.append(&entries, now, &clock::unique(), &replay.usage).await?)
            }
        }
    }
}
