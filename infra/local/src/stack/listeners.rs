//! The ports, bound before anything else starts.

use tokio::net::TcpListener;
use tokio::runtime::Handle;

use crate::args::{Ports, RunOptions};
use crate::error::LocalError;
use crate::listen::listen;
use crate::threads::ServerThreads;

/// The listeners of the parts that run in this process.
pub(super) struct Listeners {
    /// `None` if `cargo lambda watch` serves the functions.
    pub(super) http: Option<TcpListener>,
    pub(super) dynamodb: TcpListener,
}

impl Listeners {
    /// Binds the ports.
    ///
    /// # Errors
    /// If another program listens on one of them.
    pub(super) fn bind(
        arguments: &RunOptions,
        ports: &Ports,
        threads: &ServerThreads,
    ) -> Result<Self, LocalError> {
        let http = match arguments.no_functions {
            true => None,
            false => Some(bind(threads.gateway(), ports.http_port, "the HTTP API", "--http-port")?),
        };
        let dynamodb = bind(threads.store(), ports.dynamodb_port, "the DynamoDB store", "--dynamodb-port")?;
        // The queue's own process listens here: bind to see whether the port is free, then release
        // it.
        drop(bind(threads.gateway(), ports.sqs_port, "the SQS queue", "--sqs-port")?);
        Ok(Self { http, dynamodb })
    }
}

/// Binds a port for a server on a thread: what happens there is noticed by its runtime.
fn bind(
    thread: &Handle,
    port: u16,
    service: &'static str,
    flag: &'static str,
) -> Result<TcpListener, LocalError> {
    let _thread = thread.enter();
    listen(port).map_err(|source| LocalError::PortTaken { port, service, flag, source })
}
