//! Commands that wait in the outbox: what the relay sends, and what is created or resumed after a deactivation.

use super::{
    USER, deactivate, deactivated, distinct_ids, expected, outbox, reactivate, received, relay, relay_at,
    sent, set, task_id, user_with,
};
use serde_json::json;
use std::collections::BTreeSet;
use std::time::Duration;
use tokio::time::Instant;
use torale_domain::storage::item::Key;
use torale_domain::storage::keys::{self, CONTROL_TABLE};
use torale_domain::values::time::MINUTE;
use torale_platform::consume::Consumer;
use torale_platform::outbox::Relay;
use torale_platform::store::{Generations, Usage};
use torale_testkit::events::{EventBuilder, IntoMessages, api_key, task};
use torale_testkit::fake_aws::CallFate;
use torale_testkit::faults::Faults;
use torale_testkit::request::get;
use torale_testkit::sqs::FakeSqs;
use torale_testkit::stack::{self, NOW, number, text};
use users::Users;

/// The generation that was promoted after the deactivation may lag: what the former one lists is stopped, too.
#[tokio::test]
async fn relay_after_a_promotion_looks_through_both_generations() {
    let scenario = user_with(2, 0).await;
    deactivate(&scenario, &FakeSqs::unreachable()).await;
    let pointer = Key::stored("generation".to_owned(), "live".to_owned());
    scenario.put(CONTROL_TABLE, &pointer, [("generation", text("g2")), ("lanes", number(2))]).await;
    let spec = keys::TableSpec { name: keys::projections_table("g2"), ..keys::tables().remove(1) };
    scenario.store().create_table(&spec).await.unwrap();

    relay(&scenario, &scenario.commands).await;

    assert_eq!(sent(&scenario.commands), expected(2, 0));
}

#[tokio::test]
async fn relay_with_unreadable_outbox_entries_reports_them_and_sends_the_others() {
    let scenario = user_with(1, 0).await;
    deactivate(&scenario, &FakeSqs::unreachable()).await;

    for n in 0..60 {
        let key = Key::stored(keys::OUTBOX.to_owned(), format!("!{n}"));
        scenario.put(CONTROL_TABLE, &key, [("order", text("{}"))]).await;
    }

    relay(&scenario, &scenario.commands).await;

    assert_eq!(sent(&scenario.commands), expected(1, 0));
    assert_eq!(outbox(&scenario).await, 60);

    let (store, queue, usage) = (scenario.store(), scenario.commands.client(), Usage::default());
    let until = Instant::now() + Duration::from_secs(30);
    let again = Relay::new(&store, &Generations::default(), &queue, &usage).run(|| NOW, until).await.unwrap();

    assert_eq!(outbox_relay::alarm_metrics(&again).metrics, [("UnreadableOrders", "Count", 60)]);
    assert_eq!(outbox_relay::alarm_metrics(&Default::default()).metrics, []);
}

#[tokio::test]
async fn commands_that_the_queue_does_not_take_wait_in_the_outbox_for_the_relay() {
    let scenario = user_with(2, 1).await;

    for fate in [
        CallFate::Unreachable,
        CallFate::Fails(503, "ServiceUnavailable"),
        CallFate::Fails(400, "QueueDoesNotExist"),
    ] {
        deactivate(&scenario, &FakeSqs::always(fate)).await.then(200, &deactivated(2));
        assert_eq!(outbox(&scenario).await, 1, "{fate:?}");
    }

    relay(&scenario, &scenario.commands).await;

    assert_eq!(sent(&scenario.commands), expected(2, 1));
    assert_eq!(distinct_ids(&scenario.commands), 4);
    assert_eq!(outbox(&scenario).await, 0);

    relay(&scenario, &scenario.commands).await;

    assert_eq!(scenario.commands.taken().len(), 4, "an empty outbox sends nothing");
}

#[tokio::test]
async fn relay_reports_the_age_of_the_oldest_entry_and_what_it_sent() {
    let scenario = user_with(1, 0).await;
    deactivate(&scenario, &FakeSqs::unreachable()).await;
    let later = || NOW.plus(90_000);

    let failed = relay_at(&scenario, &FakeSqs::unreachable(), later).await;
    let relayed = relay_at(&scenario, &FakeSqs::default(), later).await;

    assert_eq!(failed, json!({ "commands": 0, "orders": 0, "failed": 1, "lag_ms": 90_000 }));
    assert_eq!(relayed, json!({ "commands": 2, "orders": 1, "failed": 0, "lag_ms": 0 }));
}

/// A task and a key that are created, and a task that is resumed, after the user was deactivated.
fn resumed_later() -> [EventBuilder; 4] {
    [
        task(&task_id(50)).created(USER, "late"),
        task(&task_id(1)).resumed(),
        api_key("late").created(USER, "sk_late_0123456789abcdefghij"),
        task(&task_id(51)).created(USER, "q").with("state", "paused"),
    ]
}

/// A duplicate is looked at again: the consumer that took the first one in may have died before it looked.
#[tokio::test]
async fn deactivate_user_stops_tasks_and_revokes_keys_that_are_created_or_resumed_later() {
    let scenario = user_with(1, 0).await;
    deactivate(&scenario, &scenario.commands).await;
    let before = scenario.commands.taken().len();

    for _ in 0..2 {
        assert_eq!(scenario.consume(&resumed_later().into_messages()).await.late_entries, 3);
    }

    assert_eq!(outbox(&scenario).await, 3, "one entry for each, however often it is made");

    relay(&scenario, &scenario.commands).await;

    let sent = set(sent(&scenario.commands));

    for (kind, target) in
        [("task.pause", task_id(50)), ("task.pause", task_id(1)), ("api_key.revoke", "late".to_owned())]
    {
        assert!(sent.contains(&(kind.to_owned(), target.clone())), "{kind} {target}");
    }
    let new: BTreeSet<_> = received(&scenario.commands)[before..].iter().map(|one| one.id).collect();

    assert_eq!(new.len(), 3);
}

#[tokio::test]
async fn reactivate_user_lets_tasks_run_that_are_created_later() {
    let scenario = user_with(1, 0).await;
    deactivate(&scenario, &scenario.commands).await;
    scenario.receives(resumed_later()).await;
    relay(&scenario, &scenario.commands).await;
    scenario.receives(api_key("late").revoked(USER)).await;

    assert_eq!(reactivate(&scenario).await.status, 200);

    assert_eq!(scenario.consume(&resumed_later().into_messages()).await.late_entries, 0);
}

/// Found by scenario 5206 of `faults.rs`: an entry that waited kept the time of the first resumption.
#[tokio::test]
async fn task_that_is_resumed_again_while_its_entry_waits_is_paused_later_than_that() {
    let scenario = user_with(0, 0).await;
    deactivate(&scenario, &scenario.commands).await;
    scenario.receives(task(&task_id(50)).created(USER, "late")).await;
    let ahead = NOW.plus(10 * MINUTE);
    scenario.receives(task(&task_id(50)).resumed().at(ahead)).await;

    relay(&scenario, &scenario.commands).await;

    let received = received(&scenario.commands);
    let of_task = received.iter().filter(|one| one.command.target() == task_id(50));
    let last = of_task.max_by_key(|one| one.at).unwrap();

    assert!(last.at > ahead);

    scenario.receives(last.confirming_events(&[], NOW)).await;
    let users = scenario.when(get::<Users>("")).await.json();

    assert_eq!(users["users"][0]["active_tasks_count"], 0);
}

#[tokio::test]
async fn consumer_that_cannot_write_the_outbox_entry_returns_the_message() {
    let scenario = user_with(1, 0).await;
    deactivate(&scenario, &scenario.commands).await;
    let late = |n: u128| stack::messages(&task(&task_id(n)).created(USER, "late").into_messages());
    let probe = Faults::none();
    let consumer = Consumer::new(scenario.faulty_store(&probe), || NOW);

    assert_eq!(stack::consume(&consumer, &late(50)).await.late_entries, 1);

    // Its last call puts the entry into the outbox.
    let faults = Faults::new(probe.calls() - 1, false, true);
    let consumer = Consumer::new(scenario.faulty_store(&faults), || NOW);
    let failed = stack::consume_within(&consumer, &late(51), stack::SHORT).await.failed;

    assert_eq!(failed, ["0"]);
}
