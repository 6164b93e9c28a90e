//! SQS in process: takes what `SendMessageBatch` brings, or does what a test says instead.

use aws_sdk_sqs::config::{BehaviorVersion, Builder, Credentials, Region, RuntimeComponents};
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_types::body::SdkBody;
use serde_json::{Value, json};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use torale_platform::queue::MessageQueue;

/// The URL that this SQS gives its one queue.
pub const URL: &str = "https://sqs.us-east-1.amazonaws.com/000000000000/torale-events";

/// What happens to one call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MessageFate {
    /// An answer of this status and error code.
    Fails(u16, &'static str),
    /// No connection.
    Unreachable,
    /// No answer, ever.
    Hangs,
    /// The messages at even places of the batch are taken, the others handed back; if it is the sender's fault, for good.
    Halves {
        /// Whether a message will never be taken.
        sender_fault: bool,
    },
    /// All is well, but the answer names no message.
    Silent,
}

/// A queue of events in memory.
#[derive(Debug, Clone, Default)]
pub struct Sqs {
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    fates: VecDeque<MessageFate>,
    always: Option<MessageFate>,
    calls: Vec<String>,
    taken: Vec<String>,
}

impl Sqs {
    /// The next calls go so; after them all is well.
    pub fn with(fates: impl IntoIterator<Item = MessageFate>) -> Self {
        let state = State { fates: fates.into_iter().collect(), ..State::default() };
        Self { state: Arc::new(Mutex::new(state)) }
    }

    /// Every call goes so.
    pub fn always(fate: MessageFate) -> Self {
        Self { state: Arc::new(Mutex::new(State { always: Some(fate), ..State::default() })) }
    }

    /// The platform's client of this SQS; without a URL it has to ask.
    pub fn queue(&self, url: Option<&str>) -> MessageQueue {
        let config = Builder::default()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::from_static("us-east-1"))
            .credentials_provider(Credentials::new("test", "test", None, None, "test"))
            .http_client(self.clone());
        MessageQueue::new(config, url.map(str::to_owned))
    }

    /// The messages that were taken, in order.
    pub fn taken(&self) -> Vec<String> {
        self.state.lock().unwrap().taken.clone()
    }

    /// The operations that were asked for, in order.
    pub fn calls(&self) -> Vec<String> {
        self.state.lock().unwrap().calls.clone()
    }
}

impl State {
    fn answer(&mut self, request: &HttpRequest) -> Result<Option<HttpResponse>, ConnectorError> {
        let operation = request.headers().get("x-amz-target").unwrap().rsplit_once('.').unwrap().1.to_owned();
        self.calls.push(operation.clone());
        let body: Value = serde_json::from_slice(request.body().bytes().unwrap()).unwrap();
        let fate = self.fates.pop_front().or(self.always);
        match fate {
            Some(MessageFate::Unreachable) => Err(ConnectorError::io("connection refused".into())),
            Some(MessageFate::Hangs) => Ok(None),
            Some(MessageFate::Fails(status, code)) => {
                Ok(Some(response(status, &json!({ "__type": code, "message": "no" }))))
            }
            Some(MessageFate::Halves { .. } | MessageFate::Silent) | None if operation == "GetQueueUrl" => {
                assert_eq!(body, json!({ "QueueName": "torale-events" }));
                Ok(Some(response(200, &json!({ "QueueUrl": URL }))))
            }
            None if operation == "GetQueueAttributes" => {
                let waiting = self.taken.len().to_string();
                let numbers = json!({ "ApproximateNumberOfMessages": waiting, "ApproximateNumberOfMessagesDelayed": "0",
                    "ApproximateNumberOfMessagesNotVisible": "1" });
                Ok(Some(response(200, &json!({ "Attributes": numbers }))))
            }
            Some(MessageFate::Silent) => Ok(Some(response(200, &json!({ "Successful": [], "Failed": [] })))),
            Some(MessageFate::Halves { sender_fault }) => Ok(Some(self.take(&body, Some(sender_fault)))),
            None => Ok(Some(self.take(&body, None))),
        }
    }

    /// Takes a batch as SQS would, with its limits; of a half one the entries at even places.
    fn take(&mut self, body: &Value, half: Option<bool>) -> HttpResponse {
        assert_eq!(body["QueueUrl"], URL);
        let entries = body["Entries"].as_array().unwrap();
        assert!((1..=10).contains(&entries.len()));
        let (mut successful, mut failed) = (Vec::new(), Vec::new());
        for (place, entry) in entries.iter().enumerate() {
            match half {
                Some(sender_fault) if place % 2 == 1 => {
                    failed.push(
                        json!({ "Id": entry["Id"], "Code": "InternalError", "SenderFault": sender_fault }),
                    );
                }
                Some(_) | None => {
                    self.taken.push(entry["MessageBody"].as_str().unwrap().to_owned());
                    successful.push(json!({ "Id": entry["Id"], "MessageId": "m", "MD5OfMessageBody": "0" }));
                }
            }
        }
        response(200, &json!({ "Successful": successful, "Failed": failed }))
    }
}

fn response(status: u16, body: &Value) -> HttpResponse {
    HttpResponse::new(status.try_into().unwrap(), SdkBody::from(body.to_string()))
}

impl HttpConnector for Sqs {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        match self.state.lock().unwrap().answer(&request) {
            Ok(Some(answer)) => HttpConnectorFuture::ready(Ok(answer)),
            Ok(None) => HttpConnectorFuture::new(std::future::pending()),
            Err(error) => HttpConnectorFuture::ready(Err(error)),
        }
    }
}

impl HttpClient for Sqs {
    fn http_connector(&self, _: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}
