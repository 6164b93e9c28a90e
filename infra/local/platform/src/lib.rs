//! A simulated platform: what `cargo dev --platform` shows the product over, as real as it can be on one machine.
//!
//! | module | what lives there |
//! |---|---|
//! | [`postgres`] | a PostgreSQL on a free port of loopback |
//! | [`temporal`] | a Temporal server on a free port of loopback |
//! | [`schedules`] | the platform's schedules in Temporal: creating, pausing and deleting them |
//! | [`searches`] | the platform's rows in PostgreSQL: what it has at first, and each change of them |
//! | [`worker`] | receives the runs that schedules start, and completes them |
//! | [`simulation`] | all of it at work: searches that run, tasks that come, change, pause and complete |
//!
//! The program `simulated-platform` knows nothing of the local stack. It prints the variables that lead functions to
//! its servers, an empty line, and from then on what it does. It reads batches of commands from its standard input, a
//! line each, and runs until that ends. Its servers end when it does, however it does. The tests of `sources` start the
//! same servers.
#![warn(missing_docs)]

mod leash;
pub mod postgres;
pub mod schedules;
pub mod searches;
pub mod simulation;
pub mod temporal;
pub mod worker;

/// Why the simulated platform can't start or go on.
#[derive(Debug, thiserror::Error)]
pub enum SimulationError {
    /// A server is not installed or can't be started.
    #[error("{0}")]
    Server(String),
    /// Standard input has something else than batches of commands.
    #[error("{0}")]
    Input(String),
    /// PostgreSQL refuses a statement, or is gone.
    #[error("the platform's PostgreSQL: {}", torale_platform::aws::causes(.0))]
    Database(#[from] tokio_postgres::Error),
    /// Temporal refuses a call, or is gone.
    #[error("the platform's Temporal: {0}")]
    Temporal(#[from] torale_temporal::connection::TemporalError),
}
