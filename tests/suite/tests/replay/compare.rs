//! What was tampered with is found, named and mended.

use super::{filled, quiet, rebuild};
use aws_sdk_dynamodb::types::AttributeValue;
use serde_json::json;
use std::collections::BTreeSet;
use std::time::Duration;
use torale_domain::storage::item::Key;
use torale_domain::storage::keys::{self, FIRST_GENERATION, Lanes};
use torale_domain::values::ids::UserId;
use torale_replay::compare::{Comparison, Expected};
use torale_replay::{Replay, ReplayError};
use torale_tests::generate::{Generator, event};
use torale_tests::stack::{NOW, Stack};
use torale_tests::world;

async fn nothing() -> Result<(), ReplayError> {
    Ok(())
}

pub(super) async fn verify(replay: &Replay) -> Comparison {
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
    let replay = quiet(stack.store_as("Operator"));
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

    let (mended, left) = replay.repair(&live, Duration::ZERO, false).await.unwrap();
    assert_eq!((mended, left.is_equal()), (u64::try_from(tampered.len()).unwrap(), true));
    assert!(stack.projections().await == good);
}

/// What was never projected, because a message was lost after it was logged, is found and mended as well.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_only_the_log_knows_is_mended() {
    let (stack, _) = filled(4100, 100).await;
    let replay = quiet(stack.store_as("Operator"));
    let good = stack.projections().await;
    let table = keys::projections_table(FIRST_GENERATION);
    for item in stack.scan(&table).await.into_iter().step_by(2) {
        let delete = stack.client.delete_item().table_name(&table);
        delete.key("pk", item["pk"].clone()).key("sk", item["sk"].clone()).send().await.unwrap();
    }
    assert!(!verify(&replay).await.is_equal());
    let live = replay.pointer().await.unwrap().live;
    let (_, left) = replay.repair(&live, Duration::ZERO, false).await.unwrap();
    assert!(left.is_equal());
    assert!(stack.projections().await == good);
}

/// What the log knows nothing of is deleted only if that is asked for: the log may be what is wrong.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn entities_without_events_are_deleted_only_on_demand() {
    let (stack, _) = filled(4150, 30).await;
    let replay = quiet(stack.store_as("Operator"));
    let good = stack.projections().await;
    let live = replay.pointer().await.unwrap().live;
    let put =
        stack.client.put_item().table_name(live.table()).item("pk", text("x#ghost")).item("sk", text("e"));
    put.item("state", text("[]")).send().await.unwrap();
    let refused = replay.repair(&live, Duration::ZERO, false).await;
    assert!(matches!(refused, Err(ReplayError::Refused(_))));
    assert!(replay.repair(&live, Duration::ZERO, true).await.unwrap().1.is_equal());
    assert!(stack.projections().await == good);
}

/// A counter that moves all the time and is wrong by as much each time is found and mended nevertheless.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_counter_that_moves_is_found_wrong() {
    let (stack, _) = filled(4160, 60).await;
    let replay = quiet(stack.store_as("Operator"));
    let live = replay.pointer().await.unwrap().live;
    let numbers = std::sync::atomic::AtomicU64::new(1);
    // In one hour and one lane, so that it is always the same counter.
    let user = "11111111-0000-4000-8000-00000000f000".to_owned();
    let more = || async {
        let number = numbers.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let data =
            json!({ "notification_id": format!("moving{number}"), "user_id": user, "channel": "email" });
        stack.consume(&[event(&format!("moving{number}"), NOW, "notification.sent", data)]).await;
        Ok(())
    };
    more().await.unwrap();
    let day = keys::user_day(UserId::parse(&user).unwrap(), NOW.day());
    let add = stack.client.update_item().table_name(live.table()).key("pk", text(&day.pk));
    let add =
        add.key("sk", text(&day.sk)).update_expression("ADD #p :n").expression_attribute_names("#p", "p");
    add.expression_attribute_values(":n", AttributeValue::N("5".to_owned())).send().await.unwrap();
    let compared = replay.compare(Expected::Log(live.lanes), &live, Duration::ZERO, more).await.unwrap();
    assert!(named(&compared).contains(&day), "{:?}", compared.differences);
    let (mended, left) = replay.repair(&live, Duration::ZERO, false).await.unwrap();
    assert_eq!((mended, left.is_equal()), (1, true));
}

/// Someone else changes what is about to be mended: it is theirs.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_changes_all_the_time_is_in_motion_and_no_difference() {
    let (stack, _) = filled(4200, 60).await;
    let replay = quiet(stack.store_as("Operator"));
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

/// Counters that an older release has made, or that someone has emptied, keep no event from being projected.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn counters_that_hold_too_little_keep_nothing_back() {
    for seed in 4300..4304 {
        let (stack, messages) = filled(seed, 80).await;
        let live = quiet(stack.store_as("Operator")).pointer().await.unwrap().live;
        for item in stack.scan(&live.table()).await {
            let pk = item["pk"].as_s().unwrap();
            let counter = pk.starts_with("c#") || pk.starts_with("q#") || item["sk"].as_s().unwrap() == "t";
            if counter {
                let delete = stack.client.delete_item().table_name(live.table());
                delete.key("pk", item["pk"].clone()).key("sk", item["sk"].clone()).send().await.unwrap();
            }
        }
        // All that can be taken away: users go, tasks go, executions end otherwise.
        let more = Generator::new(seed + 100).messages(150);
        stack.consume(&more).await;
        let replay = quiet(stack.store_as("Operator"));
        replay.repair(&live, Duration::ZERO, false).await.unwrap();
        let model = world::model(&[messages, more].concat());
        for (path, query) in world::PLAIN {
            world::check(&stack, &model, path, query).await;
        }
    }
}
