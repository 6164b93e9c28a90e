//! `cargo dev`: see the library.

use std::os::unix::process::CommandExt;
use std::process::ExitCode;

use clap::Parser;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use torale_local::args::{LocalArguments, LocalCommand};
use torale_local::console::Console;
use torale_local::failure::LocalError;
use torale_local::{send, stack};

fn main() -> ExitCode {
    let arguments = LocalArguments::parse();
    let console = Console::default();
    // The store runs in this process and blocks its threads while it works.
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(8).enable_all().build();
    let done = runtime.map_err(LocalError::io("the runtime")).and_then(|runtime| {
        let done = runtime.block_on(run(arguments, &console));
        runtime.shutdown_background();
        done
    });
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            console.note(format!("error: {error}"));
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: LocalArguments, console: &Console) -> Result<(), LocalError> {
    let LocalArguments { command, run, ports } = arguments;
    if command.is_none() && run.release && cfg!(debug_assertions) {
        stack::check_ports(&run, &ports).await?;
        return Err(become_optimised(console));
    }
    let stop = CancellationToken::new();
    stop_on_signals(console, &stop)?;
    match command {
        Some(LocalCommand::Send { file }) => send::send(&file, &ports, console, &stop).await,
        None => stack::run(&run, &ports, console, &stop).await,
    }
}

/// Ctrl-C, and what a supervisor or a closed terminal sends. A second one ends at once: children are on
/// their leash.
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

/// Replaces this process by an optimised build of itself: the store runs in it. Returns only if it cannot.
fn become_optimised(console: &Console) -> LocalError {
    console.note("building the optimised stack");
    let error = std::process::Command::new("cargo")
        .args(["run", "--profile", "fast", "--package", env!("CARGO_PKG_NAME"), "--"])
        .args(std::env::args_os().skip(1))
        .exec();
    LocalError::Io { what: "cargo".to_owned(), source: error }
}
