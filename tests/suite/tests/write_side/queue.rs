//! The client of the queue: nothing counts as sent before SQS has confirmed it. Time is virtual.

use std::collections::BTreeSet;
use tokio::time::Instant;
use torale_platform::config::QUEUE_TIMEOUT;
use torale_platform::queue::QueueError;
use torale_testkit::fake_aws::CallFate;
use torale_testkit::sqs::{FakeSqs, URL};

fn bodies(count: usize) -> Vec<String> {
    (0..count).map(|n| format!("message {n}")).collect()
}

#[tokio::test(start_paused = true)]
async fn queue_sends_messages_in_tens_and_looks_its_url_up_once() {
    let sqs = FakeSqs::default();
    let queue = sqs.queue(None);

    queue.send(&[]).await.unwrap();

    assert_eq!(sqs.calls(), [""; 0], "nothing to send");

    queue.send(&bodies(21)).await.unwrap();
    queue.send(&bodies(1)).await.unwrap();

    assert_eq!(sqs.taken(), [bodies(21), bodies(1)].concat());

    let batch = "SendMessageBatch";
    assert_eq!(sqs.calls(), ["GetQueueUrl", batch, batch, batch, batch]);
}

#[tokio::test(start_paused = true)]
async fn queue_with_a_known_url_looks_nothing_up() {
    let sqs = FakeSqs::default();

    sqs.queue(Some(URL)).send(&bodies(1)).await.unwrap();

    assert_eq!(sqs.calls(), ["SendMessageBatch"]);
}

#[tokio::test(start_paused = true)]
async fn queue_sends_again_exactly_the_messages_that_a_batch_did_not_take() {
    let half = CallFate::Halves { sender_fault: false };
    let sqs = FakeSqs::with([half, CallFate::Silent, half]);

    sqs.client().send(&bodies(10)).await.unwrap();

    // 5 of 10, none of 5, 3 of 5, 2 of 2: each once.
    assert_eq!(sqs.calls().len(), 4);
    assert_eq!(sqs.taken().len(), 10);
    assert_eq!(BTreeSet::from_iter(sqs.taken()), BTreeSet::from_iter(bodies(10)));
}

#[tokio::test(start_paused = true)]
async fn queue_gives_up_a_message_that_is_never_taken() {
    let sqs = FakeSqs::always(CallFate::Silent);

    let error = sqs.client().send(&bodies(2)).await.unwrap_err();

    assert!(matches!(error, QueueError::Unavailable(_)), "{error}");
    assert_eq!(sqs.calls().len(), 4);
}

#[tokio::test(start_paused = true)]
async fn queue_does_not_resend_a_message_that_is_refused_for_good() {
    let sqs = FakeSqs::always(CallFate::Halves { sender_fault: true });

    let error = sqs.client().send(&bodies(2)).await.unwrap_err();

    assert!(matches!(error, QueueError::Refused(_)), "{error}");
    assert_eq!(sqs.calls().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn queue_out_of_reach_is_an_error_within_its_timeout() {
    for fate in [
        CallFate::Unreachable,
        CallFate::Hangs,
        CallFate::Fails(500, "InternalError"),
        CallFate::Fails(403, "AccessDenied"),
    ] {
        for url in [Some(URL), None] {
            let (sqs, started) = (FakeSqs::always(fate), Instant::now());

            let error = sqs.queue(url).send(&bodies(1)).await.unwrap_err();

            assert!(matches!(error, QueueError::Unavailable(_)), "{fate:?}: {error}");
            assert!(started.elapsed() <= QUEUE_TIMEOUT, "{fate:?}");
            assert!(sqs.calls().len() <= 3);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn queue_that_fails_once_is_tried_again() {
    for fate in [CallFate::Unreachable, CallFate::Hangs, CallFate::Fails(500, "InternalError")] {
        let sqs = FakeSqs::with([fate]);

        sqs.queue(None).send(&bodies(1)).await.unwrap();

        assert_eq!(sqs.taken(), bodies(1), "{fate:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn queue_that_does_not_exist_is_refused_and_looked_up_again_next_time() {
    for code in ["com.amazonaws.sqs#QueueDoesNotExist", "AWS.SimpleQueueService.NonExistentQueue"] {
        let sqs = FakeSqs::with([CallFate::Fails(400, code)]);
        let queue = sqs.queue(None);

        let error = queue.send(&bodies(1)).await.unwrap_err();
        assert!(matches!(error, QueueError::Refused(_)), "{error}");

        queue.send(&bodies(1)).await.unwrap();
        assert_eq!(sqs.taken(), bodies(1));
    }
}
