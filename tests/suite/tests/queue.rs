//! The client of the queue: nothing counts as sent before SQS has said so. Time is virtual.

use std::collections::BTreeSet;
use torale_platform::queue::QueueError;
use torale_tests::sqs::{MessageFate, Sqs, URL};

fn bodies(count: usize) -> Vec<String> {
    (0..count).map(|n| format!("message {n}")).collect()
}

#[tokio::test(start_paused = true)]
async fn messages_go_in_tens_and_the_url_is_asked_for_once() {
    let sqs = Sqs::default();
    let queue = sqs.queue(None);
    queue.send(&[]).await.unwrap();
    assert_eq!(sqs.calls(), [""; 0]);
    queue.send(&bodies(21)).await.unwrap();
    queue.send(&bodies(1)).await.unwrap();
    assert_eq!(sqs.taken(), [bodies(21), bodies(1)].concat());
    let batch = "SendMessageBatch";
    assert_eq!(sqs.calls(), ["GetQueueUrl", batch, batch, batch, batch]);
}

#[tokio::test(start_paused = true)]
async fn a_url_that_is_known_is_not_asked_for() {
    let sqs = Sqs::default();
    sqs.queue(Some(URL)).send(&bodies(1)).await.unwrap();
    assert_eq!(sqs.calls(), ["SendMessageBatch"]);
}

#[tokio::test(start_paused = true)]
async fn what_a_batch_leaves_behind_is_sent_again_and_nothing_else() {
    let half = MessageFate::Halves { sender_fault: false };
    let sqs = Sqs::with([half, MessageFate::Silent, half]);
    sqs.queue(Some(URL)).send(&bodies(10)).await.unwrap();
    assert_eq!(sqs.calls().len(), 4);
    // 5 of 10, none of 5, 3 of 5, 2 of 2: each once.
    assert_eq!(sqs.taken().len(), 10);
    assert_eq!(BTreeSet::from_iter(sqs.taken()), BTreeSet::from_iter(bodies(10)));
}

#[tokio::test(start_paused = true)]
async fn what_is_left_behind_again_and_again_is_an_error_in_the_end() {
    let sqs = Sqs::always(MessageFate::Silent);
    let error = sqs.queue(Some(URL)).send(&bodies(2)).await.unwrap_err();
    assert!(matches!(error, QueueError::Unavailable(_)), "{error}");
    assert_eq!(sqs.calls().len(), 4);
}

#[tokio::test(start_paused = true)]
async fn a_message_that_will_never_be_taken_is_not_sent_again() {
    let sqs = Sqs::always(MessageFate::Halves { sender_fault: true });
    let error = sqs.queue(Some(URL)).send(&bodies(2)).await.unwrap_err();
    assert!(matches!(error, QueueError::Refused(_)), "{error}");
    assert_eq!(sqs.calls().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_queue_out_of_reach_is_an_error_in_time_and_a_short_fault_is_none() {
    for fate in [
        MessageFate::Unreachable,
        MessageFate::Hangs,
        MessageFate::Fails(500, "InternalError"),
        MessageFate::Fails(403, "AccessDenied"),
    ] {
        for url in [Some(URL), None] {
            let (sqs, started) = (Sqs::always(fate), tokio::time::Instant::now());
            let error = sqs.queue(url).send(&bodies(1)).await.unwrap_err();
            assert!(matches!(error, QueueError::Unavailable(_)), "{fate:?}: {error}");
            assert!(started.elapsed() <= torale_platform::config::QUEUE_TIMEOUT, "{fate:?}");
            assert!(sqs.calls().len() <= 3);
        }
    }
    for fate in [MessageFate::Unreachable, MessageFate::Hangs, MessageFate::Fails(500, "InternalError")] {
        let sqs = Sqs::with([fate]);
        sqs.queue(None).send(&bodies(1)).await.unwrap();
        assert_eq!(sqs.taken(), bodies(1), "{fate:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_queue_that_does_not_exist_is_said_to_be_so_and_asked_for_again() {
    for code in ["com.amazonaws.sqs#QueueDoesNotExist", "AWS.SimpleQueueService.NonExistentQueue"] {
        let sqs = Sqs::with([MessageFate::Fails(400, code)]);
        let queue = sqs.queue(None);
        let error = queue.send(&bodies(1)).await.unwrap_err();
        assert!(matches!(error, QueueError::Refused(_)), "{error}");
        queue.send(&bodies(1)).await.unwrap();
        assert_eq!(sqs.taken(), bodies(1));
    }
}
