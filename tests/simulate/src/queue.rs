//! A queue by the rules of SQS: a message that was received is hidden for a while and comes again unless it is deleted,
//! in any order, and sometimes although it was deleted; one that was received too often goes to the dead letters.

use crate::defects::{self, Defect};
use crate::faults::{self, Fault};
use crate::trace;
use std::cell::RefCell;
use std::rc::Rc;
use tokio::time::{Duration, Instant};
use torale_platform::consume::QueueMessage;

/// How long a received message is hidden, as the template says for the event queue.
pub const VISIBILITY: Duration = Duration::from_secs(390);
/// The most messages of one batch.
const BATCH: usize = 30;
/// How late a message is delivered at most, in seconds: an hour, and sometimes two days.
const LATE_S: u64 = 3600;
const VERY_LATE_S: u64 = 2 * 86_400;

#[derive(Debug, Clone, Default)]
pub struct Queue(Rc<RefCell<Messages>>);

#[derive(Debug, Default)]
struct Messages {
    waiting: Vec<Message>,
}

#[derive(Debug, Clone)]
struct Message {
    id: usize,
    body: String,
    visible: Instant,
    received: u32,
}

impl Queue {
    /// A queue with these messages, of which some come late.
    pub fn new(bodies: &[String]) -> Self {
        let queue = Self::default();
        for (id, body) in bodies.iter().enumerate() {
            let mut late = Duration::from_millis(fastrand::u64(..2000));
            if faults::happens(Fault::LateMessage, "deliver") {
                late = delay();
            }
            let message = Message { id, body: body.clone(), visible: Instant::now() + late, received: 0 };
            queue.0.borrow_mut().waiting.push(message);
        }
        queue
    }

    /// Some messages that are visible, in any order; nothing if none are.
    pub fn receive(&self) -> Vec<QueueMessage> {
        let now = Instant::now();
        let mut messages = self.0.borrow_mut();
        let most = fastrand::usize(1..=BATCH);
        fastrand::shuffle(&mut messages.waiting);
        let mut received = Vec::new();
        for message in messages.waiting.iter_mut().filter(|message| message.visible <= now).take(most) {
            faults::count("deliver", None);
            message.received += 1;
            message.visible = now + VISIBILITY;
            received.push(QueueMessage {
                id: message.id.to_string(),
                body: message.body.clone(),
                sent_at: None,
                received: message.received,
            });
        }
        if defects::is(Defect::MessagesAreDeletedFirst) {
            messages.waiting.retain(|message| message.visible <= now || message.received == 0);
        }
        received
    }

    /// Deletes what was received of a batch, but for what failed: that becomes visible at once.
    pub fn acknowledge(&self, batch: &[QueueMessage], failed: &[String]) {
        let now = Instant::now();
        let mut messages = self.0.borrow_mut();
        messages.waiting.retain_mut(|message| {
            let id = message.id.to_string();
            if !batch.iter().any(|received| received.id == id) {
                return true;
            }
            if failed.contains(&id) && !defects::is(Defect::FailedMessagesAreDeleted) {
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
    }

    /// When the next message becomes visible; `None` if the queue is empty.
    pub fn next(&self) -> Option<Instant> {
        self.0.borrow().waiting.iter().map(|message| message.visible).min()
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
