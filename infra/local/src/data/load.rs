//! Puts messages on the queue and waits until the consumer has finished with them.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use crate::console::Console;
use crate::error::LocalError;
use crate::queue::client::{LocalQueue, MAX_BATCH};

/// The most bytes of one call of SQS: 256 KiB, the limit before 2025, to which the platform keeps.
const MAX_BATCH_BYTES: usize = 256 * 1024;
/// How often the queue's depth is read.
const POLL_EVERY: Duration = Duration::from_millis(200);
/// The most messages that wait in the queue: the local queue takes longer for each call the longer
/// it is.
const MAX_BACKLOG: u64 = 2_500;
/// How long a sender pauses while the backlog is full.
const SENDER_PAUSE: Duration = Duration::from_millis(20);

/// Keeps several senders within the backlog.
struct Pace {
    next_batch: AtomicUsize,
    sent: AtomicU64,
    /// How many messages may have been sent by now.
    allowed: AtomicU64,
}

/// Splits messages into batches within SQS's limits. A message over the limit is a batch of its
/// own.
fn split_into_batches(bodies: &[String]) -> Vec<&[String]> {
    let mut batches = Vec::new();
    let (mut start, mut bytes) = (0, 0);
    for (position, body) in bodies.iter().enumerate() {
        if position > start && (position - start == MAX_BATCH || bytes + body.len() > MAX_BATCH_BYTES) {
            batches.extend(bodies.get(start..position));
            (start, bytes) = (position, 0);
        }
        bytes += body.len();
    }
    batches.extend(bodies.get(start..).filter(|rest| !rest.is_empty()));
    batches
}

/// Sends all messages and waits until the queue is empty, with a progress bar.
///
/// # Errors
/// If the queue refuses a message or stops answering.
pub async fn send_and_wait(
    queue: &LocalQueue,
    bodies: &[String],
    label: &'static str,
    console: &Console,
) -> Result<(), LocalError> {
    let total = u64::try_from(bodies.len()).unwrap_or(u64::MAX);
    let mut progress = console.progress(label, total);
    let batches = split_into_batches(bodies);
    let pace = Pace {
        next_batch: AtomicUsize::new(0),
        sent: AtomicU64::new(0),
        allowed: AtomicU64::new(MAX_BACKLOG),
    };
    let sender = || send_batches(queue, &batches, &pace);
    let sending = async { tokio::try_join!(sender(), sender(), sender(), sender()).map(|_| ()) };
    let mut sending = std::pin::pin!(sending);
    let mut times_empty = 0;
    let mut all_sent = false;
    while times_empty < 2 {
        tokio::select! {
            result = &mut sending, if !all_sent => {
                result?;
                all_sent = true;
                continue;
            }
            () = tokio::time::sleep(POLL_EVERY) => {}
        }
        let depth = queue.depth().await?;
        let left = depth.visible + depth.in_flight;
        let done = pace.sent.load(Ordering::Relaxed).saturating_sub(left);
        pace.allowed.store(done + MAX_BACKLOG, Ordering::Relaxed);
        progress.advance_to(done);
        // Read twice: a message that changes its state meanwhile is in neither count.
        times_empty = if all_sent && left == 0 { times_empty + 1 } else { 0 };
    }
    progress.finish();
    Ok(())
}

/// One of several senders of the same batches.
async fn send_batches(queue: &LocalQueue, batches: &[&[String]], pace: &Pace) -> Result<(), LocalError> {
    while let Some(batch) = batches.get(pace.next_batch.fetch_add(1, Ordering::Relaxed)) {
        while pace.sent.load(Ordering::Relaxed) >= pace.allowed.load(Ordering::Relaxed) {
            tokio::time::sleep(SENDER_PAUSE).await;
        }
        queue.send(batch).await?;
        pace.sent.fetch_add(u64::try_from(batch.len()).unwrap_or(0), Ordering::Relaxed);
    }
    Ok(())
}

/// The messages of an NDJSON file, one a line, unparsed: the consumer quarantines those that are no
/// events.
#[must_use]
pub fn lines(text: &str) -> Vec<String> {
    text.lines().map(str::trim).filter(|line| !line.is_empty()).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_hold_at_most_ten_messages_and_256_kib() {
        let small = vec!["{}".to_owned(); 23];
        assert_eq!(
            split_into_batches(&small).iter().map(|batch| batch.len()).collect::<Vec<_>>(),
            [10, 10, 3]
        );
        let large = vec!["x".repeat(100 * 1024); 5];
        assert_eq!(split_into_batches(&large).iter().map(|batch| batch.len()).collect::<Vec<_>>(), [2, 2, 1]);
        let huge = vec!["x".repeat(300 * 1024), "y".to_owned()];
        assert_eq!(split_into_batches(&huge).iter().map(|batch| batch.len()).collect::<Vec<_>>(), [1, 1]);
        assert!(split_into_batches(&[]).is_empty());
    }

    #[test]
    fn empty_lines_are_skipped() {
        assert_eq!(lines("{\"a\":1}\n\n  \r\nnot json\n"), ["{\"a\":1}", "not json"]);
    }
}
