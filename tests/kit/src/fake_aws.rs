//! A service of AWS in process: a closure answers what the SDK sends.

use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient,
    SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_runtime_api::shared::IntoShared;
use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex};

/// What happens to one call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CallFate {
    /// An answer of this status and error code.
    Fails(u16, &'static str),
    /// No connection.
    Unreachable,
    /// No answer, ever.
    Hangs,
    /// Of a batch of messages those at even positions are taken, the others refused: for good if it is the sender's
    /// fault.
    Halves {
        /// Whether a message will never be taken.
        sender_fault: bool,
    },
    /// The batch is taken, but the answer names no message.
    Silent,
}

/// The fates of the calls to a service: some in turn, then always the same or none.
#[derive(Debug, Default)]
pub struct Fates {
    next: VecDeque<CallFate>,
    always: Option<CallFate>,
}

impl Fates {
    /// The next calls have these fates, and all others none.
    pub fn of(fates: impl IntoIterator<Item = CallFate>) -> Self {
        Self { next: fates.into_iter().collect(), always: None }
    }

    /// Every call has this fate.
    pub fn always(fate: CallFate) -> Self {
        Self { next: VecDeque::new(), always: Some(fate) }
    }

    /// The next call's.
    pub fn of_next_call(&mut self) -> Option<CallFate> {
        self.next.pop_front().or(self.always)
    }
}

/// What comes of a call: an answer, none ever, or no connection.
pub type CallResult = Result<Option<HttpResponse>, ConnectorError>;

/// There is no connection.
pub fn unreachable() -> CallResult {
    Err(ConnectorError::io("connection refused".into()))
}

/// What an SDK's client sends its requests to.
pub fn http_client(answer: impl Fn(&HttpRequest) -> CallResult + Send + Sync + 'static) -> SharedHttpClient {
    FakeService(Arc::new(answer)).into_shared()
}

#[derive(Clone)]
struct FakeService(Arc<dyn Fn(&HttpRequest) -> CallResult + Send + Sync>);

impl fmt::Debug for FakeService {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FakeService")
    }
}

impl HttpConnector for FakeService {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        match (self.0)(&request) {
            Ok(Some(answer)) => HttpConnectorFuture::ready(Ok(answer)),
            Ok(None) => HttpConnectorFuture::new(std::future::pending()),
            Err(error) => HttpConnectorFuture::ready(Err(error)),
        }
    }
}

impl HttpClient for FakeService {
    fn http_connector(&self, _: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}

/// State that a fake and its clients share.
pub type Shared<T> = Arc<Mutex<T>>;
