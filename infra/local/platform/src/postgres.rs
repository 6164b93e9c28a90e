//! A PostgreSQL on loopback: a cluster of its own in a folder that is removed with it.

use crate::SimulationError;
use crate::leash::{LeashedServer, free_port};
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use torale_platform::clock;

/// The platform's own tables, as SQL.
pub const TABLES: &str = include_str!("tables.sql");

/// What is needed of PostgreSQL.
const PROGRAMS: [&str; 3] = ["initdb", "pg_ctl", "psql"];
/// Where Debian's packages have their programs, by version.
const DEBIAN: &str = "/usr/lib/postgresql";
/// What libpq would take from the environment, to reach another server, or this one with other settings.
const ENVIRONMENT: [&str; 4] = ["PGHOSTADDR", "PGOPTIONS", "PGSERVICE", "PGSSLMODE"];
/// Of all tests of a process, and of the simulated platform.
const MAX_CONNECTIONS: u8 = 200;

/// `bin dir port options`. PostgreSQL refuses to run as root; then it runs as the user of Debian's package. A server
/// that is just starting when the reader of `ready` goes away is stopped too: hence no death by SIGPIPE. The superuser,
/// who can run programs, has a password, since other users of the machine reach loopback too.
const SCRIPT: &str = r#"set -e
trap '' PIPE
bin=$1 dir=$2 port=$3 options=$4
as=; if [ "$(id -u)" = 0 ]; then chown -R postgres "$dir"; as="runuser -u postgres --"; fi
trap 'exit 143' TERM INT HUP
trap '$as "$bin/pg_ctl" -D "$dir/data" -m immediate stop >/dev/null 2>&1 || true; rm -rf "$dir"' EXIT
$as "$bin/initdb" -D "$dir/data" -U postgres -A trust --pwfile="$dir/password" -E UTF8 --locale=C.UTF-8 --no-sync >"$dir/log"
printf 'host all postgres 127.0.0.1/32 scram-sha-256\nhost all all 127.0.0.1/32 trust\n' >"$dir/data/pg_hba.conf"
$as "$bin/pg_ctl" -D "$dir/data" -l "$dir/server.log" -w -t 120 start -o "-p $port -c listen_addresses=127.0.0.1 \
  -c unix_socket_directories= -c fsync=off $options" >>"$dir/log" || { cat "$dir/server.log" >&2; exit 1; }
echo ready
cat >/dev/null || true
"#;

/// A running server; it stops when this is dropped, or this process ends.
#[derive(Debug)]
pub struct PostgresServer {
    bin: PathBuf,
    port: u16,
    password: String,
    _process: LeashedServer,
}

impl PostgresServer {
    /// The folder with PostgreSQL's programs: the one on the path, or the newest of Debian's packages. `None` if there
    /// is none on this machine.
    #[must_use]
    pub fn programs() -> Option<PathBuf> {
        let versions = std::fs::read_dir(DEBIAN).into_iter().flatten().flatten();
        let mut found: Vec<PathBuf> = versions.map(|entry| entry.path().join("bin")).collect();
        let version =
            |bin: &PathBuf| bin.parent().and_then(|folder| folder.file_name()?.to_str()?.parse::<u32>().ok());
        found.sort_by_key(version);
        let on_path = Command::new("sh").args(["-c", "command -v initdb"]).output().ok();
        let on_path = on_path.and_then(|out| String::from_utf8(out.stdout).ok());
        found.extend(on_path.and_then(|path| Path::new(path.trim()).parent().map(Path::to_owned)));
        found.into_iter().rev().find(|bin| PROGRAMS.iter().all(|program| bin.join(program).exists()))
    }

    /// Starts a server with the programs in `bin`. Its data are below `dir`, a folder of the caller's that is removed
    /// with it. `options` are more of the server's, such as `-c ssl=on`.
    ///
    /// # Errors
    /// If it does not start; why is on standard error.
    pub fn start(bin: &Path, dir: &Path, options: &str) -> Result<Self, SimulationError> {
        let failed = |error: std::io::Error| SimulationError::Server(format!("PostgreSQL: {error}"));
        let password = clock::unique();
        std::fs::write(dir.join("password"), &password).map_err(failed)?;
        let port = free_port().map_err(failed)?;
        let (number, options) = (port.to_string(), format!("-c max_connections={MAX_CONNECTIONS} {options}"));
        let arguments = [bin.as_os_str(), dir.as_os_str(), OsStr::new(&number), OsStr::new(&options)];
        let process = LeashedServer::start(SCRIPT, &arguments).map_err(failed)?;
        Ok(Self { bin: bin.to_owned(), port, password, _process: process })
    }

    /// The address of one of its databases, for its superuser.
    #[must_use]
    pub fn url(&self, database: &str) -> String {
        format!("postgresql://postgres:{}@127.0.0.1:{}/{database}", self.password, self.port)
    }

    /// A call of psql as the superuser that reads no start-up file and stops at the first error.
    #[must_use]
    pub fn psql(&self, database: &str) -> Command {
        let mut psql = Command::new(self.bin.join("psql"));
        for name in ENVIRONMENT {
            psql.env_remove(name);
        }
        psql.args(["-X", "-q", "-v", "ON_ERROR_STOP=1", "-d", &self.url(database)]).stdin(Stdio::null());
        psql
    }
}
