//! P2 where a schedule starts very many executions in one minute: pages in the middle of it cost what others cost.

use crate::paging::{cost, sortable};
use serde_json::Value;
use torale_domain::values::time::{HOUR, Timestamp};
use torale_platform::store::Generation;
use torale_testkit::events::{EventBuilder, execution, workflow_run};
use torale_testkit::scenario::{Scenario, given_an_admin};
use torale_testkit::stack::{NOW, RawItem, Stack, key_of};
use torale_tests::endpoints;
use uuid::Uuid;

const EXECUTIONS: u64 = 900;

/// 9:00, when every task on `0 9 * * *` is due.
fn nine() -> Timestamp {
    NOW.floor_to_hour().plus(-HOUR)
}

fn id(kind: u128, n: u64) -> String {
    Uuid::from_u128((kind << 64) | u128::from(n)).to_string()
}

/// The n-th execution of the minute and its workflow run: 15 in each second, a third failed a second later.
fn nth(n: u64) -> [EventBuilder; 2] {
    let started = nine().plus(i64::try_from(n * 67 % 60_000).unwrap());
    let run = execution(&id(3, n), &id(2, n % 40), &id(1, n % 30)).started_at(started);
    let ended = if n.is_multiple_of(3) { run.failed("A", "x") } else { run.succeeded(false) };
    [ended.at(started.plus(1_000)), workflow_run(&format!("w{n}"), "r").started().at(started)]
}

async fn scenario() -> Scenario {
    let stack = given_an_admin().start().await;
    let all: Vec<EventBuilder> = (0..EXECUTIONS).flat_map(nth).collect();
    for some in all.chunks(100) {
        stack.receives(some.to_vec()).await;
    }
    stack
}

/// The path, the parameters and the name of the rows; what the rows are sorted by.
const LISTS: [(&str, &str, &str, [&str; 2]); 5] = [
    ("/admin/executions", "", "executions", ["started_at", "id"]),
    ("/admin/executions", "status=success", "executions", ["started_at", "id"]),
    ("/admin/executions", "status=failed", "executions", ["started_at", "id"]),
    ("/admin/errors", "", "errors", ["occurred_at", "execution_id"]),
    ("/admin/temporal/workflows", "", "workflows", ["start_time", "workflow_id"]),
];
const LIMIT: usize = 20;

/// All rows of a list, page by page.
async fn rows(stack: &Stack, path: &str, query: &str, name: &str) -> Vec<Value> {
    let mut rows = Vec::new();
    for number in 1.. {
        let query = format!("{query}&page={number}&limit={LIMIT}");
        let answer: Value = endpoints::answer(stack, path, &query).await.with_status(200).json();
        let found = answer[name].as_array().unwrap();
        if found.is_empty() {
            assert_eq!(answer["total"], rows.len(), "{path}?{query}");
            break;
        }
        rows.extend(found.iter().cloned());
    }
    rows
}

/// What a page near the middle of a list costs: round trips and units.
async fn middle(stack: &Stack, path: &str, query: &str, rows: usize) -> (u64, f64) {
    let page = rows / LIMIT / 2;
    cost(stack, path, &format!("{query}&page={page}&limit={LIMIT}")).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pages_of_a_crowded_minute_are_found_by_its_seconds_and_cost_what_others_cost() {
    let stack = scenario().await;
    let mut answered = Vec::new();

    for (path, query, name, order) in LISTS {
        let rows = rows(&stack, path, query, name).await;
        let keys: Vec<_> = rows.iter().map(|row| order.map(|by| sortable(&row[by]))).collect();
        assert!(keys.len() >= 300 && keys.windows(2).all(|pair| pair[0] > pair[1]), "{path}?{query}: order");
        let (trips, units) = middle(&stack, path, query, rows.len()).await;
        assert!(trips <= 6 && units <= 40.0, "{path}?{query}: {trips} round trips, {units} units");
        answered.push((rows, trips, units));
    }

    // A generation that an earlier release has built has no such nodes: the rows are skipped one by one.
    let table = Generation::first().table();
    let of_minutes = |item: &RawItem| key_of(item).sk.starts_with("n#");
    let nodes: Vec<RawItem> = stack.scan(&table).await.into_iter().filter(of_minutes).collect();
    assert!(nodes.len() > 2, "{} nodes", nodes.len());
    for node in nodes {
        stack.delete(&table, &key_of(&node)).await;
    }
    for ((path, query, name, _), (expected, trips, units)) in LISTS.into_iter().zip(answered) {
        assert_eq!(rows(&stack, path, query, name).await, expected, "{path}?{query}");
        let without = middle(&stack, path, query, expected.len()).await;
        assert_eq!(without.0, trips, "{path}?{query}: round trips");
        assert!(without.1 > units, "{path}?{query}: {units} units, {} without seconds", without.1);
    }
}
