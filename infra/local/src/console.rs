//! Lines and progress bars that share one terminal without garbling each other.

use std::io::{IsTerminal, Write};
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use torale_domain::values::text::printable;

/// The stack's output: notes and the functions' logs on standard error, results on standard output.
/// Texts of events, keys and logs can't change how the terminal shows a line.
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
        self.bars.suspend(|| drop(writeln!(std::io::stderr(), "[{name}] {}", harmless(text))));
    }

    /// Writes the result of a command to standard output.
    pub fn print(&self, text: &str) {
        self.bars.suspend(|| drop(writeln!(std::io::stdout(), "{}", harmless(text))));
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

/// A text of one or more lines, each of which is safe to print.
fn harmless(text: &str) -> String {
    text.lines().map(printable).collect::<Vec<_>>().join("\n")
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

#[cfg(test)]
mod tests {
    use super::harmless;

    #[test]
    fn escape_sequences_are_shown_and_line_breaks_kept() {
        assert_eq!(harmless("a\u{1b}[2Kb\n\u{202e}c\rd"), "a\\u{1b}[2Kb\n\\u{202e}c\\u{d}d");
        assert_eq!(harmless(""), "");
    }
}
