//! The queue's process: ministack, run by Python in an environment under the target folder.

use std::path::{Path, PathBuf};
use std::time::Duration;

use axum::body::Bytes;
use axum::http::Request;
use tokio_util::sync::CancellationToken;

use crate::console::Console;
use crate::error::LocalError;
use crate::http_client;
use crate::process::{self, Child};
use crate::project::Project;

/// The Python packages. CloudWatch's protocol needs `cbor2`: without it metrics are dropped
/// silently.
const PACKAGES: [&str; 2] = ["ministack==1.5.33", "cbor2"];
/// The services that the functions use; ministack's other services and their ports stay off.
const SERVICES: &str = "sqs,cloudwatch";

/// Installs the queue under the target folder, unless an earlier run has.
///
/// # Errors
/// If Python or its package index cannot be used.
pub async fn install(
    project: &Project,
    console: &Console,
    stop: &CancellationToken,
) -> Result<(), LocalError> {
    let venv = project.stack_files().join("venv");
    let (marker, wanted) = (venv.join(".installed"), PACKAGES.join(" "));
    if tokio::fs::read_to_string(&marker).await.is_ok_and(|installed| installed == wanted) {
        return Ok(());
    }
    console.note(format!("first run: installing {wanted} (the SQS queue) into {}", venv.display()));
    let mut create = process::command("python3");
    create.args(["-m", "venv", "--clear"]).arg(&venv);
    let hint = "\n  the queue needs python3 with its venv module (Debian: apt-get install python3-venv)";
    must_succeed("python3 -m venv", create, hint, stop).await?;
    let mut install = process::command(venv.join("bin/python3"));
    install.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"]).args(PACKAGES);
    must_succeed("pip install", install, "\n  the first run needs a Python package index", stop).await?;
    tokio::fs::write(&marker, wanted).await.map_err(LocalError::io(marker.display().to_string()))
}

async fn must_succeed(
    what: &str,
    mut command: tokio::process::Command,
    hint: &str,
    stop: &CancellationToken,
) -> Result<(), LocalError> {
    command.stdout(std::process::Stdio::null());
    let status = process::run(what, command, stop).await?;
    if status.success() {
        return Ok(());
    }
    Err(LocalError::Command { what: what.to_owned(), status, hint: hint.to_owned() })
}

/// The running queue server.
pub struct QueueServer {
    child: Child,
    log: PathBuf,
}

impl QueueServer {
    /// Starts the server on a port and waits until it is ready.
    ///
    /// # Errors
    /// If it ends, or is not ready in time; the error holds the end of its log.
    pub async fn start(project: &Project, port: u16, stop: &CancellationToken) -> Result<Self, LocalError> {
        let folder = project.stack_files();
        let temporary = folder.join("tmp");
        std::fs::create_dir_all(&temporary).map_err(LocalError::io(temporary.display().to_string()))?;
        let log = folder.join("queue.log");
        let output = std::fs::File::create(&log).map_err(LocalError::io(log.display().to_string()))?;
        let errors = output.try_clone().map_err(LocalError::io(log.display().to_string()))?;
        let mut command = process::command(folder.join("venv/bin/python3"));
        command
            .args(["-m", "ministack"])
            .env("GATEWAY_PORT", port.to_string())
            .env("BIND_HOST", "127.0.0.1")
            .env("SERVICES", SERVICES)
            .env("IOT_MTLS_ENABLED", "0")
            .env("SFTP_ENABLED", "0")
            .env("LOG_LEVEL", "WARNING")
            .env("TMPDIR", temporary)
            .stdout(output)
            .stderr(errors);
        let child = Child::start(command).map_err(LocalError::io("ministack"))?;
        let mut server = Self { child, log };
        match server.wait_until_ready(port, stop).await {
            Ok(()) => Ok(server),
            Err(error) => {
                server.stop().await;
                Err(error)
            }
        }
    }

    async fn wait_until_ready(&mut self, port: u16, stop: &CancellationToken) -> Result<(), LocalError> {
        let ready = async {
            loop {
                let request = Request::get("/_ministack/ready").body(Bytes::new());
                let Ok(request) = request else { return };
                let response = http_client::send(port, request, Duration::from_secs(2)).await;
                if response.is_ok_and(|response| response.status().is_success()) {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        let timeout = Duration::from_secs(60);
        tokio::select! {
            () = ready => Ok(()),
            status = self.child.ended() => Err(ended_error(status, &self.log)),
            () = stop.cancelled() => Err(LocalError::Stopped),
            () = tokio::time::sleep(timeout) => Err(LocalError::Helper(format!(
                "ministack is not ready on port {port} after {} s; its log: {}",
                timeout.as_secs(), self.log.display()
            ))),
        }
    }

    /// Waits until the server ends by itself, which is an error.
    pub async fn ended(&mut self) -> LocalError {
        ended_error(self.child.ended().await, &self.log)
    }

    /// Stops the server.
    pub async fn stop(self) {
        self.child.stop().await;
    }
}

fn ended_error(status: std::io::Result<std::process::ExitStatus>, log: &Path) -> LocalError {
    let text = std::fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<_> = text.lines().rev().take(5).collect();
    let end: String = lines.iter().rev().map(|line| format!("\n  | {line}")).collect();
    match status {
        Ok(status) => LocalError::Command { what: "ministack (the queue)".to_owned(), status, hint: end },
        Err(source) => LocalError::Io { what: "ministack".to_owned(), source },
    }
}
