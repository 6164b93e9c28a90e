//! A minimal HTTP client for loopback: readiness checks, and invoking functions of another gateway.

use std::time::Duration;

use axum::body::Bytes;
use axum::http::{HeaderValue, Request, Response, header};
use http_body_util::{BodyExt, Full};
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

/// Sends one request to `127.0.0.1:port` over a connection of its own and reads the whole response.
///
/// # Errors
/// If there is no complete response within `timeout`.
pub async fn send(
    port: u16,
    request: Request<Bytes>,
    timeout: Duration,
) -> Result<Response<Bytes>, LocalHttpError> {
    tokio::time::timeout(timeout, exchange(port, request)).await.map_err(|_| LocalHttpError::TimedOut)?
}

async fn exchange(port: u16, request: Request<Bytes>) -> Result<Response<Bytes>, LocalHttpError> {
    let stream = TcpStream::connect(("127.0.0.1", port)).await?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    // Errors of the connection also end the request below; dropping the handle closes the
    // connection.
    let _driver = AbortOnDropHandle::new(tokio::spawn(connection));
    let (mut parts, body) = request.into_parts();
    parts.headers.entry(header::HOST).or_insert(HeaderValue::from_static("127.0.0.1"));
    let response = sender.send_request(Request::from_parts(parts, Full::new(body))).await?;
    let (parts, body) = response.into_parts();
    Ok(Response::from_parts(parts, body.collect().await?.to_bytes()))
}
