//! Printing to a terminal. Nothing else in this package prints, so that no text of an event, a key or
//! a file reaches a terminal unescaped.
#![allow(clippy::print_stdout, reason = "a command's answer goes to standard output")]

use serde::Serialize;
use std::fmt::Display;
use std::io::Write;
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
    println!("{}", printable(&text.to_string()));
}

/// Prints a text of several lines; each by itself is made safe.
pub fn print_lines(text: &str) {
    text.lines().for_each(print);
}

/// Prints a value as one line of JSON, which means the same, with harmful characters escaped.
pub fn print_json(value: &impl Serialize) {
    println!("{}", json_line(value));
}

/// A value as one line of JSON, as [`print_json`] prints it.
pub fn json_line(value: &impl Serialize) -> String {
    printable_json(&serde_json::to_string(value).unwrap_or_default())
}

/// Prints why a command failed to standard error.
pub fn print_failure(command: &str, failure: impl Display) {
    drop(writeln!(std::io::stderr(), "{command}: {}", printable(&failure.to_string())));
}
