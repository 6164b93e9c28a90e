//! A real PostgreSQL on loopback, one for all tests of this process, with a database for each.

use std::path::PathBuf;
use std::process::Output;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use tokio_postgres::{Client, NoTls};
use torale_domain::events::{self, ReceivedMessage};
use torale_platform::clock;
use torale_simulated_platform::postgres::PostgresServer;
use torale_source::pages::{PageEntry, TableSnapshot};
use torale_source_outbox::connect::SourceDatabase;

/// The server with the certificate that it shows.
struct Server {
    postgres: PostgresServer,
    certificate: PathBuf,
}

static SERVER_OF_ALL: OnceLock<Option<Server>> = OnceLock::new();
static DATABASES: AtomicU32 = AtomicU32::new(0);

fn server() -> Option<&'static Server> {
    SERVER_OF_ALL.get_or_init(start).as_ref()
}

fn start() -> Option<Server> {
    let Some(bin) = PostgresServer::programs() else {
        eprintln!(
            "\n!!! SKIPPED: there is no PostgreSQL (initdb) on this machine: nothing of sources/postgres is tested\n"
        );
        return None;
    };
    let dir = std::env::temp_dir().join(format!("torale-postgres-{}", std::process::id()));
    std::fs::create_dir_all(&dir).unwrap();
    let (certificate, key) = (dir.join("server.pem"), dir.join("server.key"));
    let issued =
        rcgen::generate_simple_self_signed(["localhost".to_owned(), "127.0.0.1".to_owned()]).unwrap();
    std::fs::write(&certificate, issued.cert.pem()).unwrap();
    std::fs::write(&key, issued.signing_key.serialize_pem()).unwrap();
    std::fs::set_permissions(&key, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    let options =
        format!("-c ssl=on -c ssl_cert_file={} -c ssl_key_file={}", certificate.display(), key.display());
    let postgres = PostgresServer::start(&bin, &dir, &options).unwrap();
    Some(Server { postgres, certificate })
}

/// A database of one test.
pub(crate) struct Database {
    server: &'static Server,
    name: String,
}

impl Database {
    /// A database with the platform's tables; `None`, loudly, without PostgreSQL.
    pub(crate) fn with(platform: &str) -> Option<Self> {
        Self::encoded("UTF8", platform)
    }

    /// The same in some encoding.
    pub(crate) fn encoded(encoding: &str, platform: &str) -> Option<Self> {
        let server = server()?;
        let name = format!("t{}", DATABASES.fetch_add(1, Ordering::Relaxed));
        let maintenance = Self { server, name: "postgres".to_owned() };
        let create = format!(
            "CREATE DATABASE {name} TEMPLATE template0 ENCODING '{encoding}' LC_COLLATE 'C' LC_CTYPE 'C'"
        );
        maintenance.psql(&[], &["-c", &create]);
        let this = Self { server, name };
        this.run(platform);
        Some(this)
    }

    /// The same with the triggers.
    pub(crate) fn installed(platform: &str) -> Option<Self> {
        let this = Self::with(platform)?;
        this.install(&[]);
        Some(this)
    }

    fn command(&self, settings: &[&str], arguments: &[&str]) -> Output {
        let options: String = settings.iter().map(|setting| format!("-c torale_source.{setting} ")).collect();
        let mut psql = self.server.postgres.psql(&self.name);
        psql.args(arguments).env("PGOPTIONS", options).output().unwrap()
    }

    fn psql(&self, settings: &[&str], arguments: &[&str]) -> String {
        let output = self.command(settings, arguments);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{said}");
        said
    }

    /// Runs SQL, in one transaction unless it says otherwise.
    pub(crate) fn run(&self, sql: &str) {
        self.psql(&[], &["-c", sql]);
    }

    /// Runs a script of this crate; returns what it says.
    pub(crate) fn script(&self, name: &str, settings: &[&str]) -> String {
        self.psql(settings, &["-f", &script(name)])
    }

    /// Runs a script that must fail; returns what it says.
    pub(crate) fn refused(&self, name: &str, settings: &[&str]) -> String {
        let output = self.command(settings, &["-f", &script(name)]);
        assert!(!output.status.success());
        String::from_utf8_lossy(&output.stderr).into_owned()
    }

    pub(crate) fn install(&self, settings: &[&str]) -> String {
        self.script("install.sql", settings)
    }

    pub(crate) fn url(&self) -> String {
        self.server.postgres.url(&self.name)
    }

    /// The certificate that the server shows.
    pub(crate) fn certificate(&self) -> String {
        std::fs::read_to_string(&self.server.certificate).unwrap()
    }

    pub(crate) fn source(&self) -> SourceDatabase {
        SourceDatabase::new(&self.url(), None, "torale_admin_source").unwrap()
    }

    /// A connection as the platform has it.
    pub(crate) async fn client(&self) -> Client {
        let (client, connection) = tokio_postgres::connect(&self.url(), NoTls).await.unwrap();
        tokio::spawn(connection);
        client
    }

    /// The texts of one column.
    pub(crate) async fn texts(&self, sql: &str) -> Vec<String> {
        let rows =
            self.client().await.query(sql, &[]).await.unwrap_or_else(|error| panic!("{sql}: {error:?}"));
        rows.iter().map(|row| row.get::<_, Option<String>>(0).unwrap_or_else(|| "null".to_owned())).collect()
    }

    /// Settles failures: how many changes were dated.
    pub(crate) async fn settle(&self) -> Vec<String> {
        self.texts("SELECT torale_admin_source.settle_failures()::text").await
    }

    /// The events in the outbox, in the order in which they were written. The intake takes each of them.
    pub(crate) async fn outbox(&self) -> Vec<String> {
        let events = self.texts("SELECT event FROM torale_admin_source.outbox ORDER BY id").await;
        events.iter().for_each(|event| require_known(event));
        events
    }

    /// Types and data of the events in the outbox.
    pub(crate) async fn facts(&self) -> Vec<String> {
        self.outbox().await.iter().map(|event| fact(event)).collect()
    }

    /// Empties the outbox, as the relay does.
    pub(crate) fn clear(&self) {
        self.run("DELETE FROM torale_admin_source.outbox");
    }

    /// Changes of which no event was made, and why.
    pub(crate) async fn failures(&self) -> Vec<String> {
        self.texts("SELECT concat_ws(' ', relation, operation, reason) FROM torale_admin_source.failures ORDER BY id").await
    }

    /// What the backfill reads of a table, page by page.
    pub(crate) async fn pages(&self, relation: &str, size: i32) -> Vec<PageEntry> {
        let snapshot = TableSnapshot::take(&self.source()).await.unwrap();
        let (mut all, mut after) = (Vec::new(), None::<String>);
        loop {
            let page = snapshot.page(relation, after.as_deref(), size).await.unwrap();
            let Some(last) = page.last() else { return all };
            after = Some(last.key.clone());
            all.extend(page);
        }
    }

    /// The events of all rows of a table, as the backfill reads them. The intake takes each of them.
    pub(crate) async fn backfilled(&self, relation: &str) -> Vec<String> {
        let events: Vec<String> =
            self.pages(relation, 3).await.into_iter().filter_map(|entry| entry.event).collect();
        events.iter().for_each(|event| require_known(event));
        events
    }
}

fn script(name: &str) -> String {
    format!("{}/{name}", env!("CARGO_MANIFEST_DIR"))
}

fn require_known(event: &str) {
    match events::parse(event, Some(clock::system())) {
        Ok(ReceivedMessage::Known(_)) => {}
        other => panic!("{event}: {other:?}"),
    }
}

/// An event's type without prefix, and its data in which ids and times are cut to what tests need.
pub(crate) fn fact(event: &str) -> String {
    let event: serde_json::Value = serde_json::from_str(event).unwrap();
    let kind = event["type"].as_str().unwrap().strip_prefix("ai.torale.").unwrap();
    let data = event["data"].as_object().unwrap();
    let data = data.iter().filter(|(name, _)| !name.ends_with("_id") && !name.ends_with("_at"));
    let data: Vec<String> =
        data.map(|(name, value)| format!("{name}={}", value.to_string().trim_matches('"'))).collect();
    [&[kind.to_owned()], data.as_slice()].concat().join(" ")
}
