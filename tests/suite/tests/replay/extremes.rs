//! Whatever the intake accepts is carried through: events at every bound at once, through intake, consumer, rebuild,
//! comparison, repair, export and import. No message fails and the store refuses nothing (`docs/promises.md`, P9).

use super::{assert_same, quiet, rebuild};
use serde_json::json;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;
use torale_domain::projections::generation::Generation;
use torale_domain::storage::keys::{self, Lanes};
use torale_domain::values::ids::UserId;
use torale_domain::values::time::{DAY, Timestamp};
use torale_platform::clock;
use torale_replay::Replay;
use torale_replay::compare::{Comparison, Expected};
use torale_replay::transfer::Pseudonyms;
use torale_testkit::events::{self, event};
use torale_testkit::extremes::{self, uuid};
use torale_testkit::generator::Generator;
use torale_testkit::stack::{NOW, Stack, key_of};

async fn verify(replay: &Replay, generation: &Generation) -> Comparison {
    let expected = Expected::Log(generation.lanes);
    replay.compare(expected, generation, Duration::ZERO, || async { Ok(()) }).await.unwrap()
}

/// Delivers messages; none may fail, and none may be quarantined.
async fn deliver(stack: &Stack, batches: &[Vec<String>]) {
    for batch in batches {
        let outcome = stack.consume(batch).await;
        assert_eq!(outcome.quarantined, BTreeMap::new());
        assert_eq!(outcome.failed, Vec::<String>::new());
    }
}

async fn with_extremes(seed: u64) -> Stack {
    let stack = Stack::start().await;
    let messages = [events::admin(), extremes::messages()].concat();
    deliver(&stack, &Generator::new(seed).deliveries(&messages)).await;
    stack
}

/// A folder that goes when this does.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        Self(std::env::temp_dir().join(format!("torale-extremes-{}", clock::unique())))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.0).ok();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_at_every_bound_are_rebuilt_verified_and_repaired() {
    let stack = with_extremes(17).await;
    let replay = quiet(stack.store());

    let rebuilt = rebuild(&replay, Lanes::DEFAULT).await.unwrap();

    assert_same(&stack, &rebuilt.name, "g1").await;
    assert!(verify(&replay, &rebuilt).await.is_equal());

    // Every item is lost.
    for item in stack.scan(&rebuilt.table()).await {
        stack.delete(&rebuilt.table(), &key_of(&item)).await;
    }
    let (repaired, left) = replay.repair(&rebuilt, Duration::ZERO, false).await.unwrap();
    assert!(repaired > 100 && left.is_equal(), "{repaired}");
    assert_same(&stack, &rebuilt.name, "g1").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_at_every_bound_move_to_another_installation_whole_and_scrubbed() {
    let stack = with_extremes(18).await;
    for pseudonyms in [None, Some(Pseudonyms { salt: b"salt".to_vec() })] {
        let folder = Folder::new();
        let manifest = quiet(stack.store()).export(&folder.0, pseudonyms.as_ref()).await.unwrap();
        assert_eq!((manifest.undecodable, manifest.quarantined), (0, 0));
        let to = Stack::start().await;
        let importing = quiet(to.store());

        assert_eq!(importing.import(&folder.0).await.unwrap(), manifest);

        let rebuilt = rebuild(&importing, Lanes::DEFAULT).await.unwrap();
        let (rebuilt, live) = (to.generation(&rebuilt.name).await, stack.projections().await);
        if pseudonyms.is_none() {
            assert_eq!(rebuilt, live);
        } else {
            assert_eq!(rebuilt.len(), live.len());
        }
    }
}

/// What one entity has many of: tasks of a user and of a query, updates of a task, days of a task.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_tasks_of_one_user_and_ten_thousand_updates_of_one_task_are_projected() {
    const MANY: usize = 10_000;
    let (user, busy) = (uuid(1, 1), uuid(2, 0));
    let at = |n: usize| NOW.plus(-DAY + i64::try_from(n).unwrap());
    let tasks = (0..MANY).map(|n| {
        let data = json!({ "task_id": uuid(2, n), "user_id": user, "search_query": "one query" });
        event("t", at(n), "task.created", data)
    });
    let updates = (0..MANY).map(|n| {
        let data = json!({ "task_id": busy, "search_query": format!("query {n}") });
        event("u", at(n), "task.updated", data)
    });
    // Every day since 2015 has an execution, so that no two days next to each other are alike in number.
    let days = usize::try_from(NOW.day().0 - Timestamp::EARLIEST.day().0).unwrap();
    let executions = (0..days).flat_map(|day| (0..=day % 2).map(move |n| (day, n))).map(|(day, n)| {
        let started = Timestamp::EARLIEST.plus(i64::try_from(day).unwrap() * DAY);
        let data = json!({ "execution_id": uuid(5 + u128::try_from(n).unwrap(), day), "task_id": busy,
            "user_id": user, "started_at": started, "condition_met": true });
        event("x", NOW.plus(-DAY), "execution.succeeded", data)
    });
    let messages: Vec<String> = tasks.chain(updates).chain(executions).collect();
    let stack = Stack::start().await;
    let batches: Vec<Vec<String>> = messages.chunks(2_000).map(<[String]>::to_vec).collect();
    deliver(&stack, &[vec![events::admin()], batches].concat()).await;

    let totals = keys::user_totals(UserId(user));
    let live = stack.projections().await;
    let counted = &live[&format!("{} / {}", totals.pk, totals.sk)];
    assert!(counted.contains("\"tasks\": \"10000\""), "{counted}");

    let rebuilt = rebuild(&quiet(stack.store()), Lanes::DEFAULT).await.unwrap();
    assert_same(&stack, &rebuilt.name, "g1").await;
}

/// Builds with so little memory that a person's links would not fit into it, and compares with what the consumer wrote.
async fn assert_rebuilt_with_little_memory(messages: &[String]) {
    let stack = Stack::start().await;
    let batches: Vec<Vec<String>> = messages.chunks(50).map(<[String]>::to_vec).collect();
    deliver(&stack, &batches).await;
    let replay = Replay { memory: 64 * 1024, batch: 50, ..quiet(stack.store()) };

    let rebuilt = rebuild(&replay, Lanes::DEFAULT).await.unwrap();

    assert_same(&stack, &rebuilt.name, "g1").await;
    assert!(verify(&replay, &rebuilt).await.is_equal());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn user_with_more_identities_than_fit_into_memory_is_rebuilt() {
    let user = uuid(1, 1);
    let created = json!({ "user_id": user, "clerk_user_id": "user_0", "email": "ann@example.com" });
    let identities = (0..60).map(|n| {
        let at = NOW.plus(-DAY + i64::from(n));
        let data = json!({ "clerk_user_id": format!("user_{n}"), "email": format!("{n}@example.com"),
            "external_id": user, "note": "x".repeat(1_500) });
        event("i", at, "identity.created", data)
    });
    let messages: Vec<String> = identities.chain([event("u", NOW, "user.created", created)]).collect();

    assert_rebuilt_with_little_memory(&messages).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn identity_of_more_users_than_fit_into_memory_is_rebuilt() {
    let users = (0..250).map(|n| {
        let data =
            json!({ "user_id": uuid(1, n), "clerk_user_id": "user_1", "email": format!("{n}@example.com") });
        event("u", NOW.plus(-DAY), "user.created", data)
    });
    let identity =
        json!({ "clerk_user_id": "user_1", "email": "ann@example.com", "note": "x".repeat(1_500) });
    let messages: Vec<String> = users.chain([event("i", NOW, "identity.created", identity)]).collect();

    assert_rebuilt_with_little_memory(&messages).await;
}
