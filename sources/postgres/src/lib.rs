//! The platform's PostgreSQL as a source of events (`docs/guide/sources.md`).
//!
//! | module | question it answers |
//! |---|---|
//! | [`connect`] | how is the database reached? |
//! | [`pages`] | which rows and events does a snapshot hold? |
//! | [`backfill`] | how do they reach the queue, or the log? |
//! | [`generation`] | how does a log become projections that are live? |
//! | [`relay`] | how do the events of the triggers reach the queue? |
//!
//! Which event a row becomes is decided in SQL (`events.sql`), which the triggers use too.
#![warn(missing_docs)]

pub mod backfill;
pub mod connect;
pub mod generation;
pub mod pages;
pub mod relay;

use torale_platform::queue::QueueError;
use torale_platform::store::StoreError;
use torale_replay::ReplayError;

/// Why a source can't be read or its events can't be delivered. The texts hold no password and no row.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// The address of the database, or a certificate, can't be used.
    #[error("{0}")]
    Settings(String),
    /// The database can't be reached, or does not answer in time.
    #[error("PostgreSQL: {0}")]
    Unavailable(String),
    /// The database refuses a statement: its code and message.
    #[error("PostgreSQL refused: {0}")]
    Refused(String),
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

impl From<tokio_postgres::Error> for SourceError {
    fn from(error: tokio_postgres::Error) -> Self {
        match error.as_db_error() {
            Some(refused) => Self::Refused(format!("{} {}", refused.code().code(), refused.message())),
            None => Self::Unavailable(torale_platform::aws::causes(&error)),
        }
    }
}
