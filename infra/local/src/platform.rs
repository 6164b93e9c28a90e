//! The simulated platform's process: PostgreSQL and Temporal on loopback, and what works over them
//! (`infra/local/platform`). It is not a child as in [`process`](crate::process), which kills: it is
//! given the time to take its servers down.

use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;
use torale_platform::config::TEMPORAL_ADDRESS;

use crate::console::Console;
use crate::error::LocalError;

/// The program, which `cargo dev --platform` builds with the stack.
pub const PROGRAM: &str = "simulated-platform";
/// How long it may take to start.
const START: Duration = Duration::from_secs(180);
/// How long it may take to stop its servers. If it does not, they stop themselves when it is killed.
const STOP: Duration = Duration::from_secs(15);

/// The running platform. It stops when its standard input ends, so also if the stack is killed.
pub struct SimulatedPlatform {
    process: Child,
    input: PlatformInput,
    lines: Lines<BufReader<ChildStdout>>,
    variables: Vec<(String, String)>,
}

impl SimulatedPlatform {
    /// Starts the program in `folder` and waits until its servers run.
    ///
    /// # Errors
    /// If it can't be run, or something that it needs is missing: the error says what.
    pub async fn start(
        folder: &Path,
        console: &Console,
        stop: &CancellationToken,
    ) -> Result<Self, LocalError> {
        console.note("starting the simulated platform");
        Self::start_command(Command::new(folder.join(PROGRAM)), stop).await
    }

    async fn start_command(mut command: Command, stop: &CancellationToken) -> Result<Self, LocalError> {
        // In a group of its own: Ctrl-C reaches the stack only. If this is dropped, its servers end with it.
        command.process_group(0).kill_on_drop(true);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let program = command.as_std().get_program().to_string_lossy().into_owned();
        let mut process = command.spawn().map_err(LocalError::io(program))?;
        let input = PlatformInput(Arc::new(Mutex::new(process.stdin.take())));
        let output = process.stdout.take().ok_or_else(|| failure("it has no output"))?;
        let lines = BufReader::new(output).lines();
        let mut platform = Self { process, input, lines, variables: Vec::new() };
        let started = tokio::select! {
            started = platform.read_variables() => started,
            () = stop.cancelled() => Err(LocalError::Stopped),
            () = tokio::time::sleep(START) => Err(failure("it is not ready in time")),
        };
        match started {
            Ok(()) => Ok(platform),
            Err(error) => {
                platform.stop().await;
                Err(error)
            }
        }
    }

    /// Reads `NAME=value` up to an empty line.
    async fn read_variables(&mut self) -> Result<(), LocalError> {
        while let Ok(Some(line)) = self.lines.next_line().await {
            match line.split_once('=') {
                Some((name, value)) => self.variables.push((name.to_owned(), value.to_owned())),
                None => return Ok(()),
            }
        }
        Err(self.last_words().await)
    }

    /// The variables that lead functions to the platform's servers.
    #[must_use]
    pub fn variables(&self) -> &[(String, String)] {
        &self.variables
    }

    /// Where commands for the platform are written.
    #[must_use]
    pub fn input(&self) -> PlatformInput {
        self.input.clone()
    }

    /// Whether the platform has a Temporal server.
    #[must_use]
    pub fn has_temporal(&self) -> bool {
        self.variables.iter().any(|(name, _)| name == TEMPORAL_ADDRESS)
    }

    /// Prints what it does until it ends by itself, which is an error.
    pub async fn ended(&mut self, console: &Console) -> LocalError {
        while let Ok(Some(line)) = self.lines.next_line().await {
            console.line("platform", &line);
        }
        self.last_words().await
    }

    /// Why it has ended.
    async fn last_words(&mut self) -> LocalError {
        let mut text = String::new();
        if let Some(errors) = &mut self.process.stderr {
            // What can't be read is missing from the message.
            drop(errors.read_to_string(&mut text).await);
        }
        if text.trim().is_empty() {
            let status = self.process.wait().await.map(|status| status.to_string());
            text = format!("it has ended ({})", status.unwrap_or_else(|error| error.to_string()));
        }
        failure(text.trim())
    }

    /// Stops it and waits until its servers have stopped.
    pub async fn stop(mut self) {
        self.input.close().await;
        if tokio::time::timeout(STOP, self.process.wait()).await.is_err() {
            // It can only have ended meanwhile.
            drop(self.process.kill().await);
        }
    }
}

/// The platform's standard input: a line for each batch of commands, and its end, which ends the platform.
#[derive(Clone)]
pub struct PlatformInput(Arc<Mutex<Option<ChildStdin>>>);

impl PlatformInput {
    /// Writes a line; returns whether the platform can still read it.
    pub async fn write_line(&self, line: &[u8]) -> bool {
        let mut input = self.0.lock().await;
        let Some(input) = input.as_mut() else { return false };
        let line = [line, b"\n"].concat();
        input.write_all(&line).await.is_ok() && input.flush().await.is_ok()
    }

    async fn close(&self) {
        drop(self.0.lock().await.take());
    }
}

fn failure(why: &str) -> LocalError {
    LocalError::Helper(format!("the simulated platform: {why}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs a shell script in the place of the program.
    async fn start(script: &str) -> Result<SimulatedPlatform, LocalError> {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        SimulatedPlatform::start_command(command, &CancellationToken::new()).await
    }

    #[tokio::test]
    async fn platform_that_lacks_something_says_what() {
        let error = async |script| start(script).await.map(drop).unwrap_err().to_string();

        let lacks = error("echo 'PostgreSQL is missing' >&2; exit 1").await;
        assert_eq!(lacks, "the simulated platform: PostgreSQL is missing");
        assert_eq!(error("exit 3").await, "the simulated platform: it has ended (exit status: 3)");
    }

    #[tokio::test]
    async fn platform_says_its_variables_reads_commands_and_ends_with_its_input() {
        let script = "echo POSTGRES_URL=postgresql://h/p?a=b; echo; echo works; cat >&2";
        let mut platform = start(script).await.unwrap();

        let url = ("POSTGRES_URL".to_owned(), "postgresql://h/p?a=b".to_owned());
        assert_eq!((platform.variables(), platform.has_temporal()), (&[url][..], false));

        assert!(platform.input().write_line(b"a command").await);
        platform.input().close().await;
        assert!(!platform.input().write_line(b"too late").await);
        let ended = platform.ended(&Console::default()).await.to_string();
        assert_eq!(ended, "the simulated platform: a command");
        platform.stop().await;
    }
}
