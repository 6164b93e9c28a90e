//! Items that were tampered with are found, named and repaired.

use super::{assert_same, filled, quiet, rebuild};
use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::AttributeValue;
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use torale_domain::storage::item::Key;
use torale_domain::storage::keys::{self, EVENTS_TABLE, FIRST_GENERATION, Lanes};
use torale_domain::values::ids::UserId;
use torale_replay::compare::{Comparison, Expected};
use torale_replay::{Replay, ReplayError};
use torale_testkit::events::{ADMIN, ADMIN_KEY_ID, api_key, execution, notification_sent, task};
use torale_testkit::generator::Generator;
use torale_testkit::request::get;
use torale_testkit::scenario::{Scenario, given, given_an_admin};
use torale_testkit::stack::{NOW, RawItem, Stack, key_of, number, text};
use torale_tests::model;
use users::Users;

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

/// Changes one item of each kind past the system; returns their keys.
async fn tamper(stack: &Stack) -> BTreeSet<Key> {
    let table = keys::projections_table(FIRST_GENERATION);
    let items = stack.scan(&table).await;
    let first = |pk: &str, sk: &str| -> RawItem {
        let fits = |key: Key| key.pk.starts_with(pk) && key.sk.starts_with(sk);
        let found = items.iter().find(|item| fits(key_of(item)));
        found.unwrap_or_else(|| panic!("no {pk}")).clone()
    };
    let mut tampered = BTreeSet::new();
    // A counter, an entity, a query, and an attribute of a kind that we never write.
    let changes = [
        (first("c#executions", "h#"), "p", number(999)),
        (first("x#", "e"), "state", text("[]")),
        (first("q#", "e"), "query", text("another")),
        (first("t#", "e"), "extra", AttributeValue::Bool(true)),
        (first("u#", "t"), "tasks", AttributeValue::N("1.5".to_owned())),
    ];
    for (item, name, value) in changes {
        tampered.insert(key_of(&item));
        let mut item = item;
        item.insert(name.to_owned(), value);
        stack.client.put_item().table_name(&table).set_item(Some(item)).send().await.unwrap();
    }
    // A row that is gone, and one that should not be there.
    let row = key_of(&first("r#executions", ""));
    let extra = Key::stored(row.pk.clone(), "9999999999999extra".to_owned());
    stack.delete(&table, &row).await;
    stack.put(&table, &extra, []).await;
    tampered.extend([row, extra]);
    tampered
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn compare_finds_and_names_tampered_items_and_repair_mends_them() {
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

/// Events that were never projected, as their message was lost after it was logged, are found and repaired as well.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn repair_projects_events_that_only_the_log_has() {
    let (stack, _) = filled(4100, 100).await;
    let replay = quiet(stack.store_as("Operator"));
    let good = stack.projections().await;
    let table = keys::projections_table(FIRST_GENERATION);

    for item in stack.scan(&table).await.into_iter().step_by(2) {
        stack.delete(&table, &key_of(&item)).await;
    }

    assert!(!verify(&replay).await.is_equal());

    let live = replay.pointer().await.unwrap().live;
    let (_, left) = replay.repair(&live, Duration::ZERO, false).await.unwrap();

    assert!(left.is_equal());
    assert!(stack.projections().await == good);
}

/// Issue 16, number 12: the key's own item does not name all of its hashes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dead_hashes_of_a_key_with_many_are_verified_and_repaired() {
    let (stack, _) = filled(4120, 20).await;
    let user = "11111111-0000-4000-8000-00000000f000";
    let texts = (0..150).map(|number| format!("sk_{number:030}"));
    let created: Vec<String> = texts.map(|text| api_key("many").created(user, &text).message()).collect();
    stack.consume(&created).await;
    let replay = quiet(stack.store_as("Operator"));
    let good = stack.projections().await;

    assert!(verify(&replay).await.is_equal());

    let generation = rebuild(&replay, Lanes::DEFAULT).await.unwrap();
    assert_same(&stack, FIRST_GENERATION, &generation.name).await;

    let table = keys::projections_table(FIRST_GENERATION);
    let dead: Vec<Key> =
        stack.scan(&table).await.iter().map(key_of).filter(|key| key.sk == "1#many").collect();
    assert_eq!(dead.len(), 150);
    for row in &dead {
        stack.delete(&table, row).await;
    }
    let live = replay.pointer().await.unwrap().live;
    let (mended, left) = replay.repair(&live, Duration::ZERO, false).await.unwrap();
    assert_eq!((mended, left.is_equal()), (150, true));
    assert!(stack.projections().await == good);
}

/// Entities without events are deleted only on demand: it may be the log that is wrong.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn repair_deletes_entities_without_events_only_on_demand() {
    let (stack, _) = filled(4150, 30).await;
    let replay = quiet(stack.store_as("Operator"));
    let good = stack.projections().await;
    let live = replay.pointer().await.unwrap().live;
    let unknown = Key::stored("x#unknown".to_owned(), "e".to_owned());
    stack.put(&live.table(), &unknown, [("state", text("[]"))]).await;
    let refused = replay.repair(&live, Duration::ZERO, false).await;

    assert!(matches!(refused, Err(ReplayError::Refused(_))));
    assert!(replay.repair(&live, Duration::ZERO, true).await.unwrap().1.is_equal());
    assert!(stack.projections().await == good);
}

/// What the key of the admin answers.
async fn status(stack: &Stack) -> u16 {
    get::<Users>("").send(&stack.app()).await.status
}

/// A key is created and then revoked, by two records of the log. `damage` gets the second, and the revocation is gone.
async fn revoked_key_whose_revocation_the_log_lacks(
    damage: impl AsyncFnOnce(&Stack, RawItem),
) -> (Scenario, Replay) {
    let stack = given_an_admin().start().await;
    assert_eq!(status(&stack).await, 200);
    let before: BTreeSet<Key> = stack.scan(EVENTS_TABLE).await.iter().map(key_of).collect();
    stack.consume(&[api_key(ADMIN_KEY_ID).revoked(ADMIN).message()]).await;
    assert_eq!(status(&stack).await, 401);
    let second = stack.scan(EVENTS_TABLE).await.into_iter().find(|item| !before.contains(&key_of(item)));
    damage(&stack, second.unwrap()).await;
    let replay = quiet(stack.store_as("Operator"));
    (stack, replay)
}

async fn loses(stack: &Stack, record: RawItem) {
    stack.delete(EVENTS_TABLE, &key_of(&record)).await;
}

fn key_item(key: &Key) -> RawItem {
    [("pk".to_owned(), text(&key.pk)), ("sk".to_owned(), text(&key.sk))].into()
}

async fn garbles(stack: &Stack, record: RawItem) {
    let broken = AttributeValue::B(Blob::new(*b"broken"));
    stack.put(EVENTS_TABLE, &key_of(&record), [("events", broken), ("n", number(1))]).await;
}

/// P8: nothing becomes active again because the log has lost why it is not.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn repair_sets_an_entity_back_to_what_a_damaged_log_says_only_on_demand() {
    for (stack, replay) in [
        revoked_key_whose_revocation_the_log_lacks(loses).await,
        revoked_key_whose_revocation_the_log_lacks(garbles).await,
    ] {
        let live = replay.pointer().await.unwrap().live;
        let verified = verify(&replay).await;
        assert!(named(&verified).contains(&Key::stored(format!("k#{ADMIN_KEY_ID}"), "e".to_owned())));

        let refused = replay.repair(&live, Duration::ZERO, false).await.unwrap_err();

        assert!(refused.to_string().contains(&format!("k#{ADMIN_KEY_ID}")), "{refused}");
        assert_eq!(status(&stack).await, 401);
        assert!(replay.repair(&live, Duration::ZERO, true).await.unwrap().1.is_equal());
        assert_eq!(status(&stack).await, 200, "on demand it becomes what the log says");
    }
}

/// An entity that is gone, empty or cannot be read shows nothing that the log lacks. It is repaired, unless the log
/// cannot be read either: then it may have had an event more.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn repair_of_an_entity_that_shows_nothing_needs_a_log_that_can_be_read() {
    let key = Key::stored(format!("k#{ADMIN_KEY_ID}"), "e".to_owned());
    for garbled in [false, true] {
        let stack = given_an_admin().start().await;
        let replay = quiet(stack.store_as("Operator"));
        let table = replay.pointer().await.unwrap().live.table();
        let item = stack.item(&table, &key).await.unwrap();
        if garbled {
            garbles(&stack, key_item(&keys::log(NOW, 1, "broken", 0))).await;
        }
        for state in [None, Some("[]~"), Some("[]")] {
            match state {
                None => stack.delete(&table, &key).await,
                Some(state) => stack.put(&table, &key, [("state", text(state))]).await,
            }
            let live = replay.pointer().await.unwrap().live;

            let repaired = replay.repair(&live, Duration::ZERO, false).await;

            assert_eq!(repaired.is_err(), garbled, "{state:?}: {repaired:?}");
            replay.repair(&live, Duration::ZERO, true).await.unwrap();
            assert_eq!(stack.item(&table, &key).await.unwrap(), item);
        }
    }
}

/// A counter that changes all the time and is always wrong by as much is found and repaired nevertheless.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn compare_finds_a_wrong_counter_that_changes_all_the_time() {
    let (stack, _) = filled(4160, 60).await;
    let replay = quiet(stack.store_as("Operator"));
    let live = replay.pointer().await.unwrap().live;
    let numbers = AtomicU64::new(1);
    // In one hour and one lane, so that it is always the same counter.
    let user = "11111111-0000-4000-8000-00000000f000".to_owned();
    let more = || async {
        let number = numbers.fetch_add(1, Ordering::Relaxed);
        stack.consume(&[notification_sent(&format!("moving{number}"), &user).message()]).await;
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

/// So are a task's totals, which are amounts as well.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn compare_finds_wrong_totals_of_a_task_that_change_all_the_time() {
    let (user, of) = ("11111111-0000-4000-8000-0000000000e1", "22222222-0000-4000-8000-0000000000e1");
    let stack = given(task(of).created(user, "iphone")).start().await;
    let replay = quiet(stack.store_as("Operator"));
    let live = replay.pointer().await.unwrap().live;
    let numbers = AtomicU64::new(1);
    let more = || async {
        let number = numbers.fetch_add(1, Ordering::Relaxed);
        let run = format!("33333333-0000-4000-8000-{number:012}");
        stack.consume(&[execution(&run, of, user).failed("Timeout", "late").message()]).await;
        Ok(())
    };
    more().await.unwrap();
    let key = Key::stored(format!("t#{of}"), "e".to_owned());
    let mut item = stack.item(&live.table(), &key).await.unwrap();
    let totals = item["totals"].as_s().unwrap().replacen("[[1,", "[[6,", 1);
    assert_ne!(item.insert("totals".to_owned(), text(&totals)), Some(text(&totals)));
    stack.client.put_item().table_name(live.table()).set_item(Some(item)).send().await.unwrap();

    let compared = replay.compare(Expected::Log(live.lanes), &live, Duration::ZERO, more).await.unwrap();

    assert!(named(&compared).contains(&key), "{compared:?}");
    let (mended, left) = replay.repair(&live, Duration::ZERO, false).await.unwrap();
    assert_eq!((mended, left.is_equal()), (1, true));
}

/// An item that somebody else is changing is left to them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn compare_counts_an_item_that_changes_all_the_time_as_in_motion() {
    let (stack, _) = filled(4200, 60).await;
    let replay = quiet(stack.store_as("Operator"));
    let live = replay.pointer().await.unwrap().live;
    let item =
        stack.scan(&live.table()).await.into_iter().find(|item| item["pk"] == text("c#queries")).unwrap();
    let count = AtomicU64::new(1_000);
    let change = || async {
        let count = count.fetch_add(1, Ordering::Relaxed);
        let mut item = item.clone();
        item.insert("p".to_owned(), AttributeValue::N(count.to_string()));
        stack.client.put_item().table_name(live.table()).set_item(Some(item)).send().await.unwrap();
        Ok(())
    };
    change().await.unwrap();
    let comparison = replay.compare(Expected::Log(live.lanes), &live, Duration::ZERO, change).await.unwrap();

    assert_eq!((comparison.differences.len(), comparison.in_motion), (0, 1));
}

/// Counters that an older release has made, or that someone has emptied, don't stop events from being projected.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn consumer_takes_events_that_would_make_a_counter_negative() {
    for seed in 4300..4304 {
        let (stack, messages) = filled(seed, 80).await;
        let live = quiet(stack.store_as("Operator")).pointer().await.unwrap().live;
        for item in stack.scan(&live.table()).await {
            let pk = item["pk"].as_s().unwrap();
            let counter = pk.starts_with("c#") || pk.starts_with("q#") || item["sk"].as_s().unwrap() == "t";
            if counter {
                stack.delete(&live.table(), &key_of(&item)).await;
            }
        }
        // Everything that decrements a counter: users and tasks go, executions change their status.
        let more = Generator::new(seed + 100).messages(150);
        stack.consume(&more).await;
        let replay = quiet(stack.store_as("Operator"));
        replay.repair(&live, Duration::ZERO, false).await.unwrap();
        let expected = model::model(&[messages, more].concat());
        for (path, query) in model::PLAIN {
            model::check(&stack, &expected, path, query).await;
        }
    }
}
