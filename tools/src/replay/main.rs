//! cargo replay: rebuilds projections while the system serves; compares, repairs and promotes them.

mod arguments;
mod commands;
mod print;
mod progress;

use arguments::ReplayArguments;
use clap::Parser;
use std::process::ExitCode;
use torale_tools::terminal::print_failure;

/// The result of a command that could be carried out.
enum CommandOutcome {
    /// It succeeded, and nothing is wrong.
    Success,
    /// It succeeded, and found something wrong.
    ProblemsFound,
    /// It was interrupted; calling it again continues.
    Interrupted,
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = ReplayArguments::parse();
    match commands::run(arguments).await {
        Ok(CommandOutcome::Success) => ExitCode::SUCCESS,
        Ok(CommandOutcome::ProblemsFound) => ExitCode::from(1),
        Ok(CommandOutcome::Interrupted) => ExitCode::from(u8::try_from(commands::INTERRUPTED).unwrap_or(1)),
        Err(failure) => {
            print_failure("cargo replay", failure);
            ExitCode::from(2)
        }
    }
}
