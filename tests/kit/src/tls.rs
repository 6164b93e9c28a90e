//! The embedded store over TLS, as functions find DynamoDB.

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;

/// A proxy in front of a port of this machine; its own certificate authority signs for it.
pub struct TlsProxy {
    /// Where it is: `https://localhost:...`.
    pub url: String,
    /// The authority's certificate as PEM.
    pub authority: String,
    connections: Arc<AtomicUsize>,
}

impl TlsProxy {
    /// To a port, for as long as the process lives.
    pub async fn to(port: u16) -> Self {
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
        let connections = Arc::<AtomicUsize>::default();
        tokio::spawn(serve(listener, TlsAcceptor::from(Arc::new(config)), port, connections.clone()));
        Self { url, authority: authority.pem(), connections }
    }

    /// How many connections there have been.
    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

async fn serve(listener: TcpListener, acceptor: TlsAcceptor, port: u16, connections: Arc<AtomicUsize>) {
    loop {
        let (inner, _from) = listener.accept().await.unwrap();
        connections.fetch_add(1, Ordering::SeqCst);
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
