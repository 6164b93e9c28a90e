//! Replay: everything that is made from the event log while the system serves.
//!
//! | module | question it answers |
//! |---|---|
//! | [`log`] | what does the log hold? |
//! | [`build`] | how is a generation built from it? |
//! | [`tail`] | how does a generation catch up with later events? |
//! | [`promotion`] | how does a generation become live, how is that rolled back, how is one dropped? |
//! | [`compare`] | is a generation what it should be, and how is it repaired? |
//! | [`restore`] | how does a damaged table get back what it lacks? |
//! | [`status`] | which generations are there, and what state are they in? |
//! | [`transfer`] | how is the log exported, and imported into another installation? |
//! | [`quarantine`] | which messages are quarantined, and how are they sent again? |
//!
//! Nothing here sends a command or writes an audit record: a replay only folds events.
#![warn(missing_docs)]

pub mod build;
pub mod compare;
pub mod log;
pub mod promotion;
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
use torale_domain::storage::limits::ItemLimits;
use torale_domain::storage::read::Corrupt;
use torale_domain::values::time::Timestamp;
use torale_platform::clock::Clock;
use torale_platform::config::SETTLED;
use torale_platform::consume::USERS_PAGE;
use torale_platform::store::{Store, StoreError, TransactError, Usage};

/// The store, the clock and the settings of a replay.
#[derive(Debug, Clone)]
pub struct Replay {
    /// The store.
    pub store: Store,
    /// The time.
    pub clock: Clock,
    /// No write takes longer: what was received before now minus this time is in the log.
    pub settle: Duration,
    /// How long a worker's claim on a unit is valid, unless the worker renews it.
    pub claim: Duration,
    /// How often a worker stores its progress and renews its claim.
    pub checkpoint: Duration,
    /// Items that are written together.
    pub batch: usize,
    /// Users of one identity that are read at once while later events are folded.
    pub users_page: usize,
    /// Bytes of memory that folding may take, over all units at once.
    pub memory: usize,
    /// The sizes that the store takes: an entity that exceeds them is left out and named.
    pub limits: ItemLimits,
    /// What the calls cost.
    pub usage: Arc<Usage>,
    /// Counters of the progress.
    pub meter: Arc<ProgressMeter>,
}

/// The default validity of a claim: ten checkpoints.
const CLAIM: Duration = Duration::from_secs(30);
const CHECKPOINT: Duration = Duration::from_secs(3);
const BATCH: usize = 800;
/// The default memory, in bytes.
pub const MEMORY: usize = 512 * 1024 * 1024;

impl Replay {
    /// With the default settings.
    pub fn new(store: Store, clock: Clock) -> Self {
        let (usage, meter) = (Arc::default(), Arc::default());
        Self {
            store,
            clock,
            settle: SETTLED,
            claim: CLAIM,
            checkpoint: CHECKPOINT,
            batch: BATCH,
            users_page: USERS_PAGE,
            memory: MEMORY,
            limits: ItemLimits::STORE,
            usage,
            meter,
        }
    }

    fn now(&self) -> Timestamp {
        (self.clock)()
    }

    /// The time before which the log does not change any more.
    fn settled(&self) -> Timestamp {
        self.now().plus(-millis(self.settle))
    }

    /// How long it takes until every write that was begun at a time has ended.
    fn until_settled(&self, moment: Timestamp) -> Duration {
        let left = millis(self.settle) - (self.now().millis() - moment.millis());
        Duration::from_millis(u64::try_from(left).unwrap_or(0))
    }
}

fn millis(time: Duration) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX)
}

/// When to stop: at a deadline, or on request. What is done by then stays done.
#[derive(Debug, Clone, Default)]
pub struct StopSignal {
    deadline: Option<Instant>,
    requested: Arc<AtomicBool>,
}

impl StopSignal {
    /// At a deadline.
    pub fn at(deadline: Instant) -> Self {
        Self { deadline: Some(deadline), requested: Arc::default() }
    }

    /// Asks the work to stop as soon as possible.
    pub fn request(&self) {
        self.requested.store(true, Ordering::Relaxed);
    }

    /// Whether the work should stop now.
    pub fn is_due(&self) -> bool {
        self.requested.load(Ordering::Relaxed)
            || self.deadline.is_some_and(|deadline| Instant::now() >= deadline)
    }
}

/// Counters of the progress, for progress bars.
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
    /// The request does not fit the present state, such as dropping the live generation.
    #[error("{0}")]
    Refused(String),
    /// Another worker has claimed the unit, or moved the pointer.
    #[error("another worker has taken over")]
    TakenOver,
    /// One entity, query or counter alone does not fit into memory.
    #[error("the smallest part does not fit into {0} bytes of memory; give it more (--memory)")]
    TooLarge(usize),
    /// Events could not be folded into a generation in time; calling again retries them.
    #[error("some events could not be folded into {0}")]
    NotFolded(String),
    /// A file can't be read or written.
    #[error("{0}: {1}")]
    File(String, std::io::Error),
    /// A file does not hold what its manifest says.
    #[error("{0}: {1}")]
    InvalidFile(String, String),
    /// A worker's task panicked.
    #[error("a worker died: {0}")]
    WorkerFailed(String),
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
        Self::WorkerFailed(error.to_string())
    }
}
