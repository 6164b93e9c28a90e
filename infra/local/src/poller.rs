//! Lambda's event source mapping: receives messages, gathers batches, invokes the function, and settles
//! each message by what the function said.

use std::future::Future;
use std::time::Duration;

use aws_sdk_sqs::types::Message;
use axum::body::Bytes;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use tokio::time::Instant;

use crate::console::Console;
use crate::failure::LocalError;
use crate::queue::{self, LocalQueue};

/// An invocation's event may not exceed 6 MB; bodies grow when they are escaped into JSON.
const BATCH_BYTES: usize = 3 * 1024 * 1024;
const LONG_POLL: Duration = Duration::from_secs(20);
/// A queue that fails is asked again after this long.
const PAUSE: Duration = Duration::from_secs(1);
/// SQS settles this many messages in one call.
const CHUNK: usize = 10;

/// Where messages come from.
pub trait Source: Send + Sync {
    /// Receives up to `most` messages (10 at most), waiting for the first.
    fn receive(
        &self,
        most: usize,
        wait: Duration,
    ) -> impl Future<Output = Result<Vec<Message>, LocalError>> + Send;
    /// Deletes up to 10 messages.
    fn delete(&self, handles: &[String]) -> impl Future<Output = Result<(), LocalError>> + Send;
    /// Makes up to 10 messages visible again after a pause.
    fn release(
        &self,
        handles: &[String],
        pause: Duration,
    ) -> impl Future<Output = Result<(), LocalError>> + Send;
}

impl Source for LocalQueue {
    async fn receive(&self, most: usize, wait: Duration) -> Result<Vec<Message>, LocalError> {
        LocalQueue::receive(self, most, wait).await
    }

    async fn delete(&self, handles: &[String]) -> Result<(), LocalError> {
        LocalQueue::delete(self, handles).await
    }

    async fn release(&self, handles: &[String], pause: Duration) -> Result<(), LocalError> {
        LocalQueue::release(self, handles, pause).await
    }
}

/// The function that a batch is given to.
pub trait InvokeTarget: Send + Sync {
    /// Invokes it with an SQS event: its result, or `None` when it failed.
    fn invoke(&self, event: Bytes) -> impl Future<Output = Option<Bytes>> + Send;
}

/// How batches are cut.
#[derive(Debug, Clone)]
pub struct Batching {
    /// Messages at most.
    pub size: usize,
    /// How long to gather after the first message.
    pub window: Duration,
    /// When a failed message is received again.
    pub retry_after: Duration,
}

/// One queue's mapping to one function.
pub struct Poller<S, T> {
    /// The queue's name.
    pub name: &'static str,
    /// The queue.
    pub source: S,
    /// The function.
    pub target: T,
    /// How batches are cut.
    pub batching: Batching,
    /// Where trouble is reported.
    pub console: Console,
}

impl<S: Source, T: InvokeTarget> Poller<S, T> {
    /// Works until the future is dropped.
    pub async fn run(&self) {
        loop {
            if let Err(error) = self.turn(LONG_POLL).await {
                self.console.note(format!("{}: {error}", self.name));
                tokio::time::sleep(PAUSE).await;
            }
        }
    }

    /// One batch, if there is one within `wait`: how many messages it had.
    ///
    /// # Errors
    /// When the queue cannot be used.
    pub async fn turn(&self, wait: Duration) -> Result<usize, LocalError> {
        let first = self.source.receive(self.batching.size.clamp(1, CHUNK), wait).await?;
        if first.is_empty() {
            return Ok(0);
        }
        let batch = self.gather(first).await?;
        let event = Bytes::from(event(self.name, &batch).to_string());
        let result = self.target.invoke(event).await;
        let failed = result.and_then(|result| failures(&result, &batch));
        let failed = failed.unwrap_or_else(|| vec![true; batch.len()]);
        let failures = failed.iter().filter(|failed| **failed).count();
        if failures > 0 {
            let (of, pause) = (batch.len(), self.batching.retry_after);
            self.console
                .note(format!("{}: {failures} of {of} messages failed, again in {pause:?}", self.name));
        }
        self.settle(&batch, &failed).await?;
        Ok(batch.len())
    }

    /// Receives until the batch is full or the window has passed. No receive is ever cut short: what it
    /// had received would stay invisible.
    async fn gather(&self, first: Vec<Message>) -> Result<Vec<Message>, LocalError> {
        let end = Instant::now() + self.batching.window;
        let mut batch = first;
        let mut bytes: usize = batch.iter().map(size).sum();
        while batch.len() < self.batching.size && bytes < BATCH_BYTES {
            let most = CHUNK.min(self.batching.size - batch.len());
            let left = end.saturating_duration_since(Instant::now());
            let more = self.source.receive(most, Duration::from_secs(left.as_secs())).await?;
            let came = more.len();
            bytes += more.iter().map(size).sum::<usize>();
            batch.extend(more);
            if came < most {
                if end <= Instant::now() {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
        Ok(batch)
    }

    async fn settle(&self, batch: &[Message], failed: &[bool]) -> Result<(), LocalError> {
        let handles = |wanted: bool| -> Vec<String> {
            let chosen = batch.iter().zip(failed).filter(|(_, failed)| **failed == wanted);
            chosen.filter_map(|(message, _)| message.receipt_handle().map(str::to_owned)).collect()
        };
        for handles in handles(false).chunks(CHUNK) {
            self.source.delete(handles).await?;
        }
        for handles in handles(true).chunks(CHUNK) {
            self.source.release(handles, self.batching.retry_after).await?;
        }
        Ok(())
    }
}

fn size(message: &Message) -> usize {
    message.body().map_or(0, str::len)
}

/// The event that Lambda makes of received messages.
fn event(queue: &str, batch: &[Message]) -> Value {
    let records: Vec<Value> = batch.iter().map(|message| record(queue, message)).collect();
    json!({ "Records": records })
}

fn record(queue: &str, message: &Message) -> Value {
    let attributes: Map<String, Value> = message
        .attributes()
        .into_iter()
        .flatten()
        .map(|(name, value)| (name.as_str().to_owned(), Value::String(value.clone())))
        .collect();
    json!({
        "messageId": message.message_id(),
        "receiptHandle": message.receipt_handle(),
        "body": message.body(),
        "attributes": attributes,
        "messageAttributes": {},
        "md5OfBody": message.md5_of_body(),
        "eventSource": "aws:sqs",
        "eventSourceARN": queue::arn(queue),
        "awsRegion": "us-east-1",
    })
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct BatchResponse {
    #[serde(default)]
    batch_item_failures: Option<Vec<BatchItemFailure>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct BatchItemFailure {
    item_identifier: String,
}

/// Which messages failed, or `None` when the whole batch did: Lambda takes a response that it cannot read,
/// or that names a message it did not send, as a failure of all.
fn failures(result: &Bytes, batch: &[Message]) -> Option<Vec<bool>> {
    let response: Option<BatchResponse> =
        if result.is_empty() { None } else { serde_json::from_slice(result).ok()? };
    let named = response.and_then(|response| response.batch_item_failures).unwrap_or_default();
    let mut failed = vec![false; batch.len()];
    for failure in named {
        let id = failure.item_identifier.as_str();
        let position = batch.iter().position(|message| message.message_id() == Some(id))?;
        *failed.get_mut(position)? = true;
    }
    Some(failed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::VecDeque;
    use std::sync::Mutex;

    #[derive(Default)]
    struct FakeQueue {
        waiting: Mutex<VecDeque<Message>>,
        deleted: Mutex<Vec<String>>,
        released: Mutex<Vec<String>>,
    }

    impl FakeQueue {
        fn with(count: usize) -> Self {
            let message = |number: usize| {
                Message::builder()
                    .message_id(format!("m{number}"))
                    .receipt_handle(format!("h{number}"))
                    .body(format!("{{\"n\":{number}}}"))
                    .build()
            };
            Self { waiting: Mutex::new((0..count).map(message).collect()), ..Self::default() }
        }
    }

    impl Source for &FakeQueue {
        async fn receive(&self, most: usize, _wait: Duration) -> Result<Vec<Message>, LocalError> {
            assert!((1..=CHUNK).contains(&most));
            let mut waiting = self.waiting.lock().unwrap();
            let count = waiting.len().min(most);
            Ok(waiting.drain(..count).collect())
        }

        async fn delete(&self, handles: &[String]) -> Result<(), LocalError> {
            assert!(handles.len() <= CHUNK);
            self.deleted.lock().unwrap().extend_from_slice(handles);
            Ok(())
        }

        async fn release(&self, handles: &[String], pause: Duration) -> Result<(), LocalError> {
            assert!(handles.len() <= CHUNK);
            assert_eq!(pause, Duration::from_secs(3));
            self.released.lock().unwrap().extend_from_slice(handles);
            Ok(())
        }
    }

    /// Its answer, and the sizes of the batches that it got.
    struct FakeFunction(Option<&'static str>, Mutex<Vec<usize>>);

    impl FakeFunction {
        fn answering(answer: Option<&'static str>) -> Self {
            Self(answer, Mutex::default())
        }
    }

    impl InvokeTarget for &FakeFunction {
        async fn invoke(&self, event: Bytes) -> Option<Bytes> {
            let event: Value = serde_json::from_slice(&event).unwrap();
            let records = event["Records"].as_array().unwrap();
            assert!(records.iter().all(|record| record["eventSource"] == "aws:sqs"));
            self.1.lock().unwrap().push(records.len());
            self.0.map(|answer| Bytes::from_static(answer.as_bytes()))
        }
    }

    fn poller<'a>(
        source: &'a FakeQueue,
        target: &'a FakeFunction,
        size: usize,
    ) -> Poller<&'a FakeQueue, &'a FakeFunction> {
        let batching = Batching { size, window: Duration::from_secs(1), retry_after: Duration::from_secs(3) };
        Poller { name: "torale-events", source, target, batching, console: Console::default() }
    }

    /// Sends `count` messages in one batch to a function with that answer: what was deleted, what released.
    async fn settled(count: usize, answer: Option<&'static str>) -> (usize, Vec<String>) {
        let (queue, function) = (FakeQueue::with(count), FakeFunction::answering(answer));
        let turned = poller(&queue, &function, 1000).turn(Duration::ZERO).await.unwrap();
        assert_eq!(turned, count);
        (queue.deleted.lock().unwrap().len(), queue.released.lock().unwrap().clone())
    }

    #[tokio::test(start_paused = true)]
    async fn a_batch_without_failures_is_deleted() {
        for answer in ["", "null", "{}", r#"{"batchItemFailures":[]}"#, r#"{"batchItemFailures":null}"#] {
            assert_eq!(settled(25, Some(answer)).await, (25, vec![]), "{answer}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn failed_messages_come_again_and_the_others_do_not() {
        let answer = r#"{"batchItemFailures":[{"itemIdentifier":"m3"},{"itemIdentifier":"m12"}]}"#;
        assert_eq!(settled(25, Some(answer)).await, (23, vec!["h3".to_owned(), "h12".to_owned()]));
    }

    #[tokio::test(start_paused = true)]
    async fn an_unreadable_answer_or_an_unknown_message_fails_the_whole_batch() {
        let whole = [
            Some("no json"),
            Some(r#"{"batchItemFailures":[{"itemIdentifier":""}]}"#),
            Some(r#"{"batchItemFailures":[{"itemIdentifier":null}]}"#),
            Some(r#"{"batchItemFailures":[{"itemIdentifier":"stranger"}]}"#),
            None,
        ];
        for answer in whole {
            let (deleted, released) = settled(12, answer).await;
            assert_eq!((deleted, released.len()), (0, 12), "{answer:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn batches_are_cut_at_their_size() {
        let (queue, function) = (FakeQueue::with(95), FakeFunction::answering(Some("")));
        let poller = poller(&queue, &function, 44);
        while poller.turn(Duration::ZERO).await.unwrap() > 0 {}
        assert_eq!(*function.1.lock().unwrap(), [44, 44, 7]);
    }

    #[tokio::test(start_paused = true)]
    async fn the_window_ends_a_batch_that_is_not_full() {
        let (queue, function) = (FakeQueue::with(3), FakeFunction::answering(Some("")));
        let start = Instant::now();
        poller(&queue, &function, 1000).turn(Duration::ZERO).await.unwrap();
        assert!(start.elapsed() >= Duration::from_secs(1));
        assert_eq!(*function.1.lock().unwrap(), [3]);
    }
}
