//! The simulated platform as a program, which `cargo dev --platform` starts: the library has the documentation.

use std::convert::Infallible;
use std::io::Write;
use std::process::ExitCode;
use tokio::sync::mpsc;
use torale_simulated_platform::SimulationError;
use torale_simulated_platform::simulation::PlatformSimulation;

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
    let mut input = input_lines();
    // Starting blocks, so it is another task's: it must not keep the end of the input from being noticed.
    let starting = tokio::spawn(PlatformSimulation::start());
    let simulation = tokio::select! {
        started = starting => started.map_err(|panic| SimulationError::Server(panic.to_string()))??,
        line = input.recv() => match line {
            Some(line) => return Err(SimulationError::Input(format!("too early: {line}"))),
            // What is being started ends with this process.
            None => std::process::exit(1),
        },
    };
    for (name, value) in simulation.variables() {
        print(&format!("{name}={value}"));
    }
    print("");
    let executing = async {
        while let Some(batch) = input.recv().await {
            simulation.execute(&batch, print).await?;
        }
        Ok(())
    };
    tokio::select! {
        failed = simulation.run(print) => failed.map(|never: Infallible| match never {}),
        ended = executing => ended,
    }
}

/// The lines of standard input up to its end. Their reader can't be interrupted, so it is a thread that nobody waits
/// for.
fn input_lines() -> mpsc::UnboundedReceiver<String> {
    let (sender, lines) = mpsc::unbounded_channel();
    std::thread::spawn(move || {
        // An input that can't be read has ended, too.
        for line in std::io::stdin().lines().map_while(Result::ok) {
            if sender.send(line).is_err() {
                return;
            }
        }
    });
    lines
}

fn print(line: &str) {
    // Whoever has read this is gone: standard input will end.
    drop(writeln!(std::io::stdout(), "{line}"));
}
