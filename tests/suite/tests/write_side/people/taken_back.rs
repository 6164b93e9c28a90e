//! A cause of commands that a reactivation under a derived id takes back for everybody: what waits is waited for, and
//! nothing is requested any more while the event of it is still on its way to the other users.

use super::{ANN, CLERK, anns_key, at_clerk, created, key, kinds, meanwhile, relay, stand_in};
use ::user::ReadUser;
use deactivate_user::DeactivateUser;
use reactivate_user::ReactivateUser;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use torale_domain::entities::linkage;
use torale_domain::storage::keys::{self, CONTROL_TABLE};
use torale_domain::values::ids::{ClerkUserId, UserId};
use torale_domain::values::time::{DAY, MINUTE};
use torale_testkit::events::{EventBuilder, api_key, identity, task, user};
use torale_testkit::interceptor::Interceptor;
use torale_testkit::request::{get, patch};
use torale_testkit::scenario::{Scenario, given};
use torale_testkit::stack::{self, NOW, text};

/// A user under the derived id, as the webhook of an earlier release made them.
fn old_row() -> EventBuilder {
    user(&stand_in()).created().with("clerk_user_id", CLERK).at(NOW.plus(-20 * DAY))
}

fn claims(name: &str) -> EventBuilder {
    identity(name).created().with("external_id", ANN).at(NOW.plus(-MINUTE))
}

async fn answer_to(scenario: &Scenario, reactivated: &str) -> u16 {
    scenario.when(patch::<ReactivateUser>(reactivated)).await.status
}

#[tokio::test]
async fn nothing_is_requested_for_a_user_whose_reactivation_is_on_its_way() {
    let scenario = given(vec![old_row(), created(), key(), at_clerk()]).start().await;
    assert_eq!(scenario.when(patch::<DeactivateUser>(&stand_in())).await.status, 200);
    relay(&scenario).await;
    assert!(!relay(&scenario).await.is_empty(), "Ann is stopped");
    scenario.receives(api_key("key_ann").revoked(ANN)).await;
    assert_eq!(answer_to(&scenario, &stand_in()).await, 200);

    let task = task("22222222-0000-4000-8000-000000000101").created(ANN, "ps6");
    let late = scenario.consume(&[task.message()]).await.late_entries;
    scenario.receives(claims("user_aaa")).await;

    assert_eq!(late, 0);
    assert_eq!(relay(&scenario).await, [], "and the event is consumed");
    assert_eq!(relay(&scenario).await, []);
}

/// A user of the identity comes while an administrator reactivates the derived id.
#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn reactivation_does_not_overlook_what_is_requested_for_other_users_at_the_same_moment() {
    let scenario = given((old_row(), at_clerk())).start().await;
    assert_eq!(scenario.when(patch::<DeactivateUser>(&stand_in())).await.status, 200);
    relay(&scenario).await;
    let (consumer, message) = (Arc::new(scenario.consumer()), stack::messages(&[created().message()]));
    let is_first = AtomicBool::new(true);
    let store = scenario.store_with(Interceptor::before(move |call| {
        if call.operation == "TransactWriteItems" && is_first.swap(false, Ordering::SeqCst) {
            assert_eq!(meanwhile(&consumer, &message), Vec::<String>::new());
        }
        Ok(())
    }));

    let answer = patch::<ReactivateUser>(&stand_in()).send(&scenario.app_over(store)).await;

    assert_eq!(answer.status, 409, "Ann is still to be stopped: {}", answer.text);
    assert_eq!(kinds(&relay(&scenario).await), [("user.ban", CLERK.to_owned())]);
    assert_eq!(answer_to(&scenario, &stand_in()).await, 200);
}

/// The identity's deletion deactivates both users. The old row has nothing that waits any more. The events of the
/// deletion have a short id, and the longest.
#[tokio::test]
async fn reactivation_after_a_deletion_waits_for_the_commands_for_other_users() {
    for event in ["e1".to_owned(), "\u{10348}".repeat(128)] {
        let scenario = given(vec![old_row(), created(), key(), at_clerk()]).start().await;
        scenario.receives(identity(CLERK).deleted().id(&event).at(NOW.plus(-MINUTE))).await;
        let own = keys::outbox(&format!("{event}\n{}", stand_in()), "");
        assert!(scenario.item(CONTROL_TABLE, &own).await.is_some());
        scenario.delete(CONTROL_TABLE, &own).await;

        assert_eq!(answer_to(&scenario, &stand_in()).await, 409);

        assert_eq!(kinds(&relay(&scenario).await), [("api_key.revoke", "key_ann".to_owned())]);
        assert_eq!(answer_to(&scenario, &stand_in()).await, 200);
    }
}

/// The old row has an identity of its own, so its item does not show the deletion.
#[tokio::test]
async fn reactivation_waits_for_commands_for_others_that_its_own_item_does_not_show() {
    let old_row = old_row().with("clerk_user_id", "user_other");
    let scenario = given(vec![old_row, created(), key(), at_clerk()]).start().await;
    assert_eq!(scenario.when(patch::<DeactivateUser>(&stand_in())).await.status, 200);
    relay(&scenario).await;
    assert!(!relay(&scenario).await.is_empty(), "Ann is stopped");
    scenario.receives(api_key("key_ann").revoked(ANN)).await;
    scenario.receives(identity(CLERK).deleted().at(NOW.plus(MINUTE))).await;

    assert_eq!(answer_to(&scenario, &stand_in()).await, 409);

    relay(&scenario).await;
    assert_eq!(answer_to(&scenario, &stand_in()).await, 200);
}

/// Another identity of the old row is reactivated. What it says is not said of the users of Ann's identity.
#[tokio::test]
async fn reactivation_of_another_identity_of_the_origin_takes_nothing_back() {
    let other = linkage::derived(&ClerkUserId::parse("user_ccc").unwrap()).to_string();
    let others_row = user(&other).created().with("clerk_user_id", "user_ccc").at(NOW.plus(-20 * DAY));
    let of_the_old_row = identity("user_ccc").created().with("external_id", stand_in());
    let scenario = given(vec![old_row(), created(), at_clerk(), others_row, of_the_old_row]).start().await;
    scenario.receives(identity(CLERK).deleted().at(NOW.plus(-MINUTE))).await;
    relay(&scenario).await;
    assert_eq!(scenario.when(patch::<DeactivateUser>(&other)).await.status, 200);
    for _ in 0..3 {
        relay(&scenario).await;
    }
    assert_eq!(answer_to(&scenario, &other).await, 200);
    relay(&scenario).await;

    let task = task("22222222-0000-4000-8000-000000000101").created(ANN, "ps6");
    assert_eq!(scenario.consume(&[task.message()]).await.late_entries, 1, "she is deactivated");
}

/// Ann was deactivated by herself before, which the same reactivation ends.
#[tokio::test]
async fn earlier_cause_does_not_stand_again_when_the_later_one_is_taken_back() {
    let scenario = given(vec![old_row(), created(), at_clerk()]).start().await;
    for user in [ANN, &stand_in()] {
        assert_eq!(scenario.when(patch::<DeactivateUser>(user)).await.status, 200);
        for _ in 0..3 {
            relay(&scenario).await;
        }
    }
    assert_eq!(answer_to(&scenario, &stand_in()).await, 200);

    let task = task("22222222-0000-4000-8000-000000000101").created(ANN, "ps6");
    let late = scenario.consume(&[task.message()]).await.late_entries;
    scenario.receives(claims("user_aaa")).await;

    assert_eq!(late, 0);
    assert_eq!((relay(&scenario).await, relay(&scenario).await), (vec![], vec![]));
}

/// They share the note of their cause's origin, so they are written together.
#[tokio::test]
async fn many_late_tasks_of_one_cause_are_all_stopped() {
    let scenario = given(vec![old_row(), created(), at_clerk()]).start().await;
    scenario.receives(identity(CLERK).deleted().at(NOW.plus(-MINUTE))).await;
    relay(&scenario).await;

    let later = |n: usize| task(&format!("22222222-0000-4000-8000-000000000{n:03}")).created(ANN, "ps6");
    let later: Vec<String> = (100..220).map(|n| later(n).message()).collect();
    let late = scenario.consume(&later).await.late_entries;

    assert_eq!(late, 120);
    let mut paused = kinds(&relay(&scenario).await);
    paused.dedup();
    assert_eq!(paused.len(), 120);
}

/// The platform deactivates whom a deletion at the provider has deactivated.
#[tokio::test]
async fn commands_of_a_deletion_wait_whatever_deactivates_the_user_afterwards() {
    let scenario = given((created(), key(), at_clerk())).start().await;
    scenario.receives(identity(CLERK).deleted().at(NOW.plus(-MINUTE))).await;
    scenario.receives(user(ANN).deactivated().with("by", "platform")).await;

    let shown = scenario.when(get::<ReadUser>("").about(ANN)).await.json();
    let answer = answer_to(&scenario, ANN).await;

    assert_eq!(shown["deactivation"]["commands_pending"], 1, "{shown}");
    assert_eq!(answer, 409);
    assert_eq!(kinds(&relay(&scenario).await), [("api_key.revoke", "key_ann".to_owned())]);
}

/// The row of a login that has just left is read, beside the user as they are without it.
#[tokio::test]
async fn deactivation_notes_no_logins_that_it_read_at_another_moment_than_the_user() {
    let (ann, left) = (UserId::parse(ANN).unwrap(), ClerkUserId::parse("user_aaa").unwrap());
    for leaves in [false, true] {
        let scenario = given((created(), at_clerk(), claims("user_aaa"))).start().await;
        let (table, row) = ("torale-projections-g1", keys::user_link(ann, &left));
        let stored = scenario.item(table, &row).await.unwrap();
        if leaves {
            scenario.receives(identity("user_aaa").updated().with("external_id", stand_in())).await;
            assert!(scenario.item(table, &row).await.is_none());
            let stored = stored.iter().map(|(name, value)| (name.as_str(), value.clone()));
            scenario.put(table, &row, stored).await;
        }

        assert_eq!(scenario.when(patch::<DeactivateUser>(ANN)).await.status, 200);

        let note = scenario.item(CONTROL_TABLE, &keys::requested_commands(ann)).await.unwrap();
        assert_eq!(note.contains_key("logins"), !leaves, "{note:?}");
    }
}

/// What the row says follows from the identity, so an event of the identity writes it anew.
#[tokio::test]
async fn damaged_row_of_a_link_is_written_anew_with_the_next_event_of_its_identity() {
    let scenario = given((created(), key(), at_clerk())).start().await;
    let row = keys::user_link(UserId::parse(ANN).unwrap(), &ClerkUserId::parse(CLERK).unwrap());
    scenario.put("torale-projections-g1", &row, [("state", text("{"))]).await;

    scenario.receives(identity(CLERK).deleted().at(NOW.plus(-MINUTE))).await;

    assert_eq!(anns_key(&scenario).await, 401);
    assert_eq!(kinds(&relay(&scenario).await), [("api_key.revoke", "key_ann".to_owned())]);
}
