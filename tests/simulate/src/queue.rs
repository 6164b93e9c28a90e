//! A queue by the rules of SQS: a message that was received is hidden for a while and comes again unless it is deleted,
//! in any order, and sometimes although it was deleted. One that was received too often goes to the dead letters, from
//! where an operator redrives it, and one that is too old is gone.

use crate::client::{Client, QUEUE};
use crate::defects::{self, Defect};
use crate::faults::{self, Fault};
use crate::trace;
use futures::FutureExt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::spawn;
use tokio::sync::Notify;
use tokio::time::{Duration, Instant, sleep_until};
use torale_platform::queue::calls::{BatchAnswer, MessageFailure, QueueCall, QueueCalls};
use torale_platform::queue::{MessageQueue, QueueError};
use torale_platform::sqs::QueueMessage;

/// How late a message is delivered at most, in seconds: an hour, and sometimes two days.
const LATE_S: u64 = 3600;
const VERY_LATE_S: u64 = 2 * 86_400;

/// The most messages of a batch.
const BATCH: usize = 10;

/// How long a queue keeps a message, and how long its dead letters do, both from its sending on, as the template says.
const RETENTION: Duration = Duration::from_secs(604_800);
const DEAD_RETENTION: Duration = Duration::from_secs(1_209_600);
/// The most receives of a message in a schedule in which messages are given up soon.
const FEW_RECEIVES: u32 = 3;
const MANY_RECEIVES: u32 = 60;
/// An operator redrives dead letters within hours, and sometimes only 13 days after the first of them was sent.
const HOUR: Duration = Duration::from_secs(3600);
const SOON: Duration = Duration::from_secs(6 * 3600);
const LAST_DAY: Duration = Duration::from_secs(13 * 86_400);

/// A queue as all processes share it.
#[derive(Debug, Clone)]
pub struct Queue {
    messages: Arc<Mutex<Messages>>,
    changed: Arc<Notify>,
    kind: QueueKind,
    /// A message that was received so often goes to the dead letters.
    most_receives: u32,
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

    /// How often a message is received at most, as the template says.
    const fn most_receives(self) -> u32 {
        match self {
            Self::Events => 60,
            Self::Commands => 480,
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
    dead: Vec<Message>,
    /// Every body that the queue has taken.
    taken: Vec<String>,
    /// How many ids were given out.
    ids: usize,
}

#[derive(Debug, Clone)]
struct Message {
    id: usize,
    body: String,
    sent: Instant,
    visible: Instant,
    received: u32,
}

impl Messages {
    /// Takes a message, or takes it again.
    fn add(&mut self, body: String, visible: Instant) {
        self.ids += 1;
        self.waiting.push(Message { id: self.ids, body, sent: Instant::now(), visible, received: 0 });
    }

    /// Takes out what is visible and is not to be received any more: what is too old is gone, and what was received too
    /// often is dead. Returns whether there was any, and when an operator redrives it if nothing was dead before: the
    /// first dead letter raises an alarm.
    fn give_up(&mut self, most_receives: u32) -> (bool, Option<Instant>) {
        let now = Instant::now();
        let is_over = |message: &mut Message| {
            message.visible <= now && (message.received >= most_receives || message.sent + RETENTION <= now)
        };
        let over: Vec<Message> = self.waiting.extract_if(.., is_over).collect();
        let (any, had_none) = (!over.is_empty(), self.dead.is_empty());
        for message in over.into_iter().filter(|message| message.sent + RETENTION > now) {
            faults::count("dead letter", None);
            trace::note(|| format!("message {} is a dead letter", message.id));
            if !defects::is(Defect::DeadLettersAreDropped) {
                self.dead.push(message);
            }
        }
        let oldest = self.dead.iter().map(|message| message.sent).min();
        let redriven_at = oldest.filter(|_| had_none).map(|oldest| {
            let latest = if fastrand::u8(..4) == 0 { oldest + LAST_DAY } else { now + SOON };
            let pause = HOUR + (latest - now - HOUR).mul_f64(fastrand::f64());
            now + if defects::is(Defect::DeadLettersAreNotRedriven) { DEAD_RETENTION } else { pause }
        });
        (any, redriven_at)
    }
}

impl Queue {
    /// An empty queue that reports every change.
    pub fn new(kind: QueueKind, changed: Arc<Notify>) -> Self {
        let few = faults::happens(Fault::DeadLetter, "queue");
        let most_receives = match few {
            true => fastrand::u32(FEW_RECEIVES..=[FEW_RECEIVES + 2, MANY_RECEIVES][fastrand::usize(..2)]),
            false => kind.most_receives(),
        };
        Self { messages: Arc::default(), changed, kind, most_receives }
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
        messages.taken.push(body.clone());
        messages.add(body, Instant::now() + late);
        drop(messages);
        self.changed.notify_waiters();
    }

    /// At most so many messages that are visible, in any order; nothing if none are.
    pub fn receive(&self, most: usize) -> Vec<QueueMessage> {
        let now = Instant::now();
        let mut messages = self.lock();
        let (has_given_up, redriven_at) = messages.give_up(self.most_receives);
        if has_given_up {
            self.changed.notify_waiters();
        }
        if let Some(at) = redriven_at {
            let queue = self.clone();
            spawn(async move {
                sleep_until(at).await;
                queue.redrive();
            });
        }
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

    /// Sends all dead letters again that are not too old, each as a new message.
    fn redrive(&self) {
        let now = Instant::now();
        let mut messages = self.lock();
        for message in std::mem::take(&mut messages.dead) {
            if message.sent + DEAD_RETENTION > now {
                faults::count("redriven", None);
                trace::note(|| format!("message {} is redriven", message.id));
                messages.add(message.body, now + Duration::from_millis(fastrand::u64(..2000)));
            }
        }
        drop(messages);
        self.changed.notify_waiters();
    }

    /// Whether it has neither messages nor dead letters.
    pub fn is_empty(&self) -> bool {
        let messages = self.lock();
        messages.waiting.is_empty() && messages.dead.is_empty()
    }

    /// When the next message becomes visible; `None` if none is there.
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
