//! A queue by the rules of SQS: a message that was received is hidden for a while and comes again unless it is deleted,
//! in any order, and sometimes although it was deleted.

use crate::client::{Client, QUEUE};
use crate::defects::{self, Defect};
use crate::faults::{self, Fault};
use crate::trace;
use futures::FutureExt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;
use tokio::time::{Duration, Instant};
use torale_platform::queue::calls::{BatchAnswer, MessageFailure, QueueCall, QueueCalls};
use torale_platform::queue::{MessageQueue, QueueError};
use torale_platform::sqs::QueueMessage;

/// How late a message is delivered at most, in seconds: an hour, and sometimes two days.
const LATE_S: u64 = 3600;
const VERY_LATE_S: u64 = 2 * 86_400;

/// The most messages of a batch.
const BATCH: usize = 10;

/// A queue as all processes share it.
#[derive(Debug, Clone)]
pub struct Queue {
    messages: Arc<Mutex<Messages>>,
    changed: Arc<Notify>,
    kind: QueueKind,
}

/// Which queue it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum QueueKind {
    /// `torale-events`.
    Events,
    /// `torale-commands`.
    Commands,
}

impl QueueKind {
    /// How long a received message is hidden, as the template says.
    const fn visibility(self) -> Duration {
        match self {
            Self::Events => Duration::from_secs(380),
            Self::Commands => Duration::from_secs(180),
        }
    }

    /// Whether of two planted defects the one of this queue is there.
    fn has(self, of_events: Defect, of_commands: Defect) -> bool {
        defects::is(match self {
            Self::Events => of_events,
            Self::Commands => of_commands,
        })
    }
}

#[derive(Debug, Default)]
struct Messages {
    waiting: Vec<Message>,
    /// Every body that the queue has taken.
    taken: Vec<String>,
}

#[derive(Debug, Clone)]
struct Message {
    id: usize,
    body: String,
    visible: Instant,
    received: u32,
}

impl Queue {
    /// An empty queue that reports every change.
    pub fn new(kind: QueueKind, changed: Arc<Notify>) -> Self {
        Self { messages: Arc::default(), changed, kind }
    }

    fn lock(&self) -> MutexGuard<'_, Messages> {
        self.messages.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A client of a process of this name.
    pub fn client(&self, process: &str) -> MessageQueue {
        MessageQueue::over(Arc::new(QueueClient { queue: self.clone(), client: Client::new(process) }))
    }

    /// Takes a message, which some time later can be received.
    pub fn push(&self, body: String) {
        let mut late = Duration::from_millis(fastrand::u64(..2000));
        if faults::happens(Fault::LateMessage, "deliver") {
            late = delay();
        }
        let mut messages = self.lock();
        let id = messages.taken.len();
        messages.taken.push(body.clone());
        messages.waiting.push(Message { id, body, visible: Instant::now() + late, received: 0 });
        drop(messages);
        self.changed.notify_waiters();
    }

    /// At most so many messages that are visible, in any order; nothing if none are.
    pub fn receive(&self, most: usize) -> Vec<QueueMessage> {
        let now = Instant::now();
        let mut messages = self.lock();
        let most = fastrand::usize(1..=most);
        fastrand::shuffle(&mut messages.waiting);
        let mut received = Vec::new();
        for message in messages.waiting.iter_mut().filter(|message| message.visible <= now).take(most) {
            faults::count("deliver", None);
            message.received += 1;
            message.visible = now + self.kind.visibility();
            received.push(QueueMessage {
                id: message.id.to_string(),
                body: message.body.clone(),
                sent_at: None,
                received: message.received,
            });
        }
        if self.kind.has(Defect::MessagesAreDeletedFirst, Defect::CommandsAreDeletedFirst) {
            messages.waiting.retain(|message| message.visible <= now || message.received == 0);
        }
        received
    }

    /// Deletes what was received of a batch, but for what failed: that becomes visible at once.
    pub fn acknowledge(&self, batch: &[QueueMessage], failed: &[String]) {
        let now = Instant::now();
        let forgets = self.kind.has(Defect::FailedMessagesAreDeleted, Defect::FailedCommandsAreDeleted);
        self.lock().waiting.retain_mut(|message| {
            let id = message.id.to_string();
            if !batch.iter().any(|received| received.id == id) {
                return true;
            }
            if failed.contains(&id) && !forgets {
                trace::note(|| format!("message {id} failed and comes again"));
                message.visible = now;
                return true;
            }
            let again = faults::happens(Fault::Duplicate, "deliver");
            if again {
                message.visible = now + delay();
            }
            again
        });
        self.changed.notify_waiters();
    }

    /// When the next message becomes visible; `None` if the queue is empty.
    pub fn next(&self) -> Option<Instant> {
        self.lock().waiting.iter().map(|message| message.visible).min()
    }

    /// Every message that the queue has ever taken.
    pub fn taken(&self) -> Vec<String> {
        self.lock().taken.clone()
    }
}

fn delay() -> Duration {
    let seconds = match fastrand::u8(..4) {
        0 => fastrand::u64(..VERY_LATE_S),
        1 => fastrand::u64(..LATE_S),
        _ => fastrand::u64(..10),
    };
    Duration::from_millis(seconds * 1000 + fastrand::u64(..1000))
}

/// The calls of one process on a queue.
#[derive(Debug)]
struct QueueClient {
    queue: Queue,
    client: Client,
}

impl QueueClient {
    async fn call<T, S>(
        &self,
        name: &'static str,
        detail: impl Fn() -> String,
        serve: S,
    ) -> Result<T, QueueError>
    where
        T: Send + 'static,
        S: Fn(&Queue) -> T + Send + Sync + 'static,
    {
        let queue = self.queue.clone();
        let serve = move || {
            let answer = serve(&queue);
            async move { answer }.boxed()
        };
        let answer = self.client.call(name, QUEUE, detail, serve).await;
        answer.map_err(|why| QueueError::Unavailable(why.to_string()))
    }
}

/// Takes a batch, but for what the service has no capacity for.
fn take(queue: &Queue, messages: &[(usize, String)]) -> BatchAnswer {
    assert!((1..=BATCH).contains(&messages.len()), "a batch of {} messages", messages.len());
    let mut answer = BatchAnswer::default();
    for (number, body) in messages {
        if faults::happens(Fault::Unprocessed, "send_batch") {
            let failed = MessageFailure { code: "ServiceUnavailable".to_owned(), sender_fault: false };
            answer.failed.push(failed);
            if defects::is(Defect::RefusedMessagesCountAsTaken) {
                answer.taken.insert(*number);
            }
        } else {
            answer.taken.insert(*number);
            let loses = queue.kind.has(Defect::QueuedEventsAreLost, Defect::QueuedCommandsAreLost);
            if !loses || fastrand::u8(..4) > 0 {
                queue.push(body.clone());
            }
        }
    }
    answer
}

impl QueueCalls for QueueClient {
    fn send_batch<'a>(&'a self, messages: Vec<(usize, &'a str)>) -> QueueCall<'a, BatchAnswer> {
        let owned: Vec<(usize, String)> =
            messages.iter().map(|(number, body)| (*number, (*body).to_owned())).collect();
        let detail = move || format!("{messages:?}");
        self.call("send_batch", detail, move |queue| take(queue, &owned)).boxed()
    }

    fn waiting(&self) -> QueueCall<'_, u64> {
        let serve = |queue: &Queue| u64::try_from(queue.lock().waiting.len()).unwrap_or(u64::MAX);
        self.call("waiting", String::new, serve).boxed()
    }

    fn url(&self) -> QueueCall<'_, String> {
        let serve = |queue: &Queue| format!("simulated {:?}", queue.kind);
        self.call("url", String::new, serve).boxed()
    }
}
