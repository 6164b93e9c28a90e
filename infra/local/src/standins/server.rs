//! An HTTP server on a free port of loopback.

use axum::Router;
use axum::http::{HeaderMap, header};
use tokio::net::TcpListener;
use tokio_util::sync::{CancellationToken, DropGuard};

/// A server that listens until it is dropped.
pub(super) struct LoopbackServer {
    /// Host and port.
    pub(super) address: String,
    _stop: DropGuard,
}

impl LoopbackServer {
    /// Starts a server.
    ///
    /// # Errors
    /// If there is no free port.
    pub(super) async fn start(router: Router) -> std::io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?.to_string();
        let stop = CancellationToken::new();
        let stopped = stop.clone().cancelled_owned();
        tokio::spawn(async move {
            tokio::select! {
                // It accepts for ever; a connection that fails concerns its client only.
                served = axum::serve(listener, router) => drop(served),
                () = stopped => {}
            }
        });
        Ok(Self { address, _stop: stop.drop_guard() })
    }
}

/// The header `Authorization`.
pub(super) fn authorization(headers: &HeaderMap) -> Option<String> {
    headers.get(header::AUTHORIZATION)?.to_str().ok().map(str::to_owned)
}
