//! What was tampered with is found, named and mended.

use super::{filled, quiet, rebuild};
use aws_sdk_dynamodb::types::AttributeValue;
use std::collections::BTreeSet;
use std::time::Duration;
use torale_domain::item::Key;
use torale_domain::keys::{self, FIRST_GENERATION, Lanes};
use torale_replay::compare::{Comparison, Expected};
use torale_replay::{Failure, Replay};
use torale_tests::stack::Stack;

async fn nothing() -> Result<(), Failure> {
    Ok(())
}

async fn verify(replay: &Replay) -> Comparison {
    let live = replay.pointer().await.unwrap().live;
    replay.compare(Expected::Log(live.lanes), &live, Duration::ZERO, nothing).await.unwrap()
}

fn named(comparison: &Comparison) -> BTreeSet<Key> {
    comparison.differences.iter().map(|difference| difference.key.clone()).collect()
}

fn text(text: &str) -> AttributeValue {
    AttributeValue::S(text.to_owned())
}

/// Changes one item of each kind behind everyone's back; returns their keys.
async fn tamper(stack: &Stack) -> BTreeSet<Key> {
    let table = keys::projections_table(FIRST_GENERATION);
    let items = stack.scan(&table).await;
    let key = |item: &std::collections::HashMap<String, AttributeValue>| Key {
        pk: item["pk"].as_s().unwrap().clone(),
        sk: item["sk"].as_s().unwrap().clone(),
    };
    let first = |prefix: &str, sk: &str| {
        let found =
            items.iter().find(|item| key(item).pk.starts_with(prefix) && key(item).sk.starts_with(sk));
        found.unwrap_or_else(|| panic!("no {prefix}")).clone()
    };
    let mut tampered = BTreeSet::new();
    // A counter, an entity, a query, and an attribute of a kind that we never write.
    let changes = [
        (first("c#executions", "h#"), "p", AttributeValue::N("999".to_owned())),
        (first("x#", "e"), "state", text("[]")),
        (first("q#", "e"), "query", text("another")),
        (first("t#", "e"), "extra", AttributeValue::Bool(true)),
        (first("u#", "t"), "tasks", AttributeValue::N("1.5".to_owned())),
    ];
    for (item, name, value) in changes {
        tampered.insert(key(&item));
        let mut item = item;
        item.insert(name.to_owned(), value);
        stack.client.put_item().table_name(&table).set_item(Some(item)).send().await.unwrap();
    }
    // A row that is gone, and one that should not be there.
    let row = key(&first("r#executions", ""));
    let delete = stack.client.delete_item().table_name(&table).key("pk", text(&row.pk));
    delete.key("sk", text(&row.sk)).send().await.unwrap();
    let ghost = Key { sk: "9999999999999ghost".to_owned(), ..row.clone() };
    let put = stack.client.put_item().table_name(&table).item("pk", text(&ghost.pk));
    put.item("sk", text(&ghost.sk)).send().await.unwrap();
    tampered.extend([row, ghost]);
    tampered
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_tampered_with_is_found_named_and_mended() {
    let (stack, _) = filled(4000, 150).await;
    let replay = quiet(stack.store());
    let good = stack.projections().await;
    let clean = verify(&replay).await;
    assert!(clean.is_equal() && clean.in_motion == 0);
    assert_eq!((clean.expected.0, &clean.expected), (u64::try_from(good.len()).unwrap(), &clean.found));

    let generation = rebuild(&replay, Lanes::DEFAULT).await.unwrap();
    let tampered = tamper(&stack).await;
    assert_eq!(named(&verify(&replay).await), tampered, "verify");
    let live = replay.pointer().await.unwrap().live;
    let diff = replay.compare(Expected::Table(&generation), &live, Duration::ZERO, nothing).await.unwrap();
    assert_eq!(named(&diff), tampered, "diff");
    assert_ne!(diff.expected.1, diff.found.1);

    let (mended, left) = replay.repair(&live, Duration::ZERO).await.unwrap();
    assert_eq!((mended, left.is_equal()), (u64::try_from(tampered.len()).unwrap(), true));
    assert!(stack.projections().await == good);
}

/// What was never projected, because a message was lost after it was logged, is found and mended as well.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_only_the_log_knows_is_mended() {
    let (stack, _) = filled(4100, 100).await;
    let replay = quiet(stack.store());
    let good = stack.projections().await;
    let table = keys::projections_table(FIRST_GENERATION);
    for item in stack.scan(&table).await.into_iter().step_by(2) {
        let delete = stack.client.delete_item().table_name(&table);
        delete.key("pk", item["pk"].clone()).key("sk", item["sk"].clone()).send().await.unwrap();
    }
    assert!(!verify(&replay).await.is_equal());
    let live = replay.pointer().await.unwrap().live;
    let (_, left) = replay.repair(&live, Duration::ZERO).await.unwrap();
    assert!(left.is_equal());
    assert!(stack.projections().await == good);
}

/// Someone else changes what is about to be mended: it is theirs.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_changes_all_the_time_is_in_motion_and_no_difference() {
    let (stack, _) = filled(4200, 60).await;
    let replay = quiet(stack.store());
    let live = replay.pointer().await.unwrap().live;
    let item =
        stack.scan(&live.table()).await.into_iter().find(|item| item["pk"] == text("c#queries")).unwrap();
    let count = std::sync::atomic::AtomicU64::new(1_000);
    let change = || async {
        let count = count.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let mut item = item.clone();
        item.insert("p".to_owned(), AttributeValue::N(count.to_string()));
        stack.client.put_item().table_name(live.table()).set_item(Some(item)).send().await.unwrap();
        Ok(())
    };
    change().await.unwrap();
    let comparison = replay.compare(Expected::Log(live.lanes), &live, Duration::ZERO, change).await.unwrap();
    assert_eq!((comparison.differences.len(), comparison.in_motion), (0, 1));
}
