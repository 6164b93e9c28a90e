//! P4: whatever crashes when, after redelivery the projections are the same and nothing is lost.

use torale_platform::consume::Consumer;
use torale_testkit::faults::Faults;
use torale_testkit::generator::Generator;
use torale_testkit::stack::{self, NOW, Stack};

const BATCH: usize = 12;

/// Batches whose later ones change what the earlier ones made: retries, deletes, queries that change.
fn batches() -> Vec<Vec<String>> {
    Generator::new(77).messages(4 * BATCH).chunks(BATCH).map(<[String]>::to_vec).collect()
}

async fn without_faults(batches: &[Vec<String>]) -> std::collections::BTreeMap<String, String> {
    let stack = Stack::start().await;
    for batch in batches {
        stack.consume(batch).await;
    }
    stack.projections().await
}

/// Runs all batches with a store that fails once. Messages that failed, or that a process had when it died, are
/// delivered again, to a healthy consumer. Returns the stack and how many calls were tried.
async fn with_faults(batches: &[Vec<String>], faults: Faults) -> (Stack, usize) {
    let stack = Stack::start().await;
    let faulty = Consumer::new(stack.faulty_store(&faults), || NOW);
    let healthy = stack.consumer();
    for batch in batches {
        let messages = stack::messages(batch);
        let before = faults.calls();
        let time = if faults.dies { stack::SHORT } else { stack::LONG };
        let outcome = stack::consume_within(&faulty, &messages, time).await;
        let died = faults.dies && faults.calls() > faults.at;
        let struck = before <= faults.at && faults.at < faults.calls();
        let again: Vec<_> =
            messages.into_iter().filter(|message| died || outcome.failed.contains(&message.id)).collect();
        // With little time a busy machine may fail messages, too.
        assert!(struck || faults.dies || again.is_empty(), "only a fault fails messages");
        let outcome = stack::consume(&healthy, &again).await;
        assert_eq!(outcome.failed, Vec::<String>::new());
    }
    (stack, faults.calls())
}

async fn check_every_call(after: bool, dies: bool) {
    let batches = batches();
    let expected = without_faults(&batches).await;
    assert!(expected.len() > 50, "the batches fill the projections");
    let mut at = 0;
    loop {
        let (stack, calls) = with_faults(&batches, Faults::new(at, after, dies)).await;
        assert_eq!(stack.projections().await, expected, "a fault at call {at}");
        if at >= calls {
            break;
        }
        at += 1;
    }
    assert!(at > 20, "every call of the run failed once, {at} in all");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redelivery_mends_a_store_call_that_fails_before_it_took_effect() {
    check_every_call(false, false).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redelivery_mends_a_store_call_that_took_effect_but_whose_answer_is_lost() {
    check_every_call(true, false).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redelivery_mends_a_consumer_that_dies_before_a_store_call() {
    check_every_call(false, true).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redelivery_mends_a_consumer_that_dies_after_a_store_call() {
    check_every_call(true, true).await;
}
