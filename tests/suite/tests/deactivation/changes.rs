//! What deactivating and reactivating users does at once, what it commands, and that each is done once.

mod commands;
mod late_rule;
mod schedules;

use deactivate_user::DeactivateUser;
use deactivate_users::DeactivateUsers;
use futures::future::join_all;
use reactivate_user::ReactivateUser;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Barrier};
use std::time::Duration;
use tokio::time::Instant;
use torale_domain::deactivation::commands::{Command, ReceivedCommand};
use torale_domain::storage::keys::{self, CONTROL_TABLE};
use torale_domain::values::time::{DAY, HOUR, MINUTE};
use torale_platform::clock::Clock;
use torale_platform::serve::App;
use torale_testkit::events::{ADMIN, EventBuilder, api_key, task, user};
use torale_testkit::faults::Faults;
use torale_testkit::interceptor::Interceptor;
use torale_testkit::request::{ApiAnswer, get, patch, post};
use torale_testkit::scenario::{Scenario, given};
use torale_testkit::sqs::FakeSqs;
use torale_testkit::stack::{NOW, Stack};
use users::Users;
use uuid::Uuid;

const USER: &str = "00000000-0000-0000-0000-0000000000b0";
const USER_KEY: &str = "sk_user_0123456789abcdefghij";
const NOBODY: &str = "00000000-0000-0000-0000-0000000000ff";

fn task_id(n: u128) -> String {
    Uuid::from_u128(0x7a50_0000 + n).to_string()
}

fn key_id(n: u128) -> String {
    format!("k{n}")
}

/// A second admin with so many active tasks and live keys, and a paused task and a revoked key besides. The first live
/// key is [`USER_KEY`].
async fn user_with(tasks: u128, keys: u128) -> Scenario {
    let created = |n: u128| task(&task_id(n)).created(USER, "q");
    let key = |n: u128| {
        let text = if n == 0 { USER_KEY.to_owned() } else { format!("{USER_KEY}{n}") };
        api_key(&key_id(n)).created(USER, &text)
    };
    let mut events = vec![user(USER).created().with("clerk_user_id", "user_b").with("role", "admin")];
    events.extend((0..=tasks).map(created));
    events.push(task(&task_id(tasks)).paused());
    events.extend((0..=keys).map(key));
    events.push(api_key(&key_id(keys)).revoked(USER));
    given(events.into_iter().map(|event| event.at(NOW.plus(-10 * DAY))).collect::<Vec<_>>()).start().await
}

/// The admin deactivates the user; the commands go to this queue.
async fn deactivate(stack: &Stack, commands: &FakeSqs) -> ApiAnswer {
    patch::<DeactivateUser>(USER).send_with(&stack.app(), &commands.client()).await
}

/// The admin reactivates the user.
async fn reactivate(scenario: &Scenario) -> ApiAnswer {
    scenario.when(patch::<ReactivateUser>(USER)).await
}

/// The answer to a deactivation that takes effect.
fn deactivated(tasks: u64) -> Value {
    json!({ "message": "User deactivated successfully", "user_id": USER, "tasks_paused": tasks })
}

fn received(commands: &FakeSqs) -> Vec<ReceivedCommand> {
    commands.taken().iter().map(|body| Command::receive(body).unwrap()).collect()
}

/// The commands that were sent, as kind and target, sorted.
fn sent(commands: &FakeSqs) -> Vec<(String, String)> {
    let kind_and_target = |one: ReceivedCommand| (one.command.kind().to_owned(), one.command.target());
    let mut sent: Vec<_> = received(commands).into_iter().map(kind_and_target).collect();
    sent.sort();
    sent
}

/// How many ids the commands have that were sent.
fn distinct_ids(commands: &FakeSqs) -> usize {
    received(commands).iter().map(|one| one.id).collect::<BTreeSet<_>>().len()
}

/// The commands of a deactivation of a user with so many tasks and keys, sorted.
fn expected(tasks: u128, keys: u128) -> Vec<(String, String)> {
    let keys = (0..keys).map(|n| ("api_key.revoke".to_owned(), key_id(n)));
    let tasks = (0..tasks).map(|n| ("task.pause".to_owned(), task_id(n)));
    let ban = ("user.ban".to_owned(), "user_b".to_owned());
    let mut all: Vec<_> = keys.chain(tasks).chain([ban]).collect();
    all.sort();
    all
}

fn set(commands: Vec<(String, String)>) -> BTreeSet<(String, String)> {
    commands.into_iter().collect()
}

/// How many entries wait in the outbox.
async fn outbox(stack: &Stack) -> usize {
    let items = stack.scan(CONTROL_TABLE).await;
    items.iter().filter(|item| item["pk"].as_s().unwrap() == keys::OUTBOX).count()
}

/// One run of the relay.
async fn relay(stack: &Stack, commands: &FakeSqs) -> Value {
    relay_at(stack, commands, || NOW).await
}

async fn relay_at(stack: &Stack, commands: &FakeSqs, clock: Clock) -> Value {
    let (store, deadline) = (stack.store_as("OutboxRelay"), Instant::now() + Duration::from_secs(30));
    let answer =
        outbox_relay::handle(&store, &commands.client(), &FakeSqs::unreachable().client(), clock, deadline)
            .await
            .unwrap();
    serde_json::to_value(answer).unwrap()
}

/// The events that confirm the revocation of the first keys.
fn keys_revoked(keys: u128) -> Vec<EventBuilder> {
    (0..keys).map(|n| api_key(&key_id(n)).revoked(USER)).collect()
}

#[tokio::test]
async fn deactivate_user_answers_with_the_paused_tasks_and_commands_everything_once() {
    let scenario = user_with(8, 2).await;

    let answer = scenario.when(patch::<DeactivateUser>(USER)).await;

    answer.then(200, &deactivated(8));

    assert_eq!(sent(&scenario.commands), expected(8, 2));
    assert_eq!(distinct_ids(&scenario.commands), 11);
    assert_eq!(outbox(&scenario).await, 0);

    let command: Value = serde_json::from_str(&scenario.commands.taken()[0]).unwrap();

    assert_eq!(command["data"]["requested_by"], ADMIN);
}

#[tokio::test]
async fn deactivate_user_refuses_the_users_next_request() {
    let scenario = user_with(8, 2).await;
    let by_user = scenario.when(patch::<ReactivateUser>(ADMIN).by(USER_KEY)).await;

    assert_eq!(by_user.status, 200, "an admin so far");

    deactivate(&scenario, &scenario.commands).await;

    let refused = scenario.when(patch::<DeactivateUser>(ADMIN).by(USER_KEY)).await;
    refused.then(401, &json!({ "detail": "Invalid API key" }));
}

#[tokio::test]
async fn deactivate_user_shows_at_once_in_the_list_of_users() {
    let scenario = user_with(8, 2).await;

    deactivate(&scenario, &scenario.commands).await;

    let users = scenario.when(get::<Users>("")).await.json();

    assert_eq!(users["users"][0]["state"], "deactivated");
    assert_eq!((&users["users"][0]["tasks_count"], &users["total"]), (&json!(9), &json!(2)));
}

#[tokio::test]
async fn deactivate_user_logs_the_event_with_who_did_it() {
    let scenario = user_with(8, 2).await;

    deactivate(&scenario, &scenario.commands).await;

    let events = scenario.logged_events("user.deactivated").await;
    let [event] = events.as_slice() else { panic!("{events:?}") };

    assert_eq!(event["time"], "2026-03-31T10:30:30.500Z");
    assert_eq!(event["source"], "/torale/admin");
    assert_eq!(event["data"], json!({ "user_id": USER, "by": ADMIN }));
}

#[tokio::test]
async fn deactivate_user_leaves_one_record_with_the_target() {
    let scenario = user_with(8, 2).await;

    deactivate(&scenario, &scenario.commands).await;
    scenario.when(patch::<DeactivateUser>(ADMIN).by(USER_KEY)).await;

    let records = scenario.records().await;
    let entries = records.iter().map(|link| &link.record.entry);
    let entries: Vec<_> = entries.filter(|entry| entry.action == "users.deactivate").collect();

    assert_eq!(entries.len(), 2, "one with the change, one of the refusal");

    let change = entries.iter().find(|entry| entry.status == 200).unwrap();

    assert_eq!(change.target.as_deref(), Some(USER));
}

#[tokio::test]
async fn deactivate_user_that_is_refused_changes_nothing_and_is_recorded() {
    let scenario = user_with(1, 1).await;
    scenario.receives(user(NOBODY).logged_in()).await;
    let large = "x".repeat(1025);

    for (id, body, status, detail) in [
        (NOBODY, "", 404, "User not found"),
        (ADMIN, "", 409, "Administrators cannot deactivate themselves"),
        (USER, &large, 413, "Payload too large"),
        ("me", &large, 413, "Payload too large"),
    ] {
        let refused = scenario.when(patch::<DeactivateUser>(id).body(body)).await;
        refused.then(status, &json!({ "detail": detail }));
    }

    let malformed = scenario.when(patch::<DeactivateUser>("me")).await.with_status(422);

    assert_eq!(malformed.detail()[0]["loc"], json!(["path", "id"]));

    assert_eq!(scenario.commands.taken(), [""; 0]);
    assert_eq!(scenario.logged_events("user.deactivated").await, [Value::Null; 0]);

    let statuses: Vec<_> = scenario.records().await.iter().map(|link| link.record.entry.status).collect();

    assert_eq!(statuses.len(), 5, "each refusal has its record: {statuses:?}");
}

#[tokio::test]
async fn deactivate_user_again_answers_the_same_and_commands_nothing_more() {
    let scenario = user_with(3, 1).await;
    deactivate(&scenario, &scenario.commands).await.then(200, &deactivated(3));
    // By now the tasks are paused, and someone else has deactivated the user too.
    let paused: Vec<_> = (0..3).map(|n| task(&task_id(n)).paused()).collect();
    scenario.receives((paused, user(USER).deactivated().at(NOW.plus(MINUTE)))).await;
    let before = scenario.commands.taken().len();

    deactivate(&scenario, &scenario.commands).await.then(200, &deactivated(3));

    assert_eq!(scenario.commands.taken().len(), before);
    assert_eq!(scenario.logged_events("user.deactivated").await.len(), 2);
}

#[tokio::test]
async fn reactivate_user_again_answers_the_same_and_logs_one_event() {
    let scenario = user_with(3, 1).await;
    deactivate(&scenario, &scenario.commands).await;
    scenario.receives(keys_revoked(1)).await;

    for _ in 0..2 {
        let reactivated = json!({ "message": "User reactivated successfully", "user_id": USER });
        reactivate(&scenario).await.then(200, &reactivated);
    }

    let events = scenario.logged_events("user.reactivated").await;

    assert_eq!(events.len(), 1);
    // 1 ms after the deactivation, as the clock of the tests stands still.
    assert_eq!(events[0]["time"], "2026-03-31T10:30:30.501Z");
}

#[tokio::test]
async fn reactivate_user_that_does_not_exist_is_a_404() {
    let refused = user_with(3, 1).await.when(patch::<ReactivateUser>(NOBODY)).await;

    assert_eq!(refused.status, 404);
}

#[tokio::test]
async fn deactivate_user_after_a_reactivation_takes_effect_anew() {
    let scenario = user_with(3, 1).await;
    deactivate(&scenario, &scenario.commands).await;
    scenario.receives(keys_revoked(1)).await;

    assert_eq!(reactivate(&scenario).await.status, 200);

    deactivate(&scenario, &scenario.commands).await.then(200, &deactivated(3));

    // The tasks and the ban again, under ids of their own.
    assert_eq!(sent(&scenario.commands).len(), 9);
    assert_eq!(distinct_ids(&scenario.commands), 9);
}

/// Nothing that is still on its way may reach what the user gets after the reactivation.
#[tokio::test]
async fn reactivate_user_is_a_409_until_the_deactivation_is_carried_out() {
    let scenario = user_with(1, 1).await;
    deactivate(&scenario, &FakeSqs::unreachable()).await;
    let conflict = json!({ "detail": "The user's deactivation is still being carried out" });

    // Its commands are not on the queue.
    reactivate(&scenario).await.then(409, &conflict);

    // The key is not revoked yet.
    relay(&scenario, &scenario.commands).await;
    reactivate(&scenario).await.then(409, &conflict);

    scenario.receives(keys_revoked(1)).await;

    assert_eq!(reactivate(&scenario).await.status, 200);
}

#[tokio::test]
async fn reactivate_user_whom_an_event_has_deactivated_waits_for_no_commands() {
    let scenario = user_with(1, 1).await;
    deactivate(&scenario, &scenario.commands).await;
    scenario.receives(keys_revoked(1)).await;

    assert_eq!(reactivate(&scenario).await.status, 200);

    let new_key = api_key("new").created(USER, "sk_new_0123456789abcdefghij");
    scenario.receives((new_key, user(USER).deactivated().at(NOW.plus(MINUTE)))).await;

    assert_eq!(reactivate(&scenario).await.status, 200);
}

/// SQS refuses two characters that an id may have.
#[tokio::test]
async fn deactivate_user_escapes_ids_that_sqs_would_refuse() {
    let scenario = user_with(1, 0).await;
    let odd = "k\u{ffff}\u{fffe}";
    let key = api_key(odd).created(USER, "sk_odd_0123456789abcdefghij").at(NOW.plus(-DAY));
    scenario.receives(key.id("odd")).await;

    deactivate(&scenario, &scenario.commands).await.then(200, &deactivated(1));

    assert!(scenario.commands.taken().iter().all(|body| !body.contains(['\u{ffff}', '\u{fffe}'])));
    assert!(sent(&scenario.commands).iter().any(|(_, target)| target == odd));
}

/// The caller must be an admin when the change takes place, not only when the request came in.
#[tokio::test]
async fn deactivate_user_by_a_former_admin_changes_nothing() {
    let scenario = user_with(1, 0).await;

    for (event, status) in
        [(user(ADMIN).updated().with("role", Value::Null), 403), (user(ADMIN).deactivated(), 401)]
    {
        scenario.receives(event).await;
        assert_eq!(deactivate(&scenario, &scenario.commands).await.status, status);
    }

    // The admin's own.
    assert_eq!(scenario.logged_events("user.deactivated").await.len(), 1);
    assert_eq!(scenario.commands.taken(), [""; 0]);
}

#[tokio::test]
async fn deactivate_user_whom_an_event_has_deactivated_commands_once_and_is_dated_later() {
    let scenario = user_with(2, 0).await;
    scenario.receives(user(USER).deactivated().at(NOW.plus(HOUR))).await;

    for _ in 0..2 {
        deactivate(&scenario, &scenario.commands).await.then(200, &deactivated(2));
    }

    assert_eq!(sent(&scenario.commands), expected(2, 0));

    let events = scenario.logged_events("user.deactivated").await;
    let times: Vec<_> = events.iter().map(|event| &event["time"]).collect();

    // 1 ms after the latest event of the user.
    assert!(times.contains(&&json!("2026-03-31T11:30:30.501Z")), "{times:?}");
}

#[tokio::test]
async fn deactivate_user_fifty_times_at_once_takes_effect_once_and_answers_all_the_same() {
    let scenario = user_with(4, 1).await;
    let apps: Vec<App> = (0..50).map(|_| scenario.app()).collect();
    let commands = scenario.commands.client();
    let request = patch::<DeactivateUser>(USER);

    let answers = join_all(apps.iter().map(|app| request.send_with(app, &commands))).await;

    answers.iter().for_each(|answer| answer.then(200, &deactivated(4)));

    assert_eq!(sent(&scenario.commands), expected(4, 1));
    assert_eq!(distinct_ids(&scenario.commands), 6);
    assert_eq!(scenario.logged_events("user.deactivated").await.len(), 1);
    assert_eq!(scenario.records().await.len(), 50);

    scenario.seal().await;
}

#[tokio::test]
async fn deactivate_user_by_two_admins_at_each_other_leaves_one_of_them() {
    for _ in 0..10 {
        let scenario = user_with(1, 1).await;
        let (one, two) = (scenario.app(), scenario.app());
        let (of_user, of_admin) =
            (patch::<DeactivateUser>(USER), patch::<DeactivateUser>(ADMIN).by(USER_KEY));

        let (first, second) = futures::join!(of_user.send(&one), of_admin.send(&two));

        assert_eq!(BTreeSet::from([first.status, second.status]), BTreeSet::from([200, 401]));
    }
}

#[tokio::test]
async fn deactivate_user_with_five_thousand_tasks_and_five_hundred_keys_commands_each_once() {
    let scenario = user_with(5_000, 500).await;

    deactivate(&scenario, &scenario.commands).await.then(200, &deactivated(5_000));

    while outbox(&scenario).await > 0 {
        relay(&scenario, &scenario.commands).await;
    }

    assert_eq!(distinct_ids(&scenario.commands), 5_501);
    assert_eq!(set(sent(&scenario.commands)), set(expected(5_000, 500)));
}

#[tokio::test]
async fn deactivate_users_answers_for_each_and_leaves_a_record_of_each_change() {
    let scenario = user_with(2, 1).await;
    let ids = [USER, NOBODY, ADMIN, "sk_0123456789", &USER.to_uppercase()];

    let answer = scenario.when(post::<DeactivateUsers>(&json!({ "user_ids": ids }))).await.with_status(200);

    let expected_results = json!([
        { "user_id": USER, "result": "deactivated", "tasks_paused": 2 },
        { "user_id": NOBODY, "result": "not_found", "detail": "User not found" },
        { "user_id": ADMIN, "result": "refused", "detail": "Administrators cannot deactivate themselves" },
        { "user_id": "sk_0123456789", "result": "refused", "detail": "Input should be a UUID with hyphens" },
        { "user_id": USER, "result": "already", "tasks_paused": 2 },
    ]);

    assert_eq!(answer.json()["results"], expected_results);
    assert_eq!(sent(&scenario.commands), expected(2, 1));

    let records = scenario.records().await;
    let entries: Vec<_> = records.iter().map(|link| &link.record.entry).collect();
    let actions: Vec<_> =
        entries.iter().map(|entry| (entry.action.as_str(), entry.target.as_deref())).collect();

    assert_eq!(actions, [("users.deactivate", Some(USER)), ("users.deactivate_many", None)]);
    assert_eq!(entries[1].parameters["malformed"], 1);
}

/// What becomes of the first of several transactions.
#[derive(Clone, Copy, PartialEq)]
enum First {
    Written,
    NotSent,
    WrittenButInConflict,
}

/// What the store answers to a transaction that another one, which may be an earlier try of the same, is in the way of.
const CONFLICT: &str = r#"{"__type":"com.amazonaws.dynamodb.v20120810#TransactionCanceledException",
    "Message":"Transaction cancelled","CancellationReasons":[{"Code":"TransactionConflict"}]}"#;

/// Deactivates the admin while a call waits at a meeting, between its first and its second time there.
async fn deactivate_the_admin_between(scenario: &Scenario, meeting: &Arc<Barrier>) {
    let wait = || {
        let meeting = Arc::clone(meeting);
        tokio::task::spawn_blocking(move || meeting.wait())
    };
    wait().await.unwrap();
    scenario.receives(user(ADMIN).deactivated()).await;
    wait().await.unwrap();
}

/// The transaction for the second user finds that the caller is no administrator any more.
async fn deactivated_midway(first: First, expected: &Value) {
    let scenario = user_with(1, 0).await;
    scenario.receives(user(NOBODY).created()).await;
    let (calls, meeting) = (AtomicUsize::new(0), Arc::new(Barrier::new(2)));
    let of_call = Arc::clone(&meeting);
    let interceptor = Interceptor::before(move |call| {
        if call.operation != "TransactWriteItems" {
            return Ok(());
        }
        match calls.fetch_add(1, Ordering::SeqCst) {
            0 if first == First::NotSent => Err("injected".into()),
            1 => {
                // The other side deactivates the caller in between, by the store that this runtime serves.
                tokio::task::block_in_place(|| (of_call.wait(), of_call.wait()));
                Ok(())
            }
            _other => Ok(()),
        }
    });
    let conflicts = AtomicUsize::new(usize::from(first == First::WrittenButInConflict));
    let interceptor = interceptor.after(move |operation| {
        let is_first = operation == "TransactWriteItems" && conflicts.swap(0, Ordering::SeqCst) == 1;
        Ok(is_first.then(|| CONFLICT.to_owned()))
    });
    let app = scenario.app_over(scenario.store_with(interceptor));
    let request = post::<DeactivateUsers>(&json!({ "user_ids": [USER, NOBODY, "x"] }));
    let answer = tokio::spawn(async move { request.send(&app).await });

    deactivate_the_admin_between(&scenario, &meeting).await;

    let refused =
        |user: &str| json!({ "user_id": user, "result": "refused", "detail": "Admin access required" });
    answer.await.unwrap().then(200, &json!({ "results": [expected, refused(NOBODY), refused("x")] }));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn deactivate_users_by_an_admin_who_is_deactivated_midway_says_what_was_done() {
    deactivated_midway(
        First::Written,
        &json!({ "user_id": USER, "result": "deactivated", "tasks_paused": 1 }),
    )
    .await;
}

/// A transaction that failed may have taken effect.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn deactivate_users_by_an_admin_who_is_deactivated_midway_says_what_may_have_been_done() {
    let detail = "Service temporarily unavailable";
    deactivated_midway(First::NotSent, &json!({ "user_id": USER, "result": "refused", "detail": detail }))
        .await;
}

/// The attempt that lost the race was that of the same request.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn deactivate_users_by_an_admin_who_is_deactivated_midway_says_what_an_attempt_in_conflict_has_done() {
    let expected = json!({ "user_id": USER, "result": "deactivated", "tasks_paused": 1 });
    deactivated_midway(First::WrittenButInConflict, &expected).await;
}

/// The attempt that lost the race was that of the same request, and the caller is deactivated before it is repeated.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn deactivate_users_by_an_admin_who_is_deactivated_before_a_repetition_says_what_was_done() {
    let scenario = user_with(1, 0).await;
    scenario.receives(user(NOBODY).created()).await;
    let (first, meeting) = (AtomicBool::new(true), Arc::new(Barrier::new(2)));
    let of_call = Arc::clone(&meeting);
    let interceptor = Interceptor::before(|_| Ok(())).after(move |operation| {
        if operation != "TransactWriteItems" || !first.swap(false, Ordering::SeqCst) {
            return Ok(None);
        }
        tokio::task::block_in_place(|| (of_call.wait(), of_call.wait()));
        Ok(Some(CONFLICT.to_owned()))
    });
    let app = scenario.app_over(scenario.store_with(interceptor));
    let request = post::<DeactivateUsers>(&json!({ "user_ids": [USER, NOBODY] }));
    let answer = tokio::spawn(async move { request.send(&app).await });

    deactivate_the_admin_between(&scenario, &meeting).await;

    let results = json!([
        { "user_id": USER, "result": "deactivated", "tasks_paused": 1 },
        { "user_id": NOBODY, "result": "refused", "detail": "Admin access required" },
    ]);
    answer.await.unwrap().then(200, &json!({ "results": results }));
}

/// Whichever call of the store fails: either nothing has happened, or all of it.
#[tokio::test]
async fn deactivate_user_without_its_record_has_not_happened() {
    let probe = Faults::none();
    let request = patch::<DeactivateUser>(USER);
    request.send(&user_with(2, 1).await.faulty_app(&probe)).await;

    for faults in Faults::everywhere(probe.calls()) {
        let scenario = user_with(2, 1).await;
        let (app, commands) = (scenario.faulty_app(&faults), scenario.commands.client());

        let status = request.send_with(&app, &commands).await.status;

        let written = scenario.logged_events("user.deactivated").await.len();
        let records = scenario.records().await.len();
        if status == 200 {
            assert_eq!((written, records), (1, 1), "{faults:?}");
        } else {
            // If the transaction's answer is lost, all of it may have happened; then its outbox entry waits.
            assert_eq!(status, 503);
            let happened = (written, records, outbox(&scenario).await, scenario.commands.taken().len());
            assert!(
                happened == (0, 0, 0, 0) || (faults.after && happened == (1, 1, 1, 0)),
                "{faults:?}: {happened:?}"
            );
        }
        deactivate(&scenario, &scenario.commands).await.then(200, &deactivated(2));
        relay(&scenario, &scenario.commands).await;
        assert_eq!(set(sent(&scenario.commands)), set(expected(2, 1)), "{faults:?}");
    }
}
