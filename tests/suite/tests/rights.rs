//! What functions may do, as the template has it, is what they do: nothing is missing, and nothing is there for nobody.

use aws_sdk_dynamodb::types::AttributeValue;
use lambda_http::Body;
use lambda_http::http::{Method, Request};
use metrics::MetricSources;
use serde_json::json;
use std::collections::BTreeSet;
use std::time::Duration;
use tokio::time::Instant;
use torale_domain::deactivation::outbox::PAGE;
use torale_domain::storage::keys::{self, CONTROL_TABLE};
use torale_domain::values::time::{DAY, HOUR, Timestamp};
use torale_platform::consume::Consumer;
use torale_platform::queue::MessageQueue;
use torale_platform::store::Generations;
use torale_replay::Replay;
use torale_tests::cloudwatch::Stub;
use torale_tests::generate::{self, Generator, event};
use torale_tests::rights::Rights;
use torale_tests::sqs::{MessageFate, Sqs, URL};
use torale_tests::stack::{self, ADMIN_KEY, LONG, NOW, Stack, messages};
use uuid::Uuid;

const USER: &str = "00000000-0000-0000-0000-0000000000b0";

/// A platform with some history, an admin, and a user with more tasks than an order is carried out for at once.
async fn filled() -> Stack {
    let stack = Stack::start().await;
    stack.consume(&[generate::admin(), Generator::new(1).messages(200), user()].concat()).await;
    stack
}

fn user() -> Vec<String> {
    let created = json!({ "user_id": USER, "clerk_user_id": "user_b", "email": "b@example.com" });
    let tasks = (0..=PAGE as u128).map(|n| task(n, NOW.plus(-DAY)));
    [event("b", NOW.plus(-DAY), "user.created", created)].into_iter().chain(tasks).collect()
}

fn id(n: u128) -> Uuid {
    Uuid::from_u128(0x7a50_0000 + n)
}

fn task(n: u128, at: Timestamp) -> String {
    let data = json!({ "task_id": id(n), "user_id": USER, "search_query": "q" });
    event(&format!("t{n}"), at, "task.created", data)
}

fn admins(method: Method, path: &str) -> Request<Body> {
    stack::request(method, path, "", Some(&format!("Bearer {ADMIN_KEY}")))
}

fn many(users: &[&str]) -> Request<Body> {
    let mut request = admins(Method::POST, "/admin/users/deactivate");
    *request.body_mut() = Body::Text(json!({ "user_ids": users }).to_string());
    request
}

#[tokio::test]
async fn readers() {
    let stack = filled().await;
    stack.ask("/admin/stats", "", Some(&format!("Bearer {ADMIN_KEY}"))).await;
    stack.seal().await;
    for endpoint in stack::endpoints().iter().filter(|endpoint| endpoint.method == Method::GET) {
        let rights = Rights::of(&stack::role(endpoint.path));
        let app = stack.app_over(stack.store_with(rights.clone()));
        assert_eq!(stack::answer(&app, stack::good_request(endpoint, USER)).await.status(), 200);
        rights.assert_fit(&[]);
    }
}

#[tokio::test]
async fn those_that_change_users() {
    let (stack, queue) = (filled().await, Sqs::default().queue(Some(URL)));
    let path = |what: &str| format!("/admin/users/{USER}/{what}");
    for request in [
        admins(Method::PATCH, &path("deactivate")),
        admins(Method::PATCH, &path("reactivate")),
        many(&[USER]),
    ] {
        let rights = Rights::of(&stack::role(request.uri().path()));
        let app = stack.app_over(stack.store_with(rights.clone()));
        let again = Request::from_parts(request.clone().into_parts().0, request.body().clone());
        assert_eq!(stack::answer_with(&app, &queue, request).await.status(), 200);
        stack::answer_with(&app, &queue, again).await;
        rights.assert_fit(&[]);
    }
}

async fn deactivate(stack: &Stack, queue: &MessageQueue) {
    let request = admins(Method::PATCH, &format!("/admin/users/{USER}/deactivate"));
    assert_eq!(stack::answer_with(&stack.app(), queue, request).await.status(), 200);
}

#[tokio::test]
async fn the_consumer() {
    let (stack, rights) = (filled().await, Rights::of("Consumer"));
    deactivate(&stack, &Sqs::default().queue(Some(URL))).await;
    let consumer = Consumer::new(stack.store_with(rights.clone()), || NOW);
    let paused = event("p", NOW, "task.paused", json!({ "task_id": id(0) }));
    let bodies = messages(&["no event".to_owned(), paused, task(1000, NOW)]);
    assert_eq!(stack::consume(&consumer, &bodies).await.failed, Vec::<String>::new());
    rights.assert_fit(&[]);
}

#[tokio::test]
async fn the_relay() {
    let (stack, rights) = (filled().await, Rights::of("OutboxRelay"));
    deactivate(&stack, &Sqs::always(MessageFate::Unreachable).queue(Some(URL))).await;
    let (store, queue) = (stack.store_with(rights.clone()), Sqs::default().queue(Some(URL)));
    outbox_relay::handle(&store, &queue, || NOW, Instant::now() + LONG).await.unwrap();
    rights.assert_fit(&[]);
}

#[tokio::test]
async fn the_sealing_job() {
    let (stack, rights) = (filled().await, Rights::of("AuditSeal"));
    for _ in 0..3 {
        stack.ask("/admin/stats", "", Some(&format!("Bearer {ADMIN_KEY}"))).await;
        assert_eq!(stack.seal_with(&stack.store_with(rights.clone())).await.unwrap().seals, 1);
    }
    rights.assert_fit(&[]);
}

#[tokio::test]
async fn the_metrics() {
    let (stack, rights) = (filled().await, Rights::of("Metrics"));
    let (store, generations) = (stack.store_with(rights.clone()), Generations::default());
    let (events, cloudwatch) = (Sqs::default().queue(Some(URL)), Stub::default().client());
    stack.ask("/admin/stats", "", Some(&format!("Bearer {ADMIN_KEY}"))).await;
    stack.seal().await;
    metrics::handle(&MetricSources { store, generations, events, cloudwatch, clock: || NOW }).await.unwrap();
    rights.assert_fit(&[]);
}

#[tokio::test]
async fn rebuilds() {
    let (stack, rights) = (filled().await, Rights::of("Replay"));
    let (settle, checkpoint) = (Duration::ZERO, Duration::ZERO);
    // So little memory that subtotals are set down in between.
    let of = |clock| {
        let store = stack.store_with(rights.clone());
        Replay { settle, checkpoint, memory: 400_000, batch: 7, ..Replay::new(store, clock) }
    };
    let replay = of(|| NOW.plus(HOUR));
    // As in a log that was restored by itself.
    let key = keys::log_beginning();
    let delete = stack.client.delete_item().table_name(CONTROL_TABLE).key("pk", AttributeValue::S(key.pk));
    delete.key("sk", AttributeValue::S(key.sk)).send().await.unwrap();
    let step =
        |step: &str| serde_json::from_value(json!({ "step": step, "generation": "g2", "lanes": 3 })).unwrap();
    for done in ["begin", "build"] {
        assert!(replay::handle(&replay, step(done), LONG).await.unwrap().done);
    }
    // What was received since it looked last.
    let meanwhile = Consumer::new(stack.store(), || NOW.plus(2 * HOUR));
    let bodies = messages(&Generator::new(2).messages(100));
    assert_eq!(stack::consume(&meanwhile, &bodies).await.failed, Vec::<String>::new());
    let replay = of(|| NOW.plus(3 * HOUR));
    for done in ["catch_up", "compare", "promote", "promote"] {
        replay::handle(&replay, step(done), LONG).await.unwrap();
    }
    // Once more, while the former one is written beside the live one.
    let step = |step: &str| serde_json::from_value(json!({ "step": step, "generation": "g3" })).unwrap();
    for done in ["begin", "build", "promote", "promote"] {
        replay::handle(&replay, step(done), LONG).await.unwrap();
    }
    assert_eq!(replay.pointer().await.unwrap().live.name, "g3");
    rights.assert_fit(&[]);
}

#[test]
fn every_role_that_has_rights_over_tables_is_tried_here_or_beside_the_webhook() {
    let jobs =
        ["ClerkWebhook", "Consumer", "OutboxRelay", "AuditSeal", "Metrics", "Replay"].map(str::to_owned);
    let endpoints = stack::endpoints().into_iter().map(|endpoint| stack::role(endpoint.path));
    let tried: BTreeSet<String> = endpoints.chain(jobs).collect();
    assert_eq!(Rights::roles(), tried.into_iter().collect::<Vec<_>>());
}
