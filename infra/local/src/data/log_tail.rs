//! The tail of the log: events that an earlier run received but did not project, because it was
//! killed.
//!
//! The consumer appends an event to the log before it projects it. In the cloud the queue delivers
//! the message again if the projection fails; the local queue is in memory and forgets it. So each
//! start with `--data` takes the events that the log received since everything was last projected
//! the way of a message that comes again: with links, commands and the late rule. Folding an event
//! again changes nothing.

use std::path::{Path, PathBuf};

use tokio::time::Instant;
use torale_domain::events::Event;
use torale_domain::replay::rebuild::Tally;
use torale_domain::storage::keys;
use torale_domain::values::time::Timestamp;
use torale_platform::aws::causes;
use torale_platform::clock::system;
use torale_platform::config::{SETTLED, WRITING_TIME};
use torale_platform::consume::Consumer;
use torale_platform::store::{Store, Usage};
use torale_replay::Replay;
use torale_replay::log::{self, LogSpan};

use crate::error::LocalError;

/// Events that are folded at once.
const BATCH: usize = 1_000;

/// What a fold of the tail did.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct TailReport {
    /// Events in the tail; most of them were projected before.
    pub events: usize,
    /// Events of batches that could not be projected.
    pub failed: usize,
}

/// The time up to which all received events are projected, kept in the folder of `--data`.
pub struct ProjectedUntil(PathBuf);

impl ProjectedUntil {
    /// The time that a folder keeps.
    #[must_use]
    pub fn new(folder: &Path) -> Self {
        Self(folder.join("projected-until"))
    }

    /// Records that all events received until now are projected.
    ///
    /// # Errors
    /// If the folder cannot be written.
    pub fn record(&self) -> Result<(), LocalError> {
        self.write(system())
    }

    /// The same while nothing is writing into the log: the next tail begins here, and not where a write might still
    /// have gone on.
    ///
    /// # Errors
    /// If the folder cannot be written.
    pub fn record_at_rest(&self) -> Result<(), LocalError> {
        self.write(system().plus(settled()))
    }

    /// Never back: what was projected stays so. But a time that a wrong clock has put into the future does not.
    fn write(&self, until: Timestamp) -> Result<(), LocalError> {
        let latest = system().plus(settled());
        let until = self.read().map_or(until, |before| before.min(latest).max(until)).millis().to_string();
        std::fs::write(&self.0, until).map_err(LocalError::io(self.0.display().to_string()))
    }

    /// `None` if it was never recorded.
    fn read(&self) -> Option<Timestamp> {
        let text = std::fs::read_to_string(&self.0).ok()?;
        Some(Timestamp::from_millis(text.trim().parse().ok()?))
    }
}

/// Folds the tail of the log into the generations that the consumer writes: the live one, and the
/// shadow one if there is one. Without a recorded time the tail is the whole log.
///
/// # Errors
/// If the store fails.
pub async fn fold(store: Store, projected: &ProjectedUntil) -> Result<TailReport, LocalError> {
    let consumer = Consumer::new(store.clone(), system);
    let replay = Replay::new(store, system);
    let from = match projected.read() {
        Some(time) => time.plus(-settled()),
        None => replay.beginning().await.map_err(store_error)?.start(),
    };
    let last = system().plus(settled()).hour();
    let (mut report, mut events) = (TailReport::default(), Vec::new());
    for lane in keys::log_lanes() {
        let mut pages = replay.read(LogSpan { lane, from, before: None, last });
        while let Some(page) = pages.recv().await {
            for item in page.map_err(store_error)? {
                events.extend(log::known(&item, &mut Tally::default()));
            }
            if events.len() >= BATCH {
                fold_batch(&consumer, std::mem::take(&mut events), &mut report).await?;
            }
        }
    }
    fold_batch(&consumer, events, &mut report).await?;
    Ok(report)
}

fn settled() -> i64 {
    i64::try_from(SETTLED.as_millis()).unwrap_or(i64::MAX)
}

async fn fold_batch(
    consumer: &Consumer,
    events: Vec<Event>,
    report: &mut TailReport,
) -> Result<(), LocalError> {
    let (count, deadline) = (events.len(), Instant::now() + WRITING_TIME);
    let done = consumer.project(events, deadline, &Usage::default()).await.map_err(store_error)?;
    report.events += count;
    report.failed += if done { 0 } else { count };
    Ok(())
}

fn store_error(error: impl std::error::Error) -> LocalError {
    LocalError::Store(causes(&error))
}
