//! cargo replay: rebuilds projections while the system serves, compares, mends and moves them.
#![allow(clippy::print_stdout, reason = "a command's answer goes to standard output")]

mod arguments;
mod bar;
mod commands;
mod print;

use arguments::ReplayArguments;
use clap::Parser;
use std::io::Write;
use std::process::ExitCode;

/// What a command came to.
enum Answer {
    /// All is well.
    Fine,
    /// It was done, and found something wrong.
    Found,
    /// It was interrupted; calling it again goes on.
    Interrupted,
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = ReplayArguments::parse();
    match commands::run(arguments).await {
        Ok(Answer::Fine) => ExitCode::SUCCESS,
        Ok(Answer::Found) => ExitCode::from(1),
        Ok(Answer::Interrupted) => ExitCode::from(u8::try_from(commands::INTERRUPTED).unwrap_or(1)),
        Err(failure) => {
            drop(writeln!(std::io::stderr(), "cargo replay: {failure}"));
            ExitCode::from(2)
        }
    }
}
