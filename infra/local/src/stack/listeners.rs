//! The ports, bound before anything else starts.

use tokio::net::TcpListener;

use crate::args::{Ports, RunOptions};
use crate::error::LocalError;
use crate::listen::listen;

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
    pub(super) fn bind(arguments: &RunOptions, ports: &Ports) -> Result<Self, LocalError> {
        let http = match arguments.no_functions {
            true => None,
            false => Some(bind(ports.http_port, "the HTTP API", "--http-port")?),
        };
        let dynamodb = bind(ports.dynamodb_port, "the DynamoDB store", "--dynamodb-port")?;
        // The queue's own process listens here: bind to see whether the port is free, then release
        // it.
        drop(bind(ports.sqs_port, "the SQS queue", "--sqs-port")?);
        Ok(Self { http, dynamodb })
    }
}

fn bind(port: u16, service: &'static str, flag: &'static str) -> Result<TcpListener, LocalError> {
    listen(port).map_err(|source| LocalError::PortTaken { port, service, flag, source })
}
