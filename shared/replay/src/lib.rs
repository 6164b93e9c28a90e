//! Replay: everything that is made from the log of events while the system serves.
//!
//! | module | question it answers |
//! |---|---|
//! | [`log`] | what does the log hold? |
//! | [`build`] | how does a generation come from it? |
//! | [`tail`] | how does it keep up with what arrives? |
//! | [`flip`] | how does it become live, how does one go back, how is it dropped? |
//! | [`compare`] | is it what it should be, and how is it mended? |
//! | [`restore`] | how does a table get back what was taken from it? |
//! | [`status`] | how do things stand? |
//! | [`transfer`] | how does the log get out, and into another installation? |
//! | [`quarantine`] | what was set aside, and how is it tried again? |
//!
//! Nothing here sends a command or writes an audit record: a replay folds, and that is all.
#![warn(missing_docs)]

pub mod build;
pub mod compare;
pub mod flip;
pub mod log;
pub mod quarantine;
pub mod restore;
pub mod status;
pub mod tail;
pub mod transfer;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;
use tokio::time::Instant;
use torale_domain::events::UnreadableEvent;
use torale_domain::storage::read::Corrupt;
use torale_domain::values::time::Timestamp;
use torale_platform::clock::Clock;
use torale_platform::config::SETTLED;
use torale_platform::store::{Store, StoreError, TransactError, Usage};

/// What every part of a replay works with.
#[derive(Debug, Clone)]
pub struct Replay {
    /// The store.
    pub store: Store,
    /// The time.
    pub clock: Clock,
    /// After this time nothing is being written any more that was begun before.
    pub settle: Duration,
    /// For how long a worker has a unit to itself, unless it says that it is still alive.
    pub claim: Duration,
    /// How often a worker notes how far it is, and says that it is still alive.
    pub checkpoint: Duration,
    /// Items that are written together.
    pub batch: usize,
    /// Bytes of memory that folding may take, over all units at once.
    pub memory: usize,
    /// What the calls cost.
    pub usage: Arc<Usage>,
    /// How far the work is.
    pub meter: Arc<ProgressMeter>,
}

/// Claims last so long unless told otherwise: ten checkpoints.
const CLAIM: Duration = Duration::from_secs(30);
const CHECKPOINT: Duration = Duration::from_secs(3);
const BATCH: usize = 800;
/// Memory unless told otherwise.
pub const MEMORY: usize = 512 * 1024 * 1024;

impl Replay {
    /// With the usual settings.
    pub fn new(store: Store, clock: Clock) -> Self {
        let (usage, meter) = (Arc::default(), Arc::default());
        Self {
            store,
            clock,
            settle: SETTLED,
            claim: CLAIM,
            checkpoint: CHECKPOINT,
            batch: BATCH,
            memory: MEMORY,
            usage,
            meter,
        }
    }

    fn now(&self) -> Timestamp {
        (self.clock)()
    }

    /// The moment before which nothing changes any more.
    fn settled(&self) -> Timestamp {
        self.now().plus(-millis(self.settle))
    }
}

fn millis(time: Duration) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX)
}

/// When to stop: at a deadline, or when told to. What is done by then stays done.
#[derive(Debug, Clone, Default)]
pub struct StopSignal {
    deadline: Option<Instant>,
    told: Arc<AtomicBool>,
}

impl StopSignal {
    /// At a deadline.
    pub fn at(deadline: Instant) -> Self {
        Self { deadline: Some(deadline), told: Arc::default() }
    }

    /// As soon as possible.
    pub fn tell(&self) {
        self.told.store(true, Ordering::Relaxed);
    }

    /// Whether it is time.
    pub fn is_due(&self) -> bool {
        self.told.load(Ordering::Relaxed) || self.deadline.is_some_and(|deadline| Instant::now() >= deadline)
    }
}

/// How far the work is, for whoever watches.
#[derive(Debug, Default)]
pub struct ProgressMeter {
    events: AtomicU64,
    items: AtomicU64,
}

impl ProgressMeter {
    /// Events read from the log so far.
    pub fn events(&self) -> u64 {
        self.events.load(Ordering::Relaxed)
    }

    /// Items written, or compared, so far.
    pub fn items(&self) -> u64 {
        self.items.load(Ordering::Relaxed)
    }

    fn read(&self, events: usize) {
        self.events.fetch_add(u64::try_from(events).unwrap_or(0), Ordering::Relaxed);
    }

    fn wrote(&self, items: usize) {
        self.items.fetch_add(u64::try_from(items).unwrap_or(0), Ordering::Relaxed);
    }
}

/// Why a replay cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A state can't be read or written.
    #[error(transparent)]
    UnreadableEvent(#[from] UnreadableEvent),
    /// What was asked for does not go with how things are.
    #[error("{0}")]
    Refused(String),
    /// Another worker has taken over.
    #[error("another worker has taken over")]
    TakenOver,
    /// One entity, query or counter alone does not fit into memory.
    #[error("the smallest part does not fit into {0} bytes of memory; give it more (--memory)")]
    TooLarge(usize),
    /// Events could not be folded into a generation in time; they are tried again.
    #[error("some events could not be folded into {0}")]
    NotFolded(String),
    /// A file can't be read or written.
    #[error("{0}: {1}")]
    File(String, std::io::Error),
    /// A file does not hold what its manifest says.
    #[error("{0}: {1}")]
    Broken(String, String),
    /// A part of the work died.
    #[error("a worker died: {0}")]
    Died(String),
}

impl From<Corrupt> for ReplayError {
    fn from(corrupt: Corrupt) -> Self {
        Self::Store(corrupt.into())
    }
}

impl From<TransactError> for ReplayError {
    fn from(lost: TransactError) -> Self {
        match lost {
            TransactError::Race => Self::TakenOver,
            TransactError::Failed(error) => Self::Store(error),
        }
    }
}

impl From<serde_json::Error> for ReplayError {
    fn from(error: serde_json::Error) -> Self {
        Self::Store(StoreError::Refused(error.to_string()))
    }
}

impl From<tokio::task::JoinError> for ReplayError {
    fn from(error: tokio::task::JoinError) -> Self {
        Self::Died(error.to_string())
    }
}
