//! Everything that can stop the local stack, worded for the person at the keyboard.

use std::path::PathBuf;

/// Why the local stack could not start or go on.
#[derive(Debug, thiserror::Error)]
pub enum LocalError {
    /// Another program listens where the stack should.
    #[error(
        "port {port} ({what}) is taken by another program; stop that one (is a second `cargo dev` running?) \
         or choose another port with `{flag} PORT`"
    )]
    PortTaken {
        /// The port number.
        port: u16,
        /// What the stack wanted to serve there.
        what: &'static str,
        /// The flag that changes it.
        flag: &'static str,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// A file, folder or program could not be used.
    #[error("{what}: {source}")]
    Io {
        /// What was being done.
        what: String,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// A helper program ran and reported failure.
    #[error("{what} failed ({status}){hint}")]
    Command {
        /// What was run.
        what: String,
        /// Its exit status.
        status: std::process::ExitStatus,
        /// What to do about it, or the end of its log.
        hint: String,
    },
    /// A helper answered something unexpected, or not in time.
    #[error("{0}")]
    Helper(String),
    /// The root manifest does not say what the gateway needs.
    #[error("{path}: {reason}", path = path.display())]
    Manifest {
        /// The manifest.
        path: PathBuf,
        /// What is missing or malformed.
        reason: String,
    },
    /// The DynamoDB-compatible store refused something.
    #[error("the store: {0}")]
    Store(String),
    /// The SQS-compatible queue refused something.
    #[error("the queue: {0}")]
    LocalQueue(String),
    /// The user stopped the stack.
    #[error("stopped")]
    Stopped,
}

impl LocalError {
    /// Wraps an I/O error with what was being done.
    pub fn io(what: impl Into<String>) -> impl FnOnce(std::io::Error) -> Self {
        let what = what.into();
        move |source| Self::Io { what, source }
    }
}

/// An error and its causes on one line, each said once.
#[must_use]
pub fn causes(error: &dyn std::error::Error) -> String {
    let mut said: Vec<String> = Vec::new();
    let mut next = Some(error);
    while let Some(error) = next {
        let text = error.to_string();
        if !said.iter().any(|former| former.contains(&text)) {
            said.push(text);
        }
        next = error.source();
    }
    said.join(": ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn causes_are_said_once() {
        #[derive(Debug, thiserror::Error)]
        #[error("outer")]
        struct Outer(#[source] std::io::Error);
        assert_eq!(causes(&Outer(std::io::Error::other("inner"))), "outer: inner");
        #[derive(Debug, thiserror::Error)]
        #[error("outer: {0}")]
        struct Repeating(#[source] std::io::Error);
        assert_eq!(causes(&Repeating(std::io::Error::other("inner"))), "outer: inner");
    }
}
