//! The outbox in the platform's PostgreSQL that the triggers of `sources/postgres` fill (`docs/guide/sources.md`): what
//! the function `postgres-relay` and `cargo source` share.
//!
//! | module | question it answers |
//! |---|---|
//! | [`connect`] | how is the database reached? |
//! | [`relay`] | how do the events of the triggers reach the queue? |
#![warn(missing_docs)]

pub mod connect;
pub mod relay;

use torale_platform::queue::QueueError;

/// Why the outbox can't be read or its events can't be sent. The texts hold no password and no row.
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
    /// The queue has not taken every event.
    #[error(transparent)]
    Queue(#[from] QueueError),
}

impl From<tokio_postgres::Error> for SourceError {
    fn from(error: tokio_postgres::Error) -> Self {
        match error.as_db_error() {
            Some(refused) => Self::Refused(format!("{} {}", refused.code().code(), refused.message())),
            None => Self::Unavailable(torale_platform::aws::causes(&error)),
        }
    }
}
