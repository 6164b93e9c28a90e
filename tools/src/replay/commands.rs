//! The commands.

mod building;
mod looking;

use crate::Answer;
use crate::arguments::{Arguments, Command, Options};
use serde_json::json;
use torale_platform::clock;
use torale_platform::queue::QueueError;
use torale_platform::store::Store;
use torale_replay::quarantine::RedriveError;
use torale_replay::{Failure, Replay};
use torale_tools::audit::local_store;

/// Why a command could not be carried out.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CommandError {
    #[error(transparent)]
    Replay(#[from] Failure),
    #[error(transparent)]
    Queue(#[from] QueueError),
    #[error(transparent)]
    Redrive(#[from] RedriveError),
    #[error("{0}")]
    Input(String),
}

type Done = Result<Answer, CommandError>;

/// What a command works with.
struct Run {
    replay: Replay,
    options: Options,
}

pub(crate) async fn run(arguments: Arguments) -> Done {
    let Arguments { command, options } = arguments;
    let store = match &options.endpoint {
        Some(url) => local_store(url),
        None => Store::connect().await,
    };
    let settle = options.settle();
    let replay = Replay { settle, memory: options.memory, ..Replay::new(store, clock::system) };
    let run = Run { replay, options };
    match command {
        Command::Status => run.status().await,
        Command::Rebuild(rebuild) => run.rebuild(&rebuild).await,
        Command::Diff { generation, show } => run.diff(&generation, show.limit).await,
        Command::Promote { generation } => run.promote(&generation).await,
        Command::Rollback => run.rollback().await,
        Command::Drop { generation } => run.drop(&generation).await,
        Command::Verify(one) => run.verify(&one).await,
        Command::Repair(one) => run.repair(&one).await,
        Command::Quarantine(quarantine) => run.quarantine(quarantine).await,
        Command::Events { kind, id, run: run_id } => run.events(kind, &id, run_id.as_deref()).await,
        Command::Export { folder, scrub, salt } => run.export(&folder, scrub, salt).await,
        Command::Import { folder } => run.import(&folder).await,
    }
}

impl Run {
    /// Items of the live generation: about as many as there will be.
    async fn live_items(&self) -> Result<u64, Failure> {
        let live = self.replay.pointer().await?.live;
        Ok(self.replay.store.table_size(&live.table()).await?.items)
    }

    /// Prints one line, or one JSON object.
    fn say(&self, text: &str, json: &serde_json::Value) {
        crate::print::answer(self.options.json, json, || println!("{text}"));
    }

    fn say_live(&self, name: &str) {
        self.say(&format!("{name} is live"), &json!({ "live": name }));
    }

    /// Something that goes on, for people only.
    fn note(&self, text: &str) {
        if !self.options.json {
            println!("{text}");
        }
    }
}
