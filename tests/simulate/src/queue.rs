//! A queue by the rules of SQS: a message that was received is hidden for a while and comes again unless it is deleted,
//! whether it failed or nobody answered for it, in any order, and sometimes although it was deleted. One
//! that was received too often goes to the dead letters, from where an operator redrives it, and one that is too old is
//! gone.

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

/// How late a message is delivered at most, in seconds: an hour, and in some schedules two days. Days cost the time
/// that it takes to read an empty log.
const LATE_S: u64 = 3600;
const VERY_LATE_S: u64 = 2 * 86_400;
/// How soon a message that was received may be received once more, in milliseconds.
const TWICE_MS: u64 = 500;
/// How long a batch that has a message is at work at least, if its process lives.
const HELD: Duration = Duration::from_millis(20);

/// The most messages of a batch.
const BATCH: usize = 10;

/// How long a queue keeps a message, and how long its dead letters do, both from its sending on, as the template says.
const RETENTION: Duration = Duration::from_secs(604_800);
const DEAD_RETENTION: Duration = Duration::from_secs(1_209_600);
/// The most receives of a message in a schedule in which messages are given up soon.
const FEW_RECEIVES: u32 = 3;
const MANY_RECEIVES: u32 = 60;
/// An operator redrives dead letters an hour to six after the first of them, and sometimes only 13 days after the first
/// of them was sent; all that have come until then.
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
    /// How late a message is at most, in seconds.
    latest_s: u64,
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

    /// What a message is called that was given up, and one that is redriven.
    const fn dead_letter(self) -> &'static str {
        match self {
            Self::Events => "dead event",
            Self::Commands => "dead command",
        }
    }

    const fn redriven(self) -> &'static str {
        match self {
            Self::Events => "redriven event",
            Self::Commands => "redriven command",
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
    /// When an operator redrives the dead letters, if there are any.
    redriven_at: Option<Instant>,
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
    /// Until when whoever has received it may work on it.
    held: Option<Instant>,
}

impl Messages {
    /// Takes a message, or takes it again.
    fn add(&mut self, body: String, visible: Instant) {
        self.ids += 1;
        self.waiting.push(Message {
            id: self.ids,
            body,
            sent: Instant::now(),
            visible,
            received: 0,
            held: None,
        });
    }

    /// Takes out what is not to be received any more: what is too old is gone, hidden or not, and what was received too
    /// often and would be received again is dead. Returns whether there was any.
    fn give_up(&mut self, kind: QueueKind, most_receives: u32) -> bool {
        let now = Instant::now();
        let is_gone = |message: &mut Message| message.sent + RETENTION <= now;
        let gone =
            self.waiting.extract_if(.., is_gone).inspect(|_| faults::count("message gone", None)).count();
        let is_dead = |message: &mut Message| message.visible <= now && message.received >= most_receives;
        let dead: Vec<Message> = self.waiting.extract_if(.., is_dead).collect();
        let any = gone + dead.len() > 0;
        for message in dead {
            faults::count(kind.dead_letter(), None);
            trace::note(|| format!("message {} is a {}", message.id, kind.dead_letter()));
            if !defects::is(Defect::DeadLettersAreDropped) {
                self.dead.push(message);
            }
        }
        any
    }

    /// When an operator redrives, if that is news: the first dead letter raises an alarm, and a later one that was sent
    /// earlier must not wait for too long.
    fn time_redrive(&mut self) -> Option<Instant> {
        let oldest = self.dead.iter().map(|message| message.sent).min()?;
        let last = oldest + LAST_DAY;
        let at = match self.redriven_at {
            Some(at) => at.min(last),
            None => {
                let now = Instant::now();
                let latest = if fastrand::u8(..4) == 0 { last } else { now + SOON };
                now + HOUR + (latest - now - HOUR).mul_f64(fastrand::f64())
            }
        };
        (self.redriven_at.replace(at) != Some(at)).then_some(at)
    }
}

impl Queue {
    /// An empty queue that reports every change.
    pub fn new(kind: QueueKind, changed: Arc<Notify>) -> Self {
        let few = faults::happens(Fault::FewReceives, "queue");
        let most_receives = match few {
            true => fastrand::u32(FEW_RECEIVES..=[FEW_RECEIVES + 2, MANY_RECEIVES][fastrand::usize(..2)]),
            false => kind.most_receives(),
        };
        let latest_s = if fastrand::u8(..4) == 0 { VERY_LATE_S } else { LATE_S };
        Self { messages: Arc::default(), changed, kind, most_receives, latest_s }
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
            late = self.delay();
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
        if messages.give_up(self.kind, self.most_receives) {
            self.changed.notify_waiters();
        }
        if let Some(at) = messages.time_redrive() {
            let queue = self.clone();
            spawn(async move {
                sleep_until(at).await;
                let is_due = queue.lock().redriven_at == Some(at);
                if is_due {
                    queue.redrive();
                }
            });
        }
        let most = fastrand::usize(1..=most);
        fastrand::shuffle(&mut messages.waiting);
        let mut received = Vec::new();
        for message in messages.waiting.iter_mut().filter(|message| message.visible <= now).take(most) {
            faults::count("deliver", None);
            if message.held.is_some_and(|until| now < until) {
                faults::count("received twice at once", None);
            }
            message.received += 1;
            message.held = Some(now + HELD);
            // Though it is hidden, another process may receive it at the same time.
            let twice = faults::happens(Fault::Duplicate, "receive");
            let hidden =
                if twice { Duration::from_millis(fastrand::u64(..TWICE_MS)) } else { self.kind.visibility() };
            message.visible = now + hidden;
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

    /// Deletes what was received of a batch, but for what failed: that stays hidden as long as it would without an
    /// answer, since Lambda only leaves it.
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
                message.held = None;
                return true;
            }
            let again = faults::happens(Fault::Duplicate, "deliver");
            if again {
                message.visible = now + self.delay();
                message.held = None;
            }
            again
        });
        self.changed.notify_waiters();
    }

    /// How late a message is.
    fn delay(&self) -> Duration {
        let seconds = match fastrand::u8(..4) {
            0 => fastrand::u64(..self.latest_s),
            1 => fastrand::u64(..LATE_S),
            _ => fastrand::u64(..10),
        };
        Duration::from_millis(seconds * 1000 + fastrand::u64(..1000))
    }

    /// Sends all dead letters again that are not too old, each as a new message.
    fn redrive(&self) {
        let now = Instant::now();
        let mut messages = self.lock();
        messages.redriven_at = None;
        for message in std::mem::take(&mut messages.dead) {
            let is_gone = message.sent + DEAD_RETENTION <= now;
            if is_gone || defects::is(Defect::DeadLettersAreNotRedriven) {
                faults::count("dead letter gone", None);
            } else {
                faults::count(self.kind.redriven(), None);
                trace::note(|| format!("message {} is a {}", message.id, self.kind.redriven()));
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

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::time::advance;

    const DAY: Duration = Duration::from_secs(86_400);

    fn queue() -> Queue {
        faults::replace(faults::Odds::none());
        Queue::new(QueueKind::Events, Arc::default())
    }

    /// What is received now, of one queue with one message.
    fn received(queue: &Queue) -> Option<QueueMessage> {
        queue.receive(1).pop()
    }

    async fn received_until_dead(queue: &Queue) {
        advance(Duration::from_secs(2)).await;
        for receive in 1..=QueueKind::Events.most_receives() {
            let message = received(queue).expect("a message");
            assert_eq!(message.received, receive);
            let id = message.id.clone();
            queue.acknowledge(&[message], &[id]);
            advance(QueueKind::Events.visibility() - Duration::from_secs(1)).await;
            assert!(received(queue).is_none(), "what failed is hidden until its time has passed");
            advance(Duration::from_secs(1)).await;
        }
        assert!(received(queue).is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn a_message_is_gone_after_seven_days_though_it_is_hidden() {
        let queue = queue();
        queue.push("one".to_owned());
        advance(RETENTION - Duration::from_secs(1)).await;
        assert!(received(&queue).is_some());

        advance(Duration::from_secs(1)).await;

        assert!(received(&queue).is_none());
        assert!(queue.is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn a_dead_letter_that_is_redriven_begins_anew() {
        let queue = queue();
        queue.push("one".to_owned());
        received_until_dead(&queue).await;
        assert!(queue.next().is_none() && !queue.is_empty(), "it is a dead letter");

        let (dead_at, mut redriven_at) = (Instant::now(), Instant::now());
        while queue.next().is_none() {
            sleep_until(redriven_at + HOUR).await;
            redriven_at = Instant::now();
        }
        advance(Duration::from_secs(2)).await;

        assert!((HOUR..LAST_DAY).contains(&(redriven_at - dead_at)), "{redriven_at:?}");
        assert_eq!(
            received(&queue).map(|message| (message.body, message.received)),
            Some(("one".to_owned(), 1))
        );
        advance(DAY).await;
        assert!(received(&queue).is_some(), "it was sent anew");
    }

    #[tokio::test(start_paused = true)]
    async fn a_dead_letter_is_gone_fourteen_days_after_it_was_sent() {
        for (days, is_there) in [(13, true), (14, false)] {
            let queue = queue();
            let sent = Instant::now();
            queue.push("one".to_owned());
            received_until_dead(&queue).await;
            queue.lock().redriven_at = None;
            sleep_until(sent + days * DAY).await;

            queue.redrive();

            advance(Duration::from_secs(2)).await;
            assert_eq!(received(&queue).is_some(), is_there, "after {days} days");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_later_dead_letter_that_was_sent_earlier_brings_the_redrive_forward() {
        let queue = queue();
        let now = Instant::now() + 10 * DAY;
        sleep_until(now).await;
        let mut messages = queue.lock();
        messages.add("new".to_owned(), now);
        messages.dead = std::mem::take(&mut messages.waiting);
        messages.redriven_at = Some(now + LAST_DAY);
        assert_eq!(messages.time_redrive(), None);

        messages.dead[0].sent = now - 6 * DAY;

        assert_eq!(messages.time_redrive(), Some(now + 7 * DAY));
        assert_eq!(messages.time_redrive(), None);
    }
}
