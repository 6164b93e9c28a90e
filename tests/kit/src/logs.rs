//! The log lines of a test, or of all tests of a process.

use serde_json::Value;
use std::io::Write;
use std::sync::{Arc, Mutex, PoisonError};
use tracing_subscriber::fmt::MakeWriter;

/// Lines that were logged; clones share them.
#[derive(Debug, Clone, Default)]
pub struct LogBuffer(Arc<Mutex<Vec<u8>>>);

impl LogBuffer {
    /// An empty one.
    pub fn new() -> Self {
        Self::default()
    }

    /// Everything, as it was written.
    pub fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()).unwrap()
    }

    /// Each line.
    pub fn lines(&self) -> Vec<Value> {
        self.text().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// The lines with this value.
    pub fn lines_with(&self, name: &str, value: &str) -> Vec<Value> {
        self.lines().into_iter().filter(|line| line[name] == value).collect()
    }

    /// The one line with this value.
    pub fn line(&self, name: &str, value: &str) -> Value {
        let mut lines = self.lines_with(name, value);
        assert_eq!(lines.len(), 1, "{name} {value}: {lines:?}");
        lines.remove(0)
    }

    /// Forgets everything.
    pub fn clear(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// What writes lines into it, as functions write theirs, of all levels.
    pub fn subscriber(&self) -> impl tracing::Subscriber + Send + Sync + use<> {
        tracing_subscriber::fmt().json().flatten_event(true).with_writer(self.clone()).finish()
    }
}

impl Write for LogBuffer {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for LogBuffer {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}
