//! P1: the answers depend on the set of events alone, and they are the answers of the independent model.

use torale_testkit::generator::Generator;
use torale_testkit::stack::{self, Stack};
use torale_testkit::{events, rebuild, switches};
use torale_tests::model;

/// Cases of the ordinary run; `TORALE_CASES` asks for more.
fn cases() -> u64 {
    switches::number("TORALE_CASES", 120)
}

/// Delivers in random order with duplicates, in random batches, to several consumers at once.
async fn deliver(stack: &Stack, generator: &mut Generator, messages: &[String]) {
    let consumers = [stack.consumer(), stack.consumer(), stack.consumer()];
    let batches = generator.deliveries(messages);
    for at_once in batches.chunks(consumers.len()) {
        let runs = consumers.iter().zip(at_once).map(|(consumer, batch)| async move {
            let mut waiting = stack::messages(batch);
            // A message that loses every race fails, and the queue delivers it again.
            while !waiting.is_empty() {
                let failed = stack::consume(consumer, &waiting).await.failed;
                waiting.retain(|message| failed.contains(&message.id));
            }
        });
        futures::future::join_all(runs).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn endpoints_answer_as_the_independent_model_for_random_events_in_random_order() {
    let mut seen_new_errors = false;

    for seed in 0..cases() {
        let mut generator = Generator::new(seed);
        let count = 20 + usize::try_from(generator.below(120)).unwrap();
        let messages = [events::admin(), generator.messages(count)].concat();
        let stack = Stack::start().await;
        deliver(&stack, &mut generator, &messages).await;
        let expected = model::model(&messages);
        println!("seed {seed}, {count} messages");
        seen_new_errors |= model::check_metrics(&stack, &expected).await.new_errors > 0;
        for (path, query) in model::PLAIN {
            model::check(&stack, &expected, path, query).await;
        }
        for path in model::details() {
            model::check(&stack, &expected, &path, "").await;
        }
        for _ in 0..12 {
            let (path, query) = model::request(&mut generator);
            model::check(&stack, &expected, path, &query).await;
        }
    }

    assert!(seen_new_errors, "no case had a failure of a first try in the last hour");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn projections_are_the_same_for_any_order_duplication_and_batching() {
    for seed in 1000..1000 + cases() / 2 {
        let mut generator = Generator::new(seed);
        let messages = generator.messages(80);
        let mut seen = Vec::new();
        for _ in 0..2 {
            let stack = Stack::start().await;
            deliver(&stack, &mut generator, &messages).await;
            seen.push(stack.projections().await);
        }
        assert_eq!(seen[0], seen[1], "seed {seed}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn projections_built_all_at_once_are_those_built_event_by_event() {
    for seed in 2000..2000 + cases() / 2 {
        let mut generator = Generator::new(seed);
        let messages = generator.messages(100);
        let stack = Stack::start().await;
        deliver(&stack, &mut generator, &messages).await;
        assert_eq!(rebuild::items(&messages, Some(stack::NOW)), stack.projections().await, "seed {seed}");
    }
}
