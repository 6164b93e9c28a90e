//! A Temporal server on loopback: the real one, in memory.

use crate::SimulationError;
use crate::leash::{LeashedServer, free_port};
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;
use torale_platform::config::TemporalSettings;
use torale_temporal::connection::TemporalConnection;
use torale_temporal::reads::ReadTemporal;

/// `program port http-port namespace...`. It is killed, since it has nothing to save and takes its time otherwise. It
/// is ready once it answers, which [`TemporalServer::wait`] finds out.
const SCRIPT: &str = r#"trap '' PIPE
program=$1 port=$2 http=$3
shift 3
namespaces=
for namespace; do namespaces="$namespaces --namespace $namespace"; done
"$program" server start-dev --headless --ip 127.0.0.1 --port "$port" --http-port "$http" --log-level never \
  $namespaces </dev/null >/dev/null 2>&1 &
server=$!
echo ready
cat >/dev/null || true
exec 2>/dev/null
kill -s KILL $server
wait $server
"#;

/// Between two attempts to reach a server that is starting.
const RETRY: Duration = Duration::from_millis(100);
/// How long a server may take to start.
const START: Duration = Duration::from_secs(60);

/// A running server; it stops when this is dropped, or this process ends.
#[derive(Debug)]
pub struct TemporalServer {
    port: u16,
    _process: LeashedServer,
}

impl TemporalServer {
    /// The program: where `sources/temporal/need-server` installs it, in the target folder that this process was built
    /// into, or the one on the path. `None` if there is none on this machine.
    #[must_use]
    pub fn program() -> Option<PathBuf> {
        let this = std::env::current_exe().unwrap_or_default();
        let installed = this.ancestors().map(|folder| folder.join("local/temporal/bin/temporal"));
        let on_path = Command::new("sh").args(["-c", "command -v temporal"]).output().ok();
        let on_path = on_path.and_then(|out| String::from_utf8(out.stdout).ok());
        let on_path = on_path.map(|path| PathBuf::from(path.trim()));
        installed.chain(on_path).find(|program| program.is_file())
    }

    /// Starts a server with some namespaces.
    ///
    /// # Errors
    /// If it can't be started.
    pub fn start(program: &Path, namespaces: &[&str]) -> Result<Self, SimulationError> {
        let failed = |error: std::io::Error| SimulationError::Server(format!("Temporal: {error}"));
        let port = free_port().map_err(failed)?;
        let ports = [port, free_port().map_err(failed)?].map(|port| port.to_string());
        let mut arguments = vec![program.as_os_str()];
        arguments.extend(ports.iter().map(OsStr::new));
        arguments.extend(namespaces.iter().map(OsStr::new));
        let process = LeashedServer::start(SCRIPT, &arguments).map_err(failed)?;
        Ok(Self { port, _process: process })
    }

    /// How to reach a namespace; a call may take so long.
    #[must_use]
    pub fn settings(&self, namespace: &str, timeout: Duration) -> TemporalSettings {
        let address = format!("127.0.0.1:{}", self.port);
        TemporalSettings { address, namespace: namespace.to_owned(), api_key: None, timeout }
    }

    /// Waits until the server answers about a namespace.
    ///
    /// # Errors
    /// If it does not within a minute.
    pub async fn wait(connection: &TemporalConnection) -> Result<(), SimulationError> {
        let mut why = None;
        let started = tokio::time::timeout(START, async {
            while let Err(error) = connection.schedules(Vec::new()).await {
                why = Some(error);
                tokio::time::sleep(RETRY).await;
            }
        });
        if started.await.is_ok() {
            return Ok(());
        }
        let why = why.map_or_else(|| "no answer".to_owned(), |error| error.to_string());
        Err(SimulationError::Server(format!("Temporal did not start within a minute: {why}")))
    }
}
