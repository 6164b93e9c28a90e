//! Lines and progress bars that share one terminal without garbling each other.

use std::io::{IsTerminal, Write};
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

/// The stack's output: notes and the functions' logs on standard error, results on standard output.
#[derive(Clone, Default)]
pub struct Console {
    bars: MultiProgress,
}

impl Console {
    /// Writes a line from the stack itself.
    pub fn note(&self, text: impl AsRef<str>) {
        self.line("dev", text.as_ref());
    }

    /// Writes a line under the name of the function or stand-in that it comes from.
    pub fn line(&self, name: &str, text: &str) {
        // A closed terminal is no reason to stop.
        self.bars.suspend(|| drop(writeln!(std::io::stderr(), "[{name}] {text}")));
    }

    /// Writes the result of a command to standard output.
    pub fn print(&self, text: &str) {
        self.bars.suspend(|| drop(writeln!(std::io::stdout(), "{text}")));
    }

    /// A progress bar up to `length`; if standard error is no terminal, a line after every tenth.
    #[must_use]
    pub fn progress(&self, label: &'static str, length: u64) -> ProgressLine {
        let bar = self.bars.add(ProgressBar::new(length));
        let template = "{msg} [{bar:30}] {pos}/{len} {per_sec} {eta}";
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style.progress_chars("=> "));
        }
        bar.set_message(label);
        let plain = !std::io::stderr().is_terminal();
        if !plain {
            bar.enable_steady_tick(Duration::from_millis(200));
        }
        ProgressLine { console: self.clone(), bar, label, length, plain, tenth: 0 }
    }
}

/// A progress bar, or lines of progress in a log file.
pub struct ProgressLine {
    console: Console,
    bar: ProgressBar,
    label: &'static str,
    length: u64,
    plain: bool,
    tenth: u64,
}

impl ProgressLine {
    /// Moves the bar to `done`. It never moves back.
    pub fn advance_to(&mut self, done: u64) {
        let done = done.min(self.length).max(self.bar.position());
        self.bar.set_position(done);
        let tenth = done.saturating_mul(10).checked_div(self.length).unwrap_or(10);
        if self.plain && tenth > self.tenth {
            self.tenth = tenth;
            self.console.note(format!("{}: {done} of {}", self.label, self.length));
        }
    }

    /// Removes the bar from the screen.
    pub fn finish(self) {
        self.bar.finish_and_clear();
    }
}
