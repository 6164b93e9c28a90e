//! The embedded store over TLS, as functions find DynamoDB: what a first connection costs is most of a cold start.

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use std::path::Path;
use std::sync::Arc;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;

/// A proxy in front of a port of this machine; its own certificate authority signs for it.
pub struct Front {
    /// Where it is: `https://localhost:...`.
    pub url: String,
    /// The authority's certificate as PEM.
    pub authority: String,
}

impl Front {
    /// For as long as the process lives.
    pub async fn of(port: u16) -> Self {
        let mut authority = CertificateParams::default();
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority = CertifiedIssuer::self_signed(authority, KeyPair::generate().unwrap()).unwrap();
        let key = KeyPair::generate().unwrap();
        let leaf = CertificateParams::new(["localhost".to_owned()]).unwrap();
        let leaf = leaf.signed_by(&key, &authority).unwrap();
        let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        let config = ServerConfig::builder().with_no_client_auth();
        let config = config.with_single_cert(vec![leaf.der().clone()], key).unwrap();
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let url = format!("https://localhost:{}", listener.local_addr().unwrap().port());
        tokio::spawn(serve(listener, TlsAcceptor::from(Arc::new(config)), port));
        Self { url, authority: authority.pem() }
    }

    /// A file with this machine's roots and the authority, as a function's are in one file.
    pub fn write_roots(&self, roots: &Path, to: &Path) {
        let roots = std::fs::read_to_string(roots).unwrap();
        std::fs::write(to, roots + &self.authority).unwrap();
    }
}

async fn serve(listener: TcpListener, acceptor: TlsAcceptor, port: u16) {
    loop {
        let (inner, _from) = listener.accept().await.unwrap();
        let acceptor = acceptor.clone();
        tokio::spawn(async move {
            inner.set_nodelay(true)?;
            let mut outer = acceptor.accept(inner).await?;
            let mut store = TcpStream::connect(("127.0.0.1", port)).await?;
            store.set_nodelay(true)?;
            copy_bidirectional(&mut outer, &mut store).await
        });
    }
}
