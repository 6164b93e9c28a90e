//! P1: the answers depend on the set of events alone, and they are the answers of the independent model.

use torale_tests::generate::{self, Generator};
use torale_tests::rebuild;
use torale_tests::stack::{self, Stack};
use torale_tests::world;

/// Cases of the ordinary run; `TORALE_CASES` asks for more.
#[allow(clippy::disallowed_methods, reason = "a switch of the tests, not of the product")]
fn cases() -> u64 {
    std::env::var("TORALE_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(120)
}

/// Delivers in random order with duplicates, in random batches, to several consumers at once.
async fn deliver(stack: &Stack, generator: &mut Generator, messages: &[String]) {
    let consumers = [stack.consumer(), stack.consumer(), stack.consumer()];
    let batches = generator.deliveries(messages);
    for at_once in batches.chunks(consumers.len()) {
        let runs = consumers.iter().zip(at_once).map(|(consumer, batch)| async move {
            let mut waiting = stack::messages(batch);
            // What loses every race is handed back, as the queue would redeliver it.
            while !waiting.is_empty() {
                let failed = stack::consume(consumer, &waiting).await.failed;
                waiting.retain(|message| failed.contains(&message.id));
            }
        });
        futures::future::join_all(runs).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_endpoint_equals_the_independent_model() {
    let mut seen_new_errors = false;
    for seed in 0..cases() {
        let mut generator = Generator::new(seed);
        let count = 20 + usize::try_from(generator.below(120)).unwrap();
        let messages = [generate::admin(), generator.messages(count)].concat();
        let stack = Stack::start().await;
        deliver(&stack, &mut generator, &messages).await;
        let model = world::model(&messages);
        println!("seed {seed}, {count} messages");
        seen_new_errors |= world::check_metrics(&stack, &model).await.new_errors > 0;
        for (path, query) in world::PLAIN {
            world::check(&stack, &model, path, query).await;
        }
        for _ in 0..12 {
            let (path, query) = world::request(&mut generator);
            world::check(&stack, &model, path, &query).await;
        }
    }
    assert!(seen_new_errors, "no case had a failure of a first try in the last hour");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn any_order_duplication_and_cut_leads_to_the_same_items() {
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
async fn building_all_items_at_once_leads_to_the_items_of_one_by_one() {
    for seed in 2000..2000 + cases() / 2 {
        let mut generator = Generator::new(seed);
        let messages = generator.messages(100);
        let stack = Stack::start().await;
        deliver(&stack, &mut generator, &messages).await;
        assert_eq!(rebuild::items(&messages, Some(stack::NOW)), stack.projections().await, "seed {seed}");
    }
}
