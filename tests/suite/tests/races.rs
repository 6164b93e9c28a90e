//! Two plans made from the same reading: the one that is written second must lose, whatever it guards.

use serde_json::{Value, json};
use std::collections::HashMap;
use torale_domain::events::{self, Event, ReceivedMessage};
use torale_domain::projections::entity::Entities;
use torale_domain::projections::plan::EntityReads;
use torale_domain::storage::item::Item;
use torale_domain::storage::keys::Lanes;
use torale_domain::storage::read::{ReadPlan, Reader};
use torale_domain::storage::write::Write;
use torale_domain::values::time::HOUR;
use torale_platform::store::{Generation, TableReader, TransactError, Usage};
use torale_tests::generate::event;
use torale_tests::stack::{NOW, Stack};

const TASK: &str = "22222222-0000-4000-8000-000000000001";
const OTHER: &str = "22222222-0000-4000-8000-000000000002";
const USER: &str = "11111111-0000-4000-8000-000000000001";

fn parsed(body: &str) -> Event {
    match events::parse(body, Some(NOW)).unwrap() {
        ReceivedMessage::Known(event) => *event,
        ReceivedMessage::Unknown { event_type } => panic!("{event_type}"),
    }
}

fn created(task: &str, query: &str) -> String {
    event(
        "c",
        NOW.plus(-HOUR),
        "task.created",
        json!({ "task_id": task, "user_id": USER, "search_query": query }),
    )
}

fn task(kind: &str, data: Value) -> String {
    event("t", NOW, kind, data)
}

fn failed(n: u128, kind: &str) -> String {
    let id = uuid::Uuid::from_u128(n);
    let data = json!({ "execution_id": id, "task_id": TASK, "user_id": USER, "started_at": NOW.to_string(), "error_type": kind, "error_message": "x" });
    event("f", NOW, "execution.failed", data)
}

fn retried(n: u128) -> String {
    let id = uuid::Uuid::from_u128(n);
    let data = json!({ "execution_id": id, "task_id": TASK, "user_id": USER, "started_at": NOW.to_string(), "condition_met": true });
    event("s", NOW.plus(1000), "execution.succeeded", data)
}

/// What the consumer would write for these events now, without writing it.
async fn plan(stack: &Stack, bodies: &[String]) -> Vec<Write> {
    let (store, usage) = (stack.store(), Usage::default());
    let reader = TableReader::of(&store, &Generation::first(), &usage);
    let items = async |keys: Vec<_>| -> HashMap<_, Item> {
        if keys.is_empty() {
            return HashMap::new();
        }
        reader.read(ReadPlan::gets(keys).consistent()).await.unwrap().items
    };
    let events: Vec<Event> = bodies.iter().map(|body| parsed(body)).collect();
    let entities = EntityReads::new(Lanes::DEFAULT, Entities::new(), Vec::new(), events);
    let found = items(entities.keys()).await;
    let tasks = entities.fold(&found).unwrap();
    let found = items(tasks.keys()).await;
    let rankings = tasks.diff(&found).unwrap();
    let found = items(rankings.keys()).await;
    let counters = rankings.rank(found);
    let found = items(counters.keys()).await;
    counters.plan(found).writes
}

async fn write(stack: &Stack, writes: Vec<Write>) -> Result<(), TransactError> {
    stack.store().transact(&Generation::first().table(), writes, &Usage::default()).await
}

/// Both are planned over `history`; then the first is written and the second must lose.
async fn second_loses(history: &[String], first: &[String], second: &[String]) {
    let stack = Stack::start().await;
    stack.consume(history).await;
    let (one, other) = (plan(&stack, first).await, plan(&stack, second).await);
    write(&stack, one).await.unwrap();
    let before = stack.projections().await;
    assert!(matches!(write(&stack, other).await, Err(TransactError::Race)));
    assert_eq!(stack.projections().await, before, "a lost race leaves no trace");
    // Planned again, it fits.
    stack.consume(second).await;
    let fresh = Stack::start().await;
    fresh.consume(&[history, first, second].concat()).await;
    assert_eq!(stack.projections().await, fresh.projections().await);
}

#[tokio::test]
async fn two_first_events_of_one_entity() {
    second_loses(&[], &[created(TASK, "a")], &[task("task.paused", json!({ "task_id": TASK }))]).await;
}

#[tokio::test]
async fn two_changes_of_one_state() {
    let renamed = task("task.updated", json!({ "task_id": TASK, "search_query": "b" }));
    let paused = task("task.paused", json!({ "task_id": TASK }));
    second_loses(&[created(TASK, "a")], &[renamed], &[paused]).await;
}

/// An execution adds to the query that its task had when it was read.
#[tokio::test]
async fn an_execution_and_a_query_that_changes() {
    let renamed = task("task.updated", json!({ "task_id": TASK, "search_query": "b" }));
    second_loses(&[created(TASK, "a")], std::slice::from_ref(&renamed), &[failed(1, "E")]).await;
    second_loses(&[created(TASK, "a")], &[failed(1, "E")], &[renamed]).await;
}

#[tokio::test]
async fn two_executions_of_one_task() {
    second_loses(&[created(TASK, "a")], &[failed(1, "E")], &[failed(2, "E")]).await;
}

/// The place in the ranking is made from the number of tasks that was read.
#[tokio::test]
async fn two_tasks_that_join_one_query() {
    second_loses(
        &[created("22222222-0000-4000-8000-000000000003", "a")],
        &[created(TASK, "a")],
        &[created(OTHER, "a")],
    )
    .await;
    second_loses(&[], &[created(TASK, "a")], &[created(OTHER, "a")]).await;
}

/// A counter was about to empty, or an attribute to reach 0, when something was added to it; and the reverse.
#[tokio::test]
async fn an_amount_that_would_vanish_and_one_that_comes() {
    let mut other_task = failed(2, "E").replace(TASK, OTHER);
    // Only the counters of the errors may be in common, so the lanes of both tasks must be one.
    let lane = |task: &str| Lanes::DEFAULT.of(task.as_bytes());
    let twin =
        (4..).map(|n| format!("22222222-0000-4000-8000-{n:012}")).find(|id| lane(id) == lane(TASK)).unwrap();
    other_task = other_task.replace(OTHER, &twin).replace(USER, "11111111-0000-4000-8000-000000000009");
    second_loses(&[failed(1, "E")], std::slice::from_ref(&other_task), &[retried(1)]).await;
    second_loses(
        &[failed(1, "E"), other_task.clone()],
        &[retried(1)],
        &[retried(2).replace(TASK, &twin).replace(USER, "11111111-0000-4000-8000-000000000009")],
    )
    .await;
}
