//! `cargo dev --history`: a log that was written at once and what is built from it, like all that came one by one.

use super::compare::verify;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use torale_domain::values::time::{DAY, Timestamp};
use torale_local::console::Console;
use torale_local::data::history::{HistoryReport, HistoryStore};
use torale_local::data::seed::{SeedEvent, SeedEvents, SeedOptions, SeedPlan};
use torale_replay::Replay;
use torale_testkit::events;
use torale_testkit::stack::{NOW, Stack};
use torale_tests::endpoints;
use torale_tests::model::{self, PLAIN, check, model};

const THREE_HUNDRED: SeedOptions = SeedOptions { seed: 1, days: 30, executions: 300 };

fn plan(end: Timestamp, options: SeedOptions) -> SeedPlan {
    SeedPlan::until(end.to_string().parse().unwrap(), options)
}

fn bodies(plan: SeedPlan) -> Vec<String> {
    SeedEvents::new(plan).map(|event: SeedEvent| event.body()).collect()
}

fn parsed(bodies: &[String]) -> Vec<Value> {
    bodies.iter().map(|body| serde_json::from_str(body).unwrap()).collect()
}

async fn made(options: SeedOptions) -> (Stack, HistoryReport) {
    let (stack, database) = Stack::embedded().await;
    let place = HistoryStore { store: stack.store(), database, clock: || NOW };
    let report = place.make(plan(NOW, options), &Console::default()).await.unwrap();
    (stack, report)
}

/// The executions that the admin sees, in a window of hours.
async fn executions(stack: &Stack, hours: u32) -> Value {
    let answer = endpoints::answer(stack, "/admin/executions", &format!("hours={hours}&limit=1")).await;
    answer.with_status(200).json()["total"].clone()
}

/// The ids in a field of the events' data, without repetition.
fn ids(events: &[Value], field: &str) -> BTreeSet<String> {
    events.iter().filter_map(|event| event["data"][field].as_str()).map(str::to_owned).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn local_history_answers_like_the_model_of_its_events() {
    let (stack, report) = made(THREE_HUNDRED).await;
    stack.consume(&events::admin()).await;
    let history = bodies(plan(NOW, THREE_HUNDRED));
    let model = model(&[history.clone(), events::admin()].concat());

    assert_eq!((report.events, report.counts.executions), (u64::try_from(history.len()).unwrap(), 300));
    for (path, query) in PLAIN {
        check(&stack, &model, path, query).await;
    }
    let events = parsed(&history);
    let of = |kind: &str, field: &str| -> Vec<String> {
        ids(&events, field).into_iter().take(12).map(|id| format!("/admin/{kind}/{id}")).collect()
    };
    for path in [of("executions", "execution_id"), of("tasks", "task_id"), of("users", "user_id")].concat() {
        check(&stack, &model, &path, "").await;
    }
    for page in 1..=3 {
        check(&stack, &model, "/admin/executions", &format!("hours=720&limit=100&page={page}")).await;
    }
    model::check_metrics(&stack, &model).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn local_history_of_300_counts_300_executions_and_is_what_its_log_says() {
    let (stack, report) = made(THREE_HUNDRED).await;
    stack.consume(&events::admin()).await;

    assert_eq!(executions(&stack, 720).await, 300);
    let stats = endpoints::answer(&stack, "/admin/stats", "").await.with_status(200).json();
    let day = executions(&stack, 24).await;
    assert_eq!(stats["executions"]["total_24h"], day);
    assert!((1..300).contains(&day.as_u64().unwrap()), "{day}");
    assert_eq!((report.counts.users, report.counts.tasks > 25), (25, true), "{report:?}");

    let replay = Replay { settle: std::time::Duration::ZERO, ..Replay::new(stack.store(), || NOW.plus(DAY)) };
    let comparison = verify(&replay).await;
    assert!(comparison.is_equal() && comparison.expected.0 > 2_000, "{comparison:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn local_history_has_exactly_as_many_executions_as_were_asked_for() {
    for executions in [1, 2, 40] {
        for seed in 0..40 {
            let events = parsed(&bodies(plan(NOW, SeedOptions { seed, days: 30, executions })));
            let started = events.iter().filter(|event| event["type"] == "ai.torale.execution.started");
            assert_eq!(started.count(), usize::try_from(executions).unwrap(), "seed {seed}");
            let (first, last) = (NOW.plus(-30 * DAY), NOW);
            for at in events.iter().filter_map(|event| event["data"]["started_at"].as_str()) {
                let at = Timestamp::parse(at).unwrap();
                assert!(first <= at && at <= last, "seed {seed}: {at}");
            }
        }
    }
}

#[test]
fn local_history_of_a_seed_is_the_same_and_keeps_its_ids_at_another_time() {
    let now = parsed(&bodies(plan(NOW, THREE_HUNDRED)));
    assert_eq!(parsed(&bodies(plan(NOW, THREE_HUNDRED))), now);
    assert_ne!(parsed(&bodies(plan(NOW, SeedOptions { seed: 2, ..THREE_HUNDRED }))), now);

    // An hour and a bit later each execution has the same id, task and user; only times differ.
    let later = parsed(&bodies(plan(NOW.plus(4_000_000), THREE_HUNDRED)));
    for field in ["execution_id", "task_id", "user_id", "search_query", "key_id", "run_id"] {
        assert_eq!(ids(&later, field), ids(&now, field), "{field}");
    }
}

#[test]
fn local_history_has_failures_of_several_kinds_and_executions_that_still_run() {
    let events = parsed(&bodies(plan(NOW, SeedOptions { executions: 4_000, ..THREE_HUNDRED })));
    let mut kinds: BTreeMap<&str, u32> = BTreeMap::new();
    for event in &events {
        *kinds.entry(event["type"].as_str().unwrap().trim_start_matches("ai.torale.")).or_default() += 1;
    }
    let ended: BTreeSet<&str> = events
        .iter()
        .filter(|event| {
            ["execution.succeeded", "execution.failed"]
                .iter()
                .any(|kind| event["type"].as_str().unwrap().ends_with(kind))
        })
        .map(|event| event["data"]["execution_id"].as_str().unwrap())
        .collect();
    assert!((1..100).contains(&(4_000 - ended.len())), "{}", ended.len());
    assert_eq!(ids(&events, "error_type").len(), 4);
    for kind in
        ["notification.sent", "temporal.workflow.closed", "temporal.schedule.created", "api_key.created"]
    {
        assert!(kinds.get(kind).is_some_and(|count| *count > 20), "{kind}: {kinds:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn local_history_is_refused_by_a_log_that_is_not_empty() {
    let (stack, database) = Stack::embedded().await;
    stack.consume(&events::admin()).await;
    let before = stack.projections().await;
    let place = HistoryStore { store: stack.store(), database, clock: || NOW };

    let refused = place.make(plan(NOW, THREE_HUNDRED), &Console::default()).await.unwrap_err();

    assert_eq!(refused.to_string(), "the log is not empty: a history must be all that it holds");
    assert_eq!(stack.projections().await, before);
}
