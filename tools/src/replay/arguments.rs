//! The arguments of the command line.

use clap::{Args, Parser, Subcommand};
use std::path::PathBuf;
use std::time::Duration;
use torale_domain::replay::restore::RestorableTable;
use torale_domain::values::ids::EntityKey;
use torale_domain::values::ids::{
    ApiKeyId, ExecutionId, NotificationId, RunId, ScheduleId, TaskId, UserId, WorkflowId,
};
use torale_tools::settle_time;

/// Rebuilds projections from the event log while the system serves; compares, repairs and promotes
/// them.
///
/// Exit status: 0 success, 1 something differs or can't be read, 2 the command failed, 130
/// interrupted (call it again to continue).
#[derive(Debug, Parser)]
#[command(name = "torale-replay", bin_name = "cargo replay", version)]
pub(crate) struct ReplayArguments {
    #[command(subcommand)]
    pub(crate) command: ReplayCommand,
    #[command(flatten)]
    pub(crate) options: Options,
}

#[derive(Debug, Args)]
pub(crate) struct Options {
    /// A local DynamoDB instead of the account's, such as http://127.0.0.1:8000
    #[arg(long, value_name = "URL", global = true)]
    pub(crate) endpoint: Option<String>,
    /// Print one JSON object as the answer, and no progress bar
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// Memory that folding may take, such as 512MiB
    #[arg(long, value_name = "SIZE", global = true, default_value = "512MiB", value_parser = size)]
    pub(crate) memory: usize,
    /// Seconds after which every write that was begun has ended [default: 120; 10 with --endpoint]
    #[arg(long, value_name = "SECONDS", global = true)]
    pub(crate) settle: Option<u64>,
}

impl Options {
    pub(crate) fn settle(&self) -> Duration {
        settle_time(self.settle, self.endpoint.is_some())
    }
}

#[derive(Debug, Subcommand)]
pub(crate) enum ReplayCommand {
    /// Show generations, the log and the quarantine
    Status,
    /// Build a new generation: read the log, fold, write, catch up, compare with the live one;
    /// resumes if interrupted before it has caught up
    Rebuild(Rebuild),
    /// Compare a generation with the live one, item by item
    Diff {
        /// Such as g2
        generation: String,
        #[command(flatten)]
        show: DisplayOptions,
    },
    /// Make a generation live: it catches up and becomes the shadow generation first; resumes if
    /// interrupted
    Promote {
        /// Such as g2
        generation: String,
    },
    /// Make the former live generation live again: one write
    Rollback {
        /// Roll back only to this one; does nothing if it is live already
        generation: Option<String>,
    },
    /// Drop a generation that is not live
    Drop {
        /// Such as g1
        generation: String,
    },
    /// Compute all items from the log, and name those that differ
    Verify(GenerationChoice),
    /// Compute all items from the log, and correct those that differ
    Repair {
        #[command(flatten)]
        one: GenerationChoice,
        /// Repair also entities of which the log may have lost events: delete them, or set them
        /// back to what it says
        #[arg(long)]
        delete: bool,
    },
    /// Restore a table in place from a copy of it: insert missing items; what it has received
    /// since stays
    ///
    /// The copy is a table that DynamoDB has restored to a point in time under another name. May
    /// be interrupted and called again. Items that differ stay as they are without --overwrite. Of
    /// torale-control only the pointer, the beginning of the log and deactivations are restored.
    /// Messages of torale-quarantine that were redriven since come back too, which is harmless:
    /// redriving one twice changes nothing.
    Restore(Restore),
    /// List, show or redrive quarantined messages
    #[command(subcommand)]
    Quarantine(Quarantine),
    /// Show the events of one entity in the log, the newest last
    Events {
        /// user, key, task, execution, notification, run or schedule
        kind: EntityKind,
        /// Its id; for a run, the workflow's id
        id: String,
        /// The run's id
        #[arg(required_if_eq("kind", "run"))]
        run: Option<String>,
    },
    /// Write the log into files
    Export {
        /// A folder that holds no export yet
        folder: PathBuf,
        /// Replace emails, messages, queries, names, keys and logins by pseudonyms; omit fields
        /// that the contract does not list
        #[arg(long)]
        scrub: bool,
        /// Secret from which pseudonyms are made: the same salt gives the same pseudonyms; random
        /// without it
        #[arg(long, requires = "scrub")]
        salt: Option<String>,
    },
    /// Import an export into the log of an empty installation
    Import {
        /// The folder of an export
        folder: PathBuf,
    },
}

#[derive(Debug, Args)]
pub(crate) struct Rebuild {
    /// Its name; without it the one that is being built, or the next number
    #[arg(long, value_parser = generation)]
    pub(crate) generation: Option<String>,
    /// How many lanes hot items are spread over; without it as many as the live one has
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=64))]
    pub(crate) lanes: Option<u32>,
    /// How many work units are built at once
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u8).range(1..=64))]
    pub(crate) workers: u8,
    /// Make it live, if it equals the live one
    #[arg(long)]
    pub(crate) promote: bool,
    /// Make it live even if it differs: after a projection was changed
    #[arg(long, requires = "promote")]
    pub(crate) accept_differences: bool,
    #[command(flatten)]
    pub(crate) show: DisplayOptions,
}

#[derive(Debug, Args)]
pub(crate) struct GenerationChoice {
    /// A generation other than the live one
    #[arg(long)]
    pub(crate) generation: Option<String>,
    #[command(flatten)]
    pub(crate) show: DisplayOptions,
}

#[derive(Debug, Args)]
pub(crate) struct DisplayOptions {
    /// The maximum number of differences to print
    #[arg(long, value_name = "N", default_value_t = 20)]
    pub(crate) limit: usize,
}

#[derive(Debug, Args)]
pub(crate) struct Restore {
    /// torale-events, torale-audit, torale-quarantine or torale-control
    #[arg(value_parser = RestorableTable::parse)]
    pub(crate) table: RestorableTable,
    /// The name of the copy
    #[arg(long, value_name = "COPY")]
    pub(crate) from: String,
    /// Report missing and differing items, and change nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Overwrite differing items with the copy's; only for torale-events and torale-audit, whose
    /// items never change
    #[arg(long, conflicts_with = "dry_run")]
    pub(crate) overwrite: bool,
    #[command(flatten)]
    pub(crate) show: DisplayOptions,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Quarantine {
    /// List all messages, the oldest first
    List,
    /// Show one message with its body
    Show {
        /// Its id, or a prefix of it
        id: String,
    },
    /// Send messages to the queue of events again
    Redrive {
        /// Ids, or prefixes of them
        #[arg(required_unless_present = "all")]
        ids: Vec<String>,
        /// Redrive all messages that are valid by now
        #[arg(long, conflicts_with = "ids")]
        all: bool,
        /// A local SQS instead of the account's, such as http://127.0.0.1:4566
        #[arg(long, value_name = "URL")]
        sqs_endpoint: Option<String>,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum EntityKind {
    User,
    Key,
    Task,
    Execution,
    Notification,
    Run,
    Schedule,
}

/// The entity that kind and ids name.
pub(crate) fn entity(kind: EntityKind, id: &str, run: Option<&str>) -> Option<EntityKey> {
    Some(match kind {
        EntityKind::User => EntityKey::User(UserId::parse(id)?),
        EntityKind::Key => EntityKey::ApiKey(ApiKeyId::parse(id)?),
        EntityKind::Task => EntityKey::Task(TaskId::parse(id)?),
        EntityKind::Execution => EntityKey::Execution(ExecutionId::parse(id)?),
        EntityKind::Notification => EntityKey::Notification(NotificationId::parse(id)?),
        EntityKind::Run => EntityKey::Run(WorkflowId::parse(id)?, RunId::parse(run?)?),
        EntityKind::Schedule => EntityKey::Schedule(ScheduleId::parse(id)?),
    })
}

/// A generation's name: it becomes part of a table's name.
fn generation(text: &str) -> Result<String, String> {
    let fits = text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-') && (1..=32).contains(&text.len());
    if fits { Ok(text.to_owned()) } else { Err("1 to 32 letters, digits or hyphens".to_owned()) }
}

fn size(text: &str) -> Result<usize, String> {
    let units = [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10), ("", 1)];
    let read = units.iter().find_map(|(unit, bytes)| {
        let number: usize = text.strip_suffix(unit)?.trim().parse().ok()?;
        number.checked_mul(*bytes).filter(|size| *size > 0)
    });
    read.ok_or_else(|| "not a size such as 512MiB".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_definition_is_sound() {
        ReplayArguments::command().debug_assert();
    }

    #[test]
    fn sizes_have_units() {
        assert_eq!(["512MiB", "1 GiB", "4096"].map(size), [Ok(512 << 20), Ok(1 << 30), Ok(4096)]);
        assert!(["", "0", "x", "5MB", "99999999999GiB"].into_iter().all(|text| size(text).is_err()));
    }

    #[test]
    fn a_run_needs_both_of_its_ids() {
        let parse =
            |words: &[&str]| ReplayArguments::try_parse_from([&["cargo replay", "events"], words].concat());
        assert!(parse(&["run", "w"]).is_err());
        assert!(parse(&["run", "w", "r"]).is_ok() && parse(&["key", "k"]).is_ok());
        assert_eq!(entity(EntityKind::User, "no-uuid", None), None);
        assert!(entity(EntityKind::Run, "w", Some("r")).is_some());
    }

    #[test]
    fn only_what_cannot_be_made_anew_is_restored() {
        let parse =
            |words: &[&str]| ReplayArguments::try_parse_from([&["cargo replay", "restore"], words].concat());
        assert!(parse(&["torale-events", "--from", "x"]).is_ok());
        assert!(parse(&["torale-events"]).is_err(), "from what?");
        assert!(parse(&["torale-events", "--from", "x", "--dry-run", "--overwrite"]).is_err());
        let refused = parse(&["torale-audit-index", "--from", "x"]).unwrap_err().to_string();
        assert!(refused.contains("cargo audit-verify reindex"), "{refused}");
    }

    #[test]
    fn time_to_settle_is_short_on_one_machine_only() {
        let settle = |words: &[&str]| {
            let all = [&["cargo replay", "status"], words].concat();
            ReplayArguments::parse_from(all).options.settle().as_secs()
        };
        assert_eq!(settle(&[]), 120);
        assert_eq!(settle(&["--endpoint", "http://127.0.0.1:8000"]), 10);
        assert_eq!(settle(&["--endpoint", "http://127.0.0.1:8000", "--settle", "3"]), 3);
    }
}
