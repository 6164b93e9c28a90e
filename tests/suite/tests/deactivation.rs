//! Deactivating users: what it does at once, what it commands, and that it is done once.

use lambda_http::Body;
use lambda_http::http::{Method, Request};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::time::Duration;
use tokio::time::Instant;
use torale_domain::deactivation::commands::Command;
use torale_domain::storage::keys;
use torale_domain::values::digest;
use torale_domain::values::time::DAY;
use torale_platform::consume::Consumer;
use torale_platform::outbox::Relay;
use torale_platform::serve::App;
use torale_platform::store::{Generations, Usage, log};
use torale_tests::faults::Faults;
use torale_tests::generate::{self, event};
use torale_tests::sqs::{self, MessageFate, Sqs};
use torale_tests::stack::{self, ADMIN_KEY, NOW, Stack};
use uuid::Uuid;

const ADMIN: &str = "00000000-0000-0000-0000-0000000000ad";
const USER: &str = "00000000-0000-0000-0000-0000000000b0";
const USER_KEY: &str = "sk_user_0123456789abcdefghij";

fn task(n: u128) -> String {
    Uuid::from_u128(0x7a50_0000 + n).to_string()
}

/// A user with so many active tasks and live keys, one paused task and one revoked key.
fn user(tasks: u128, live_keys: u128) -> Vec<String> {
    let at = NOW.plus(-10 * DAY);
    let created =
        json!({ "user_id": USER, "clerk_user_id": "user_b", "email": "b@example.com", "role": "admin" });
    let mut events = vec![event("b", at, "user.created", created)];
    for n in 0..=tasks {
        let data = json!({ "task_id": task(n), "user_id": USER, "search_query": "q" });
        events.push(event(&format!("t{n}"), at, "task.created", data));
    }
    events.push(event("p", at, "task.paused", json!({ "task_id": task(tasks) })));
    for n in 0..=live_keys {
        let text = if n == 0 { USER_KEY.to_owned() } else { format!("{USER_KEY}{n}") };
        let hash = digest::sha256_hex(&[text.as_bytes()]);
        let data =
            json!({ "key_id": format!("k{n}"), "user_id": USER, "key_hash": hash, "key_prefix": "sk" });
        events.push(event(&format!("k{n}"), at, "api_key.created", data));
    }
    let revoked = json!({ "key_id": format!("k{live_keys}"), "user_id": USER });
    events.push(event("r", at, "api_key.revoked", revoked));
    events
}

async fn stack_with(tasks: u128, live_keys: u128) -> Stack {
    let stack = Stack::start().await;
    for some in [generate::admin(), user(tasks, live_keys)].concat().chunks(1000) {
        stack.consume(some).await;
    }
    stack
}

fn patch(id: &str, what: &str, key: &str) -> Request<Body> {
    stack::request(Method::PATCH, &format!("/admin/users/{id}/{what}"), "", Some(&format!("Bearer {key}")))
}

async fn ask(app: &App, sqs: &Sqs, request: Request<Body>) -> (u16, Value) {
    let response = stack::answer_with(app, &sqs.queue(Some(sqs::URL)), request).await;
    (response.status().as_u16(), stack::json(response))
}

async fn deactivate(stack: &Stack, sqs: &Sqs) -> (u16, Value) {
    ask(&stack.app(), sqs, patch(USER, "deactivate", ADMIN_KEY)).await
}

fn deactivated(tasks: u64) -> (u16, Value) {
    (200, json!({ "message": "User deactivated successfully", "user_id": USER, "tasks_paused": tasks }))
}

/// The commands that were sent, as kind and target, sorted; and how many different ids they have.
fn commands(sqs: &Sqs) -> (Vec<(String, String)>, usize) {
    let received: Vec<_> = sqs.taken().iter().map(|body| Command::receive(body).unwrap()).collect();
    let mut commands: Vec<_> =
        received.iter().map(|r| (r.command.kind().to_owned(), r.command.target())).collect();
    commands.sort();
    (commands, received.iter().map(|r| r.id).collect::<BTreeSet<_>>().len())
}

fn expected(tasks: u128, keys: u128) -> Vec<(String, String)> {
    let keys = (0..keys).map(|n| ("api_key.revoke".to_owned(), format!("k{n}")));
    let tasks = (0..tasks).map(|n| ("task.pause".to_owned(), task(n)));
    let mut all: Vec<_> = keys.chain(tasks).chain([("user.ban".to_owned(), USER.to_owned())]).collect();
    all.sort();
    all
}

async fn outbox(stack: &Stack) -> usize {
    let items = stack.scan(keys::CONTROL_TABLE).await;
    items.iter().filter(|item| item["pk"].as_s().unwrap() == keys::OUTBOX).count()
}

/// The events of a type in the log.
async fn logged(stack: &Stack, kind: &str) -> Vec<Value> {
    let mut events = Vec::new();
    for item in stack.scan(keys::EVENTS_TABLE).await {
        events.extend(log::unpack(item["events"].as_b().unwrap().as_ref()).unwrap());
    }
    let events = events.iter().map(|body| serde_json::from_str::<Value>(body).unwrap());
    events.filter(|event| event["type"] == format!("ai.torale.{kind}")).collect()
}

async fn relay(stack: &Stack, sqs: &Sqs) {
    let deadline = Instant::now() + Duration::from_secs(30);
    outbox_relay::handle(&stack.store_as("OutboxRelay"), &sqs.queue(Some(sqs::URL)), || NOW, deadline)
        .await
        .unwrap();
}

#[tokio::test]
async fn a_deactivation_takes_effect_at_once_and_commands_the_rest() {
    let (stack, sqs) = (stack_with(8, 2).await, Sqs::default());
    assert_eq!(ask(&stack.app(), &sqs, patch(ADMIN, "reactivate", USER_KEY)).await.0, 200, "an admin so far");
    assert_eq!(deactivate(&stack, &sqs).await, deactivated(8));
    assert_eq!(commands(&sqs), (expected(8, 2), 11));
    assert_eq!(outbox(&stack).await, 0);
    let (status, refused) = ask(&stack.app(), &sqs, patch(ADMIN, "deactivate", USER_KEY)).await;
    assert_eq!((status, &refused["detail"]), (401, &json!("Invalid API key")));
    let users: Value = serde_json::from_str(&stack.get("/admin/users", "").await.1).unwrap();
    assert_eq!(users["users"][0]["state"], "deactivated");
    assert_eq!((users["users"][0]["tasks_count"].clone(), users["total"].clone()), (json!(9), json!(2)));

    let written = logged(&stack, "user.deactivated").await;
    assert_eq!(written.len(), 1);
    assert_eq!(
        (&written[0]["time"], &written[0]["source"]),
        (&json!("2026-03-31T10:30:30.500Z"), &json!("/torale/admin"))
    );
    assert_eq!(written[0]["data"], json!({ "user_id": USER, "by": ADMIN }));
    let command: Value = serde_json::from_str(&sqs.taken()[0]).unwrap();
    assert_eq!(command["data"]["requested_by"], ADMIN);
    let records = stack.records().await;
    let done: Vec<_> = records.iter().filter(|r| r.record.entry.action == "users.deactivate").collect();
    assert_eq!(done.len(), 2, "one with the change, one of the refusal");
    let entry = &done.iter().find(|r| r.record.entry.status == 200).unwrap().record.entry;
    assert_eq!(entry.target.as_deref(), Some(USER));
}

#[tokio::test]
async fn what_cannot_be_done_is_refused_and_changes_nothing() {
    let (stack, sqs) = (stack_with(1, 1).await, Sqs::default());
    let nobody = "00000000-0000-0000-0000-0000000000ff";
    stack.consume(&[event("s", NOW, "user.logged_in", json!({ "user_id": nobody }))]).await;
    let large = Body::Text("x".repeat(1025));
    for (id, body, status, detail) in [
        (nobody, Body::Empty, 404, json!("User not found")),
        (ADMIN, Body::Empty, 409, json!("Administrators cannot deactivate themselves")),
        (USER, large.clone(), 413, json!("Payload too large")),
        ("me", large, 413, json!("Payload too large")),
    ] {
        let mut request = patch(id, "deactivate", ADMIN_KEY);
        *request.body_mut() = body;
        assert_eq!(ask(&stack.app(), &sqs, request).await, (status, json!({ "detail": detail })), "{id}");
    }
    let (status, body) = ask(&stack.app(), &sqs, patch("me", "deactivate", ADMIN_KEY)).await;
    assert_eq!((status, &body["detail"][0]["loc"]), (422, &json!(["path", "id"])));
    assert_eq!(sqs.taken(), Vec::<String>::new());
    assert_eq!(logged(&stack, "user.deactivated").await.len(), 0);
    let statuses: Vec<_> = stack.records().await.iter().map(|r| r.record.entry.status).collect();
    assert_eq!(statuses.len(), 5, "each refusal has its record: {statuses:?}");
}

#[tokio::test]
async fn a_repeated_call_answers_the_same_and_commands_nothing_more() {
    let (stack, sqs) = (stack_with(3, 1).await, Sqs::default());
    assert_eq!(deactivate(&stack, &sqs).await, deactivated(3));
    // By now the tasks are paused, and someone else has deactivated the user too.
    let paused = (0..3).map(|n| event(&format!("p{n}"), NOW, "task.paused", json!({ "task_id": task(n) })));
    let again = event("d2", NOW.plus(60_000), "user.deactivated", json!({ "user_id": USER }));
    stack.consume(&paused.chain([again]).collect::<Vec<_>>()).await;
    let before = sqs.taken().len();
    assert_eq!(deactivate(&stack, &sqs).await, deactivated(3));
    assert_eq!(sqs.taken().len(), before);
    assert_eq!(logged(&stack, "user.deactivated").await.len(), 2);
}

#[tokio::test]
async fn after_a_reactivation_it_takes_effect_anew() {
    let (stack, sqs) = (stack_with(3, 1).await, Sqs::default());
    assert_eq!(deactivate(&stack, &sqs).await, deactivated(3));
    revoke_keys(&stack, 1).await;
    let reactivated = json!({ "message": "User reactivated successfully", "user_id": USER });
    for _ in 0..2 {
        let answer = ask(&stack.app(), &sqs, patch(USER, "reactivate", ADMIN_KEY)).await;
        assert_eq!(answer, (200, reactivated.clone()));
    }
    let written = logged(&stack, "user.reactivated").await;
    assert_eq!(written.len(), 1);
    assert_eq!(
        written[0]["time"], "2026-03-31T10:30:30.501Z",
        "1 ms after the deactivation, whose clock stands still"
    );
    assert_eq!(deactivate(&stack, &sqs).await, deactivated(3));
    let (all, ids) = commands(&sqs);
    assert_eq!((all.len(), ids), (9, 9), "the tasks and the ban again, under ids of their own");
    let nobody = patch("00000000-0000-0000-0000-0000000000ff", "reactivate", ADMIN_KEY);
    assert_eq!(ask(&stack.app(), &sqs, nobody).await.0, 404);
}

async fn revoke_keys(stack: &Stack, live_keys: u128) {
    let revoked = (0..live_keys).map(|n| {
        let data = json!({ "key_id": format!("k{n}"), "user_id": USER });
        event(&format!("revoked-{n}"), NOW, "api_key.revoked", data)
    });
    stack.consume(&revoked.collect::<Vec<_>>()).await;
}

/// Nothing that is still on its way may reach what the user gets after it was reactivated.
#[tokio::test]
async fn a_deactivation_is_carried_out_before_it_can_be_taken_back() {
    let stack = stack_with(1, 1).await;
    deactivate(&stack, &Sqs::always(MessageFate::Unreachable)).await;
    let sqs = Sqs::default();
    let conflict = (409, json!({ "detail": "The user's deactivation is still being carried out" }));
    let reactivate = async || ask(&stack.app(), &sqs, patch(USER, "reactivate", ADMIN_KEY)).await;
    assert_eq!(reactivate().await, conflict, "its commands are not on the queue");
    relay(&stack, &sqs).await;
    assert_eq!(reactivate().await, conflict, "its key is not dead");
    revoke_keys(&stack, 1).await;
    assert_eq!(reactivate().await.0, 200);
    // Of a later deactivation that is not an admin's nothing is to be carried out.
    let hash = digest::sha256_hex(&[b"sk_new_0123456789abcdefghij"]);
    let key = json!({ "key_id": "new", "user_id": USER, "key_hash": hash, "key_prefix": "sk" });
    let deactivated = event("d2", NOW.plus(60_000), "user.deactivated", json!({ "user_id": USER }));
    stack.consume(&[event("n", NOW, "api_key.created", key), deactivated]).await;
    assert_eq!(reactivate().await.0, 200);
}

/// A generation that was flipped to after the deactivation may lag: what the former one has is stopped, too.
#[tokio::test]
async fn after_a_flip_both_generations_are_looked_through() {
    let stack = stack_with(2, 0).await;
    deactivate(&stack, &Sqs::always(MessageFate::Unreachable)).await;
    let text = |text: &str| aws_sdk_dynamodb::types::AttributeValue::S(text.to_owned());
    let flip = stack.client.put_item().table_name(keys::CONTROL_TABLE);
    let flip = flip.item("pk", text("generation")).item("sk", text("live")).item("generation", text("g2"));
    let lanes = aws_sdk_dynamodb::types::AttributeValue::N("2".to_owned());
    flip.item("lanes", lanes).send().await.unwrap();
    let spec = keys::TableSpec { name: keys::projections_table("g2"), ..keys::tables().remove(1) };
    stack.store().create_table(&spec).await.unwrap();
    let sqs = Sqs::default();
    relay(&stack, &sqs).await;
    assert_eq!(commands(&sqs).0, expected(2, 0));
}

#[tokio::test]
async fn an_order_that_cannot_be_read_or_sent_keeps_no_other_back() {
    let stack = stack_with(1, 0).await;
    deactivate(&stack, &Sqs::always(MessageFate::Unreachable)).await;
    let text = |text: &str| aws_sdk_dynamodb::types::AttributeValue::S(text.to_owned());
    for n in 0..60 {
        let put = stack.client.put_item().table_name(keys::CONTROL_TABLE).item("pk", text(keys::OUTBOX));
        put.item("sk", text(&format!("!{n}"))).item("order", text("{}")).send().await.unwrap();
    }
    let sqs = Sqs::default();
    relay(&stack, &sqs).await;
    assert_eq!(commands(&sqs).0, expected(1, 0));
    assert_eq!(outbox(&stack).await, 60);
    let (store, queue, usage) = (stack.store(), sqs.queue(Some(sqs::URL)), Usage::default());
    let until = Instant::now() + Duration::from_secs(30);
    let again = Relay::new(&store, &Generations::default(), &queue, &usage).run(|| NOW, until).await.unwrap();
    assert_eq!(outbox_relay::alarm_metrics(&again).metrics, [("UnreadableOrders", "Count", 60)]);
    assert_eq!(outbox_relay::alarm_metrics(&Default::default()).metrics, []);
}

/// SQS refuses two characters that an id may have.
#[tokio::test]
async fn ids_that_sqs_would_refuse_are_escaped() {
    let (stack, sqs) = (stack_with(1, 0).await, Sqs::default());
    let hash = digest::sha256_hex(&[b"sk_odd_0123456789abcdefghij"]);
    let key = json!({ "key_id": "k\u{ffff}\u{fffe}", "user_id": USER, "key_hash": hash, "key_prefix": "sk" });
    stack.consume(&[event("odd", NOW.plus(-DAY), "api_key.created", key)]).await;
    assert_eq!(deactivate(&stack, &sqs).await, deactivated(1));
    assert!(sqs.taken().iter().all(|body| !body.contains(['\u{ffff}', '\u{fffe}'])));
    assert!(commands(&sqs).0.iter().any(|(_, target)| target == "k\u{ffff}\u{fffe}"));
}

/// Who asks must be an admin when the change takes place, not only when the request came in.
#[tokio::test]
async fn an_admin_that_is_none_any_more_changes_nothing() {
    let stack = stack_with(1, 0).await;
    for (kind, data, status) in [
        ("user.updated", json!({ "user_id": ADMIN, "role": null }), 403),
        ("user.deactivated", json!({ "user_id": ADMIN }), 401),
    ] {
        stack.consume(&[event(kind, NOW, kind, data)]).await;
        assert_eq!(deactivate(&stack, &Sqs::default()).await.0, status);
    }
    assert_eq!(logged(&stack, "user.deactivated").await.len(), 1);
}

#[tokio::test]
async fn of_a_user_that_an_event_has_deactivated_the_first_call_counts_and_commands() {
    let (stack, sqs) = (stack_with(2, 0).await, Sqs::default());
    let deactivation = event("d", NOW.plus(3_600_000), "user.deactivated", json!({ "user_id": USER }));
    stack.consume(&[deactivation]).await;
    for _ in 0..2 {
        assert_eq!(deactivate(&stack, &sqs).await, deactivated(2));
    }
    assert_eq!(commands(&sqs).0, expected(2, 0));
    let times: Vec<_> = logged(&stack, "user.deactivated").await.iter().map(|e| e["time"].clone()).collect();
    assert!(
        times.contains(&json!("2026-03-31T11:30:30.501Z")),
        "1 ms after the state's greatest time: {times:?}"
    );
}

#[tokio::test]
async fn of_fifty_calls_at_once_one_takes_effect_and_all_answer_the_same() {
    let (stack, sqs) = (stack_with(4, 1).await, Sqs::default());
    let apps: Vec<App> = (0..50).map(|_| stack.app()).collect();
    let calls = apps.iter().map(|app| ask(app, &sqs, patch(USER, "deactivate", ADMIN_KEY)));
    for answer in futures::future::join_all(calls).await {
        assert_eq!(answer, deactivated(4));
    }
    assert_eq!(commands(&sqs), (expected(4, 1), 6));
    assert_eq!(logged(&stack, "user.deactivated").await.len(), 1);
    let records = stack.records().await;
    assert_eq!(records.len(), 50);
    stack.seal().await;
}

#[tokio::test]
async fn two_admins_cannot_deactivate_each_other() {
    for _ in 0..10 {
        let (stack, sqs) = (stack_with(1, 1).await, Sqs::default());
        let (one, two) = (stack.app(), stack.app());
        let (a, b) = futures::join!(
            ask(&one, &sqs, patch(USER, "deactivate", ADMIN_KEY)),
            ask(&two, &sqs, patch(ADMIN, "deactivate", USER_KEY)),
        );
        let statuses = BTreeSet::from([a.0, b.0]);
        assert_eq!(statuses, BTreeSet::from([200, 401]), "the one who was faster stays");
    }
}

#[tokio::test]
async fn five_thousand_tasks_and_five_hundred_keys_are_commanded_once_each() {
    let (stack, sqs) = (stack_with(5_000, 500).await, Sqs::default());
    assert_eq!(deactivate(&stack, &sqs).await, deactivated(5_000));
    while outbox(&stack).await > 0 {
        relay(&stack, &sqs).await;
    }
    let (all, ids) = commands(&sqs);
    assert_eq!(ids, 5_501);
    assert_eq!(all.into_iter().collect::<BTreeSet<_>>(), expected(5_000, 500).into_iter().collect());
}

#[tokio::test]
async fn commands_that_the_queue_does_not_take_wait_in_the_outbox() {
    let stack = stack_with(2, 1).await;
    for fate in [
        MessageFate::Unreachable,
        MessageFate::Fails(503, "ServiceUnavailable"),
        MessageFate::Fails(400, "QueueDoesNotExist"),
    ] {
        let down = Sqs::always(fate);
        let answer = deactivate(&stack, &down).await;
        assert_eq!(answer, deactivated(2), "{fate:?}");
        assert_eq!(outbox(&stack).await, 1);
    }
    let sqs = Sqs::default();
    relay(&stack, &sqs).await;
    assert_eq!(commands(&sqs), (expected(2, 1), 4));
    assert_eq!(outbox(&stack).await, 0);
    relay(&stack, &sqs).await;
    assert_eq!(sqs.taken().len(), 4, "an empty outbox sends nothing");
}

#[tokio::test]
async fn the_relay_tells_how_long_the_oldest_order_waits_and_one_that_fails_keeps_no_other_back() {
    let stack = stack_with(1, 0).await;
    assert_eq!(deactivate(&stack, &Sqs::always(MessageFate::Unreachable)).await.0, 200);
    let later = || NOW.plus(90_000);
    let run = async |sqs: &Sqs| {
        let deadline = Instant::now() + Duration::from_secs(30);
        let queue = sqs.queue(Some(sqs::URL));
        let answer =
            outbox_relay::handle(&stack.store_as("OutboxRelay"), &queue, later, deadline).await.unwrap();
        serde_json::to_value(answer).unwrap()
    };
    assert_eq!(
        run(&Sqs::always(MessageFate::Unreachable)).await,
        json!({ "commands": 0, "orders": 0, "failed": 1, "lag_ms": 90_000 })
    );
    assert_eq!(run(&Sqs::default()).await, json!({ "commands": 2, "orders": 1, "failed": 0, "lag_ms": 0 }));
}

/// What the README says of tasks and keys that appear after the deactivation.
#[tokio::test]
async fn what_comes_to_life_after_the_deactivation_is_stopped_too() {
    let (stack, sqs) = (stack_with(1, 0).await, Sqs::default());
    deactivate(&stack, &sqs).await;
    let before = sqs.taken().len();
    let created = json!({ "task_id": task(50), "user_id": USER, "search_query": "late" });
    let hash = digest::sha256_hex(&[b"sk_late_0123456789abcdefghij"]);
    let key = json!({ "key_id": "late", "user_id": USER, "key_hash": hash, "key_prefix": "sk" });
    let late = [
        event("l1", NOW, "task.created", created.clone()),
        event("l2", NOW, "task.resumed", json!({ "task_id": task(1) })),
        event("l3", NOW, "api_key.created", key),
        event(
            "l4",
            NOW,
            "task.created",
            json!({ "task_id": task(51), "user_id": USER, "search_query": "q", "state": "paused" }),
        ),
    ];
    // A duplicate is looked at again: whoever took the first one in may have died before it looked.
    for _ in 0..2 {
        assert_eq!(stack.consume(&late).await.late_entries, 3);
    }
    assert_eq!(outbox(&stack).await, 3, "one order for each, however often it is made");
    relay(&stack, &sqs).await;
    let sent: BTreeSet<_> = commands(&sqs).0.into_iter().collect();
    for (kind, target) in
        [("task.pause", task(50)), ("task.pause", task(1)), ("api_key.revoke", "late".to_owned())]
    {
        assert!(sent.contains(&(kind.to_owned(), target.clone())), "{kind} {target}");
    }
    let new: BTreeSet<_> =
        sqs.taken()[before..].iter().map(|body| Command::receive(body).unwrap().id).collect();
    assert_eq!(new.len(), 3);
    // Once reactivated, a user's new tasks run.
    stack
        .consume(&[event("rev", NOW, "api_key.revoked", json!({ "key_id": "late", "user_id": USER }))])
        .await;
    assert_eq!(ask(&stack.app(), &sqs, patch(USER, "reactivate", ADMIN_KEY)).await.0, 200);
    assert_eq!(stack.consume(&late).await.late_entries, 0);
}

/// Found by story 5206 of `chain.rs`: an order that waited kept the time of the first awakening.
#[tokio::test]
async fn a_task_that_comes_to_life_again_while_its_order_waits_is_stopped_later_than_that() {
    let (stack, sqs) = (stack_with(0, 0).await, Sqs::default());
    deactivate(&stack, &sqs).await;
    let created = json!({ "task_id": task(50), "user_id": USER, "search_query": "late" });
    stack.consume(&[event("l1", NOW, "task.created", created)]).await;
    let ahead = NOW.plus(600_000);
    stack.consume(&[event("l2", ahead, "task.resumed", json!({ "task_id": task(50) }))]).await;
    relay(&stack, &sqs).await;
    let received: Vec<_> = sqs.taken().iter().map(|body| Command::receive(body).unwrap()).collect();
    let last = received.iter().filter(|r| r.command.target() == task(50)).max_by_key(|r| r.at).unwrap();
    assert!(last.at > ahead);
    stack.consume(&last.confirming_events(true, NOW)).await;
    let users: Value = serde_json::from_str(&stack.get("/admin/users", "").await.1).unwrap();
    assert_eq!(users["users"][0]["active_tasks_count"], 0);
}

#[tokio::test]
async fn a_consumer_that_cannot_look_hands_the_messages_back() {
    let stack = stack_with(1, 0).await;
    deactivate(&stack, &Sqs::default()).await;
    let late = |n: u128| {
        let created = json!({ "task_id": task(n), "user_id": USER, "search_query": "late" });
        stack::messages(&[event(&format!("l{n}"), NOW, "task.created", created)])
    };
    let probe = Faults::new(usize::MAX, false, false);
    let consumer = Consumer::new(stack.faulty_store(probe.clone()), || NOW);
    assert_eq!(stack::consume(&consumer, &late(50)).await.late_entries, 1);
    // Its last call puts the order into the outbox.
    let faults = Faults::new(probe.calls() - 1, false, true);
    let consumer = Consumer::new(stack.faulty_store(faults), || NOW);
    let failed = stack::consume_within(&consumer, &late(51), stack::SHORT).await.failed;
    assert_eq!(failed, ["0"]);
}

#[tokio::test]
async fn several_users_are_deactivated_each_by_itself() {
    let (stack, sqs) = (stack_with(2, 1).await, Sqs::default());
    let nobody = "00000000-0000-0000-0000-0000000000ff";
    let ids = json!({ "user_ids": [USER, nobody, ADMIN, "sk_0123456789", USER.to_uppercase()] });
    let mut request =
        stack::request(Method::POST, "/admin/users/deactivate", "", Some(&format!("Bearer {ADMIN_KEY}")));
    *request.body_mut() = Body::Text(ids.to_string());
    let (status, body) = ask(&stack.app(), &sqs, request).await;
    assert_eq!(status, 200);
    assert_eq!(
        body["results"],
        json!([
            { "user_id": USER, "result": "deactivated", "tasks_paused": 2 },
            { "user_id": nobody, "result": "not_found", "detail": "User not found" },
            { "user_id": ADMIN, "result": "refused", "detail": "Administrators cannot deactivate themselves" },
            { "user_id": "sk_0123456789", "result": "refused", "detail": "Input should be a UUID with hyphens" },
            { "user_id": USER, "result": "already", "tasks_paused": 2 },
        ])
    );
    assert_eq!(commands(&sqs).0, expected(2, 1));
    let records = stack.records().await;
    let actions: Vec<_> =
        records.iter().map(|r| (r.record.entry.action.as_str(), r.record.entry.target.clone())).collect();
    assert_eq!(actions, [("users.deactivate", Some(USER.to_owned())), ("users.deactivate_many", None)]);
    assert_eq!(records[1].record.entry.parameters["malformed"], 1);
}

/// Whichever call of the store fails: either nothing has happened, or all of it.
#[tokio::test]
async fn a_change_without_its_record_has_not_happened() {
    let stack = stack_with(2, 1).await;
    let probe = Faults::new(usize::MAX, false, false);
    let app = |faults| {
        App::new(stack.faulty_store(faults), stack::keys_only(), stack::LIMITS, stack::temporal_ui(), || NOW)
    };
    let sqs = Sqs::default();
    ask(&app(probe.clone()), &sqs, patch(USER, "deactivate", ADMIN_KEY)).await;
    for (at, after) in (0..probe.calls()).flat_map(|at| [(at, false), (at, true)]) {
        let stack = stack_with(2, 1).await;
        let (faults, sqs) = (Faults::new(at, after, true), Sqs::default());
        let app = App::new(
            stack.faulty_store(faults),
            stack::keys_only(),
            stack::LIMITS,
            stack::temporal_ui(),
            || NOW,
        );
        let (status, _) = ask(&app, &sqs, patch(USER, "deactivate", ADMIN_KEY)).await;
        let (written, records) =
            (logged(&stack, "user.deactivated").await.len(), stack.records().await.len());
        if status == 200 {
            assert_eq!((written, records), (1, 1), "call {at}, after: {after}");
        } else {
            // If the transaction's answer is lost, all of it may have happened; then its order waits.
            assert_eq!(status, 503);
            let happened = (written, records, outbox(&stack).await, sqs.taken().len());
            assert!(
                happened == (0, 0, 0, 0) || (after && happened == (1, 1, 1, 0)),
                "call {at}: {happened:?}"
            );
        }
        assert_eq!(deactivate(&stack, &sqs).await, deactivated(2), "call {at}");
        relay(&stack, &sqs).await;
        let sent: BTreeSet<_> = commands(&sqs).0.into_iter().collect();
        assert_eq!(sent, expected(2, 1).into_iter().collect(), "call {at}");
    }
}
