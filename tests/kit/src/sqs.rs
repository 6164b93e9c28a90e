//! SQS in process: takes what `SendMessageBatch` brings, or does what a test says instead.

use crate::fake_aws::{self, CallFate, CallResult, Fates, Shared};
use aws_sdk_sqs::config::{BehaviorVersion, Builder, Credentials, Region};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_types::body::SdkBody;
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};
use torale_platform::queue::MessageQueue;

/// The URL that this SQS gives its one queue.
pub const URL: &str = "https://sqs.us-east-1.amazonaws.com/000000000000/torale-events";

/// SQS with one queue in memory; clones are the same queue.
#[derive(Debug, Clone, Default)]
pub struct FakeSqs {
    state: Shared<State>,
}

#[derive(Debug, Default)]
struct State {
    fates: Fates,
    calls: Vec<String>,
    taken: Vec<String>,
    /// Messages with this text are never taken.
    refused: Option<&'static str>,
}

impl FakeSqs {
    /// The next calls have these fates; after them all is well.
    pub fn with(fates: impl IntoIterator<Item = CallFate>) -> Self {
        Self::of(Fates::of(fates))
    }

    /// Every call has this fate.
    pub fn always(fate: CallFate) -> Self {
        Self::of(Fates::always(fate))
    }

    /// Messages with this text are refused for good, as SQS refuses some characters.
    pub fn refusing(text: &'static str) -> Self {
        Self { state: Arc::new(Mutex::new(State { refused: Some(text), ..State::default() })) }
    }

    /// Nobody can reach it.
    pub fn unreachable() -> Self {
        Self::always(CallFate::Unreachable)
    }

    fn of(fates: Fates) -> Self {
        Self { state: Arc::new(Mutex::new(State { fates, ..State::default() })) }
    }

    /// The platform's client, which knows the queue's URL.
    pub fn client(&self) -> MessageQueue {
        self.queue(Some(URL))
    }

    /// The platform's client with or without the queue's URL; without one it has to look it up.
    pub fn queue(&self, url: Option<&str>) -> MessageQueue {
        let state = Arc::clone(&self.state);
        let config = Builder::default()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::from_static("us-east-1"))
            .credentials_provider(Credentials::new("test", "test", None, None, "test"))
            .http_client(fake_aws::http_client(move |request| state.lock().unwrap().answer(request)));
        MessageQueue::new(config, url.map(str::to_owned))
    }

    /// The messages that were taken, in order.
    pub fn taken(&self) -> Vec<String> {
        self.state.lock().unwrap().taken.clone()
    }

    /// The operations that were called, in order.
    pub fn calls(&self) -> Vec<String> {
        self.state.lock().unwrap().calls.clone()
    }
}

impl State {
    fn answer(&mut self, request: &HttpRequest) -> CallResult {
        let operation = request.headers().get("x-amz-target").unwrap().rsplit_once('.').unwrap().1.to_owned();
        self.calls.push(operation.clone());
        let body: Value = serde_json::from_slice(request.body().bytes().unwrap()).unwrap();
        match self.fates.of_next_call() {
            Some(CallFate::Unreachable) => fake_aws::unreachable(),
            Some(CallFate::Hangs) => Ok(None),
            Some(CallFate::Fails(status, code)) => {
                Ok(Some(response(status, &json!({ "__type": code, "message": "no" }))))
            }
            Some(CallFate::Halves { .. } | CallFate::Silent) | None if operation == "GetQueueUrl" => {
                assert_eq!(body, json!({ "QueueName": "torale-events" }));
                Ok(Some(response(200, &json!({ "QueueUrl": URL }))))
            }
            None if operation == "GetQueueAttributes" => {
                let waiting = self.taken.len().to_string();
                let numbers = json!({ "ApproximateNumberOfMessages": waiting, "ApproximateNumberOfMessagesDelayed": "0",
                    "ApproximateNumberOfMessagesNotVisible": "1" });
                Ok(Some(response(200, &json!({ "Attributes": numbers }))))
            }
            Some(CallFate::Silent) => Ok(Some(response(200, &json!({ "Successful": [], "Failed": [] })))),
            Some(CallFate::Halves { sender_fault }) => Ok(Some(self.take(&body, Some(sender_fault)))),
            None => Ok(Some(self.take(&body, None))),
        }
    }

    /// Takes a batch as SQS would, with its limits; of a halved one the entries at even positions.
    fn take(&mut self, body: &Value, half: Option<bool>) -> HttpResponse {
        assert_eq!(body["QueueUrl"], URL);
        let entries = body["Entries"].as_array().unwrap();
        assert!((1..=10).contains(&entries.len()));
        let (mut successful, mut failed) = (Vec::new(), Vec::new());
        for (position, entry) in entries.iter().enumerate() {
            let text = entry["MessageBody"].as_str().unwrap();
            let refused = text.contains(['\u{fffe}', '\u{ffff}']);
            if refused || self.refused.is_some_and(|refused| text.contains(refused)) {
                failed.push(
                    json!({ "Id": entry["Id"], "Code": "InvalidMessageContents", "SenderFault": true }),
                );
                continue;
            }
            match half {
                Some(sender_fault) if position % 2 == 1 => {
                    failed.push(
                        json!({ "Id": entry["Id"], "Code": "InternalError", "SenderFault": sender_fault }),
                    );
                }
                Some(_) | None => {
                    self.taken.push(text.to_owned());
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
