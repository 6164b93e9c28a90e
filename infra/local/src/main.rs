//! The local stack, which `cargo dev` builds and starts: the library has the documentation.

use std::process::ExitCode;

use clap::Parser;
use tokio::runtime::Runtime;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use torale_local::args::{LocalArguments, LocalCommand};
use torale_local::console::Console;
use torale_local::data::send;
use torale_local::error::LocalError;
use torale_local::stack;
use torale_local::threads::ServerThreads;

fn main() -> ExitCode {
    let arguments = LocalArguments::parse();
    let console = Console::default();
    match start(arguments, &console) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            console.note(format!("error: {error}"));
            ExitCode::FAILURE
        }
    }
}

fn start(arguments: LocalArguments, console: &Console) -> Result<(), LocalError> {
    let runtime = Runtime::new().map_err(LocalError::io("the runtime"))?;
    let threads = ServerThreads::start()?;
    let result = runtime.block_on(run(arguments, console, &threads));
    runtime.shutdown_background();
    threads.stop();
    result
}

async fn run(
    arguments: LocalArguments,
    console: &Console,
    threads: &ServerThreads,
) -> Result<(), LocalError> {
    let LocalArguments { command, run, ports } = arguments;
    let stop = CancellationToken::new();
    stop_on_signals(console, &stop)?;
    match command {
        Some(LocalCommand::Send { file }) => send::send(&file, &ports, console, &stop).await,
        None => stack::run(&run, &ports, threads, console, &stop).await,
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
