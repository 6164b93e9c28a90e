//! The functions: what feeds them, how they are built, and the processes that run them.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use torale_platform::config;

use crate::console::Console;
use crate::failure::LocalError;
use crate::gateway::Route;
use crate::process::{self, Child};
use crate::project::Project;
use crate::queue;
use crate::runtime::Runtimes;

/// A queue whose messages Lambda would bring to a function.
#[derive(Debug, Clone)]
pub struct EventSource {
    /// The queue's name.
    pub queue: &'static str,
    /// Where messages go that were received too often.
    pub dead_letters: &'static str,
    /// The function that is invoked with them.
    pub function: &'static str,
    /// How often a message may be received.
    pub max_receive_count: u32,
    /// Messages that it gets at once, at most.
    pub batch_size: u16,
    /// How long the function may run.
    pub timeout: Duration,
    /// After this long a failed message is received again. In the cloud the visibility time-out has to pass.
    pub retry_after: Duration,
}

/// The queue that the platform sends its events to.
pub const EVENTS: EventSource = EventSource {
    queue: "torale-events",
    dead_letters: "torale-events-dlq",
    function: "consumer",
    max_receive_count: 5,
    batch_size: 10_000,
    timeout: Duration::from_secs(60),
    retry_after: Duration::from_secs(3),
};

/// The queue of what a deactivation asks the outside world to do.
pub const COMMANDS: EventSource = EventSource {
    queue: "torale-commands",
    dead_letters: "torale-commands-dlq",
    function: "command-executor",
    max_receive_count: 10,
    batch_size: 10,
    timeout: Duration::from_secs(30),
    retry_after: Duration::from_secs(3),
};

/// Every queue that feeds a function. A new consumer is one more row here.
pub const EVENT_SOURCES: &[EventSource] = &[EVENTS, COMMANDS];

/// A function that runs on a schedule.
#[derive(Debug, Clone)]
pub struct TimerSource {
    /// The function.
    pub function: &'static str,
    /// How often; in the cloud once a minute.
    pub every: Duration,
    /// How long it may run.
    pub timeout: Duration,
}

/// Every function that runs on a schedule.
pub const SCHEDULES: &[TimerSource] = &[
    TimerSource { function: "audit-seal", every: Duration::from_secs(5), timeout: Duration::from_secs(60) },
    TimerSource { function: "outbox-relay", every: Duration::from_secs(2), timeout: Duration::from_secs(60) },
];

impl EventSource {
    /// AWS asks for six times the function's time-out and the batching window at least.
    #[must_use]
    pub fn visibility(&self) -> Duration {
        self.timeout * 6 + Duration::from_secs(20)
    }
}

/// Environment of every function, beside the addresses of store and queue.
const ENVIRONMENT: &[(&str, &str)] = &[
    ("AWS_REGION", "us-east-1"),
    ("AWS_DEFAULT_REGION", "us-east-1"),
    ("AWS_ACCESS_KEY_ID", "local"),
    ("AWS_SECRET_ACCESS_KEY", "local"),
    ("AWS_EC2_METADATA_DISABLED", "true"),
    ("AWS_CONFIG_FILE", "/dev/null"),
    ("AWS_SHARED_CREDENTIALS_FILE", "/dev/null"),
    ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST"),
    ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "512"),
    ("NO_PROXY", "127.0.0.1,localhost"),
];
/// What must not reach the functions from the shell that started the stack.
const HIDDEN: &[&str] = &["AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_ENDPOINT_URL"];
/// Environment of every function unless the shell says otherwise.
const DEFAULTS: &[(&str, &str)] = &[(config::LOG, "warn")];
const SHORTEST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// A process that lived this long is restarted without delay.
const HEALTHY_AFTER: Duration = Duration::from_secs(10);

/// A function and how many of its processes run at once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Function {
    /// Its name: of the package, the binary and the Lambda function.
    pub name: String,
    /// Processes.
    pub instances: usize,
}

/// The functions that routes, event sources and schedules name.
#[must_use]
pub fn named_by(routes: &[Route], http_instances: usize, consumers: usize) -> Vec<Function> {
    let http = routes.iter().map(|route| (route.function.as_str(), http_instances));
    let sources = EVENT_SOURCES.iter().map(|source| (source.function, consumers));
    let scheduled = SCHEDULES.iter().map(|schedule| (schedule.function, 1));
    let mut functions: Vec<_> = http
        .chain(sources)
        .chain(scheduled)
        .map(|(name, instances)| Function { name: name.to_owned(), instances })
        .collect();
    functions.sort_by(|a, b| a.name.cmp(&b.name));
    functions.dedup_by(|a, b| a.name == b.name);
    functions
}

/// Builds the functions' binaries; cargo's own output is the user's to read.
///
/// # Errors
/// When they do not compile.
pub async fn build(
    project: &Project,
    functions: &[Function],
    release: bool,
    stop: &CancellationToken,
) -> Result<(), LocalError> {
    let mut cargo = process::command("cargo");
    cargo.arg("build").current_dir(&project.root);
    // Naming this package too makes cargo choose the features of shared dependencies as it did for
    // `cargo dev` itself: what both use is compiled once.
    cargo.args(["--package", env!("CARGO_PKG_NAME")]);
    for function in functions {
        cargo.args(["--package", &function.name, "--bin", &function.name]);
    }
    if release {
        cargo.args(["--profile", "fast"]);
    }
    let what = "building the functions";
    let status = process::run(what, cargo, stop).await?;
    if status.success() {
        return Ok(());
    }
    Err(LocalError::Command { what: what.to_owned(), status, hint: String::new() })
}

/// Where the functions find what they need.
#[derive(Debug, Clone)]
pub struct Addresses {
    /// Port of the gateway.
    pub http: u16,
    /// Port of the queue.
    pub sqs: u16,
    /// Port of the store.
    pub dynamodb: u16,
    /// The key that seals the audit trail.
    pub audit_key: PathBuf,
    /// The variables that lead the executor of commands to the stand-ins; no other function gets them.
    pub standins: Vec<(&'static str, String)>,
}

/// Runs the functions' processes and keeps them running.
pub struct Fleet {
    shared: Shared,
    tracker: TaskTracker,
    running: Mutex<CancellationToken>,
}

/// What every supervisor needs.
#[derive(Clone)]
struct Shared {
    folder: PathBuf,
    addresses: Addresses,
    runtimes: Runtimes,
    console: Console,
    stop: CancellationToken,
}

static NEXT_INSTANCE: AtomicU64 = AtomicU64::new(1);

impl Fleet {
    /// A fleet without processes. They end with `stop`; `tracker` waits until they have.
    #[must_use]
    pub fn new(
        folder: &Path,
        addresses: Addresses,
        runtimes: Runtimes,
        console: Console,
        tracker: TaskTracker,
        stop: CancellationToken,
    ) -> Self {
        let shared = Shared { folder: folder.to_owned(), addresses, runtimes, console, stop };
        Self { shared, tracker, running: Mutex::default() }
    }

    /// Starts the functions; processes of a former call finish their work and end.
    pub fn replace(&self, functions: &[Function]) {
        let retire = CancellationToken::new();
        let former = std::mem::replace(
            &mut *self.running.lock().unwrap_or_else(std::sync::PoisonError::into_inner),
            retire.clone(),
        );
        for function in functions {
            self.shared.runtimes.declare(&function.name);
            for _ in 0..function.instances {
                let (shared, name, retire) = (self.shared.clone(), function.name.clone(), retire.clone());
                self.tracker.spawn(async move { shared.supervise(&name, retire).await });
            }
        }
        former.cancel();
    }
}

/// Why a process is gone.
enum End {
    Itself(std::io::Result<std::process::ExitStatus>),
    TimedOut,
    Retired,
    Stopped,
}

impl Shared {
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
                End::Stopped | End::Retired => return,
                End::TimedOut => self.console.line(name, "ran out of time and was killed"),
                End::Itself(Ok(status)) => {
                    self.console.line(name, &format!("ended ({status}); next start in {pause:?}"));
                }
                End::Itself(Err(error)) => {
                    self.console.line(name, &format!("cannot run: {error}; next try in {pause:?}"));
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

    async fn run_once(&self, name: &str, instance: &str, retire: &CancellationToken) -> End {
        let registered = self.runtimes.register(name, instance);
        let mut child = match Child::start(self.command(name, instance)) {
            Ok(child) => child,
            Err(error) => return End::Itself(Err(error)),
        };
        let (stdout, stderr) = (child.process().stdout.take(), child.process().stderr.take());
        let logs = [self.forward(name, stdout), self.forward(name, stderr)];
        let end = tokio::select! {
            status = child.ended() => End::Itself(status),
            () = registered.evicted() => End::TimedOut,
            () = retire.cancelled() => End::Retired,
            () = self.stop.cancelled() => End::Stopped,
        };
        if matches!(end, End::Retired) {
            self.runtimes.retire(name, instance, LONGEST_PAUSE).await;
        }
        child.stop().await;
        for log in logs {
            // The last words of a crash come before the note about it.
            drop(tokio::time::timeout(Duration::from_secs(1), log).await);
        }
        end
    }

    fn command(&self, name: &str, instance: &str) -> tokio::process::Command {
        let mut command = process::command(self.folder.join(name));
        let Addresses { http, sqs, dynamodb, ref audit_key, ref standins } = self.addresses;
        for hidden in HIDDEN {
            command.env_remove(hidden);
        }
        command.envs(DEFAULTS.iter().copied().filter(|(name, _)| std::env::var_os(name).is_none()));
        command
            .envs(ENVIRONMENT.iter().copied())
            .env("AWS_LAMBDA_FUNCTION_NAME", name)
            // The scheme is needed as soon as the address has a path.
            .env("AWS_LAMBDA_RUNTIME_API", format!("http://127.0.0.1:{http}/.rt/{name}:{instance}"))
            .env("AWS_ENDPOINT_URL_DYNAMODB", format!("http://127.0.0.1:{dynamodb}"))
            .env("AWS_ENDPOINT_URL_SQS", format!("http://127.0.0.1:{sqs}"))
            .env(config::AUDIT_KEY_FILE, audit_key)
            .env(config::EVENTS_QUEUE_URL, queue::url(sqs, EVENTS.queue))
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        if name == COMMANDS.function {
            // A key of the shell's is not for the stand-in to see.
            command.env_remove(config::TEMPORAL_API_KEY).envs(standins.iter().cloned());
        }
        command
    }

    /// Prints what a process writes, line by line, under its function's name.
    fn forward(
        &self,
        name: &str,
        output: Option<impl AsyncRead + Unpin + Send + 'static>,
    ) -> tokio::task::JoinHandle<()> {
        let (console, name) = (self.console.clone(), name.to_owned());
        tokio::spawn(async move {
            let Some(output) = output else { return };
            let mut lines = BufReader::new(output).split(b'\n');
            while let Ok(Some(line)) = lines.next_segment().await {
                let line = String::from_utf8_lossy(&line);
                // Metrics are for CloudWatch to read.
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

    use crate::runtime::InvokeError;

    #[tokio::test]
    async fn a_program_that_ends_at_once_fails_what_waits_for_it_and_is_started_again() {
        let (runtimes, stop, tracker) = (Runtimes::default(), CancellationToken::new(), TaskTracker::new());
        let addresses =
            Addresses { http: 1, sqs: 1, dynamodb: 1, audit_key: PathBuf::new(), standins: Vec::new() };
        let console = Console::default();
        let fleet = Fleet::new(
            Path::new("/bin"),
            addresses,
            runtimes.clone(),
            console,
            tracker.clone(),
            stop.clone(),
        );
        fleet.replace(&[Function { name: "false".to_owned(), instances: 1 }]);
        for _ in 0..2 {
            let failed = runtimes.invoke("false", Bytes::new(), Duration::from_secs(30)).await;
            assert_eq!(failed, Err(InvokeError::Crashed));
        }
        stop.cancel();
        tracker.close();
        tracker.wait().await;
    }

    #[test]
    fn each_function_is_named_once() {
        let routes = [Route::new("GET", "/a", "one"), Route::new("POST", "/a", "one")];
        let functions = named_by(&routes, 1, 2);
        let expected =
            [("audit-seal", 1), ("command-executor", 2), ("consumer", 2), ("one", 1), ("outbox-relay", 1)];
        assert_eq!(
            functions,
            expected.map(|(name, instances)| Function { name: name.to_owned(), instances })
        );
    }

    #[test]
    fn messages_stay_invisible_for_six_time_outs() {
        for source in EVENT_SOURCES {
            assert!(source.visibility() >= source.timeout * 6);
        }
    }
}
