//! The API key and the namespace: a server that speaks gRPC writes down what comes with each call of sync and executor.

use crate::fake::sync_over;
use crate::tls::{acceptor, again_with};
use command_executor::pause::PauseSchedules;
use command_executor::temporal::TemporalPauses;
use http::{HeaderMap, HeaderValue, Response};
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::time::{Duration, Instant};
use torale_platform::config::TemporalSettings;
use torale_platform::store::Usage;
use torale_temporal::connection::{TemporalConnection, TemporalError};
use torale_temporal::reads::ReadTemporal;
use torale_testkit::sqs::FakeSqs;
use torale_testkit::stack::Stack;
use torale_testkit::switches;

const KEY: &str = "key-of-the-namespace";
const NAMESPACE: &str = "example.a1b2c";
/// The first call of each connection: what the server can do.
pub(crate) const FIRST: &str = "GetSystemInfo";
/// Where the process that a test starts finds the server.
const ADDRESS: &str = "TORALE_TEMPORAL_API_KEY_AT";

pub(crate) fn settings(address: &str, api_key: Option<&str>) -> TemporalSettings {
    TemporalSettings {
        address: address.to_owned(),
        namespace: NAMESPACE.to_owned(),
        api_key: api_key.map(str::to_owned),
        timeout: Duration::from_secs(30),
    }
}

/// The calls that came: each method with the metadata `authorization` and `temporal-namespace`.
#[derive(Debug, Clone, Default)]
pub(crate) struct Calls {
    noted: Arc<Mutex<Vec<[String; 3]>>>,
    /// The gRPC status that calls are answered with, and over how many connections; success over all others.
    refusal: Arc<Mutex<(&'static str, usize)>>,
}

impl Calls {
    fn note(&self, request: &http::request::Parts) {
        let method = request.uri.path().rsplit('/').next().unwrap().to_owned();
        let metadata = |name| {
            let value = request.headers.get(name).map(|value| value.to_str().unwrap());
            value.unwrap_or("none").to_owned()
        };
        let call = [method, metadata("authorization"), metadata("temporal-namespace")];
        self.noted.lock().unwrap().push(call);
    }

    fn noted(&self) -> BTreeSet<[String; 3]> {
        self.noted.lock().unwrap().iter().cloned().collect()
    }

    /// How many calls of a method came.
    pub(crate) fn of(&self, method: &str) -> usize {
        self.noted.lock().unwrap().iter().filter(|call| call[0] == method).count()
    }

    /// From now on, calls over the first connections are answered with this gRPC status, but for a connection's first.
    pub(crate) fn refuse(&self, status: &'static str, connections: usize) {
        *self.refusal.lock().unwrap() = (status, connections);
    }

    /// Answers each call of a connection with an empty message.
    async fn serve(self, io: impl AsyncRead + AsyncWrite + Unpin) {
        let before = self.of(FIRST);
        let mut connection = h2::server::Builder::new().handshake::<_, &[u8]>(io).await.unwrap();
        // It ends with an error where the client drops it.
        while let Some(Ok((request, mut respond))) = connection.accept().await {
            let (parts, mut body) = request.into_parts();
            self.note(&parts);
            tokio::spawn(async move { while let Some(Ok(_)) = body.data().await {} });
            let head = Response::builder().header("content-type", "application/grpc");
            let (status, connections) = *self.refusal.lock().unwrap();
            if before < connections && !parts.uri.path().ends_with(FIRST) {
                let refused = head.header("grpc-status", status).body(()).unwrap();
                respond.send_response(refused, true).unwrap();
                continue;
            }
            let head = head.body(()).unwrap();
            let mut answer = respond.send_response(head, false).unwrap();
            answer.send_data(&[0; 5], false).unwrap();
            let status = [("grpc-status".parse().unwrap(), HeaderValue::from_static("0"))];
            answer.send_trailers(HeaderMap::from_iter(status)).unwrap();
        }
    }
}

/// A server on an address of this machine, with TLS or without: its port, the calls that come, and its certificate.
pub(crate) async fn start(on: &str, with_tls: bool) -> (u16, Calls, String) {
    let (acceptor, certificate) = acceptor();
    let listener = TcpListener::bind((on, 0)).await.unwrap();
    let (port, calls) = (listener.local_addr().unwrap().port(), Calls::default());
    let serving = calls.clone();
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let (calls, acceptor) = (serving.clone(), acceptor.clone());
            tokio::spawn(async move {
                if !with_tls {
                    return calls.serve(client).await;
                }
                // A client that does not trust the certificate goes away.
                if let Ok(client) = acceptor.accept(client).await {
                    calls.serve(client).await;
                }
            });
        }
    });
    (port, calls, certificate)
}

/// A whole run of the sync, which finds no schedule to describe, one description, and a pause of the executor.
async fn sync_and_pause(settings: &TemporalSettings) -> Result<(), TemporalError> {
    let (stack, sqs) = (Stack::start().await, FakeSqs::default());
    let sync = sync_over(TemporalConnection::new(settings.clone()), NAMESPACE, stack.store(), &sqs);
    let until = Instant::now() + Duration::from_secs(600);
    sync.run(until, until, &Usage::default()).await.unwrap();
    sync.temporal.schedule("schedule-1").await?;
    TemporalPauses::new(settings.clone()).pause("schedule-1", "a note").await.map(drop)
}

/// What both call, with a key: the first call of a connection asks what the server can do, and is about no namespace.
fn calls_with(authorization: &str) -> BTreeSet<[String; 3]> {
    let of_namespace = [
        "ListSchedules",
        "DescribeSchedule",
        "CountWorkflowExecutions",
        "ListWorkflowExecutions",
        "PatchSchedule",
    ];
    let all = of_namespace.map(|method| [method, authorization, NAMESPACE]).into_iter();
    all.chain([[FIRST, authorization, "none"]]).map(|call| call.map(str::to_owned)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn api_key_and_namespace_come_with_every_call_of_sync_and_executor_over_tls() {
    if let Some(address) = switches::text(ADDRESS) {
        return sync_and_pause(&settings(&address, Some(KEY))).await.unwrap();
    }
    let (port, calls, certificate) = start("127.0.0.1", true).await;

    let name = "api_key::api_key_and_namespace_come_with_every_call_of_sync_and_executor_over_tls";
    again_with(name, &certificate, (ADDRESS, &format!("localhost:{port}"))).await;

    assert_eq!(calls.noted(), calls_with(&format!("Bearer {KEY}")));
}

#[tokio::test(flavor = "multi_thread")]
async fn api_key_is_not_shown_to_a_server_whose_certificate_is_not_trusted() {
    let (port, calls, _) = start("127.0.0.1", true).await;

    let failed = TemporalPauses::new(settings(&format!("localhost:{port}"), Some(KEY))).pause("s", "n").await;

    assert!(matches!(failed, Err(TemporalError::Unreachable(_))), "{failed:?}");
    assert_eq!(calls.noted(), BTreeSet::new());
}

/// A server for development; another machine gets it encrypted or not at all, and nothing is connected to.
#[tokio::test(flavor = "multi_thread")]
async fn api_key_goes_unencrypted_to_loopback_alone() {
    let (local, here, _) = start("127.0.0.1", false).await;
    let (other, there, _) = start("127.0.0.2", false).await;

    sync_and_pause(&settings(&format!("http://127.0.0.1:{local}"), Some(KEY))).await.unwrap();
    let pauses = TemporalPauses::new(settings(&format!("http://127.0.0.2:{other}"), Some(KEY)));
    let refused = pauses.pause("schedule-1", "a note").await;
    let without_key = TemporalPauses::new(settings(&format!("http://127.0.0.2:{other}"), None));
    without_key.pause("schedule-1", "a note").await.unwrap();

    assert_eq!(here.noted(), calls_with(&format!("Bearer {KEY}")));
    assert!(matches!(refused, Err(TemporalError::Misconfigured)), "{refused:?}");
    let unkeyed = [["GetSystemInfo", "none", "none"], ["PatchSchedule", "none", NAMESPACE]];
    assert_eq!(there.noted(), unkeyed.map(|call| call.map(str::to_owned)).into());
}
