//! A minimal HTTP client for loopback: readiness checks, and invoking functions of another gateway.

use std::time::Duration;

use axum::body::Bytes;
use axum::http::{HeaderValue, Request, Response, header};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::SendRequest;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio_util::task::AbortOnDropHandle;

/// Why there is no response to a request.
#[derive(Debug, thiserror::Error)]
pub enum LocalHttpError {
    /// Nothing listens on the port, or the connection broke.
    #[error("connection: {0}")]
    Connection(#[from] std::io::Error),
    /// The server does not speak HTTP.
    #[error("protocol: {0}")]
    Protocol(#[from] hyper::Error),
    /// No response in time.
    #[error("no response in time")]
    TimedOut,
}

/// A connection to `127.0.0.1:port`, for one request after the other.
pub struct Connection {
    sender: SendRequest<Full<Bytes>>,
    /// Errors of the connection also end a request; dropping this closes the connection.
    _driver: AbortOnDropHandle<hyper::Result<()>>,
}

impl Connection {
    /// Connects.
    ///
    /// # Errors
    /// If nothing listens on the port.
    pub async fn open(port: u16) -> Result<Self, LocalHttpError> {
        let stream = TcpStream::connect(("127.0.0.1", port)).await?;
        stream.set_nodelay(true)?;
        let (sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
        Ok(Self { sender, _driver: AbortOnDropHandle::new(tokio::spawn(connection)) })
    }

    /// Sends a request and reads the whole response.
    ///
    /// # Errors
    /// If there is no complete response, as when the server has closed the connection.
    pub async fn send(&mut self, request: Request<Bytes>) -> Result<Response<Bytes>, LocalHttpError> {
        let (mut parts, body) = request.into_parts();
        parts.headers.entry(header::HOST).or_insert(HeaderValue::from_static("127.0.0.1"));
        self.sender.ready().await?;
        let response = self.sender.send_request(Request::from_parts(parts, Full::new(body))).await?;
        let (parts, body) = response.into_parts();
        Ok(Response::from_parts(parts, body.collect().await?.to_bytes()))
    }
}

/// Sends one request to `127.0.0.1:port` over a connection of its own and reads the whole response.
///
/// # Errors
/// If there is no complete response within `timeout`.
pub async fn send(
    port: u16,
    request: Request<Bytes>,
    timeout: Duration,
) -> Result<Response<Bytes>, LocalHttpError> {
    let exchange = async { Connection::open(port).await?.send(request).await };
    tokio::time::timeout(timeout, exchange).await.map_err(|_| LocalHttpError::TimedOut)?
}
