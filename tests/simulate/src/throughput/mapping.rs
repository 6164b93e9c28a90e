//! The queue, and the event source mapping that makes batches of its messages.

use super::limits::{AccountLimits, pass};
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use tokio::sync::Notify;
use tokio::time::{Duration, Instant, timeout_at};

/// The most messages of one receive.
const RECEIVED: usize = 10;

/// A message that waits, or is in a batch.
#[derive(Debug, Clone)]
pub struct SentMessage {
    /// Its number.
    pub number: usize,
    /// Its text.
    pub body: String,
    /// When it was sent.
    pub sent: Instant,
}

/// A standard queue: it keeps no order that anything relies on.
#[derive(Debug, Default)]
pub struct EventQueue {
    waiting: RefCell<VecDeque<SentMessage>>,
    /// When each message was sent, and how long it took until it was deleted.
    sent: RefCell<Vec<(Instant, Option<Duration>)>>,
    /// Every message before this one is deleted.
    finished: Cell<usize>,
    in_flight: Cell<usize>,
    most_in_flight: Cell<usize>,
    held_back: Cell<u64>,
    changed: Notify,
}

impl EventQueue {
    /// Takes messages.
    pub fn send(&self, bodies: impl IntoIterator<Item = String>) {
        let now = Instant::now();
        let (mut waiting, mut sent) = (self.waiting.borrow_mut(), self.sent.borrow_mut());
        for body in bodies {
            waiting.push_back(SentMessage { number: sent.len(), body, sent: now });
            sent.push((now, None));
        }
        drop((waiting, sent));
        self.changed.notify_waiters();
    }

    /// Messages for one batch: what comes within the window after the first one, or as many as it may have.
    pub async fn collect(&self, limits: &AccountLimits, most: usize, window: Duration) -> Vec<SentMessage> {
        let (mut batch, mut until) = (Vec::new(), None);
        loop {
            let changed = self.changed.notified();
            let received = self.receive(limits, RECEIVED.min(most - batch.len()));
            if received.is_empty() {
                match until {
                    None => changed.await,
                    Some(until) if timeout_at(until, changed).await.is_err() => return batch,
                    Some(_) => {}
                }
                continue;
            }
            batch.extend(received);
            let until = *until.get_or_insert(Instant::now() + window);
            pass(limits.receive_ms).await;
            if batch.len() == most || Instant::now() >= until {
                return batch;
            }
        }
    }

    fn receive(&self, limits: &AccountLimits, most: usize) -> Vec<SentMessage> {
        let mut waiting = self.waiting.borrow_mut();
        let room = limits.in_flight - self.in_flight.get();
        if room == 0 && !waiting.is_empty() {
            self.held_back.set(self.held_back.get() + 1);
        }
        let count = most.min(room).min(waiting.len());
        let received = waiting.drain(..count).collect();
        self.in_flight.set(self.in_flight.get() + count);
        self.most_in_flight.set(self.most_in_flight.get().max(self.in_flight.get()));
        received
    }

    /// Deletes messages of a batch; those that failed wait again.
    pub fn acknowledge(&self, batch: Vec<SentMessage>, failed: &[String]) {
        let now = Instant::now();
        self.in_flight.set(self.in_flight.get() - batch.len());
        for message in batch {
            if failed.contains(&message.number.to_string()) {
                self.waiting.borrow_mut().push_back(message);
            } else {
                self.sent.borrow_mut()[message.number].1 = Some(now - message.sent);
            }
        }
        self.changed.notify_waiters();
    }

    /// How many messages are not deleted yet.
    pub fn unfinished(&self) -> usize {
        self.waiting.borrow().len() + self.in_flight.get()
    }

    /// The number of the first message that is not deleted yet.
    pub fn first_unfinished(&self) -> usize {
        let sent = self.sent.borrow();
        let mut first = self.finished.get();
        while sent.get(first).is_some_and(|(_, lag)| lag.is_some()) {
            first += 1;
        }
        self.finished.set(first);
        first
    }

    /// How long the oldest message has waited to be received.
    pub fn oldest(&self) -> Duration {
        self.waiting.borrow().front().map_or(Duration::ZERO, |message| message.sent.elapsed())
    }

    /// The most messages that were in flight at once, and how often the limit of that held a receive back.
    pub fn in_flight(&self) -> (usize, u64) {
        (self.most_in_flight.get(), self.held_back.get())
    }

    /// How long each message took that was sent in a time; of one that is not deleted yet, how old it is.
    pub fn lags(&self, from: Instant, to: Instant) -> Vec<Duration> {
        let sent = self.sent.borrow();
        let of_time = sent.iter().filter(|(at, _)| (from..to).contains(at));
        of_time.map(|(at, lag)| lag.unwrap_or_else(|| at.elapsed())).collect()
    }
}
