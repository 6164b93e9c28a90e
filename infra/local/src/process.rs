//! Child processes that cannot outlive the stack.
//!
//! Each child runs in a process group of its own, so that Ctrl-C reaches the stack only, which then
//! stops everything in order. A small shell in that group reads a pipe, the *leash*. When the pipe
//! closes, because the stack dropped it or was killed, the shell kills the group. As long as the
//! shell runs, the group's number belongs to no other.

use std::ffi::OsStr;
use std::process::{ExitStatus, Stdio};

use tokio::process::{ChildStdin, Command};
use tokio_util::sync::CancellationToken;

use crate::error::LocalError;

/// Watches the leash (standard input) in the background, then becomes the program.
const LEASH: &str = r#"exec 3<&0 </dev/null
( read -r _ <&3; kill -s KILL -- -$$ ) >/dev/null 2>&1 &
exec 3<&- "$@""#;

/// A command whose process will be on a leash. Arguments, environment and output pipes are added as
/// usual.
pub fn command(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new("sh");
    command.arg("-c").arg(LEASH).arg("leash").arg(program);
    command.stdin(Stdio::piped()).process_group(0);
    command
}

/// A running child. Dropping it kills it; [`Child::stop`] also waits until it is gone.
pub struct Child {
    process: tokio::process::Child,
    leash: Option<ChildStdin>,
}

impl Child {
    /// Starts a command made by [`command`].
    ///
    /// # Errors
    /// If the operating system cannot start it.
    pub fn start(mut command: Command) -> std::io::Result<Self> {
        let mut process = command.spawn()?;
        let leash = process.stdin.take();
        Ok(Self { process, leash })
    }

    /// The process, to take its output pipes or its id.
    pub fn process(&mut self) -> &mut tokio::process::Child {
        &mut self.process
    }

    /// Waits until the program ends by itself.
    ///
    /// # Errors
    /// If the operating system cannot say.
    pub async fn ended(&mut self) -> std::io::Result<ExitStatus> {
        self.process.wait().await
    }

    /// Kills the whole group and waits until the program is gone.
    pub async fn stop(mut self) {
        drop(self.leash.take());
        if let Err(error) = self.process.wait().await {
            eprintln!("cannot wait for a child process: {error}");
        }
    }
}

/// Runs a command to its end, or until the stack is stopped.
///
/// # Errors
/// If it cannot be started or awaited, or `stop` is cancelled meanwhile.
pub async fn run(what: &str, command: Command, stop: &CancellationToken) -> Result<ExitStatus, LocalError> {
    let mut child = Child::start(command).map_err(LocalError::io(what))?;
    let status = tokio::select! {
        status = child.ended() => Some(status),
        () = stop.cancelled() => None,
    };
    match status {
        Some(status) => status.map_err(LocalError::io(what)),
        None => {
            child.stop().await;
            Err(LocalError::Stopped)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn run_returns_the_exit_status() {
        let mut exit = command("sh");
        exit.args(["-c", "exit 7"]);
        let status = run("sh", exit, &CancellationToken::new()).await.unwrap();
        assert_eq!(status.code(), Some(7));
    }

    #[tokio::test]
    async fn stop_kills_the_program() {
        let mut sleep = command("sleep");
        sleep.arg("600");
        let child = Child::start(sleep).unwrap();
        tokio::time::timeout(std::time::Duration::from_secs(30), child.stop()).await.unwrap();
    }

    #[tokio::test]
    async fn cancelled_run_returns_stopped() {
        let stop = CancellationToken::new();
        stop.cancel();
        let mut sleep = command("sleep");
        sleep.arg("600");
        assert!(matches!(run("sleep", sleep, &stop).await, Err(LocalError::Stopped)));
    }
}
