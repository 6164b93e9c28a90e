//! The simulated platform as a program, which `cargo dev --platform` starts: the library has the documentation.

use std::convert::Infallible;
use std::io::Write;
use std::process::ExitCode;
use tokio::sync::oneshot;
use torale_simulated_platform::SimulationError;
use torale_simulated_platform::simulation::Simulation;

#[tokio::main]
async fn main() -> ExitCode {
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // A closed pipe has no reader.
            drop(writeln!(std::io::stderr(), "{error}"));
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<(), SimulationError> {
    let ended = input_ended();
    let simulation = Simulation::start().await?;
    for (name, value) in simulation.variables() {
        print(&format!("{name}={value}"));
    }
    print("");
    tokio::select! {
        failed = simulation.run(print) => failed.map(|never: Infallible| match never {}),
        _ = ended => Ok(()),
    }
}

/// Resolves, with an error, when standard input is at its end. Its reader can't be interrupted, so it is a thread that nobody waits for.
fn input_ended() -> oneshot::Receiver<Infallible> {
    let (at_end, receiver) = oneshot::channel();
    std::thread::spawn(move || {
        // An input that can't be read has ended, too.
        drop(std::io::copy(&mut std::io::stdin(), &mut std::io::sink()));
        drop(at_end);
    });
    receiver
}

fn print(line: &str) {
    // Whoever has read this is gone: standard input will end.
    drop(writeln!(std::io::stdout(), "{line}"));
}
