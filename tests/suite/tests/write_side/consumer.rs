//! The consumer: what it quarantines, what it writes of a duplicate, and what it returns to the queue.

use serde_json::Value;
use stats::Stats;
use std::collections::BTreeMap;
use std::time::Duration;
use torale_domain::storage::keys::QUARANTINE_TABLE;
use torale_platform::consume::Consumer;
use torale_testkit::events;
use torale_testkit::faults::Faults;
use torale_testkit::generator::Generator;
use torale_testkit::request::get;
use torale_testkit::stack::{self, NOW, Stack};

/// The quarantined messages, each put together from its parts, in no order.
async fn quarantined(stack: &Stack) -> Vec<String> {
    let mut parts = BTreeMap::new();
    for item in stack.scan(QUARANTINE_TABLE).await {
        let text = |name: &str| item[name].as_s().unwrap().clone();
        // A part's key is the message's digest and the part's number.
        parts.insert(text("sk"), text("body"));
    }
    let mut messages: BTreeMap<String, String> = BTreeMap::new();
    for (key, part) in parts {
        *messages.entry(key[..64].to_owned()).or_default() += &part;
    }
    messages.into_values().collect()
}

#[tokio::test]
async fn consumer_quarantines_an_unreadable_message_once_and_takes_the_others() {
    let stack = Stack::start().await;
    let unreadable = "{\"specversion\":\"1.0\"".to_owned();
    let large = format!("\"{}\"", "é".repeat(400_000));
    let [first, second]: [String; 2] = events::admin().try_into().unwrap();
    let batch = [first, unreadable.clone(), large.clone(), second];

    for _ in 0..2 {
        let outcome = stack.consume(&batch).await;
        assert_eq!(outcome.quarantined.values().sum::<u64>(), 2);
    }

    let (mut found, mut expected) = (quarantined(&stack).await, vec![unreadable, large]);
    found.sort();
    expected.sort();

    assert!(found == expected, "{} messages", found.len());

    stack.read(&get::<Stats>("")).await;
}

#[tokio::test]
async fn consumer_writes_a_duplicate_to_the_log_only() {
    let stack = Stack::start().await;
    let batch = Generator::new(5).messages(60);
    stack.consume(&batch).await;
    let (projections, logged) = (stack.projections().await, stack.scan("torale-events").await.len());

    let outcome = stack.consume(&batch).await;

    assert_eq!(outcome.transactions, 0);
    assert_eq!(stack.projections().await, projections);
    assert!(stack.scan("torale-events").await.len() > logged);
}

#[tokio::test]
async fn consumer_without_time_returns_the_whole_batch_and_writes_no_projection() {
    let stack = Stack::start().await;
    let batch = events::admin();

    let outcome = stack::consume_within(&stack.consumer(), &stack::messages(&batch), Duration::ZERO).await;

    assert_eq!(outcome.failed, ["0", "1"]);
    assert!(stack.projections().await.is_empty());

    stack.consume(&batch).await;
    let stats: Value = stack.read(&get::<Stats>("")).await;

    assert_eq!(stats["users"]["total"], 1);
}

#[tokio::test]
async fn consumer_without_a_store_returns_every_message_even_unreadable_ones() {
    let stack = Stack::start().await;
    let consumer = Consumer::new(stack.faulty_store(&Faults::always()), || NOW);
    let batch = [events::admin(), vec!["unreadable".to_owned()]].concat();

    let outcome = stack::consume_within(&consumer, &stack::messages(&batch), stack::SHORT).await;

    assert_eq!(outcome.failed, ["0", "1", "2"]);
}
