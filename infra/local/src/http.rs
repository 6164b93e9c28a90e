//! A few lines of HTTP client for loopback: readiness checks, and invoking functions of another gateway.

use std::time::Duration;

use axum::body::Bytes;
use axum::http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio_util::task::AbortOnDropHandle;

/// Why a request had no answer.
#[derive(Debug, thiserror::Error)]
pub enum LocalHttpError {
    /// Nobody listens, or the connection broke.
    #[error("connection: {0}")]
    Connection(#[from] std::io::Error),
    /// The other side does not speak HTTP.
    #[error("protocol: {0}")]
    Protocol(#[from] hyper::Error),
    /// No answer in time.
    #[error("no answer in time")]
    TimedOut,
}

/// Sends one request to `127.0.0.1:port` over a connection of its own and reads the whole answer.
///
/// # Errors
/// When there is no complete answer within `patience`.
pub async fn request(
    port: u16,
    request: Request<Bytes>,
    patience: Duration,
) -> Result<Response<Bytes>, LocalHttpError> {
    tokio::time::timeout(patience, exchange(port, request)).await.map_err(|_| LocalHttpError::TimedOut)?
}

async fn exchange(port: u16, request: Request<Bytes>) -> Result<Response<Bytes>, LocalHttpError> {
    let stream = TcpStream::connect(("127.0.0.1", port)).await?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    // The answer tells more than the connection's own end does, and leaving ends the connection.
    let _driver = AbortOnDropHandle::new(tokio::spawn(connection));
    let (mut parts, body) = request.into_parts();
    parts.headers.entry("host").or_insert(axum::http::HeaderValue::from_static("127.0.0.1"));
    let answer = sender.send_request(Request::from_parts(parts, Full::new(body))).await?;
    let (parts, body) = answer.into_parts();
    Ok(Response::from_parts(parts, body.collect().await?.to_bytes()))
}
