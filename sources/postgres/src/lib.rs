//! The platform's PostgreSQL as a source of events (`docs/guide/sources.md`).
//!
//! | module | question it answers |
//! |---|---|
//! | [`pages`] | which rows and events does a snapshot hold? |
//! | [`backfill`] | how do they reach the queue, or the log? |
//! | [`generation`] | how does a log become projections that are live? |
//!
//! Which event a row becomes is decided in SQL (`events.sql`), which the triggers use too. How the database is reached
//! and the triggers' events are relayed: `torale-source-outbox`.
#![warn(missing_docs)]

pub mod backfill;
pub mod generation;
pub mod pages;

use torale_platform::queue::QueueError;
use torale_platform::store::StoreError;
use torale_replay::ReplayError;
use torale_source_outbox::SourceError;

/// Why a backfill failed. The texts hold no password and no row.
#[derive(Debug, thiserror::Error)]
pub enum BackfillError {
    /// The database fails, or its address can't be used.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// The progress of another backfill, or none.
    #[error("{0}")]
    Progress(String),
    /// A file can't be read or written.
    #[error("{0}: {1}")]
    File(String, std::io::Error),
    /// The queue has not taken every event.
    #[error(transparent)]
    Queue(#[from] QueueError),
    /// The log could not be written.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The generation could not be built.
    #[error(transparent)]
    Replay(#[from] ReplayError),
}
