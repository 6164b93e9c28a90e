//! The commands.

mod generations;
mod inspect;
mod restore;

use crate::CommandOutcome;
use crate::arguments::{Options, ReplayArguments, ReplayCommand};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use torale_platform::clock;
use torale_platform::queue::QueueError;
use torale_platform::store::Store;
use torale_replay::quarantine::RedriveError;
use torale_replay::{Replay, ReplayError, StopSignal};
use torale_tools::audit::local_store;
use torale_tools::print_line;

/// Why a command could not be carried out.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CommandError {
    #[error(transparent)]
    Replay(#[from] ReplayError),
    #[error(transparent)]
    Queue(#[from] QueueError),
    #[error(transparent)]
    Redrive(#[from] RedriveError),
    #[error("{0}")]
    Input(String),
}

type CommandResult = Result<CommandOutcome, CommandError>;

/// The replay, the options and the interrupt handler of a command.
struct CommandContext {
    replay: Replay,
    options: Options,
    interrupt: Interrupt,
}

/// Ctrl-C: the first one asks a running build to release its units; in all other cases the process
/// ends at once. Every command can be called again after that.
#[derive(Debug, Clone, Default)]
struct Interrupt {
    stop: StopSignal,
    patient: Arc<AtomicBool>,
}

impl Interrupt {
    fn listen(&self) {
        let this = self.clone();
        tokio::spawn(async move {
            while tokio::signal::ctrl_c().await.is_ok() {
                if this.stop.is_due() || !this.patient.load(Ordering::Relaxed) {
                    std::process::exit(INTERRUPTED);
                }
                this.stop.request();
            }
        });
    }
}

/// The exit status by which shells report an interrupt.
pub(crate) const INTERRUPTED: i32 = 130;

pub(crate) async fn run(arguments: ReplayArguments) -> CommandResult {
    let ReplayArguments { command, options } = arguments;
    let store = match &options.endpoint {
        Some(url) => local_store(url),
        None => Store::connect().await,
    };
    let settle = options.settle();
    let replay = Replay { settle, memory: options.memory, ..Replay::new(store, clock::system) };
    let interrupt = Interrupt::default();
    interrupt.listen();
    let run = CommandContext { replay, options, interrupt };
    match command {
        ReplayCommand::Status => run.status().await,
        ReplayCommand::Rebuild(rebuild) => run.rebuild(&rebuild).await,
        ReplayCommand::Diff { generation, show } => run.diff(&generation, show.limit).await,
        ReplayCommand::Promote { generation } => run.promote(&generation).await,
        ReplayCommand::Rollback { generation } => run.rollback(generation.as_deref()).await,
        ReplayCommand::Drop { generation } => run.drop(&generation).await,
        ReplayCommand::Verify(one) => run.verify(&one).await,
        ReplayCommand::Repair { one, delete } => run.repair(&one, delete).await,
        ReplayCommand::Restore(restore) => run.restore(&restore).await,
        ReplayCommand::Quarantine(quarantine) => run.quarantine(quarantine).await,
        ReplayCommand::Events { kind, id, run: run_id } => run.events(kind, &id, run_id.as_deref()).await,
        ReplayCommand::Export { folder, scrub, salt } => run.export(&folder, scrub, salt).await,
        ReplayCommand::Import { folder } => run.import(&folder).await,
    }
}

impl CommandContext {
    /// Items of the live generation: an estimate of how many a rebuild writes, for the display of progress. 0 if its
    /// size is not known: its table may be lost.
    async fn live_items(&self) -> Result<u64, ReplayError> {
        let live = self.replay.pointer().await?.live;
        Ok(self.replay.store.table_size(&live.table()).await.map_or(0, |size| size.items))
    }

    /// Prints one line, or one JSON object.
    fn say(&self, text: &str, json: &serde_json::Value) {
        crate::print::answer(self.options.json, json, || print_line!("{text}"));
    }

    /// Prints a line about the progress, for people only.
    fn note(&self, text: &str) {
        if !self.options.json {
            print_line!("{text}");
        }
    }
}
