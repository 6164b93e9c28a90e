//! The late rule where something can't be read, and where a user is reactivated at the same moment.

use super::{USER, deactivate, outbox, reactivate, relay, sent, task_id, user_with};
use deactivate_user::DeactivateUser;
use reactivate_user::ReactivateUser;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::time::Duration;
use torale_domain::deactivation::commands::Command;
use torale_domain::storage::item::Key;
use torale_domain::storage::keys::{self, CONTROL_TABLE};
use torale_domain::values::ids::{EntityKey, TaskId, UserId};
use torale_domain::values::time::DAY;
use torale_platform::consume::Consumer;
use torale_testkit::events::{EventBuilder, IntoMessages, identity, task, user};
use torale_testkit::interceptor::{Interceptor, StoreCall};
use torale_testkit::request::patch;
use torale_testkit::scenario::Scenario;
use torale_testkit::stack::{self, NOW, text};

const OTHER: &str = "00000000-0000-0000-0000-0000000000b1";
const PROJECTIONS: &str = "torale-projections-g1";

/// A task of the deactivated user that comes late.
fn late_task() -> EventBuilder {
    task(&task_id(50)).created(USER, "late")
}

/// Two users who are deactivated, and whose commands are sent. The other one has an active task that came late.
async fn two_deactivated() -> Scenario {
    let scenario = user_with(0, 0).await;
    scenario.receives(user(OTHER).created().with("clerk_user_id", "user_other")).await;
    deactivate(&scenario, &scenario.commands).await;
    assert_eq!(scenario.when(patch::<DeactivateUser>(OTHER)).await.status, 200);
    scenario.receives(task(&task_id(60)).created(OTHER, "late")).await;
    relay(&scenario, &scenario.commands).await;
    assert_eq!(outbox(&scenario).await, 0);
    scenario
}

/// Whether a store call puts something into the outbox.
fn puts_an_outbox_entry(call: &StoreCall<'_>) -> bool {
    let is_write = ["PutItem", "TransactWriteItems"].contains(&call.operation);
    is_write && call.json().to_string().contains(&format!(r#"{{"S":"{}"}}"#, keys::OUTBOX))
}

/// What happens before a store call that puts something into the outbox, the first time.
fn before_an_outbox_entry(happens: impl Fn() + Send + Sync + 'static) -> Interceptor {
    let is_first = AtomicBool::new(true);
    Interceptor::before(move |call| {
        if puts_an_outbox_entry(call) && is_first.swap(false, Ordering::SeqCst) {
            happens();
        }
        Ok(())
    })
}

/// The result of some work of another process, while this thread waits.
fn meanwhile<T: Send + 'static, W: Future<Output = T>>(work: impl FnOnce() -> W + Send + 'static) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let other = std::thread::spawn(move || runtime.block_on(work()));
    tokio::task::block_in_place(|| other.join().unwrap())
}

#[tokio::test]
async fn late_rule_stops_tasks_though_something_of_another_user_of_the_batch_cannot_be_read() {
    let other = UserId::parse(OTHER).unwrap();
    let of_task = EntityKey::Task(TaskId::parse(&task_id(60)).unwrap());
    let damages: [(&str, Key); 3] = [
        (PROJECTIONS, keys::entity(&of_task)),
        (PROJECTIONS, keys::user(other)),
        (CONTROL_TABLE, keys::deactivation(other)),
    ];
    let mut outcomes = Vec::new();

    for (table, damaged) in damages {
        let scenario = two_deactivated().await;
        scenario.put(table, &damaged, [("state", text("{"))]).await;
        let before = scenario.commands.taken().len();

        let batch = (task(&task_id(60)).resumed(), late_task()).into_messages();
        let outcome = stack::consume(&scenario.consumer(), &stack::messages(&batch)).await;
        relay(&scenario, &scenario.commands).await;

        let new = scenario.commands.taken().split_off(before);
        let targets = new.iter().map(|command| Command::receive(command).unwrap().command.target());
        outcomes.push((outcome.failed, outcome.late_entries, targets.collect()));
    }

    // Only the message about what can't be read comes again, and the other task is paused.
    let expected = (vec!["0".to_owned()], 1, vec![task_id(50)]);
    assert_eq!(outcomes, vec![expected; 3]);
}

/// The consumer has read the user as deactivated.
#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn late_rule_requests_nothing_for_a_user_who_is_reactivated_at_the_same_moment() {
    let scenario = user_with(0, 0).await;
    deactivate(&scenario, &scenario.commands).await;
    relay(&scenario, &scenario.commands).await;
    let app = Arc::new(scenario.app());
    let store = scenario.store_with(before_an_outbox_entry(move || {
        let app = Arc::clone(&app);
        let answer = meanwhile(move || async move { patch::<ReactivateUser>(USER).send(&app).await });
        assert_eq!(answer.status, 200, "{}", answer.text);
    }));

    let consumer = Consumer::new(store, || NOW);
    let outcome = stack::consume(&consumer, &stack::messages(&late_task().into_messages())).await;

    assert_eq!((outcome.late_entries, outcome.failed), (0, Vec::new()));
    assert_eq!(outbox(&scenario).await, 0, "the task of an active user runs");
}

/// The reactivation has looked at the outbox, which was empty then.
#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn reactivate_user_does_not_overlook_a_late_task_whose_command_is_requested_at_the_same_moment() {
    let scenario = user_with(0, 0).await;
    deactivate(&scenario, &scenario.commands).await;
    relay(&scenario, &scenario.commands).await;
    let (consumer, is_first) = (Arc::new(scenario.consumer()), AtomicBool::new(true));
    let store = scenario.store_with(Interceptor::before(move |call| {
        if call.operation == "TransactWriteItems" && is_first.swap(false, Ordering::SeqCst) {
            let (consumer, batch) = (Arc::clone(&consumer), stack::messages(&late_task().into_messages()));
            let outcome = meanwhile(move || async move { stack::consume(&consumer, &batch).await });
            assert_eq!((outcome.late_entries, outcome.failed), (1, Vec::new()));
        }
        Ok(())
    }));

    let answer = patch::<ReactivateUser>(USER).send(&scenario.app_over(store)).await;

    assert_eq!(answer.status, 409, "the command waits: {}", answer.text);
    relay(&scenario, &scenario.commands).await;
    assert!(sent(&scenario.commands).contains(&("task.pause".to_owned(), task_id(50))));
    assert_eq!(reactivate(&scenario).await.status, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn late_rule_looks_again_at_a_user_who_changes_at_the_same_moment() {
    let scenario = user_with(0, 0).await;
    deactivate(&scenario, &scenario.commands).await;
    relay(&scenario, &scenario.commands).await;
    let other = Arc::new(scenario.consumer());
    let store = scenario.store_with(before_an_outbox_entry(move || {
        let renamed = user(USER).updated().with("email", "new@example.com").into_messages();
        let (consumer, batch) = (Arc::clone(&other), stack::messages(&renamed));
        let outcome = meanwhile(move || async move { stack::consume(&consumer, &batch).await });
        assert_eq!((outcome.without_effect, outcome.failed), (0, Vec::new()));
    }));

    let consumer = Consumer::new(store, || NOW);
    let outcome = stack::consume(&consumer, &stack::messages(&late_task().into_messages())).await;

    assert_eq!((outcome.late_entries, outcome.failed), (1, Vec::new()));
    assert_eq!(outbox(&scenario).await, 1);
}

/// Several consumers have late tasks of the same user, and each transaction of one comes after one of another.
#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn late_rule_is_not_given_up_while_other_consumers_stop_tasks_of_the_same_user() {
    let scenario = user_with(0, 0).await;
    deactivate(&scenario, &scenario.commands).await;
    relay(&scenario, &scenario.commands).await;
    let (other, transactions) = (Arc::new(scenario.consumer()), AtomicU64::new(0));
    let store = scenario.store_with(Interceptor::before(move |call| {
        let number = if puts_an_outbox_entry(call) { transactions.fetch_add(1, Ordering::SeqCst) } else { 8 };
        if number < 8 {
            let batch = task(&task_id(1000 + u128::from(number))).created(USER, "late").into_messages();
            let (consumer, batch) = (Arc::clone(&other), stack::messages(&batch));
            let outcome = meanwhile(move || async move { stack::consume(&consumer, &batch).await });
            assert_eq!((outcome.late_entries, outcome.failed), (1, Vec::new()));
        }
        Ok(())
    }));

    let late: Vec<_> = (100..220).map(|n| task(&task_id(n)).created(USER, "late")).collect();
    let outcome =
        stack::consume(&Consumer::new(store, || NOW), &stack::messages(&late.into_messages())).await;

    assert_eq!((outcome.late_entries, outcome.failed), (120, Vec::new()));
    assert!(outbox(&scenario).await >= 120 + 3);
}

/// As when the store has no capacity left for a moment.
#[tokio::test]
async fn late_rule_is_tried_again_when_the_store_refuses_a_transaction() {
    let scenario = two_deactivated().await;
    let is_first = AtomicBool::new(true);
    let store = scenario.store_with(Interceptor::before(move |call| {
        match puts_an_outbox_entry(call) && is_first.swap(false, Ordering::SeqCst) {
            true => Err("no capacity".into()),
            false => Ok(()),
        }
    }));

    let batch = (task(&task_id(60)).resumed(), late_task()).into_messages();
    let outcome = stack::consume(&Consumer::new(store, || NOW), &stack::messages(&batch)).await;

    assert_eq!((outcome.late_entries, outcome.failed), (2, Vec::new()));
    assert_eq!(outbox(&scenario).await, 2);
}

/// Before each transaction over links of the other user, that user changes.
fn links_in_conflict(scenario: &Scenario) -> Interceptor {
    let is_of_links = |call: &StoreCall<'_>| {
        let body = String::from_utf8_lossy(call.body);
        call.operation == "TransactWriteItems" && body.contains(&format!("y#{OTHER}"))
    };
    let without_links = Interceptor::before(move |call| match is_of_links(call) {
        true => Err("no link from here".into()),
        false => Ok(()),
    });
    let other = Arc::new(Consumer::new(scenario.store_with(without_links), || NOW));
    let changes = AtomicI64::new(0);
    Interceptor::before(move |call| {
        if is_of_links(call) {
            let number = changes.fetch_add(1, Ordering::SeqCst);
            let email = user(OTHER).updated().with("email", format!("{number}@example.com"));
            let changed = email.at(NOW.plus(number - DAY)).into_messages();
            let (consumer, batch) = (Arc::clone(&other), stack::messages(&changed));
            let outcome = meanwhile(move || async move { stack::consume(&consumer, &batch).await });
            assert_eq!(outcome.without_effect, 0);
        }
        Ok(())
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn late_rule_stops_tasks_of_a_batch_whose_links_take_all_of_its_time() {
    let scenario = user_with(0, 0).await;
    let other = user(OTHER).created().with("clerk_user_id", "user_other").at(NOW.plus(-2 * DAY));
    scenario.receives(other).await;
    deactivate(&scenario, &scenario.commands).await;
    relay(&scenario, &scenario.commands).await;
    let consumer = Consumer::new(scenario.store_with(links_in_conflict(&scenario)), || NOW);

    let batch = (identity("user_other").updated().with("email", "new@example.com"), late_task());
    let batch = stack::messages(&batch.into_messages());
    let outcome = stack::consume_within(&consumer, &batch, Duration::from_secs(3)).await;

    assert_eq!((outcome.late_entries, outcome.failed), (1, vec!["0".to_owned()]));
    assert_eq!(outbox(&scenario).await, 1);
}
