//! TLS to Temporal. The certificate is checked with the system's authorities; one of one's own is taken from the file
//! that the variable `SSL_CERT_FILE` names, as by everything else that uses these.

use crate::server::Namespace;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;
use torale_platform::config::TemporalSettings;
use torale_temporal::connection::{TemporalConnection, TemporalError};
use torale_temporal::reads::ReadTemporal;
use torale_testkit::switches;

/// Where the process that the test starts finds the server.
const ADDRESS: &str = "TORALE_TEMPORAL_TLS";

fn settings(address: &str) -> TemporalSettings {
    let namespace = "one".to_owned();
    let (api_key, timeout) = (Some("key".to_owned()), Duration::from_secs(30));
    TemporalSettings { address: address.to_owned(), namespace, api_key, timeout }
}

async fn list_schedules(address: &str) -> Result<(), TemporalError> {
    TemporalConnection::new(settings(address)).schedules(Vec::new()).await.map(drop)
}

/// Accepts TLS for `localhost`; with its certificate (PEM), which is its own authority.
pub(crate) fn acceptor() -> (TlsAcceptor, String) {
    let issued = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let key = PrivateKeyDer::try_from(issued.signing_key.serialize_der()).unwrap();
    let config = ServerConfig::builder().with_no_client_auth();
    let mut config = config.with_single_cert(vec![issued.cert.der().clone()], key).unwrap();
    config.alpn_protocols = vec![b"h2".to_vec()];
    (TlsAcceptor::from(Arc::new(config)), issued.cert.pem())
}

/// Runs a test once more, in a process that trusts this certificate alone and has one more variable: it must pass.
pub(crate) async fn again_with(test: &str, certificate: &str, (variable, value): (&str, &str)) {
    let file = std::env::temp_dir().join(format!("torale-temporal-{}-{variable}.pem", std::process::id()));
    std::fs::write(&file, certificate).unwrap();
    let mut this = Command::new(std::env::current_exe().unwrap());
    this.args(["--exact", test]).env("SSL_CERT_FILE", &file).env(variable, value);
    let trusting = tokio::task::spawn_blocking(move || this.output().unwrap()).await.unwrap();
    std::fs::remove_file(&file).unwrap();
    let said = String::from_utf8_lossy(&trusting.stdout);
    assert!(trusting.status.success() && said.contains("1 passed"), "{said}");
}

/// Speaks TLS before a server without; returns its address and its certificate.
async fn tls_before(server: String) -> (String, String) {
    let (acceptor, certificate) = acceptor();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("localhost:{}", listener.local_addr().unwrap().port());
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let (acceptor, server) = (acceptor.clone(), server.clone());
            tokio::spawn(async move {
                let Ok(mut client) = acceptor.accept(client).await else { return };
                let mut server = TcpStream::connect(server).await.unwrap();
                copy_bidirectional(&mut client, &mut server).await.ok();
            });
        }
    });
    (address, certificate)
}

#[tokio::test(flavor = "multi_thread")]
async fn certificates_are_checked_with_the_systems_authorities_which_a_file_may_replace() {
    if let Some(address) = switches::text(ADDRESS) {
        return list_schedules(&address).await.unwrap();
    }
    let Some(namespace) = Namespace::named("one").await else { return };
    let (address, certificate) = tls_before(namespace.settings.address.clone()).await;

    let stranger = list_schedules(&address).await.unwrap_err().to_string();
    let name = "tls::certificates_are_checked_with_the_systems_authorities_which_a_file_may_replace";
    again_with(name, &certificate, (ADDRESS, &address)).await;

    assert!(stranger.starts_with("Temporal unreachable") && stranger.contains("certificate"), "{stranger}");
}

/// A server that does not speak TLS answers in its own way, or closes the connection.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_without_tls_behind_https_is_unreachable_and_the_error_says_why() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("https://127.0.0.1:{}", listener.local_addr().unwrap().port());
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            client.read_u8().await.unwrap();
            client.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await.ok();
        }
    });

    let failed = list_schedules(&address).await.unwrap_err();

    assert!(matches!(failed, TemporalError::Unreachable(_)), "{failed}");
    assert!(failed.to_string().contains("InvalidContentType"), "{failed}");
}

#[tokio::test(flavor = "multi_thread")]
async fn temporals_own_server_without_tls_behind_https_is_unreachable() {
    let Some(namespace) = Namespace::named("one").await else { return };

    let failed = list_schedules(&format!("https://{}", namespace.settings.address)).await.unwrap_err();

    assert!(matches!(failed, TemporalError::Unreachable(_)), "{failed}");
}
