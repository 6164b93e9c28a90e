//! Connecting to PostgreSQL: TLS with checked certificates, and a time limit for everything.

use crate::SourceError;
use std::time::Duration;
use tokio::task::JoinHandle;
use tokio_postgres::config::{Host, SslMode};
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Client, Config, Error, NoTls, Row, Transaction};
use tokio_postgres_rustls::MakeRustlsConnect;
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

/// Longest time for connecting.
const CONNECT_TIME: Duration = Duration::from_secs(5);
/// Seconds after which PostgreSQL gives up a statement of a relay or a backfill.
const STATEMENT_SECONDS: u32 = 60;
/// Longest wait for an answer, a little more than PostgreSQL's own limit.
pub const ANSWER_TIME: Duration = Duration::from_secs(65);
/// Longest time for saying goodbye.
const CLOSE_TIME: Duration = Duration::from_secs(2);

/// A value that a statement refers to, and its type.
pub type StatementParameter<'a> = (&'a (dyn ToSql + Sync), Type);

/// How a database is reached.
#[derive(Debug, Clone)]
pub struct SourceDatabase {
    config: Config,
    authorities: Option<RootCertStore>,
    schema: String,
}

/// A connection. PostgreSQL ends its transaction when it is closed, or dropped and the runtime goes on.
///
/// It may lead to a pooler that gives each transaction another connection of its own, such as PgBouncer in transaction
/// mode: so all settings are those of a transaction, and no statement is prepared under a name (`query_typed`).
#[derive(Debug)]
pub struct SourceConnection {
    client: Client,
    /// What every transaction begins with.
    settings: String,
    ended: JoinHandle<Result<(), Error>>,
}

impl SourceConnection {
    /// Begins a transaction that finds its names in the source's schema and speaks of times in UTC. It is rolled back
    /// if it is dropped.
    ///
    /// # Errors
    /// If the server does not answer.
    pub async fn transaction(&mut self) -> Result<Transaction<'_>, SourceError> {
        let begin = async {
            let transaction = self.client.transaction().await?;
            transaction.batch_execute(&self.settings).await?;
            Ok(transaction)
        };
        in_time(ANSWER_TIME, begin).await
    }

    /// Begins a snapshot: a transaction that reads only, and lasts until this is dropped.
    ///
    /// # Errors
    /// If the server does not answer.
    pub async fn snapshot(self) -> Result<SourceSnapshot, SourceError> {
        let begin = format!("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; {}", self.settings);
        in_time(ANSWER_TIME, async { Ok(self.client.batch_execute(&begin).await?) }).await?;
        Ok(SourceSnapshot { connection: self })
    }

    /// Closes the connection and waits until that is done: Lambda stops a function's process between its runs, and a
    /// transaction that was left open would keep its rows locked meanwhile.
    pub async fn close(self) {
        drop(self.client);
        // If even that takes too long, or the connection is broken, the server notices by itself.
        drop(tokio::time::timeout(CLOSE_TIME, self.ended).await);
    }
}

/// The database as it was at one moment.
#[derive(Debug)]
pub struct SourceSnapshot {
    connection: SourceConnection,
}

impl SourceSnapshot {
    /// The rows that a statement finds.
    ///
    /// # Errors
    /// If the server refuses it, or does not answer in time.
    pub async fn query(
        &self,
        text: &str,
        parameters: &[StatementParameter<'_>],
    ) -> Result<Vec<Row>, SourceError> {
        in_time(ANSWER_TIME, async { Ok(self.connection.client.query_typed(text, parameters).await?) }).await
    }

    /// The one row that a statement finds.
    ///
    /// # Errors
    /// The same, and if it finds none or several.
    pub async fn query_one(
        &self,
        text: &str,
        parameters: &[StatementParameter<'_>],
    ) -> Result<Row, SourceError> {
        in_time(ANSWER_TIME, async { Ok(self.connection.client.query_typed_one(text, parameters).await?) })
            .await
    }
}

impl SourceDatabase {
    /// A database by its URL (`postgresql://user:password@host/name`) or key words, as psql takes them. `certificates`
    /// are the certificates (PEM) that the server's is checked with, instead of the system's; `schema` is the one that
    /// `install.sql` created.
    ///
    /// Over a network TLS is required unless the URL says `sslmode=disable`, on this machine only where it says
    /// `sslmode=require`.
    ///
    /// # Errors
    /// If the URL is empty or can't be read, or no certificate can be.
    pub fn new(url: &str, certificates: Option<&str>, schema: &str) -> Result<Self, SourceError> {
        if url.is_empty() {
            return Err(SourceError::Settings("the database's URL is empty".to_owned()));
        }
        // The parser's error may quote the URL with its password.
        let mut config: Config =
            url.parse().map_err(|_quoting| SourceError::Settings(UNREADABLE.to_owned()))?;
        if config.get_ssl_mode() == SslMode::Prefer {
            let (hosts, addresses) = (config.get_hosts(), config.get_hostaddrs());
            let local = hosts.iter().all(is_local) && addresses.iter().all(std::net::IpAddr::is_loopback);
            config.ssl_mode(if local { SslMode::Disable } else { SslMode::Require });
        }
        config.connect_timeout(CONNECT_TIME).application_name("torale-source");
        let authorities = certificates.map(authorities).transpose()?;
        Ok(Self { config, authorities, schema: schema.to_owned() })
    }

    /// Whether the connection is certain to be encrypted.
    pub fn requires_tls(&self) -> bool {
        self.config.get_ssl_mode() == SslMode::Require
    }

    /// Opens a connection, and makes sure that the source is installed there.
    ///
    /// # Errors
    /// If the server can't be reached in time, its certificate is not trusted, the database is not in UTF8, or the
    /// schema is missing.
    pub async fn connect(&self) -> Result<SourceConnection, SourceError> {
        let settings = self.settings();
        let opening = async {
            if self.config.get_ssl_mode() == SslMode::Disable {
                let (client, connection) = self.config.connect(NoTls).await?;
                return Ok(SourceConnection { client, settings, ended: tokio::spawn(connection) });
            }
            let (client, connection) = self.config.connect(self.tls()).await?;
            // It ends with the client; its errors reach the client's calls.
            Ok::<_, SourceError>(SourceConnection { client, settings, ended: tokio::spawn(connection) })
        };
        let mut connection = in_time(CONNECT_TIME.saturating_mul(2), opening).await?;
        match self.require_installed(&mut connection).await {
            Ok(()) => Ok(connection),
            Err(error) => {
                connection.close().await;
                Err(error)
            }
        }
    }

    fn settings(&self) -> String {
        let schema = self.schema.replace('"', "\"\"");
        format!(
            "SET LOCAL search_path = \"{schema}\", pg_catalog, pg_temp; SET LOCAL timezone = 'UTC'; SET LOCAL jit = off; \
             SET LOCAL row_security = off; \
             SET LOCAL statement_timeout = '{STATEMENT_SECONDS}s'; SET LOCAL lock_timeout = '5s'; \
             SET LOCAL idle_in_transaction_session_timeout = '10min'"
        )
    }

    async fn require_installed(&self, connection: &mut SourceConnection) -> Result<(), SourceError> {
        let transaction = connection.transaction().await?;
        let text = "SELECT to_regclass('sources') IS NOT NULL, current_setting('server_encoding')";
        let asked = async { Ok(transaction.query_typed_one(text, &[]).await?) };
        let answer = in_time(ANSWER_TIME, asked).await?;
        let (installed, encoding): (bool, String) = (answer.try_get(0)?, answer.try_get(1)?);
        // Only such a database holds nothing but UTF-8: one row that is none would hold up all others.
        if encoding != "UTF8" {
            return Err(SourceError::Settings(format!("the database is in {encoding}, and must be in UTF8")));
        }
        if installed {
            return Ok(());
        }
        Err(SourceError::Settings(format!(
            "nothing is installed in the schema {} that this role may use: run sources/postgres/install.sql, grant USAGE",
            self.schema
        )))
    }

    fn tls(&self) -> MakeRustlsConnect {
        let roots = self.authorities.clone().unwrap_or_else(|| {
            let mut roots = RootCertStore::empty();
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
            roots
        });
        MakeRustlsConnect::new(ClientConfig::builder().with_root_certificates(roots).with_no_client_auth())
    }
}

/// The authorities that a text in PEM holds. Line breaks may be written as `\n`, as in a variable.
fn authorities(pem: &str) -> Result<RootCertStore, SourceError> {
    let bad = |reason: &str| SourceError::Settings(format!("the database's certificates: {reason}"));
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem.replace("\\n", "\n").as_bytes()) {
        let added = certificate.map_err(|error| bad(&error.to_string())).map(|der| roots.add(der))?;
        added.map_err(|error| bad(&error.to_string()))?;
    }
    if roots.is_empty() { Err(bad("no certificate in PEM")) } else { Ok(roots) }
}

const UNREADABLE: &str = "the database's URL can't be read: it is `postgresql://user:password@host/name`, or key words as \
    psql takes them; sslmode is disable, prefer or require, which checks the certificate too";

fn is_local(host: &Host) -> bool {
    match host {
        Host::Tcp(name) => matches!(name.as_str(), "localhost" | "127.0.0.1" | "::1"),
        Host::Unix(_) => true,
    }
}

/// Waits for an answer no longer than `limit`.
///
/// # Errors
/// The answer's own; [`SourceError::Unavailable`] if there is none in time.
pub async fn in_time<T>(
    limit: Duration,
    answer: impl Future<Output = Result<T, SourceError>>,
) -> Result<T, SourceError> {
    let late = |_elapsed| SourceError::Unavailable(format!("no answer within {} s", limit.as_secs()));
    tokio::time::timeout(limit, answer).await.map_err(late)?
}

#[cfg(test)]
mod tests {
    use super::*;

    fn requires_tls(url: &str) -> bool {
        SourceDatabase::new(url, None, "s").unwrap().requires_tls()
    }

    #[test]
    fn tls_is_required_over_a_network_unless_it_is_disabled() {
        assert!(requires_tls("postgresql://u@db.example.org/p"));
        assert!(requires_tls("host=db.example.org user=u"));
        assert!(requires_tls("postgresql://u@127.0.0.1/p?sslmode=require"));
        assert!(!requires_tls("postgresql://u@db.example.org/p?sslmode=disable"));
        assert!(!requires_tls("postgresql://u@127.0.0.1/p"));
        assert!(requires_tls("hostaddr=10.0.3.7 user=u"));
        assert!(requires_tls("host=localhost hostaddr=10.0.3.7 user=u"));
        assert!(!requires_tls("host=localhost hostaddr=127.0.0.1 user=u"));
    }

    #[test]
    fn an_unreadable_url_is_refused_without_its_password() {
        for url in [
            "postgresql://u:secret@h/p?sslmode=perhaps",
            "postgresql+asyncpg://u:secret@h/p?ssl=require",
            "host=h password=ab secret=ef",
        ] {
            let refused = SourceDatabase::new(url, None, "s").unwrap_err().to_string();
            assert!(refused.starts_with("the database's URL"), "{refused}");
            assert!(!refused.contains("secret"), "{refused}");
        }
    }

    #[test]
    fn a_text_without_certificates_is_refused() {
        for (pem, reason) in
            [("nothing", "no certificate in PEM"), ("-----BEGIN CERTIFICATE-----\\nAA==", "section")]
        {
            let refused = SourceDatabase::new("postgresql://u@192.0.2.1/p", Some(pem), "s").unwrap_err();
            assert!(refused.to_string().contains(reason), "{refused}");
        }
    }

    #[test]
    fn an_empty_url_is_refused() {
        let refused = SourceDatabase::new("", None, "s").unwrap_err();
        assert_eq!(refused.to_string(), "the database's URL is empty");
    }
}
