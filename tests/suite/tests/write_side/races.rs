//! Two plans made from the same reads: the one that is written second must lose, whatever its condition guards.

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
use torale_testkit::events::{EventBuilder, ExecutionEvents, execution, task};
use torale_testkit::stack::{NOW, Stack};
use uuid::Uuid;

const TASK: &str = "22222222-0000-4000-8000-000000000001";
const OTHER: &str = "22222222-0000-4000-8000-000000000002";
const USER: &str = "11111111-0000-4000-8000-000000000001";

fn parsed(body: &str) -> Event {
    match events::parse(body, Some(NOW)).unwrap() {
        ReceivedMessage::Known(event) => *event,
        ReceivedMessage::Unknown { event_type } => panic!("{event_type}"),
    }
}

fn created(id: &str, query: &str) -> EventBuilder {
    task(id).created(USER, query).at(NOW.plus(-HOUR))
}

fn renamed() -> EventBuilder {
    task(TASK).updated().with("search_query", "b")
}

fn run(n: u128, task: &str, user: &str) -> ExecutionEvents {
    execution(&Uuid::from_u128(n).to_string(), task, user)
}

/// An execution of the task that has failed.
fn failed(n: u128) -> EventBuilder {
    run(n, TASK, USER).failed("E", "x")
}

/// What the consumer would write for these events now, without writing it.
async fn plan(stack: &Stack, events: &[EventBuilder]) -> Vec<Write> {
    let (store, usage) = (stack.store(), Usage::default());
    let reader = TableReader::of(&store, &Generation::first(), &usage);
    let items = async |keys: Vec<_>| -> HashMap<_, Item> {
        if keys.is_empty() {
            return HashMap::new();
        }
        reader.read(ReadPlan::gets(keys).consistent()).await.unwrap().items
    };
    let events: Vec<Event> = events.iter().map(|event| parsed(&event.message())).collect();
    let entities = EntityReads::new(Lanes::DEFAULT, Entities::new(), Vec::new(), events);
    let found = items(entities.keys()).await;
    let tasks = entities.fold(&found).unwrap();
    let found = items(tasks.keys()).await;
    let rankings = tasks.diff(&found).unwrap();
    let found = items(rankings.keys()).await;
    let counters = rankings.rank(found);
    let found = items(counters.keys()).await;
    counters.into_writes(found).writes
}

async fn write(stack: &Stack, writes: Vec<Write>) -> Result<(), TransactError> {
    stack.store().transact(&Generation::first().table(), writes, &Usage::default()).await
}

/// Both are planned over `history`; then the first is written, and the second must lose.
async fn assert_second_loses(history: &[EventBuilder], first: &[EventBuilder], second: &[EventBuilder]) {
    let messages = |events: &[EventBuilder]| events.iter().map(EventBuilder::message).collect::<Vec<_>>();
    let stack = Stack::start().await;
    stack.consume(&messages(history)).await;

    let (one, other) = (plan(&stack, first).await, plan(&stack, second).await);
    write(&stack, one).await.unwrap();
    let before = stack.projections().await;
    assert!(matches!(write(&stack, other).await, Err(TransactError::Race)));
    assert_eq!(stack.projections().await, before, "a lost race leaves no trace");

    // Planned again, it fits.
    stack.consume(&messages(second)).await;
    let fresh = Stack::start().await;
    fresh.consume(&messages(&[history, first, second].concat())).await;
    assert_eq!(stack.projections().await, fresh.projections().await);
}

#[tokio::test]
async fn race_of_two_first_events_of_one_entity_has_one_winner() {
    assert_second_loses(&[], &[created(TASK, "a")], &[task(TASK).paused()]).await;
}

#[tokio::test]
async fn race_of_two_changes_of_one_state_has_one_winner() {
    assert_second_loses(&[created(TASK, "a")], &[renamed()], &[task(TASK).paused()]).await;
}

/// An execution adds to the query that its task had when it was read.
#[tokio::test]
async fn race_of_an_execution_and_a_changing_query_has_one_winner() {
    assert_second_loses(&[created(TASK, "a")], &[renamed()], &[failed(1)]).await;
    assert_second_loses(&[created(TASK, "a")], &[failed(1)], &[renamed()]).await;
}

#[tokio::test]
async fn race_of_two_executions_of_one_task_has_one_winner() {
    assert_second_loses(&[created(TASK, "a")], &[failed(1)], &[failed(2)]).await;
}

/// A query's place in the ranking follows from the number of tasks that was read.
#[tokio::test]
async fn race_of_two_tasks_that_join_one_query_has_one_winner() {
    let third = created("22222222-0000-4000-8000-000000000003", "a");

    assert_second_loses(&[third], &[created(TASK, "a")], &[created(OTHER, "a")]).await;
    assert_second_loses(&[], &[created(TASK, "a")], &[created(OTHER, "a")]).await;
}

/// A counter was about to empty, or an attribute to reach 0, when something was added to it; and the reverse.
#[tokio::test]
async fn race_of_an_amount_that_vanishes_and_one_that_comes_has_one_winner() {
    // Only the counters of the errors may be in common, so the user differs and the lanes of both tasks are one.
    let lane = |task: &str| Lanes::DEFAULT.of(task.as_bytes());
    let twin =
        (4..).map(|n| format!("22222222-0000-4000-8000-{n:012}")).find(|id| lane(id) == lane(TASK)).unwrap();
    let other = "11111111-0000-4000-8000-000000000009";
    let other_failed = run(2, &twin, other).failed("E", "x");
    let retried = |run: ExecutionEvents| run.succeeded(true).at(NOW.plus(1000));
    let (one_retried, other_retried) = (retried(run(1, TASK, USER)), retried(run(2, &twin, other)));

    assert_second_loses(
        &[failed(1)],
        std::slice::from_ref(&other_failed),
        std::slice::from_ref(&one_retried),
    )
    .await;
    assert_second_loses(&[failed(1), other_failed], &[one_retried], &[other_retried]).await;
}
