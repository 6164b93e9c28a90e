//! The arguments of the command line.

use clap::{Args, Parser, Subcommand};
use std::path::PathBuf;

/// Turns the rows of the platform's PostgreSQL into events.
///
/// Exit status: 0 success, 1 some rows or changes become no event, 2 the command failed, 130 interrupted (call it again
/// to continue).
#[derive(Debug, Parser)]
#[command(name = "torale-source", bin_name = "cargo source", version)]
pub(crate) struct SourceArguments {
    #[command(subcommand)]
    pub(crate) command: SourceCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum SourceCommand {
    /// Read the platform's tables in one snapshot and send their events to the queue; the platform may work meanwhile
    ///
    /// Needs sources/postgres/install.sql in the database. Resumes if interrupted.
    Backfill(BackfillOptions),
    /// Send the events that the triggers have written since to the queue, once or every few seconds
    ///
    /// Several at once send different events.
    Relay(RelayOptions),
}

#[derive(Debug, Args)]
pub(crate) struct ConnectionOptions {
    /// The platform's database, such as postgresql://torale_source@db.example.org/torale; @FILE reads it from a file,
    /// so that no password stands in the list of processes
    #[arg(long, value_name = "URL")]
    pub(crate) database_url: String,
    /// The schema that install.sql created
    #[arg(long, value_name = "NAME", default_value = "torale_admin_source")]
    pub(crate) schema: String,
    /// Certificates (PEM) that the server's is checked with [default: the system's]
    #[arg(long, value_name = "FILE")]
    pub(crate) certificates: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct RelayOptions {
    #[command(flatten)]
    pub(crate) connection: ConnectionOptions,
    /// Go on until interrupted, with a pause of so many seconds
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) every: Option<u64>,
    /// A local SQS instead of the account's, such as http://127.0.0.1:4566
    #[arg(long, value_name = "URL")]
    pub(crate) sqs_endpoint: Option<String>,
    /// Print each result as one JSON object
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct BackfillOptions {
    #[command(flatten)]
    pub(crate) connection: ConnectionOptions,
    /// Count the events, list what can't become one and why; send nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Write the log of an empty installation instead, and build its projections
    #[arg(long, conflicts_with = "dry_run")]
    pub(crate) into_log: bool,
    /// Where the progress is kept, for a call that continues
    #[arg(long, value_name = "FILE", default_value = "torale-source-progress.json")]
    pub(crate) progress: PathBuf,
    /// A local SQS instead of the account's, such as http://127.0.0.1:4566
    #[arg(long, value_name = "URL", conflicts_with = "into_log")]
    pub(crate) sqs_endpoint: Option<String>,
    /// A local DynamoDB instead of the account's, such as http://127.0.0.1:8000
    #[arg(long, value_name = "URL", requires = "into_log")]
    pub(crate) endpoint: Option<String>,
    /// Seconds after which every write that was begun has ended [default: 120; 10 with --endpoint]
    #[arg(long, value_name = "SECONDS", requires = "into_log")]
    pub(crate) settle: Option<u64>,
    /// Print one JSON object as the answer, and no progress bar
    #[arg(long)]
    pub(crate) json: bool,
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_definition_is_sound() {
        SourceArguments::command().debug_assert();
    }

    #[test]
    fn a_dry_run_writes_no_log() {
        let parse = |words: &[&str]| {
            let all = [&["cargo source", "backfill", "--database-url", "postgresql://h/p"], words].concat();
            SourceArguments::try_parse_from(all).is_ok()
        };
        assert!(parse(&["--dry-run"]) && parse(&["--into-log", "--endpoint", "http://127.0.0.1:8000"]));
        assert!(!parse(&["--dry-run", "--into-log"]));
        assert!(!parse(&["--endpoint", "http://127.0.0.1:8000"]));
    }
}
