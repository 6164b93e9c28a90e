//! The functions' processes: started, restarted when they end, replaced after a build.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::build::FunctionInstances;
use super::environment::Addresses;
use super::runtime::Runtimes;
use crate::console::Console;
use crate::process::{self, Child};

const SHORTEST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// A process that ran this long is restarted after the shortest pause.
const HEALTHY_AFTER: Duration = Duration::from_secs(10);
/// How long the last lines of an ended process are waited for.
const LAST_LINES: Duration = Duration::from_secs(1);

/// Runs the functions' processes.
pub struct Fleet {
    supervisor: Supervisor,
    tracker: TaskTracker,
    /// Ends the processes of the last [`Fleet::replace`].
    retire: Mutex<CancellationToken>,
}

/// Keeps one process running; each process has a clone.
#[derive(Clone)]
struct Supervisor {
    folder: PathBuf,
    addresses: Addresses,
    runtimes: Runtimes,
    console: Console,
    stop: CancellationToken,
}

static NEXT_INSTANCE: AtomicU64 = AtomicU64::new(1);

impl Fleet {
    /// A fleet without processes, whose binaries lie in `folder`. Its processes end with `stop`;
    /// `tracker` waits for their end.
    #[must_use]
    pub fn new(
        folder: &Path,
        addresses: Addresses,
        runtimes: Runtimes,
        console: Console,
        tracker: TaskTracker,
        stop: CancellationToken,
    ) -> Self {
        let supervisor = Supervisor { folder: folder.to_owned(), addresses, runtimes, console, stop };
        Self { supervisor, tracker, retire: Mutex::default() }
    }

    /// Starts the functions. The processes of an earlier call finish their invocation and end.
    pub fn replace(&self, functions: &[FunctionInstances]) {
        let retire = CancellationToken::new();
        let earlier = std::mem::replace(
            &mut *self.retire.lock().unwrap_or_else(PoisonError::into_inner),
            retire.clone(),
        );
        for function in functions {
            self.supervisor.runtimes.declare(&function.name);
            for _ in 0..function.instances {
                let (supervisor, name, retire) =
                    (self.supervisor.clone(), function.name.clone(), retire.clone());
                self.tracker.spawn(async move { supervisor.supervise(&name, retire).await });
            }
        }
        earlier.cancel();
    }
}

/// Why a process has ended.
enum ProcessEnd {
    Exited(std::io::Result<std::process::ExitStatus>),
    TimedOut,
    Retired,
    Stopped,
}

impl Supervisor {
    /// Keeps one process of a function running.
    async fn supervise(&self, name: &str, retire: CancellationToken) {
        let mut pause = SHORTEST_PAUSE;
        loop {
            let started = Instant::now();
            let instance = NEXT_INSTANCE.fetch_add(1, Ordering::Relaxed).to_string();
            let end = self.run_once(name, &instance, &retire).await;
            self.runtimes.ended(name, &instance);
            pause = if started.elapsed() >= HEALTHY_AFTER { SHORTEST_PAUSE } else { pause };
            match end {
                ProcessEnd::Stopped | ProcessEnd::Retired => return,
                ProcessEnd::TimedOut => self.console.line(name, "timed out and was killed"),
                ProcessEnd::Exited(Ok(status)) => {
                    self.console.line(name, &format!("exited ({status}); restarting in {pause:?}"));
                }
                ProcessEnd::Exited(Err(error)) => {
                    self.console.line(name, &format!("cannot run: {error}; trying again in {pause:?}"));
                }
            }
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = retire.cancelled() => return,
                () = self.stop.cancelled() => return,
            }
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    async fn run_once(&self, name: &str, instance: &str, retire: &CancellationToken) -> ProcessEnd {
        let registered = self.runtimes.register(name, instance);
        let mut command = process::command(self.folder.join(name));
        self.addresses.apply(&mut command, name, instance);
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = match Child::start(command) {
            Ok(child) => child,
            Err(error) => return ProcessEnd::Exited(Err(error)),
        };
        let (stdout, stderr) = (child.process().stdout.take(), child.process().stderr.take());
        let logs = [self.forward(name, stdout), self.forward(name, stderr)];
        let end = tokio::select! {
            status = child.ended() => ProcessEnd::Exited(status),
            () = registered.timed_out() => ProcessEnd::TimedOut,
            () = retire.cancelled() => ProcessEnd::Retired,
            () = self.stop.cancelled() => ProcessEnd::Stopped,
        };
        if matches!(end, ProcessEnd::Retired) {
            self.runtimes.retire(name, instance, LONGEST_PAUSE).await;
        }
        child.stop().await;
        for log in logs {
            // A crash's own lines are printed before the note about it.
            drop(tokio::time::timeout(LAST_LINES, log).await);
        }
        end
    }

    /// Prints a process's output line by line under its function's name.
    fn forward(&self, name: &str, output: Option<impl AsyncRead + Unpin + Send + 'static>) -> JoinHandle<()> {
        let (console, name) = (self.console.clone(), name.to_owned());
        tokio::spawn(async move {
            let Some(output) = output else { return };
            let mut lines = BufReader::new(output).split(b'\n');
            while let Ok(Some(line)) = lines.next_segment().await {
                let line = String::from_utf8_lossy(&line);
                // Lines of metrics are for CloudWatch.
                if !line.contains(r#""_aws":{"#) {
                    console.line(&name, line.trim_end());
                }
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::body::Bytes;

    use crate::functions::runtime::InvokeError;

    #[tokio::test]
    async fn process_that_exits_at_once_fails_waiting_invocations_and_is_restarted() {
        let (runtimes, stop, tracker) = (Runtimes::default(), CancellationToken::new(), TaskTracker::new());
        let fleet = Fleet::new(
            Path::new("/bin"),
            Addresses::default(),
            runtimes.clone(),
            Console::default(),
            tracker.clone(),
            stop.clone(),
        );

        fleet.replace(&[FunctionInstances { name: "false".to_owned(), instances: 1 }]);

        for _ in 0..2 {
            let failed = runtimes.invoke("false", Bytes::new(), Duration::from_secs(30)).await;
            assert_eq!(failed, Err(InvokeError::Crashed));
        }
        stop.cancel();
        tracker.close();
        tracker.wait().await;
    }
}
