//! The answers about one thing: an execution, a task, a user; and the series that lead to them.

use ::task::ReadTask;
use ::user::ReadUser;
use deactivate_user::DeactivateUser;
use execution::ReadExecution;
use reactivate_user::ReactivateUser;
use serde_json::{Value, json};
use stats_series::StatsSeries;
use std::collections::BTreeSet;
use tokio::time::Instant;
use torale_domain::values::time::{DAY, MINUTE};
use torale_platform::serve::Handler;
use torale_testkit::events::{
    ADMIN, EventBuilder, api_key, event_about, execution as run, schedule_created, task, user,
};
use torale_testkit::request::{ApiRequest, get, patch};
use torale_testkit::scenario::{Scenario, given};
use torale_testkit::sqs::FakeSqs;
use torale_testkit::stack::{LONG, NOW};

const ANN: &str = "11111111-0000-4000-8000-000000000001";
const PHONE: &str = "22222222-0000-4000-8000-000000000001";
const GONE: &str = "22222222-0000-4000-8000-000000000003";
const RUN_1: &str = "33333333-0000-4000-8000-000000000001";
const RUN_2: &str = "33333333-0000-4000-8000-000000000002";
const KEY: &str = "sk_ann_0123456789_0123456789";

fn about<H: Handler>(id: &str) -> ApiRequest {
    get::<H>("").about(id)
}

fn ann() -> Vec<EventBuilder> {
    let created = user(ANN).created().with("clerk_user_id", "user_ann").with("email", "ann@example.com");
    vec![
        created.with("role", "user").id("u1").at("2026-03-01T08:00:00Z"),
        user(ANN).updated().with("email", "ann@new.example").id("u2").at("2026-03-31T10:00:00Z"),
        user(ANN).logged_in().id("u3").at("2026-03-31T09:00:00Z"),
    ]
}

fn phone() -> Vec<EventBuilder> {
    let created = task(PHONE).created(ANN, "iphone").with("name", "Phone").with("schedule", "0 8 * * *");
    let daily = |id: &str, cron: &str| schedule_created(id, PHONE, ANN, cron).with("timezone", "UTC");
    vec![
        created.id("t1").at("2026-03-02T08:00:00Z"),
        task(PHONE).updated().with("search_query", "iPhone release").id("t2").at("2026-03-03T08:00:00Z"),
        task(PHONE).updated().with("name", "iPhone").id("t3").at("2026-03-04T08:00:00Z"),
        daily("task-a", "0 9 * * *").at("2026-03-02T08:00:00Z"),
        daily("task-b", "0 0 * * *").with("paused", true).at("2026-03-02T08:00:01Z"),
        daily("task-c", "0 0 * * *").at("2026-03-02T08:00:02Z"),
        event_about("task-c", "temporal.schedule.deleted", json!({ "schedule_id": "task-c" })),
        task(GONE).created(ANN, "gone").at("2026-03-02T08:00:00Z"),
        task(GONE).deleted().at("2026-03-03T08:00:00Z"),
    ]
}

fn runs() -> Vec<EventBuilder> {
    let failed = run(RUN_1, PHONE, ANN).started_at("2026-03-31T09:00:00Z").failed("TimeoutError", "slow");
    let succeeded = run(RUN_2, PHONE, ANN).started_at("2026-03-30T10:30:00Z").succeeded(true);
    vec![
        failed.with("retry_count", 2).id("e1").at("2026-03-31T09:00:02.120Z"),
        succeeded.id("e2").at("2026-03-30T10:30:05Z"),
    ]
}

async fn scenario() -> Scenario {
    given((ann(), phone(), runs())).start().await
}

fn entry(kind: &str, id: &str, time: &str, fields: &[&str]) -> Value {
    json!({ "type": format!("ai.torale.{kind}"), "id": id, "source": "/torale/test", "time": time, "fields": fields })
}

#[tokio::test]
async fn execution_shows_its_error_and_the_event_that_says_so() {
    let failed = json!({
        "id": RUN_1, "task_id": PHONE, "user_email": "ann@new.example", "search_query": "iPhone release",
        "status": "failed", "condition_met": null, "duration_ms": 2120, "started_at": "2026-03-31T09:00:00Z",
        "completed_at": "2026-03-31T09:00:02.120Z", "user_id": ANN, "error_type": "TimeoutError",
        "error_message": "slow", "retry_count": 2, "will_retry": false,
        "history": [entry("execution.failed", "e1", "2026-03-31T09:00:02.120Z", &["completed_at", "duration_ms",
            "error_message", "error_type", "retry_count", "started_at", "status", "task_id", "user_id", "will_retry"])],
    });
    let scenario = scenario().await;

    scenario.when(about::<ReadExecution>(RUN_1)).await.then(200, &failed);
    scenario.when(about::<ReadExecution>(&RUN_1.to_uppercase())).await.then(200, &failed);

    let succeeded = scenario.when(about::<ReadExecution>(RUN_2)).await.json();
    assert_eq!((&succeeded["condition_met"], &succeeded["error_type"]), (&json!(true), &Value::Null));
}

#[tokio::test]
async fn task_shows_its_totals_schedules_and_the_events_that_say_so() {
    let schedule = |id: &str, cron: &str, paused: bool, next: Value| {
        json!({ "schedule_id": id, "task_id": PHONE, "user_email": "ann@new.example", "cron": cron,
            "is_paused": paused, "recent_executions": 2, "next_run_time": next,
            "temporal_ui_url": format!("https://cloud.temporal.io/namespaces/torale.abc123/schedules/{id}") })
    };
    let expected = json!({
        "id": PHONE, "name": "iPhone", "search_query": "iPhone release", "user_id": ANN,
        "user_email": "ann@new.example", "state": "active", "schedule": "0 8 * * *",
        "created_at": "2026-03-02T08:00:00Z", "total_executions": 2, "success_rate": 0.5,
        // (2120 + 5000) / 2
        "avg_duration_ms": 3560,
        "last_execution": { "id": RUN_1, "status": "failed", "started_at": "2026-03-31T09:00:00Z" },
        // The paused one would be earlier; the task's own schedule never counts.
        "next_run_time": "2026-04-01T09:00:00Z",
        "schedules": [
            schedule("task-b", "0 0 * * *", true, Value::Null),
            schedule("task-a", "0 9 * * *", false, json!("2026-04-01T09:00:00Z")),
        ],
        "history": [
            entry("task.updated", "t3", "2026-03-04T08:00:00Z", &["name"]),
            entry("task.updated", "t2", "2026-03-03T08:00:00Z", &["search_query"]),
            entry("task.created", "t1", "2026-03-02T08:00:00Z", &["created_at", "schedule", "state", "user_id"]),
        ],
    });

    scenario().await.when(about::<ReadTask>(PHONE)).await.then(200, &expected);
}

/// An execution that turns out to belong to another task, or to have begun at another time, moves.
#[tokio::test]
async fn last_execution_follows_what_the_latest_event_says() {
    let scenario = scenario().await;
    let last = async || scenario.when(about::<ReadTask>(PHONE)).await.json()["last_execution"].clone();
    let moved = run(RUN_1, GONE, ANN).started_at("2026-03-31T09:00:00Z").succeeded(true);
    let later = run(RUN_2, PHONE, ANN).started_at("2026-03-31T09:30:00Z").started();

    scenario.receives(moved.at("2026-03-31T09:10:00Z")).await;

    let second = json!({ "id": RUN_2, "status": "success", "started_at": "2026-03-30T10:30:00Z" });
    assert_eq!(last().await, second);

    scenario.receives(later.at("2026-03-31T09:30:00Z")).await;

    let again = json!({ "id": RUN_2, "status": "running", "started_at": "2026-03-31T09:30:00Z" });
    assert_eq!(last().await, again);
}

#[tokio::test]
async fn what_is_unknown_deleted_or_a_stub_is_not_found() {
    let scenario = scenario().await;
    let unknown = "00000000-0000-4000-8000-00000000dead";
    let stub = "44444444-0000-4000-8000-000000000001";
    scenario.receives((task(stub).paused(), user(stub).logged_in())).await;

    for (request, detail) in [
        (about::<ReadExecution>(unknown), "Execution not found"),
        (about::<ReadTask>(unknown), "Task not found"),
        (about::<ReadTask>(GONE), "Task not found"),
        (about::<ReadTask>(stub), "Task not found"),
        (about::<ReadUser>(unknown), "User not found"),
        (about::<ReadUser>(stub), "User not found"),
    ] {
        scenario.when(request).await.then(404, &json!({ "detail": detail }));
    }
    let malformed = scenario.when(about::<ReadTask>("task-1")).await.with_status(422);
    assert_eq!(malformed.detail()[0]["loc"], json!(["path", "id"]));
}

#[tokio::test]
async fn requests_about_one_thing_are_recorded_with_its_id() {
    let scenario = scenario().await;

    for request in [about::<ReadExecution>(RUN_1), about::<ReadTask>(GONE), about::<ReadUser>(ANN)] {
        scenario.when(request).await;
    }

    let records = scenario.records().await;
    let mut targets: Vec<_> =
        records.iter().map(|link| link.record.entry.target.clone().unwrap_or_default()).collect();
    targets.sort();
    assert_eq!(targets, [ANN, GONE, RUN_1]);
}

fn keys() -> Vec<EventBuilder> {
    let named = api_key("key_a").created(ANN, KEY).with("key_prefix", "sk_ann").with("name", "laptop");
    vec![
        named.at("2026-03-02T08:00:00Z"),
        api_key("key_b").created(ANN, "sk_old_0123456789_0123456789").at("2026-03-02T08:00:00Z"),
        api_key("key_b").revoked(ANN).at("2026-03-03T08:00:00Z"),
        api_key("key_c").created(ADMIN, "sk_not_0123456789_0123456789").at("2026-03-02T08:00:00Z"),
    ]
}

#[tokio::test]
async fn user_shows_role_keys_and_the_events_that_say_so() {
    let key = |id: &str, prefix: &str, name: Value, revoked: bool| {
        json!({ "key_id": id, "key_prefix": prefix, "name": name, "created_at": "2026-03-02T08:00:00Z",
            "revoked": revoked, "last_used_at": null })
    };
    let expected = json!({
        "id": ANN, "email": "ann@new.example", "clerk_user_id": "user_ann", "state": "active", "tasks_count": 1,
        "active_tasks_count": 1, "executions_24h": 2, "notifications_7d": 0, "created_at": "2026-03-01T08:00:00Z",
        "last_login": "2026-03-31T09:00:00Z", "role": "user",
        "api_keys": [key("key_b", "sk", Value::Null, true), key("key_a", "sk_ann", json!("laptop"), false)],
        "deactivation": null,
        "history": [
            entry("user.updated", "u2", "2026-03-31T10:00:00Z", &["email"]),
            entry("user.logged_in", "u3", "2026-03-31T09:00:00Z", &["last_login"]),
            entry("user.created", "u1", "2026-03-01T08:00:00Z", &["clerk_user_id", "created_at", "role"]),
        ],
    });

    given(((ann(), phone()), runs(), keys())).when(about::<ReadUser>(ANN)).await.then(200, &expected);
}

/// Lambda would answer in its own form, after the request was recorded as a 200.
#[tokio::test]
async fn answer_that_is_more_than_lambda_passes_on_is_a_500_in_the_contracts_form() {
    let long = "\u{1}".repeat(2000);
    let key = |n: u32| {
        let key = api_key(&format!("key_{n}")).created(ANN, &format!("sk_{n:020}"));
        key.with("name", long.as_str()).with("key_prefix", long.as_str())
    };
    let scenario = given((ann(), (0..220).map(key).collect::<Vec<_>>())).start().await;

    assert_eq!(scenario.when(about::<ReadUser>(ANN)).await.status, 200);
    scenario.receives((220..240).map(key).collect::<Vec<_>>()).await;
    let refused = scenario.when(about::<ReadUser>(ANN)).await;

    refused.then(500, &json!({ "detail": "Internal server error" }));
    let records = scenario.records().await;
    let statuses: BTreeSet<_> = records.iter().map(|link| link.record.entry.status).collect();
    assert_eq!(statuses, BTreeSet::from([200, 500]));
}

#[tokio::test]
async fn key_shows_the_minute_of_the_request_that_it_authenticated_last() {
    let scenario = given((ann(), keys(), user(ANN).updated().with("role", "admin"))).start().await;

    scenario.when(about::<ReadUser>(ANN).by(KEY)).await;

    let shown = scenario.when(about::<ReadUser>(ANN)).await.json();
    assert_eq!(shown["api_keys"][0]["last_used_at"], Value::Null, "the revoked one");
    assert_eq!(shown["api_keys"][1]["last_used_at"], json!(NOW.floor_to_minute()));
}

/// While the queue cannot be reached all commands wait: the ban, one task, one key.
#[tokio::test]
async fn deactivation_shows_who_when_and_how_many_commands_wait() {
    let scenario = given((ann(), phone(), keys())).start().await;
    let shown = async || scenario.when(about::<ReadUser>(ANN)).await.json()["deactivation"].clone();
    let deactivate = patch::<DeactivateUser>(ANN);
    deactivate.send_with(&scenario.app(), &FakeSqs::unreachable().client()).await;

    let waiting = json!({ "at": NOW, "by": ADMIN, "tasks_paused": 1, "commands_pending": 3 });
    assert_eq!(shown().await, waiting);

    // The platform confirms: another event holds the state, while the commands name the first.
    let confirmed = user(ANN).deactivated().with("reason", "asked for").at(NOW.plus(MINUTE));
    scenario.receives(confirmed).await;
    let confirmed = json!({ "at": NOW.plus(MINUTE), "by": null, "tasks_paused": 1, "commands_pending": 3 });
    assert_eq!(shown().await, confirmed);

    let queue = FakeSqs::default().client();
    outbox_relay::handle(&scenario.store(), &queue, &queue, || NOW, Instant::now() + LONG).await.unwrap();
    assert_eq!(shown().await["commands_pending"], json!(0));
}

#[tokio::test]
async fn deactivation_by_an_event_alone_has_no_number_of_tasks_and_ends_with_a_reactivation() {
    let scenario =
        given((ann(), user(ANN).deactivated().with("by", "support").at(NOW.plus(-DAY)))).start().await;
    let shown = async || scenario.when(about::<ReadUser>(ANN)).await.json()["deactivation"].clone();

    let by_event =
        json!({ "at": NOW.plus(-DAY), "by": "support", "tasks_paused": null, "commands_pending": 0 });
    assert_eq!(shown().await, by_event);

    patch::<ReactivateUser>(ANN).send(&scenario.app()).await.with_status(200).json();
    assert_eq!(shown().await, Value::Null);
}

#[tokio::test]
async fn series_counts_executions_and_errors_in_every_bucket_of_the_window() {
    let executions = json!({ "metric": "executions", "bucket": "day", "points": [
        { "start": "2026-03-30T10:30:00Z", "count": 1, "failed": 0, "avg_duration_ms": 5000 },
        { "start": "2026-03-31T00:00:00Z", "count": 1, "failed": 1, "avg_duration_ms": 2120 },
    ] });
    let errors = json!({ "metric": "errors", "bucket": "hour", "points": [
        { "start": "2026-03-31T08:30:00Z", "count": 0 },
        { "start": "2026-03-31T09:00:00Z", "count": 1 },
        { "start": "2026-03-31T10:00:00Z", "count": 0 },
    ] });
    let scenario = scenario().await;

    scenario.when(get::<StatsSeries>("metric=executions&bucket=day")).await.then(200, &executions);
    scenario.when(get::<StatsSeries>("metric=errors&bucket=hour&hours=2")).await.then(200, &errors);

    // A retry succeeds: the error is taken back.
    let retried = run(RUN_1, PHONE, ANN).started_at("2026-03-31T09:00:00Z").succeeded(true);
    scenario.receives(retried.at("2026-03-31T09:05:00Z")).await;
    let errors = scenario.when(get::<StatsSeries>("metric=errors&bucket=hour&hours=2")).await.json();
    assert_eq!(errors["points"][1], json!({ "start": "2026-03-31T09:00:00Z", "count": 0 }));
}

#[tokio::test]
async fn series_refuses_what_it_cannot_count() {
    let scenario = scenario().await;

    for (query, names) in [
        ("", vec!["metric", "bucket"]),
        ("metric=executions&bucket=minute&hours=25", vec!["hours"]),
        ("metric=tasks&bucket=hour&hours=745", vec!["metric", "hours"]),
    ] {
        let refused = scenario.when(get::<StatsSeries>(query)).await.with_status(422);
        let faults: Vec<_> =
            refused.detail().as_array().unwrap().iter().map(|fault| fault["loc"][1].clone()).collect();
        assert_eq!(faults, names, "{query}");
    }
}
