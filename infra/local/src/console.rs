//! Lines and progress bars that share one terminal without tearing each other up.

use std::io::{IsTerminal, Write};
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

/// Where the stack talks to its user: notes and function logs on stderr, the summary on stdout.
#[derive(Clone, Default)]
pub struct Console {
    bars: MultiProgress,
}

impl Console {
    /// One line of information from the stack itself.
    pub fn note(&self, text: impl AsRef<str>) {
        self.line("dev", text.as_ref());
    }

    /// One line under the name of whoever said it.
    pub fn line(&self, name: &str, text: &str) {
        // A terminal that has gone away is no reason to stop.
        self.bars.suspend(|| drop(writeln!(std::io::stderr(), "[{name}] {text}")));
    }

    /// The result of a command, on stdout.
    pub fn print(&self, text: &str) {
        self.bars.suspend(|| drop(writeln!(std::io::stdout(), "{text}")));
    }

    /// A bar that counts to `length`; without a terminal, a line every tenth of the way.
    #[must_use]
    pub fn progress(&self, what: &'static str, length: u64) -> ProgressLine {
        let bar = self.bars.add(ProgressBar::new(length));
        let template = "{msg} [{bar:30}] {pos}/{len} {per_sec} {eta}";
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style.progress_chars("=> "));
        }
        bar.set_message(what);
        let plain = !std::io::stderr().is_terminal();
        if !plain {
            bar.enable_steady_tick(Duration::from_millis(200));
        }
        ProgressLine { console: self.clone(), bar, what, length, plain, tenth: 0 }
    }
}

/// A progress bar, or its replacement in a log file.
pub struct ProgressLine {
    console: Console,
    bar: ProgressBar,
    what: &'static str,
    length: u64,
    plain: bool,
    tenth: u64,
}

impl ProgressLine {
    /// Moves the bar to `done`; it never goes back.
    pub fn reach(&mut self, done: u64) {
        let done = done.min(self.length).max(self.bar.position());
        self.bar.set_position(done);
        let tenth = done.saturating_mul(10).checked_div(self.length).unwrap_or(10);
        if self.plain && tenth > self.tenth {
            self.tenth = tenth;
            self.console.note(format!("{}: {done} of {}", self.what, self.length));
        }
    }

    /// Takes the bar off the screen.
    pub fn finish(self) {
        self.bar.finish_and_clear();
    }
}
