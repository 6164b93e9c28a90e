//! P4: whatever crashes when, after redelivery the items are the same and nothing is lost.

use torale_platform::consume::Consumer;
use torale_tests::faults::Faults;
use torale_tests::generate::Generator;
use torale_tests::stack::{self, NOW, Stack};

const BATCH: usize = 12;

/// Batches whose later ones change what the earlier ones made: retries, deletes, queries that change.
fn batches() -> Vec<Vec<String>> {
    Generator::new(77).messages(4 * BATCH).chunks(BATCH).map(<[String]>::to_vec).collect()
}

async fn undisturbed(batches: &[Vec<String>]) -> std::collections::BTreeMap<String, String> {
    let stack = Stack::start().await;
    for batch in batches {
        stack.consume(batch).await;
    }
    stack.projections().await
}

/// Runs all batches with a store that fails once; what is handed back, or was in the hands of a process that
/// died, comes again to a healthy consumer. Returns the stack and how many calls were tried.
async fn disturbed(batches: &[Vec<String>], faults: Faults) -> (Stack, usize) {
    let stack = Stack::start().await;
    let faulty = Consumer::new(stack.faulty_store(faults.clone()), || NOW);
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
        // With little time a busy machine does, too.
        assert!(struck || faults.dies || again.is_empty(), "only a fault hands messages back");
        let outcome = stack::consume(&healthy, &again).await;
        assert_eq!(outcome.failed, Vec::<String>::new());
    }
    (stack, faults.calls())
}

async fn every_call_may_fail(after: bool, dies: bool) {
    let batches = batches();
    let expected = undisturbed(&batches).await;
    assert!(expected.len() > 50, "the batches fill the projections");
    let mut at = 0;
    loop {
        let (stack, calls) = disturbed(&batches, Faults::new(at, after, dies)).await;
        assert_eq!(stack.projections().await, expected, "a fault at call {at}");
        if at >= calls {
            break;
        }
        at += 1;
    }
    assert!(at > 20, "all calls of the run were struck, {at} in all");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_that_fails_before_it_took_effect() {
    every_call_may_fail(false, false).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_that_took_effect_but_whose_answer_is_lost() {
    every_call_may_fail(true, false).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_that_dies_before_a_call() {
    every_call_may_fail(false, true).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_that_dies_after_a_call() {
    every_call_may_fail(true, true).await;
}
