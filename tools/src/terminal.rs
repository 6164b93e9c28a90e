//! Printing to a terminal. Nothing else in this package prints, so that no text of an event, a key or
//! a file reaches a terminal unescaped.

use serde::Serialize;
use std::fmt::Display;
use std::io::{ErrorKind, Write};
use torale_domain::values::text::{printable, printable_json};

/// Prints a line to standard output, formatted as by `println!`. Whatever could change how the
/// terminal shows it is escaped.
#[macro_export]
macro_rules! print_line {
    ($($argument:tt)*) => {
        $crate::terminal::print(format_args!($($argument)*))
    };
}

/// Prints a text as one line; a line break within it is escaped.
pub fn print(text: impl Display) {
    write_line(&printable(&text.to_string()));
}

/// Prints a text of several lines; each by itself is made safe.
pub fn print_lines(text: &str) {
    text.lines().for_each(print);
}

/// Prints a value as one line of JSON, which means the same, with harmful characters escaped.
pub fn print_json(value: &impl Serialize) {
    write_line(&json_line(value));
}

/// The exit status of a process that SIGPIPE ends, as a shell shows it.
const BROKEN_PIPE: i32 = 141;

/// `println!` would panic if nobody reads any more, as of `cargo replay status | head -1`. Nobody knows the answer
/// then: so the process ends, and with a failure.
fn write_line(line: &str) {
    match writeln!(std::io::stdout(), "{line}") {
        Ok(()) => {}
        Err(closed) if closed.kind() == ErrorKind::BrokenPipe => std::process::exit(BROKEN_PIPE),
        Err(failed) => {
            print_failure("standard output", failed);
            std::process::exit(2)
        }
    }
}

/// A value as one line of JSON, as [`print_json`] prints it.
pub fn json_line(value: &impl Serialize) -> String {
    printable_json(&serde_json::to_string(value).unwrap_or_default())
}

/// Prints why a command failed to standard error.
pub fn print_failure(command: &str, failure: impl Display) {
    drop(writeln!(std::io::stderr(), "{command}: {}", printable(&failure.to_string())));
}
