//! Connecting to PostgreSQL: TLS with checked certificates, and a time limit for everything.

use crate::SourceError;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio_postgres::config::{Host, SslMode};
use tokio_postgres::{Client, Config, NoTls};
use tokio_postgres_rustls::MakeRustlsConnect;
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

/// Longest time for connecting.
const CONNECT_TIME: Duration = Duration::from_secs(5);
/// Seconds after which PostgreSQL gives up a statement of a relay or a backfill.
const STATEMENT_SECONDS: u32 = 60;
/// Longest wait for an answer, a little more than PostgreSQL's own limit.
pub(crate) const ANSWER_TIME: Duration = Duration::from_secs(65);

/// How a database is reached.
#[derive(Debug, Clone)]
pub struct SourceDatabase {
    config: Config,
    certificates: Option<PathBuf>,
    schema: String,
}

impl SourceDatabase {
    /// A database by its URL (`postgresql://user:password@host/name`) or key words, as psql takes them. `certificates`
    /// is a file with the certificates (PEM) that the server's is checked with, instead of the system's; `schema` is
    /// the one that `install.sql` created.
    ///
    /// Over a network TLS is required unless the URL says `sslmode=disable`, on this machine only where it says
    /// `sslmode=require`.
    ///
    /// # Errors
    /// If the URL can't be read.
    pub fn new(url: &str, certificates: Option<PathBuf>, schema: &str) -> Result<Self, SourceError> {
        let mut config: Config = url.parse().map_err(|error: tokio_postgres::Error| {
            SourceError::Settings(format!("the database's URL: {}", torale_platform::aws::causes(&error)))
        })?;
        if config.get_ssl_mode() == SslMode::Prefer {
            let local = config.get_hosts().iter().all(is_local);
            config.ssl_mode(if local { SslMode::Disable } else { SslMode::Require });
        }
        config.connect_timeout(CONNECT_TIME).application_name("torale-source");
        Ok(Self { config, certificates, schema: schema.to_owned() })
    }

    /// Whether the connection is certain to be encrypted.
    pub fn requires_tls(&self) -> bool {
        self.config.get_ssl_mode() == SslMode::Require
    }

    /// Opens a connection that finds its names in the source's schema and speaks of times in UTC.
    ///
    /// # Errors
    /// If the server can't be reached in time, its certificate is not trusted, or the schema is missing.
    pub async fn connect(&self) -> Result<Client, SourceError> {
        let opening = async {
            if self.config.get_ssl_mode() == SslMode::Disable {
                let (client, connection) = self.config.connect(NoTls).await?;
                // It ends with the client; its errors reach the client's calls.
                tokio::spawn(connection);
                return Ok(client);
            }
            let (client, connection) = self.config.connect(self.tls()?).await?;
            tokio::spawn(connection);
            Ok::<_, SourceError>(client)
        };
        let client = in_time(CONNECT_TIME.saturating_mul(2), opening).await?;
        let schema = self.schema.replace('"', "\"\"");
        let settings = format!(
            "SET search_path = \"{schema}\", pg_catalog, pg_temp; SET timezone = 'UTC'; SET jit = off; \
             SET statement_timeout = '{STATEMENT_SECONDS}s'; SET lock_timeout = '5s'; \
             SET idle_in_transaction_session_timeout = '10min'"
        );
        in_time(ANSWER_TIME, async { Ok(client.batch_execute(&settings).await?) }).await?;
        let installed =
            async { Ok(client.query_one("SELECT to_regclass('sources') IS NOT NULL", &[]).await?) };
        if in_time(ANSWER_TIME, installed).await?.try_get(0)? {
            return Ok(client);
        }
        Err(SourceError::Settings(format!(
            "nothing is installed in the schema {} that this role may use: run sources/postgres/install.sql, grant USAGE",
            self.schema
        )))
    }

    fn tls(&self) -> Result<MakeRustlsConnect, SourceError> {
        let mut roots = RootCertStore::empty();
        match &self.certificates {
            Some(file) => {
                for certificate in certificates(file)? {
                    roots.add(certificate).map_err(|e| bad_certificate(file, &e.to_string()))?;
                }
            }
            None => {
                roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
            }
        }
        let config = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
        Ok(MakeRustlsConnect::new(config))
    }
}

fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, SourceError> {
    let read = CertificateDer::pem_file_iter(file).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let found = read.map_err(|error| bad_certificate(file, &error.to_string()))?;
    if found.is_empty() { Err(bad_certificate(file, "no certificate in PEM")) } else { Ok(found) }
}

fn bad_certificate(file: &Path, reason: &str) -> SourceError {
    SourceError::Settings(format!("{}: {reason}", file.display()))
}

fn is_local(host: &Host) -> bool {
    match host {
        Host::Tcp(name) => matches!(name.as_str(), "localhost" | "127.0.0.1" | "::1"),
        Host::Unix(_) => true,
    }
}

/// Waits for an answer no longer than `limit`.
pub(crate) async fn in_time<T>(
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
    }

    #[test]
    fn an_unreadable_url_is_refused_without_its_password() {
        let refused =
            SourceDatabase::new("postgresql://u:secret@h/p?sslmode=perhaps", None, "s").unwrap_err();
        assert!(refused.to_string().starts_with("the database's URL"), "{refused}");
        assert!(!refused.to_string().contains("secret"), "{refused}");
    }

    #[tokio::test]
    async fn a_file_without_certificates_is_refused() {
        let file = std::env::temp_dir().join(format!("torale-source-{}.pem", std::process::id()));
        std::fs::write(&file, "nothing").unwrap();
        let database = SourceDatabase::new("postgresql://u@192.0.2.1/p", Some(file.clone()), "s").unwrap();
        let refused = database.connect().await.unwrap_err();
        std::fs::remove_file(&file).unwrap();
        assert!(refused.to_string().ends_with("no certificate in PEM"), "{refused}");
    }
}
