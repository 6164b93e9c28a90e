//! Functions use exactly the permissions that the template gives them: none is missing, and none is unused.

use deactivate_user::DeactivateUser;
use deactivate_users::DeactivateUsers;
use http::Method;
use metrics::MetricSources;
use metrics::cloudwatch::CloudWatch;
use reactivate_user::ReactivateUser;
use serde_json::json;
use stats::Stats;
use std::collections::BTreeSet;
use std::time::Duration;
use tokio::time::Instant;
use torale_domain::deactivation::outbox::PAGE;
use torale_domain::storage::keys::{self, CONTROL_TABLE};
use torale_domain::values::time::{DAY, HOUR};
use torale_platform::consume::Consumer;
use torale_platform::queue::MessageQueue;
use torale_platform::store::Generations;
use torale_replay::Replay;
use torale_testkit::cloudwatch::FakeCloudWatch;
use torale_testkit::events::{EventBuilder, IntoMessages, task, user};
use torale_testkit::generator::Generator;
use torale_testkit::request::{get, patch, post};
use torale_testkit::rights::Rights;
use torale_testkit::scenario::{Scenario, given};
use torale_testkit::sqs::FakeSqs;
use torale_testkit::stack::{self, LONG, NOW, Stack, messages};
use torale_tests::endpoints::{self, good_request};
use uuid::Uuid;

const USER: &str = "00000000-0000-0000-0000-0000000000b0";

fn task_id(n: u128) -> String {
    Uuid::from_u128(0x7a50_0000 + n).to_string()
}

fn task_created(n: u128) -> EventBuilder {
    task(&task_id(n)).created(USER, "q")
}

/// A platform with some history, and a user with more tasks than one outbox entry is carried out for at once.
async fn filled() -> Scenario {
    let yesterday = NOW.plus(-DAY);
    let tasks: Vec<_> = (0..=PAGE as u128).map(|n| task_created(n).at(yesterday)).collect();
    given((Generator::new(1).messages(200), user(USER).created().at(yesterday), tasks)).start().await
}

/// A request that leaves a record.
async fn read_stats(stack: &Stack) {
    stack.read(&get::<Stats>("")).await;
}

#[tokio::test]
async fn readers_use_exactly_their_permissions() {
    let stack = filled().await;
    read_stats(&stack).await;
    stack.seal().await;

    for of in endpoints::all().iter().filter(|one| one.endpoint.method == Method::GET) {
        let rights = Rights::of(&of.role);
        let app = stack.app_over(stack.store_with(rights.interceptor()));

        assert_eq!(good_request(of, USER).send(&app).await.status, 200);

        rights.assert_fit(&[]);
    }
}

#[tokio::test]
async fn changes_of_users_use_exactly_their_permissions() {
    let (stack, queue) = (filled().await, FakeSqs::default().client());

    for request in [
        patch::<DeactivateUser>(USER),
        patch::<ReactivateUser>(USER),
        post::<DeactivateUsers>(&json!({ "user_ids": [USER] })),
    ] {
        let rights = Rights::of(&request.endpoint.role);
        let app = stack.app_over(stack.store_with(rights.interceptor()));

        assert_eq!(request.send_with(&app, &queue).await.status, 200);
        request.send_with(&app, &queue).await;

        rights.assert_fit(&[]);
    }
}

async fn deactivate(stack: &Stack, queue: &MessageQueue) {
    assert_eq!(patch::<DeactivateUser>(USER).send_with(&stack.app(), queue).await.status, 200);
}

#[tokio::test]
async fn consumer_uses_exactly_its_permissions() {
    let (stack, rights) = (filled().await, Rights::of("Consumer"));
    deactivate(&stack, &FakeSqs::default().client()).await;
    let consumer = Consumer::new(stack.store_with(rights.interceptor()), || NOW);
    let bodies = messages(&("no event", task(&task_id(0)).paused(), task_created(1000)).into_messages());

    assert_eq!(stack::consume(&consumer, &bodies).await.failed, Vec::<String>::new());

    rights.assert_fit(&[]);
}

#[tokio::test]
async fn outbox_relay_uses_exactly_its_permissions() {
    let (stack, rights) = (filled().await, Rights::of("OutboxRelay"));
    deactivate(&stack, &FakeSqs::unreachable().client()).await;
    let (store, queue) = (stack.store_with(rights.interceptor()), FakeSqs::default().client());
    let events = FakeSqs::default().client();

    outbox_relay::handle(&store, &queue, &events, || NOW, Instant::now() + LONG).await.unwrap();
    rights.assert_fit(&[]);
}

#[tokio::test]
async fn sealing_job_uses_exactly_its_permissions() {
    let (stack, rights) = (filled().await, Rights::of("AuditSeal"));

    for _ in 0..3 {
        read_stats(&stack).await;
        assert_eq!(stack.seal_with(&stack.store_with(rights.interceptor())).await.unwrap().seals, 1);
    }

    rights.assert_fit(&[]);
}

#[tokio::test]
async fn metrics_job_uses_exactly_its_permissions() {
    let (stack, rights) = (filled().await, Rights::of("Metrics"));
    read_stats(&stack).await;
    stack.seal().await;
    let (store, generations) = (stack.store_with(rights.interceptor()), Generations::default());
    let cloudwatch = CloudWatch::new(FakeCloudWatch::default().config());
    let events = FakeSqs::default().client();

    metrics::handle(&MetricSources { store, generations, events, cloudwatch, clock: || NOW }).await.unwrap();
    rights.assert_fit(&[]);
}

#[tokio::test]
async fn rebuild_uses_exactly_its_permissions() {
    let (stack, rights) = (filled().await, Rights::of("Replay"));
    let (settle, checkpoint) = (Duration::ZERO, Duration::ZERO);
    // So little memory that subtotals are stored in between.
    let of = |clock| {
        let store = stack.store_with(rights.interceptor());
        Replay { settle, checkpoint, memory: 400_000, batch: 7, ..Replay::new(store, clock) }
    };
    let replay = of(|| NOW.plus(HOUR));
    // As in a log that was restored by itself.
    stack.delete(CONTROL_TABLE, &keys::log_beginning()).await;
    let step =
        |step: &str| serde_json::from_value(json!({ "step": step, "generation": "g2", "lanes": 3 })).unwrap();

    for done in ["begin", "build"] {
        assert!(replay::handle(&replay, step(done), LONG).await.unwrap().done);
    }

    // Events that were received since it was built.
    let meanwhile = Consumer::new(stack.store(), || NOW.plus(2 * HOUR));
    let bodies = messages(&Generator::new(2).messages(100));

    assert_eq!(stack::consume(&meanwhile, &bodies).await.failed, Vec::<String>::new());

    let replay = of(|| NOW.plus(3 * HOUR));

    for done in ["catch_up", "compare", "promote", "promote"] {
        replay::handle(&replay, step(done), LONG).await.unwrap();
    }

    // Once more, while the former generation is a shadow of the live one.
    let step = |step: &str| serde_json::from_value(json!({ "step": step, "generation": "g3" })).unwrap();

    for done in ["begin", "build", "promote", "promote"] {
        replay::handle(&replay, step(done), LONG).await.unwrap();
    }

    assert_eq!(replay.pointer().await.unwrap().live.name, "g3");

    rights.assert_fit(&[]);
}

#[test]
fn permissions_over_tables_are_tried_for_every_role() {
    let jobs =
        ["ClerkWebhook", "Consumer", "OutboxRelay", "AuditSeal", "Metrics", "Replay"].map(str::to_owned);
    // The webhook is tried in `write_side/webhook.rs`.
    let endpoints = endpoints::all().into_iter().map(|one| one.role);
    let tried: BTreeSet<String> = endpoints.chain(jobs).collect();

    assert_eq!(Rights::roles(), tried.into_iter().collect::<Vec<_>>());
}
