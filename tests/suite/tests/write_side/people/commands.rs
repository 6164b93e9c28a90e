//! Commands for a person who has several user ids: whoever is deactivated by an identity is stopped like one whom an
//! administrator has deactivated under their own id.

use super::{
    ANN, CLERK, PHONE, anns_key, at_clerk, created, key, kinds, listed, meanwhile, relay,
    replay_catches_up_with, stand_in,
};
use deactivate_user::DeactivateUser;
use reactivate_user::ReactivateUser;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use torale_domain::values::time::{DAY, HOUR, MINUTE};
use torale_platform::store::Usage;
use torale_testkit::events::{EventBuilder, api_key, identity, schedule_created, task, user};
use torale_testkit::interceptor::Interceptor;
use torale_testkit::request::patch;
use torale_testkit::scenario::{Scenario, given};
use torale_testkit::stack::{self, NOW};

const NIGHTLY: &str = "schedule-nightly";

fn phone() -> EventBuilder {
    task(PHONE).created(ANN, "iphone").at(NOW.plus(-DAY))
}

/// A task that came after the deactivation.
fn later(n: u8) -> EventBuilder {
    task(&format!("22222222-0000-4000-8000-0000000001{n:02}")).created(ANN, "ps6")
}

/// A user under the derived id, as the webhook of an earlier release made them.
fn old_row() -> EventBuilder {
    user(&stand_in()).created().with("clerk_user_id", CLERK).at(NOW.plus(-20 * DAY))
}

/// Ann with a key, a task and a schedule, and her old row.
async fn ann_with_an_old_row() -> Scenario {
    let nightly = schedule_created(NIGHTLY, PHONE, ANN, "0 9 * * *").at(NOW.plus(-DAY));
    let old = old_row();
    given(vec![old, created(), key(), phone(), nightly, at_clerk()]).start().await
}

/// All that stops Ann, sorted.
fn all_of_ann() -> Vec<(&'static str, String)> {
    vec![
        ("api_key.revoke", "key_ann".to_owned()),
        ("task.pause", PHONE.to_owned()),
        ("user.ban", CLERK.to_owned()),
    ]
}

async fn deactivates(scenario: &Scenario, user: &str) -> u16 {
    scenario.when(patch::<DeactivateUser>(user)).await.status
}

async fn reactivates(scenario: &Scenario, user: &str) -> u16 {
    scenario.when(patch::<ReactivateUser>(user)).await.status
}

/// How many commands the late rule asks for when these events come.
async fn late(scenario: &Scenario, event: &EventBuilder) -> u64 {
    scenario.consume(&[event.message()]).await.late_entries
}

#[tokio::test]
async fn deactivation_under_the_derived_id_stops_what_the_persons_other_users_have_and_get() {
    let scenario = ann_with_an_old_row().await;
    assert_eq!(deactivates(&scenario, &stand_in()).await, 200);
    assert_eq!(relay(&scenario).await, [], "the event is on its way to the consumer");

    let commands = relay(&scenario).await;

    assert_eq!(kinds(&commands), all_of_ann());
    assert!(commands.iter().all(|one| one.requested_by == torale_testkit::events::ADMIN), "{commands:?}");
    assert_eq!(relay(&scenario).await, [], "once");
    assert_eq!(late(&scenario, &later(1)).await, 1);

    // What the platform sends on top changes neither the cause nor its rule.
    let platform = [user(&stand_in()).deactivated().id("p1"), user(ANN).deactivated().id("p2")];
    scenario.receives(platform.map(|event| event.at(NOW.plus(MINUTE))).to_vec()).await;
    assert_eq!(late(&scenario, &later(2)).await, 1);
    assert_eq!(kinds(&relay(&scenario).await).len(), 2, "the two tasks alone");
}

#[tokio::test]
async fn stand_in_that_was_deactivated_is_stopped_again_as_a_user_of_the_platform() {
    let scenario = given(at_clerk()).start().await;
    assert_eq!(deactivates(&scenario, &stand_in()).await, 200);
    relay(&scenario).await;

    scenario.receives((created().at(NOW.plus(-DAY)), key(), phone())).await;

    // The key and the task came after the user: each may be asked for twice, under the same id.
    let commands = relay(&scenario).await;
    let mut found = kinds(&commands);
    found.dedup();
    assert_eq!(found, all_of_ann());
    assert_eq!(anns_key(&scenario).await, 401);
}

#[tokio::test]
async fn deactivation_that_the_platform_sends_for_a_derived_id_sends_no_commands_for_others() {
    let scenario = ann_with_an_old_row().await;

    scenario.receives(user(&stand_in()).deactivated()).await;

    assert_eq!(anns_key(&scenario).await, 401, "the person is deactivated");
    assert_eq!(relay(&scenario).await, []);
    assert_eq!(late(&scenario, &later(1)).await, 0);
}

/// The event alone proves nothing: an administrator's deactivation has a note in the control table.
#[tokio::test]
async fn deactivation_that_only_looks_like_ours_sends_no_commands() {
    let scenario = ann_with_an_old_row().await;

    scenario.receives(user(&stand_in()).deactivated().with_attribute("source", "/torale/admin")).await;

    assert_eq!(anns_key(&scenario).await, 401);
    assert_eq!(relay(&scenario).await, []);
    assert_eq!(late(&scenario, &later(1)).await, 0);
}

#[tokio::test]
async fn person_whom_the_derived_id_deactivated_is_reactivated_once_that_is_carried_out() {
    let scenario = ann_with_an_old_row().await;
    assert_eq!(deactivates(&scenario, &stand_in()).await, 200);
    assert_eq!(reactivates(&scenario, &stand_in()).await, 409, "the event waits in the outbox");
    relay(&scenario).await;
    assert_eq!(reactivates(&scenario, ANN).await, 409, "commands wait");
    assert_eq!(reactivates(&scenario, &stand_in()).await, 409, "they would reach what Ann gets afterwards");
    relay(&scenario).await;
    assert_eq!(reactivates(&scenario, ANN).await, 409, "her key is alive");
    scenario.receives(api_key("key_ann").revoked(ANN)).await;

    assert_eq!(reactivates(&scenario, ANN).await, 200);

    assert_eq!(late(&scenario, &later(1)).await, 0);
    let (users, _) = listed(&scenario).await;
    let state = |id: &str| users.iter().find(|user| user["id"] == id).unwrap()["state"].clone();
    assert_eq!((state(ANN), state(&stand_in())), ("active".into(), "deactivated".into()));

    // A second deactivation is not mistaken for the first.
    assert_eq!(reactivates(&scenario, &stand_in()).await, 200);
    relay(&scenario).await;
    assert_eq!(deactivates(&scenario, &stand_in()).await, 200);
    relay(&scenario).await;
    let again = kinds(&relay(&scenario).await);
    assert!(again.contains(&("user.ban", CLERK.to_owned())) && again.len() > 1, "{again:?}");
}

#[tokio::test]
async fn reactivation_under_the_derived_id_brings_the_persons_other_users_back() {
    let scenario = ann_with_an_old_row().await;
    assert_eq!(deactivates(&scenario, &stand_in()).await, 200);
    relay(&scenario).await;
    relay(&scenario).await;
    scenario.receives(api_key("key_ann").revoked(ANN)).await;

    assert_eq!(reactivates(&scenario, &stand_in()).await, 200);
    relay(&scenario).await;

    let (users, _) = listed(&scenario).await;
    assert!(users.iter().all(|user| user["state"] == "active"), "{users:?}");
    assert_eq!(relay(&scenario).await, []);
    assert_eq!(late(&scenario, &later(1)).await, 0);
}

/// Another identity, of an id that sorts before or after Ann's own, was deleted before Ann's user named hers.
#[tokio::test]
async fn login_that_a_user_names_after_their_deletion_was_noted_is_blocked_too() {
    for other in ["user_aaa", "user_zzz"] {
        let old = identity(other).created().with("external_id", ANN).at(NOW.plus(-15 * DAY));
        let scenario = given((old, identity(other).deleted())).start().await;
        assert_eq!(relay(&scenario).await, [], "a deleted identity is not banned, and there is nothing else");

        scenario.receives(created()).await;

        assert_eq!(kinds(&relay(&scenario).await), [("user.ban", CLERK.to_owned())], "{other}");
        scenario.receives(created()).await;
        assert_eq!(relay(&scenario).await, [], "once");
    }
}

/// The same where an administrator has deactivated the stand-in under the id that the user of the platform has later.
#[tokio::test]
async fn login_that_a_user_names_after_their_deactivation_is_blocked_too() {
    let other = identity("user_aaa").created().with("external_id", ANN).at(NOW.plus(-15 * DAY));
    let scenario = given(other).start().await;
    assert_eq!(deactivates(&scenario, ANN).await, 200);

    scenario.receives(created().at(NOW.plus(-DAY))).await;

    let banned = kinds(&relay(&scenario).await);
    assert!(banned.contains(&("user.ban", CLERK.to_owned())), "{banned:?}");
    scenario.receives(identity(CLERK).logged_in()).await;
    assert_eq!(relay(&scenario).await, [], "once");
}

/// The user's own identity is banned although the entry was written before its link, and the relay came in between.
#[tokio::test]
async fn login_is_blocked_although_its_link_comes_after_the_outbox_entry() {
    let old = identity("user_aaa").created().with("external_id", ANN).at(NOW.plus(-15 * DAY));
    let scenario = given((created(), old)).start().await;
    scenario.receives(identity("user_aaa").deleted()).await;
    let links = torale_domain::storage::keys::user_link(
        torale_domain::values::ids::UserId::parse(ANN).unwrap(),
        &torale_domain::values::ids::ClerkUserId::parse(CLERK).unwrap(),
    );
    scenario.delete("torale-projections-g1", &links).await;

    assert_eq!(kinds(&relay(&scenario).await), [("user.ban", CLERK.to_owned())]);
}

/// A deleted identity leaves Ann, who is active again, and comes back: what she got meanwhile is stopped too.
#[tokio::test]
async fn user_whom_a_deleted_identity_deactivates_once_more_is_stopped_once_more() {
    let of = |user: &str| identity("user_aaa").updated().with("external_id", user);
    let scenario =
        given((created(), phone(), identity("user_aaa").created().at(NOW.plus(-9 * DAY)))).start().await;
    scenario
        .receives((of(ANN).at(NOW.plus(-8 * DAY)), identity("user_aaa").deleted().at(NOW.plus(-MINUTE))))
        .await;
    assert!(kinds(&relay(&scenario).await).contains(&("task.pause", PHONE.to_owned())));

    scenario.receives(of(&stand_in()).at(NOW.plus(-7 * DAY))).await;
    let meanwhile = later(1);
    assert_eq!(late(&scenario, &meanwhile).await, 0, "she is active");
    assert_eq!(relay(&scenario).await, [], "nothing to stop");
    scenario.receives(of(ANN).at(NOW.plus(-6 * DAY))).await;

    let stopped = kinds(&relay(&scenario).await);
    let task = "22222222-0000-4000-8000-000000000101";
    assert!(stopped.contains(&("task.pause", task.to_owned())), "{stopped:?}");
    assert!(stopped.contains(&("user.ban", CLERK.to_owned())), "{stopped:?}");
    scenario.receives(identity("user_aaa").logged_in()).await;
    assert_eq!(relay(&scenario).await, [], "once");
}

/// A link of the batch makes Ann active again: the task that comes with it is not stopped.
#[tokio::test]
async fn task_that_comes_with_what_makes_its_user_active_again_is_not_stopped() {
    let of = |user: &str| identity("user_aaa").updated().with("external_id", user);
    let scenario = given((created(), identity("user_aaa").created().at(NOW.plus(-9 * DAY)))).start().await;
    scenario
        .receives((of(ANN).at(NOW.plus(-8 * DAY)), identity("user_aaa").deleted().at(NOW.plus(-MINUTE))))
        .await;
    relay(&scenario).await;

    let batch = [of(&stand_in()).at(NOW.plus(-7 * DAY)), later(1)];
    let outcome = scenario.consume(&batch.map(|event| event.message())).await;

    assert_eq!((outcome.late_entries, outcome.failed), (0, Vec::new()));
    assert_eq!(relay(&scenario).await, [], "she is active");
}

/// The identity is linked after the relay has read the links.
#[tokio::test]
async fn login_that_says_later_that_it_is_a_deactivated_users_is_blocked_too() {
    let scenario = given((created(), at_clerk())).start().await;
    assert_eq!(deactivates(&scenario, ANN).await, 200);
    assert_eq!(relay(&scenario).await, [], "the endpoint has sent them");

    scenario.receives(identity("user_aaa").created().with("external_id", ANN).at(NOW.plus(-MINUTE))).await;

    assert!(kinds(&relay(&scenario).await).contains(&("user.ban", "user_aaa".to_owned())));
    scenario.receives(identity("user_aaa").logged_in()).await;
    assert_eq!(relay(&scenario).await, [], "once");
}

/// The user's identities are few, and many: then they are checked in batches.
#[tokio::test]
async fn login_that_a_replay_has_linked_to_a_deactivated_user_is_blocked_when_its_message_comes() {
    for identities in [1, 6] {
        let claims =
            (1..identities).map(|n| identity(&format!("user_{n}")).created().with("external_id", ANN));
        let scenario = given((created(), claims.collect::<Vec<_>>())).start().await;
        assert_eq!(deactivates(&scenario, ANN).await, 200);
        let another = identity("user_aaa").created().with("external_id", ANN).at(NOW.plus(-MINUTE));
        replay_catches_up_with(&scenario, &another).await;

        scenario.receives(another).await;
        scenario.receives(created()).await;

        let commands = relay(&scenario).await;
        assert_eq!(commands.len(), identities + 1, "each login, once: {commands:?}");
        assert!(kinds(&commands).contains(&("user.ban", "user_aaa".to_owned())));
        scenario.receives(identity("user_aaa").logged_in()).await;
        assert_eq!(relay(&scenario).await, [], "once");
    }
}

/// The same for a user whom the deletion of an identity has deactivated: what was requested is noted elsewhere.
#[tokio::test]
async fn login_that_a_replay_has_linked_after_a_deletion_is_blocked_when_its_message_comes() {
    let old = identity("user_old").created().with("external_id", ANN).at(NOW.plus(-15 * DAY));
    let scenario = given((created(), old)).start().await;
    scenario.receives(identity("user_old").deleted()).await;
    assert_eq!(kinds(&relay(&scenario).await), [("user.ban", CLERK.to_owned())]);
    let another = identity("user_aaa").created().with("external_id", ANN).at(NOW.plus(-MINUTE));
    replay_catches_up_with(&scenario, &another).await;

    scenario.receives(created()).await;

    let both = [("user.ban", "user_aaa".to_owned()), ("user.ban", CLERK.to_owned())];
    assert_eq!(kinds(&relay(&scenario).await), both, "whichever message comes first");
    scenario.receives(another).await;
    assert_eq!(relay(&scenario).await, [], "once");
}

/// A replay has written that the deleted identity left Ann, so that nobody took the note back.
#[tokio::test]
async fn user_whom_a_deleted_identity_deactivates_once_more_is_stopped_whatever_is_noted() {
    let of = |user: &str| identity("user_aaa").updated().with("external_id", user);
    let scenario = given((created(), identity("user_aaa").created().at(NOW.plus(-9 * DAY)))).start().await;
    let deleted = identity("user_aaa").deleted().at(NOW.plus(-MINUTE));
    scenario.receives((of(ANN).at(NOW.plus(-8 * DAY)), deleted)).await;
    assert_eq!(kinds(&relay(&scenario).await), [("user.ban", CLERK.to_owned())]);
    let leaves = of(&stand_in()).at(NOW.plus(-7 * DAY));
    replay_catches_up_with(&scenario, &leaves).await;
    scenario.receives((leaves, phone())).await;
    assert_eq!(relay(&scenario).await, [], "she is active");

    scenario.receives(of(ANN).at(NOW.plus(-6 * DAY))).await;

    let stopped = [("task.pause", PHONE.to_owned()), ("user.ban", CLERK.to_owned())];
    assert_eq!(kinds(&relay(&scenario).await), stopped);
    scenario.receives(identity("user_aaa").logged_in()).await;
    assert_eq!(relay(&scenario).await, [], "once");
}

/// Two logins come in one batch, and the relay has read the entry after the first: what it then deletes is not the
/// second's.
#[tokio::test]
async fn entry_that_is_put_again_for_another_login_is_not_the_one_that_a_relay_has_read() {
    let scenario = given((created(), at_clerk())).start().await;
    assert_eq!(deactivates(&scenario, ANN).await, 200);
    let claims = |name: &str| identity(name).created().with("external_id", ANN).at(NOW.plus(-MINUTE));
    let waiting = async || scenario.store().outbox_entries(None, 10, &Usage::default()).await.unwrap();

    scenario.receives(claims("user_aaa")).await;
    let read_by_the_relay = waiting().await;
    scenario.receives(claims("user_bbb")).await;

    let then = waiting().await;
    assert_eq!((read_by_the_relay.len(), then.len()), (1, 1));
    let [read, then] = [&read_by_the_relay, &then].map(|entries| entries[0].as_ref().unwrap());
    assert_eq!((&read.key, read.entry.at), (&then.key, then.entry.at));
    assert_ne!(read.unchanged(), then.unchanged(), "the relay's deletion would pass");
}

/// A login comes and goes before the relay looks, and comes back: nobody has blocked it yet.
#[tokio::test]
async fn login_that_was_gone_when_the_relay_looked_is_blocked_when_it_returns() {
    let scenario = given((created(), at_clerk())).start().await;
    assert_eq!(deactivates(&scenario, ANN).await, 200);
    assert_eq!(relay(&scenario).await, [], "the endpoint has sent them");
    let of = |user: &str, hours: i64| {
        identity("user_aaa").updated().with("external_id", user).at(NOW.plus(-hours * HOUR))
    };

    let comes = identity("user_aaa").created().with("external_id", ANN).at(NOW.plus(-9 * HOUR));
    for event in [comes, of(&stand_in(), 8)] {
        scenario.receives(event).await;
    }
    assert_eq!(kinds(&relay(&scenario).await), [("user.ban", CLERK.to_owned())]);
    scenario.receives(of(ANN, 7)).await;

    let both = [("user.ban", "user_aaa".to_owned()), ("user.ban", CLERK.to_owned())];
    assert_eq!(kinds(&relay(&scenario).await), both);
}

/// A login comes while an administrator reactivates its user: what is requested for it would reach an active user.
#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn reactivation_does_not_overlook_what_is_requested_at_the_same_moment() {
    let scenario = given((created(), at_clerk())).start().await;
    assert_eq!(deactivates(&scenario, ANN).await, 200);
    let another = identity("user_aaa").created().with("external_id", ANN).at(NOW.plus(-MINUTE));
    // A replay has written its link already, so the consumer changes nothing of the user.
    replay_catches_up_with(&scenario, &another).await;
    let (consumer, message) = (Arc::new(scenario.consumer()), stack::messages(&[another.message()]));
    let is_first = AtomicBool::new(true);
    let store = scenario.store_with(Interceptor::before(move |call| {
        if call.operation == "TransactWriteItems" && is_first.swap(false, Ordering::SeqCst) {
            assert_eq!(meanwhile(&consumer, &message), Vec::<String>::new());
        }
        Ok(())
    }));

    let answer = patch::<ReactivateUser>(ANN).send(&scenario.app_over(store)).await;

    assert_eq!(answer.status, 409, "it is still carried out: {}", answer.text);
    let both = [("user.ban", "user_aaa".to_owned()), ("user.ban", CLERK.to_owned())];
    assert_eq!(kinds(&relay(&scenario).await), both);
    assert_eq!(reactivates(&scenario, ANN).await, 200);
}

/// The platform has deactivated Ann too, so she stays inactive while the deleted identity is gone: nothing that comes
/// then is stopped, until the identity is back.
#[tokio::test]
async fn inactive_user_whom_a_deleted_identity_deactivates_once_more_is_stopped_once_more() {
    let of = |user: &str, hours: i64| {
        identity("user_aaa").updated().with("external_id", user).at(NOW.plus(-hours * HOUR))
    };
    let by_the_platform = user(ANN).deactivated().at(NOW.plus(-20 * HOUR));
    let scenario =
        given((created(), by_the_platform, identity("user_aaa").created().at(NOW.plus(-DAY)))).start().await;
    scenario.receives((of(ANN, 9), identity("user_aaa").deleted().at(NOW.plus(-MINUTE)))).await;
    assert_eq!(kinds(&relay(&scenario).await), [("user.ban", CLERK.to_owned())]);
    scenario.receives(of(&stand_in(), 8)).await;
    assert_eq!(relay(&scenario).await, [], "nothing to stop");
    assert_eq!(late(&scenario, &phone()).await, 0, "what the platform deactivates causes no commands");

    scenario.receives(of(ANN, 7)).await;

    let stopped = [("task.pause", PHONE.to_owned()), ("user.ban", CLERK.to_owned())];
    assert_eq!(kinds(&relay(&scenario).await), stopped);
}
