//! The commands.

mod building;
mod looking;
mod restoring;

use crate::Answer;
use crate::arguments::{Options, ReplayArguments, ReplayCommand};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use torale_platform::clock;
use torale_platform::queue::QueueError;
use torale_platform::store::Store;
use torale_replay::quarantine::RedriveError;
use torale_replay::{Replay, ReplayError, StopSignal};
use torale_tools::audit::local_store;

/// Why a command could not be carried out.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CommandError {
    #[error(transparent)]
    Replay(#[from] ReplayError),
    #[error(transparent)]
    MessageQueue(#[from] QueueError),
    #[error(transparent)]
    Redrive(#[from] RedriveError),
    #[error("{0}")]
    Input(String),
}

type CommandResult = Result<Answer, CommandError>;

/// What a command works with.
struct Run {
    replay: Replay,
    options: Options,
    interrupt: Interrupt,
}

/// Ctrl-C: while something is going on that can be given back, it is; else, or the second time, everything ends. Nothing
/// that is done can be left half done.
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
                this.stop.tell();
            }
        });
    }
}

/// As shells name the end by an interrupt.
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
    let run = Run { replay, options, interrupt };
    match command {
        ReplayCommand::ReplayStatus => run.status().await,
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

impl Run {
    /// Items of the live generation: about as many as there will be.
    async fn live_items(&self) -> Result<u64, ReplayError> {
        let live = self.replay.pointer().await?.live;
        Ok(self.replay.store.table_size(&live.table()).await?.items)
    }

    /// Prints one line, or one JSON object.
    fn say(&self, text: &str, json: &serde_json::Value) {
        crate::print::answer(self.options.json, json, || println!("{text}"));
    }

    /// Something that goes on, for people only.
    fn note(&self, text: &str) {
        if !self.options.json {
            println!("{text}");
        }
    }
}
