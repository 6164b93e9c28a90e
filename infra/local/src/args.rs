//! The command line of `cargo dev`.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::data::seed::SeedOptions;

/// Runs Torale's admin API on this machine: store, queue, every function, and 30 days of history.
#[derive(Debug, Parser)]
#[command(name = "cargo dev", bin_name = "cargo dev", version)]
pub struct LocalArguments {
    /// A command for a running stack; without one, the stack is run.
    #[command(subcommand)]
    pub command: Option<LocalCommand>,
    /// How to run the stack.
    #[command(flatten)]
    pub run: RunOptions,
    /// The ports of the stack.
    #[command(flatten)]
    pub ports: Ports,
}

/// Commands for a running stack.
#[derive(Debug, Subcommand)]
pub enum LocalCommand {
    /// Put events on the queue of a running stack and wait until they are projected
    Send {
        /// A file with one event a line; `-` is standard input
        file: PathBuf,
    },
}

/// The ports of the stack, all on loopback.
#[derive(Debug, Clone, Args)]
pub struct Ports {
    /// Port of the HTTP API
    #[arg(long, value_name = "PORT", default_value_t = 9000, global = true)]
    pub http_port: u16,
    /// Port of the SQS-compatible queue
    #[arg(long, value_name = "PORT", default_value_t = 4566, global = true)]
    pub sqs_port: u16,
    /// Port of the DynamoDB-compatible store
    #[arg(long, value_name = "PORT", default_value_t = 8000, global = true)]
    pub dynamodb_port: u16,
}

/// How to run the stack.
#[derive(Debug, Clone, Args)]
pub struct RunOptions {
    /// Build everything optimised: slower to start, much faster to run
    #[arg(long)]
    pub release: bool,
    /// Run the functions as they were last built, without building them or watching the source
    #[arg(long, conflicts_with = "no_functions")]
    pub built: bool,
    /// Keep the store in this folder between runs (the queue stays in memory)
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// Seed only the admin and their key
    #[arg(long)]
    pub empty: bool,
    /// Run a simulated platform over a PostgreSQL and a Temporal server, and relay its rows, instead of
    /// seeding a history; needs PostgreSQL installed
    #[arg(long, conflicts_with_all = ["data", "no_functions"])]
    pub platform: bool,
    /// The admin's API key, instead of a random one
    #[arg(long, value_name = "KEY", value_parser = admin_key, num_args = 0..=1, default_missing_value = "")]
    pub admin_key: Option<String>,
    /// Run store, queue and poller only, for functions that `cargo lambda watch` serves on the HTTP
    /// port
    #[arg(long, conflicts_with = "release")]
    pub no_functions: bool,
    /// Days of history to seed
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..=365))]
    pub days: u32,
    /// Make a history of exactly N executions that ends now, up to ten million, without the queue
    ///
    /// It has 30 days (--days) of everything else as well. Its events are written into the log, and the projections are
    /// built from it. A million takes some minutes with --release, and some 6 GB of memory. With --data it is kept.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=MAX_HISTORY),
        conflicts_with_all = ["executions", "empty", "platform"])]
    pub history: Option<u32>,
    /// Executions to seed; users, tasks and the rest follow from it
    #[arg(long, default_value_t = 2_000)]
    pub executions: u32,
    /// The seed of the random history: another number gives another history
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// The most messages of one invocation of the consumer
    #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u16).range(1..=10_000))]
    pub batch_size: u16,
    /// How long to collect a batch, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 1, value_parser = clap::value_parser!(u64).range(0..=300))]
    pub batching_window: u64,
    /// How many processes of the consumer run at once
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u8).range(1..=32))]
    pub consumers: u8,
    /// Serve the API below /NAME, as a stage of API Gateway does
    #[arg(long, value_name = "NAME", value_parser = stage, conflicts_with = "no_functions")]
    pub stage: Option<String>,
    /// How many processes of each HTTP function run at once, so how many requests it can handle at
    /// once
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u8).range(1..=32))]
    pub instances: u8,
}

/// The most executions of a history: a store of more would not fit into most memories.
const MAX_HISTORY: i64 = 10_000_000;

impl RunOptions {
    /// The history that `--history` asks for.
    #[must_use]
    pub fn wanted_history(&self) -> Option<SeedOptions> {
        let (seed, days) = (self.seed, self.days);
        self.history.map(|executions| SeedOptions { seed, days, executions })
    }
}

fn admin_key(text: &str) -> Result<String, String> {
    if text.is_empty() {
        return Err("the key is empty; is the variable set from which it comes?".to_owned());
    }
    if torale_domain::access::credentials::has_key_format(text) {
        Ok(text.to_owned())
    } else {
        Err("a key is sk_ and 20 to 197 visible characters".to_owned())
    }
}

/// API Gateway's rule for names of stages.
fn stage(text: &str) -> Result<String, String> {
    let allowed = |character: char| character.is_ascii_alphanumeric() || "-_".contains(character);
    if (1..=128).contains(&text.len()) && text.chars().all(allowed) {
        Ok(text.to_owned())
    } else {
        Err("a stage has 1 to 128 letters, digits, hyphens and underscores".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn clap_accepts_the_definition() {
        LocalArguments::command().debug_assert();
    }

    #[test]
    fn defaults_are_those_that_other_tools_use() {
        let arguments = LocalArguments::parse_from(["cargo dev"]);
        let ports = arguments.ports;
        assert_eq!((ports.http_port, ports.sqs_port, ports.dynamodb_port), (9000, 4566, 8000));
        assert!(arguments.command.is_none() && !arguments.run.empty && arguments.run.data.is_none());
    }

    #[test]
    fn admin_key_without_its_prefix_is_refused() {
        assert!(LocalArguments::try_parse_from(["cargo dev", "--admin-key", "secret"]).is_err());
        assert!(
            LocalArguments::try_parse_from(["cargo dev", "--admin-key", "sk_test1234test1234test"]).is_ok()
        );
    }

    #[test]
    fn empty_admin_key_names_the_unset_variable_as_the_cause() {
        // `--admin-key "$KEY"`, `--admin-key=$KEY` and `--admin-key $KEY` of a shell without KEY.
        for arguments in [&["--admin-key", ""][..], &["--admin-key="], &["--admin-key"]] {
            let all = ["cargo dev"].iter().chain(arguments);

            let error = LocalArguments::try_parse_from(all).unwrap_err().to_string();

            assert!(error.contains("the key is empty; is the variable set from which it comes?"), "{error}");
        }
    }

    #[test]
    fn platform_is_not_kept_and_needs_the_functions() {
        for other in [&["--data", "x"][..], &["--no-functions"]] {
            let all = ["cargo dev", "--platform"].iter().chain(other);
            assert!(LocalArguments::try_parse_from(all).is_err(), "{other:?}");
        }
        assert!(LocalArguments::parse_from(["cargo dev", "--platform", "--built"]).run.platform);
    }

    #[test]
    fn history_is_a_number_of_executions_with_the_fixed_seed() {
        let parse = |arguments: &[&str]| {
            LocalArguments::try_parse_from(["cargo dev"].iter().chain(arguments)).map(|parsed| parsed.run)
        };
        let wanted = parse(&["--release", "--history", "1000000"]).unwrap().wanted_history();
        assert_eq!(wanted, Some(SeedOptions { seed: 1, days: 30, executions: 1_000_000 }));
        let wanted = parse(&["--history", "5", "--seed", "7", "--days", "2"]).unwrap().wanted_history();
        assert_eq!(wanted, Some(SeedOptions { seed: 7, days: 2, executions: 5 }));
        assert_eq!(parse(&[]).unwrap().wanted_history(), None);
        for nonsense in ["0", "-1", "1e6", "many", "", "10000001", "99999999999999999999"] {
            let error = parse(&[&format!("--history={nonsense}")]).unwrap_err().to_string();
            assert!(error.contains("--history <N>"), "{nonsense}: {error}");
        }
        for other in [&["--executions", "5"][..], &["--empty"], &["--platform"]] {
            let error = parse(&[&["--history", "5"], other].concat()).unwrap_err().to_string();
            assert!(error.contains("cannot be used with"), "{error}");
        }
    }

    #[test]
    fn ports_may_follow_the_command() {
        let arguments = LocalArguments::parse_from(["cargo dev", "send", "x.ndjson", "--sqs-port", "4567"]);
        assert_eq!(arguments.ports.sqs_port, 4567);
    }
}
