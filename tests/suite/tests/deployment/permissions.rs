//! Functions use exactly the permissions that the template gives them: none is missing, and none is unused.

use ::user::ReadUser;
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
use torale_domain::entities::linkage;
use torale_domain::storage::keys::{self, CONTROL_TABLE};
use torale_domain::values::ids::ClerkUserId;
use torale_domain::values::time::{DAY, HOUR};
use torale_platform::consume::Consumer;
use torale_platform::queue::MessageQueue;
use torale_platform::store::Generations;
use torale_replay::Replay;
use torale_testkit::cloudwatch::FakeCloudWatch;
use torale_testkit::events::{EventBuilder, IntoMessages, api_key, identity, task, user};
use torale_testkit::generator::Generator;
use torale_testkit::request::{get, patch, post};
use torale_testkit::rights::Rights;
use torale_testkit::scenario::{Scenario, given};
use torale_testkit::sqs::FakeSqs;
use torale_testkit::stack::{self, LONG, NOW, Stack, messages};
use torale_tests::endpoints::{self, good_request};
use uuid::Uuid;

const USER: &str = "00000000-0000-0000-0000-0000000000b0";
const OTHER: &str = "00000000-0000-0000-0000-0000000000b1";

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
    given((Generator::new(1).messages(200), endpoints::subject(USER), tasks)).start().await
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

    let reads = endpoints::all().into_iter().filter(|one| one.endpoint.method == Method::GET);
    // What it reads of a user who is not deactivated is not all that it may.
    for of in &reads.filter(|one| one.role != "User").collect::<Vec<_>>() {
        let rights = Rights::of(&of.role);
        let app = stack.app_over(stack.store_with(rights.interceptor()));

        assert_eq!(good_request(of, USER).send(&app).await.status, 200);

        rights.assert_fit(&[]);
    }
}

/// Of a deactivated user whose commands wait, and of their keys.
#[tokio::test]
async fn reader_of_a_user_uses_exactly_its_permissions() {
    let scenario = filled().await;
    scenario.receives(api_key("key_b").created(USER, "sk_user_0123456789_0123456789")).await;
    deactivate(&scenario, &FakeSqs::unreachable().client()).await;
    let rights = Rights::of("User");
    let app = scenario.app_over(scenario.store_with(rights.interceptor()));

    let answer = get::<ReadUser>("").about(USER).send(&app).await.with_status(200).json();

    assert!(answer["deactivation"]["commands_pending"].as_u64() > Some(PAGE as u64), "{answer}");
    rights.assert_fit(&[]);
}

#[tokio::test]
async fn changes_of_users_use_exactly_their_permissions() {
    let (scenario, queue) = (filled().await, FakeSqs::default().client());
    let derived = linkage::derived(&ClerkUserId::parse("user_derived").unwrap()).to_string();
    scenario.receives(identity("user_derived").created().at(NOW.plus(-DAY))).await;
    let users = [USER, &derived];

    for requests in [
        users.map(patch::<DeactivateUser>),
        users.map(patch::<ReactivateUser>),
        users.map(|user| post::<DeactivateUsers>(&json!({ "user_ids": [user] }))),
    ] {
        let rights = Rights::of(&requests[0].endpoint.role);
        let app = scenario.app_over(scenario.store_with(rights.interceptor()));

        for request in requests {
            assert_eq!(request.send_with(&app, &queue).await.status, 200);
            request.send_with(&app, &queue).await;
        }

        rights.assert_fit(&[]);
        // The event of a derived id must have left the outbox before the user can be reactivated.
        let (commands, events) = (FakeSqs::default().client(), FakeSqs::default().client());
        let until = Instant::now() + Duration::from_secs(30);
        outbox_relay::handle(&scenario.store(), &commands, &events, || NOW, until).await.unwrap();
    }
}

async fn deactivate(stack: &Stack, queue: &MessageQueue) {
    assert_eq!(patch::<DeactivateUser>(USER).send_with(&stack.app(), queue).await.status, 200);
}

/// Two users who have the same identity, and another event of each.
fn two_users_of_one_identity() -> Vec<String> {
    let created = [USER, OTHER].map(|id| user(id).created().with("clerk_user_id", "user_x"));
    let updated = [USER, OTHER].map(|id| user(id).updated().with("email", "x@example.com"));
    (created.to_vec(), updated.to_vec()).into_messages()
}

#[tokio::test]
async fn consumer_uses_exactly_its_permissions() {
    let (stack, rights) = (filled().await, Rights::of("Consumer"));
    deactivate(&stack, &FakeSqs::default().client()).await;
    // So few users at once that two of one identity are more.
    let consumer = Consumer::new(stack.store_with(rights.interceptor()), || NOW).with_users_page(1);
    let of_tasks = ("no event", task(&task_id(0)).paused(), task_created(1000)).into_messages();
    let deleted = (user(OTHER).created().with("clerk_user_id", "user_x"), identity("user_x").deleted());
    let bodies = messages(&[of_tasks, deleted.into_messages()].concat());

    let shared = identity("user_x").updated().with("email", "shared@example.com");

    for bodies in [bodies, messages(&two_users_of_one_identity()), messages(&[shared.message()])] {
        assert_eq!(stack::consume(&consumer, &bodies).await.failed, Vec::<String>::new());
    }

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
    // So little memory that subtotals are stored in between, and so few users at once that two of one identity are
    // more.
    let of = |clock| {
        let store = stack.store_with(rights.interceptor());
        Replay { settle, checkpoint, memory: 400_000, batch: 7, users_page: 1, ..Replay::new(store, clock) }
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
    let mut bodies = messages(&Generator::new(2).messages(100));
    bodies.extend(messages(&two_users_of_one_identity()));

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
    // The sync of Temporal is tried by sources/temporal/tests/temporal/rights.rs.
    let jobs =
        ["Consumer", "OutboxRelay", "AuditSeal", "Metrics", "Replay", "TemporalSyncJob"].map(str::to_owned);
    let endpoints = endpoints::all().into_iter().map(|one| one.role);
    let tried: BTreeSet<String> = endpoints.chain(jobs).collect();

    assert_eq!(Rights::roles(), tried.into_iter().collect::<Vec<_>>());
}
