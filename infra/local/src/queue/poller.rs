//! Lambda's event source mapping: receives messages, collects batches, invokes the function, and
//! deletes or releases each message by the function's answer.

use std::future::Future;
use std::time::Duration;

use aws_sdk_sqs::types::Message;
use axum::body::Bytes;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use tokio::time::Instant;

use super::client::{self, LocalQueue, MAX_BATCH};
use crate::console::Console;
use crate::error::LocalError;
use crate::functions::invoke::InvokeFunction;

/// Stops collecting. An invocation's event is at most 6 MB, and escaping into JSON makes bodies
/// longer.
const BATCH_BYTES: usize = 3 * 1024 * 1024;
const LONG_POLL: Duration = Duration::from_secs(20);
/// How long to wait after an error of the queue.
const ERROR_PAUSE: Duration = Duration::from_secs(1);

/// A queue, as the poller uses it.
pub trait MessageSource: Send + Sync {
    /// Receives up to `most` messages (10 at most), waiting for the first.
    fn receive(
        &self,
        most: usize,
        wait: Duration,
    ) -> impl Future<Output = Result<Vec<Message>, LocalError>> + Send;
    /// Deletes up to 10 messages.
    fn delete(&self, handles: &[String]) -> impl Future<Output = Result<(), LocalError>> + Send;
    /// Makes up to 10 messages visible again after a delay.
    fn release(
        &self,
        handles: &[String],
        delay: Duration,
    ) -> impl Future<Output = Result<(), LocalError>> + Send;
}

impl MessageSource for LocalQueue {
    async fn receive(&self, most: usize, wait: Duration) -> Result<Vec<Message>, LocalError> {
        LocalQueue::receive(self, most, wait).await
    }

    async fn delete(&self, handles: &[String]) -> Result<(), LocalError> {
        LocalQueue::delete(self, handles).await
    }

    async fn release(&self, handles: &[String], delay: Duration) -> Result<(), LocalError> {
        LocalQueue::release(self, handles, delay).await
    }
}

/// How large batches are, and when failed messages are received again.
#[derive(Debug, Clone)]
pub struct Batching {
    /// The most messages of one batch.
    pub size: usize,
    /// How long to collect after the first message.
    pub window: Duration,
    /// How long a failed message stays invisible.
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
    /// How large batches are.
    pub batching: Batching,
    /// Where errors are reported.
    pub console: Console,
}

impl<S: MessageSource, T: InvokeFunction> Poller<S, T> {
    /// Polls until the future is dropped.
    pub async fn run(&self) {
        loop {
            if let Err(error) = self.poll_once(LONG_POLL).await {
                self.console.note(format!("{}: {error}", self.name));
                tokio::time::sleep(ERROR_PAUSE).await;
            }
        }
    }

    /// Handles one batch, if a message comes within `wait`: the number of its messages.
    ///
    /// # Errors
    /// If the queue cannot be used.
    pub async fn poll_once(&self, wait: Duration) -> Result<usize, LocalError> {
        let first = self.source.receive(self.batching.size.clamp(1, MAX_BATCH), wait).await?;
        if first.is_empty() {
            return Ok(0);
        }
        let batch = self.collect(first).await?;
        let event = Bytes::from(event(self.name, &batch).to_string());
        let result = self.target.invoke(event).await;
        let failed = result.and_then(|result| failures(&result, &batch));
        let failed = failed.unwrap_or_else(|| vec![true; batch.len()]);
        let failures = failed.iter().filter(|failed| **failed).count();
        if failures > 0 {
            let (of, delay) = (batch.len(), self.batching.retry_after);
            self.console
                .note(format!("{}: {failures} of {of} messages failed, retried in {delay:?}", self.name));
        }
        self.acknowledge(&batch, &failed).await?;
        Ok(batch.len())
    }

    /// Receives until the batch is full or the window has passed. No receive is cancelled: the
    /// messages of a cancelled one would stay invisible.
    async fn collect(&self, first: Vec<Message>) -> Result<Vec<Message>, LocalError> {
        let end = Instant::now() + self.batching.window;
        let mut batch = first;
        let mut bytes: usize = batch.iter().map(size).sum();
        while batch.len() < self.batching.size && bytes < BATCH_BYTES {
            let most = MAX_BATCH.min(self.batching.size - batch.len());
            let left = end.saturating_duration_since(Instant::now());
            let more = self.source.receive(most, Duration::from_secs(left.as_secs())).await?;
            let received = more.len();
            bytes += more.iter().map(size).sum::<usize>();
            batch.extend(more);
            if received < most {
                if end <= Instant::now() {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
        Ok(batch)
    }

    /// Deletes the messages that succeeded and releases the others.
    async fn acknowledge(&self, batch: &[Message], failed: &[bool]) -> Result<(), LocalError> {
        let handles = |wanted: bool| -> Vec<String> {
            let chosen = batch.iter().zip(failed).filter(|(_, failed)| **failed == wanted);
            chosen.filter_map(|(message, _)| message.receipt_handle().map(str::to_owned)).collect()
        };
        for handles in handles(false).chunks(MAX_BATCH) {
            self.source.delete(handles).await?;
        }
        for handles in handles(true).chunks(MAX_BATCH) {
            self.source.release(handles, self.batching.retry_after).await?;
        }
        Ok(())
    }
}

fn size(message: &Message) -> usize {
    message.body().map_or(0, str::len)
}

/// The event of Lambda's SQS trigger.
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
        "eventSourceARN": client::arn(queue),
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

/// Which messages failed, or `None` if the whole batch did: to Lambda a response that it cannot
/// read, or that names a message outside the batch, is a failure of all.
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

    impl MessageSource for &FakeQueue {
        async fn receive(&self, most: usize, _wait: Duration) -> Result<Vec<Message>, LocalError> {
            assert!((1..=MAX_BATCH).contains(&most));
            let mut waiting = self.waiting.lock().unwrap();
            let count = waiting.len().min(most);
            Ok(waiting.drain(..count).collect())
        }

        async fn delete(&self, handles: &[String]) -> Result<(), LocalError> {
            assert!(handles.len() <= MAX_BATCH);
            self.deleted.lock().unwrap().extend_from_slice(handles);
            Ok(())
        }

        async fn release(&self, handles: &[String], delay: Duration) -> Result<(), LocalError> {
            assert!(handles.len() <= MAX_BATCH);
            assert_eq!(delay, Duration::from_secs(3));
            self.released.lock().unwrap().extend_from_slice(handles);
            Ok(())
        }
    }

    struct FakeFunction {
        answer: Option<&'static str>,
        batch_sizes: Mutex<Vec<usize>>,
    }

    impl FakeFunction {
        fn answering(answer: Option<&'static str>) -> Self {
            Self { answer, batch_sizes: Mutex::default() }
        }
    }

    impl InvokeFunction for &FakeFunction {
        async fn invoke(&self, event: Bytes) -> Option<Bytes> {
            let event: Value = serde_json::from_slice(&event).unwrap();
            let records = event["Records"].as_array().unwrap();
            assert!(records.iter().all(|record| record["eventSource"] == "aws:sqs"));
            self.batch_sizes.lock().unwrap().push(records.len());
            self.answer.map(|answer| Bytes::from_static(answer.as_bytes()))
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

    /// Polls `count` messages in one batch for a function with that answer: how many messages were
    /// deleted, and which were released.
    async fn deleted_and_released(count: usize, answer: Option<&'static str>) -> (usize, Vec<String>) {
        let (queue, function) = (FakeQueue::with(count), FakeFunction::answering(answer));
        let polled = poller(&queue, &function, 1000).poll_once(Duration::ZERO).await.unwrap();
        assert_eq!(polled, count);
        (queue.deleted.lock().unwrap().len(), queue.released.lock().unwrap().clone())
    }

    #[tokio::test(start_paused = true)]
    async fn batch_without_failures_is_deleted() {
        for answer in ["", "null", "{}", r#"{"batchItemFailures":[]}"#, r#"{"batchItemFailures":null}"#] {
            assert_eq!(deleted_and_released(25, Some(answer)).await, (25, vec![]), "{answer}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn only_failed_messages_are_released() {
        let answer = r#"{"batchItemFailures":[{"itemIdentifier":"m3"},{"itemIdentifier":"m12"}]}"#;
        assert_eq!(
            deleted_and_released(25, Some(answer)).await,
            (23, vec!["h3".to_owned(), "h12".to_owned()])
        );
    }

    #[tokio::test(start_paused = true)]
    async fn unreadable_answer_or_unknown_message_fails_the_whole_batch() {
        let whole = [
            Some("no json"),
            Some(r#"{"batchItemFailures":[{"itemIdentifier":""}]}"#),
            Some(r#"{"batchItemFailures":[{"itemIdentifier":null}]}"#),
            Some(r#"{"batchItemFailures":[{"itemIdentifier":"stranger"}]}"#),
            None,
        ];
        for answer in whole {
            let (deleted, released) = deleted_and_released(12, answer).await;
            assert_eq!((deleted, released.len()), (0, 12), "{answer:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn batches_hold_at_most_their_size() {
        let (queue, function) = (FakeQueue::with(95), FakeFunction::answering(Some("")));
        let poller = poller(&queue, &function, 44);
        while poller.poll_once(Duration::ZERO).await.unwrap() > 0 {}
        assert_eq!(*function.batch_sizes.lock().unwrap(), [44, 44, 7]);
    }

    #[tokio::test(start_paused = true)]
    async fn batch_that_is_not_full_ends_with_the_window() {
        let (queue, function) = (FakeQueue::with(3), FakeFunction::answering(Some("")));
        let start = Instant::now();
        poller(&queue, &function, 1000).poll_once(Duration::ZERO).await.unwrap();
        assert!(start.elapsed() >= Duration::from_secs(1));
        assert_eq!(*function.batch_sizes.lock().unwrap(), [3]);
    }
}
