//! The local stack, which `cargo dev` builds and starts: the library has the documentation.

use std::process::ExitCode;

use clap::Parser;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use torale_local::args::{LocalArguments, LocalCommand};
use torale_local::console::Console;
use torale_local::data::send;
use torale_local::error::LocalError;
use torale_local::stack;

fn main() -> ExitCode {
    let arguments = LocalArguments::parse();
    let console = Console::default();
    // The store runs in this process and blocks threads.
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(8).enable_all().build();
    let result = runtime.map_err(LocalError::io("the runtime")).and_then(|runtime| {
        let result = runtime.block_on(run(arguments, &console));
        runtime.shutdown_background();
        result
    });
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            console.note(format!("error: {error}"));
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: LocalArguments, console: &Console) -> Result<(), LocalError> {
    let LocalArguments { command, run, ports } = arguments;
    let stop = CancellationToken::new();
    stop_on_signals(console, &stop)?;
    match command {
        Some(LocalCommand::Send { file }) => send::send(&file, &ports, console, &stop).await,
        None => stack::run(&run, &ports, console, &stop).await,
    }
}

/// Stops the stack on Ctrl-C, and on the signals of a supervisor or a closed terminal. A second
/// signal ends the process at once; its child processes are killed by their leash.
fn stop_on_signals(console: &Console, stop: &CancellationToken) -> Result<(), LocalError> {
    for kind in [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()] {
        let mut signals = signal(kind).map_err(LocalError::io("signal handler"))?;
        let (stop, console) = (stop.clone(), console.clone());
        tokio::spawn(async move {
            while signals.recv().await.is_some() {
                if stop.is_cancelled() {
                    std::process::exit(130);
                }
                console.note("stopping");
                stop.cancel();
            }
        });
    }
    Ok(())
}
