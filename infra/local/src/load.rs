//! Puts events on the queue and waits until the consumer has dealt with them.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use crate::console::Console;
use crate::failure::LocalError;
use crate::queue::LocalQueue;

/// SQS takes this many messages in one call,
const BATCH: usize = 10;
/// and this many bytes (1 MiB since 2025; the platform keeps to the older limit).
const BATCH_BYTES: usize = 256 * 1024;
/// How often the queue's depth is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// No more than this many messages wait at once: each call of the local queue costs time in proportion to
/// its length.
const BACKLOG: u64 = 2_500;
/// How long a sender waits for others to catch up.
const BREATH: Duration = Duration::from_millis(20);

/// What senders and the look-out tell each other.
struct Pace {
    next: AtomicUsize,
    sent: AtomicU64,
    allowed: AtomicU64,
}

/// Cuts messages into batches that SQS takes; a message that is too large stands alone.
fn batches(bodies: &[String]) -> Vec<&[String]> {
    let mut batches = Vec::new();
    let (mut start, mut bytes) = (0, 0);
    for (position, body) in bodies.iter().enumerate() {
        if position > start && (position - start == BATCH || bytes + body.len() > BATCH_BYTES) {
            batches.extend(bodies.get(start..position));
            (start, bytes) = (position, 0);
        }
        bytes += body.len();
    }
    batches.extend(bodies.get(start..).filter(|rest| !rest.is_empty()));
    batches
}

/// Sends all messages and waits until the queue is empty, with a progress bar called `what`.
///
/// # Errors
/// When the queue refuses a message or stops answering.
pub async fn send_and_wait(
    queue: &LocalQueue,
    bodies: &[String],
    what: &'static str,
    console: &Console,
) -> Result<(), LocalError> {
    let total = u64::try_from(bodies.len()).unwrap_or(u64::MAX);
    let mut progress = console.progress(what, total);
    let cut = batches(bodies);
    let pace = Pace { next: AtomicUsize::new(0), sent: AtomicU64::new(0), allowed: AtomicU64::new(BACKLOG) };
    let sender = || send_batches(queue, &cut, &pace);
    let sending = async { tokio::try_join!(sender(), sender(), sender(), sender()).map(|_| ()) };
    let mut sending = std::pin::pin!(sending);
    let mut quiet = 0;
    let mut all_sent = false;
    while quiet < 2 {
        tokio::select! {
            result = &mut sending, if !all_sent => {
                result?;
                all_sent = true;
                continue;
            }
            () = tokio::time::sleep(LOOK_EVERY) => {}
        }
        let depth = queue.depth().await?;
        let left = depth.visible + depth.in_flight;
        let done = pace.sent.load(Ordering::Relaxed).saturating_sub(left);
        pace.allowed.store(done + BACKLOG, Ordering::Relaxed);
        progress.reach(done);
        // Two looks: a message may be between its states at one.
        quiet = if all_sent && left == 0 { quiet + 1 } else { 0 };
    }
    progress.finish();
    Ok(())
}

/// One of several senders that share a list of batches.
async fn send_batches(queue: &LocalQueue, batches: &[&[String]], pace: &Pace) -> Result<(), LocalError> {
    while let Some(batch) = batches.get(pace.next.fetch_add(1, Ordering::Relaxed)) {
        while pace.sent.load(Ordering::Relaxed) >= pace.allowed.load(Ordering::Relaxed) {
            tokio::time::sleep(BREATH).await;
        }
        queue.send(batch).await?;
        pace.sent.fetch_add(u64::try_from(batch.len()).unwrap_or(0), Ordering::Relaxed);
    }
    Ok(())
}

/// The messages of an NDJSON file, one a line, as they are: what is no event is the consumer's to judge.
#[must_use]
pub fn lines(text: &str) -> Vec<String> {
    text.lines().map(str::trim).filter(|line| !line.is_empty()).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_hold_ten_messages_and_256_kib() {
        let small = vec!["{}".to_owned(); 23];
        assert_eq!(batches(&small).iter().map(|batch| batch.len()).collect::<Vec<_>>(), [10, 10, 3]);
        let large = vec!["x".repeat(100 * 1024); 5];
        assert_eq!(batches(&large).iter().map(|batch| batch.len()).collect::<Vec<_>>(), [2, 2, 1]);
        let huge = vec!["x".repeat(300 * 1024), "y".to_owned()];
        assert_eq!(batches(&huge).iter().map(|batch| batch.len()).collect::<Vec<_>>(), [1, 1]);
        assert!(batches(&[]).is_empty());
    }

    #[test]
    fn empty_lines_are_no_messages() {
        assert_eq!(lines("{\"a\":1}\n\n  \r\nnot json\n"), ["{\"a\":1}", "not json"]);
    }
}
