//! Every reason for which the local stack stops, in words for its user.

use std::path::PathBuf;

/// Why the local stack could not start or go on.
#[derive(Debug, thiserror::Error)]
pub enum LocalError {
    /// Another program listens on a port of the stack's.
    #[error(
        "port {port} ({service}) is taken by another program; stop that one (is a second `cargo dev` running?) \
         or choose another port with `{flag} PORT`"
    )]
    PortTaken {
        /// The port number.
        port: u16,
        /// What the stack serves there.
        service: &'static str,
        /// The flag that changes the port.
        flag: &'static str,
        /// The operating system's error.
        source: std::io::Error,
    },
    /// A file, folder or program could not be used.
    #[error("{what}: {source}")]
    Io {
        /// The file, folder or program.
        what: String,
        /// The operating system's error.
        source: std::io::Error,
    },
    /// A helper program ran and failed.
    #[error("{what} failed ({status}){hint}")]
    Command {
        /// What was run.
        what: String,
        /// Its exit status.
        status: std::process::ExitStatus,
        /// What to do about it, or the end of its log.
        hint: String,
    },
    /// A helper gave an unexpected answer, or none in time.
    #[error("{0}")]
    Helper(String),
    /// The root manifest lacks what the gateway needs.
    #[error("{path}: {reason}", path = path.display())]
    Manifest {
        /// The manifest.
        path: PathBuf,
        /// What is missing or malformed.
        reason: String,
    },
    /// The folder of `--data` does not fit what is asked for, or what was made is not what was planned.
    #[error("{0}")]
    Data(String),
    /// The DynamoDB-compatible store refused a request.
    #[error("the store: {0}")]
    Store(String),
    /// The SQS-compatible queue refused a request.
    #[error("the queue: {0}")]
    Queue(String),
    /// The user stopped the stack.
    #[error("stopped")]
    Stopped,
}

impl LocalError {
    /// Adds to an I/O error what could not be used.
    pub fn io(what: impl Into<String>) -> impl FnOnce(std::io::Error) -> Self {
        let what = what.into();
        move |source| Self::Io { what, source }
    }
}
