//! One small scenario, and what each endpoint answers to it. The present is 2026-03-31T10:30:30.500Z.

use errors::Errors;
use executions::Executions;
use queries::Queries;
use serde_json::{Value, json};
use stats::Stats;
use temporal_schedules::Schedules;
use temporal_workflows::Workflows;
use torale_testkit::events::{
    EventBuilder, ExecutionEvents, execution, notification_sent, schedule_created, task, user, workflow_run,
};
use torale_testkit::request::{ApiRequest, get};
use torale_testkit::scenario::{given, given_an_admin};
use users::Users;

const ANN: &str = "11111111-0000-4000-8000-000000000001";
const BOB: &str = "11111111-0000-4000-8000-000000000002";
const PHONE: &str = "22222222-0000-4000-8000-000000000001";
const PRICE: &str = "22222222-0000-4000-8000-000000000002";
const GONE: &str = "22222222-0000-4000-8000-000000000003";
const RUN_1: &str = "33333333-0000-4000-8000-000000000001";
const RUN_2: &str = "33333333-0000-4000-8000-000000000002";
const RUN_3: &str = "33333333-0000-4000-8000-000000000003";
const RUN_4: &str = "33333333-0000-4000-8000-000000000004";

fn people() -> Vec<EventBuilder> {
    let ann = user(ANN).created().with("clerk_user_id", "user_ann").with("email", "ann@example.com");
    let bob = user(BOB).created().with("clerk_user_id", "user_bob").with("email", "bob@example.com");
    vec![
        ann.at("2026-03-01T08:00:00Z"),
        bob.with("created_at", "2026-03-30T00:00:00.250Z").at("2026-03-30T09:00:00Z"),
        user(ANN).logged_in().at("2026-03-31T09:00:00Z"),
        user(ANN).logged_in().at("2026-03-31T08:00:00Z"),
        user(ANN).updated().with("email", "ann@new.example").at("2026-03-31T10:00:00Z"),
        user(BOB).deactivated().at("2026-03-31T10:00:00Z"),
    ]
}

fn tasks() -> Vec<EventBuilder> {
    let schedule = |id: &str| {
        let created = schedule_created(id, PHONE, ANN, "0 9 * * *");
        created.with("timezone", "Europe/Berlin").at("2026-03-02T08:00:00Z")
    };
    vec![
        task(PHONE).created(ANN, "iphone").at("2026-03-02T08:00:00Z"),
        task(PRICE).created(ANN, "ps6 price").at("2026-03-02T08:00:00Z"),
        task(GONE).created(BOB, "gone").at("2026-03-02T08:00:00Z"),
        task(PHONE).updated().with("search_query", "iPhone release").at("2026-03-03T08:00:00Z"),
        task(PRICE).paused().at("2026-03-03T08:00:00Z"),
        task(GONE).deleted().at("2026-03-03T08:00:00Z"),
        schedule("task-a").with("paused", false),
        schedule("task-b").with("paused", true).at("2026-03-02T08:00:01Z"),
    ]
}

fn runs() -> Vec<EventBuilder> {
    let run =
        |id: &str, task: &str, start: &str| -> ExecutionEvents { execution(id, task, ANN).started_at(start) };
    let failed = run(RUN_1, PHONE, "2026-03-31T09:00:00Z").failed("RateLimitError", "slow down");
    let succeeded = run(RUN_2, PHONE, "2026-03-30T10:30:00Z").succeeded(true).with("duration_ms", 4_001);
    let closed = workflow_run("task-1 /ä", "r-1").closed("COMPLETED", "2026-03-31T09:00:00Z");
    vec![
        failed.at("2026-03-31T09:00:02.120Z"),
        succeeded.at("2026-03-30T10:30:05Z"),
        run(RUN_3, GONE, "2026-03-30T10:29:59.999Z").started(),
        run(RUN_4, PRICE, "2026-03-31T10:30:00Z").started(),
        closed.with("close_time", "2026-03-31T09:00:05Z").at("2026-03-31T09:00:06Z"),
        notification_sent("n1", ANN).at("2026-03-31T10:00:00Z"),
        notification_sent("n2", ANN).at("2026-03-24T10:30:00Z"),
        notification_sent("n3", ANN).at("2026-03-24T10:00:00Z"),
    ]
}

/// The scenario answers a request so.
async fn check(request: ApiRequest, expected: Value) {
    given((people(), tasks(), runs())).when(request).await.then(200, &expected);
}

#[tokio::test]
async fn stats_count_users_tasks_executions_and_notifications_in_their_windows() {
    let expected = json!({
        "users": { "total": 3, "active_30d": 1, "new_7d": 1 },
        "tasks": { "total": 2, "active": 1, "paused": 1 },
        // RUN_3 began 1 ms before the window's first minute. (2120 + 4001) / 2 = 3060.5
        "executions": { "total_24h": 3, "success_24h": 1, "failed_24h": 1, "avg_duration_ms": 3061 },
        "notifications": { "sent_24h": 1, "sent_7d": 2 },
        "popular_queries": [{ "query": "iPhone release", "count": 1 }, { "query": "ps6 price", "count": 1 }],
    });

    check(get::<Stats>(""), expected).await;
}

#[tokio::test]
async fn queries_sum_up_their_tasks_and_executions() {
    let iphone = json!({ "search_query": "iPhone release", "total_tasks": 1, "active_tasks": 1, "total_executions": 2,
        "success_rate": 0.5, "avg_duration_ms": 3061 });
    let price = json!({ "search_query": "ps6 price", "total_tasks": 1, "active_tasks": 0, "total_executions": 1,
        "success_rate": 0.0, "avg_duration_ms": 0 });
    let expected = json!({ "queries": [iphone, price], "total": 2, "page": 1, "limit": 2 });

    check(get::<Queries>("limit=2"), expected).await;
}

fn running() -> Value {
    json!({ "id": RUN_4, "task_id": PRICE, "user_email": "ann@new.example", "search_query": "ps6 price", "status": "running",
        "condition_met": null, "duration_ms": null, "started_at": "2026-03-31T10:30:00Z", "completed_at": null })
}

fn failed() -> Value {
    json!({ "id": RUN_1, "task_id": PHONE, "user_email": "ann@new.example", "search_query": "iPhone release",
        "status": "failed", "condition_met": null, "duration_ms": 2120, "started_at": "2026-03-31T09:00:00Z",
        "completed_at": "2026-03-31T09:00:02.120Z" })
}

fn succeeded() -> Value {
    json!({ "id": RUN_2, "task_id": PHONE, "user_email": "ann@new.example", "search_query": "iPhone release",
        "status": "success", "condition_met": true, "duration_ms": 4001, "started_at": "2026-03-30T10:30:00Z",
        "completed_at": "2026-03-30T10:30:05Z" })
}

#[tokio::test]
async fn executions_of_the_last_day_are_listed_newest_first() {
    let all = json!([running(), failed(), succeeded()]);
    let expected = json!({ "executions": all, "total": 3, "page": 1, "limit": 50 });

    check(get::<Executions>(""), expected).await;
}

#[tokio::test]
async fn executions_with_a_status_are_counted_and_paged_on_their_own() {
    let expected = json!({ "executions": [failed()], "total": 1, "page": 1, "limit": 1 });

    check(get::<Executions>("status=failed&limit=1"), expected).await;
}

#[tokio::test]
async fn executions_behind_the_last_page_are_none() {
    let expected = json!({ "executions": [], "total": 3, "page": 9, "limit": 50 });

    check(get::<Executions>("page=9"), expected).await;
}

#[tokio::test]
async fn executions_of_deleted_tasks_stay_listed() {
    let gone = json!({ "id": RUN_3, "task_id": GONE, "user_email": "ann@new.example", "search_query": "gone", "status": "running",
        "condition_met": null, "duration_ms": null, "started_at": "2026-03-30T10:29:59.999Z", "completed_at": null });
    let expected = json!({ "executions": [gone], "total": 4, "page": 4, "limit": 1 });

    check(get::<Executions>("hours=25&page=4&limit=1"), expected).await;
}

#[tokio::test]
async fn workflows_are_listed_with_escaped_ids_in_their_links() {
    let url = "https://cloud.temporal.io/namespaces/torale.abc123/workflows/task-1%20%2F%C3%A4/r-1/history";
    let row = json!({ "workflow_id": "task-1 /ä", "workflow_type": "monitoring_workflow", "status": "COMPLETED",
        "start_time": "2026-03-31T09:00:00Z", "close_time": "2026-03-31T09:00:05Z", "execution_duration_ms": 5000,
        "temporal_ui_url": url });

    check(get::<Workflows>(""), json!({ "workflows": [row], "total": 1 })).await;
}

#[tokio::test]
async fn schedules_that_are_paused_are_listed_only_on_demand() {
    // 9:00 in Berlin's summer time is 7:00 UTC.
    let active = json!({ "schedule_id": "task-a", "task_id": PHONE, "user_email": "ann@new.example", "cron": "0 9 * * *",
        "is_paused": false, "recent_executions": 2, "next_run_time": "2026-04-01T07:00:00Z",
        "temporal_ui_url": "https://cloud.temporal.io/namespaces/torale.abc123/schedules/task-a" });
    let paused = json!({ "schedule_id": "task-b", "task_id": PHONE, "user_email": "ann@new.example", "cron": "0 9 * * *",
        "is_paused": true, "recent_executions": 2, "next_run_time": null,
        "temporal_ui_url": "https://cloud.temporal.io/namespaces/torale.abc123/schedules/task-b" });

    check(get::<Schedules>(""), json!({ "schedules": [active], "total": 1 })).await;
    check(get::<Schedules>("include_paused=1"), json!({ "schedules": [paused, active], "total": 2 })).await;
}

#[tokio::test]
async fn schedules_have_their_time_zone_on_demand() {
    let row = json!({ "schedule_id": "task-a", "task_id": PHONE, "user_email": "ann@new.example", "cron": "0 9 * * *",
        "timezone": "Europe/Berlin", "is_paused": false, "recent_executions": 2, "next_run_time": "2026-04-01T07:00:00Z",
        "temporal_ui_url": "https://cloud.temporal.io/namespaces/torale.abc123/schedules/task-a" });

    check(get::<Schedules>("include_timezone=true"), json!({ "schedules": [row], "total": 1 })).await;
}

#[tokio::test]
async fn errors_are_listed_and_counted_by_type_in_the_window() {
    let row = json!({ "execution_id": RUN_1, "task_id": PHONE, "user_email": "ann@new.example", "search_query": "iPhone release",
        "error_message": "slow down", "error_type": "RateLimitError", "retry_count": 0, "will_retry": false,
        "occurred_at": "2026-03-31T09:00:02.120Z" });
    let two_hours = json!({ "errors": [row], "total": 1, "error_types": { "RateLimitError": 1 } });
    let one_hour = json!({ "errors": [], "total": 0, "error_types": {} });

    check(get::<Errors>("hours=2"), two_hours).await;
    check(get::<Errors>("hours=1"), one_hour).await;
}

#[tokio::test]
async fn users_are_listed_newest_first_with_their_activity() {
    let bob = json!({ "id": BOB, "email": "bob@example.com", "clerk_user_id": "user_bob", "state": "deactivated", "tasks_count": 0,
        "active_tasks_count": 0, "executions_24h": 0, "notifications_7d": 0, "created_at": "2026-03-30T00:00:00.250Z", "last_login": null });
    // 24 hours ago is cut at 10:00, so RUN_3 counts; seven days ago too, so n3 counts.
    let ann = json!({ "id": ANN, "email": "ann@new.example", "clerk_user_id": "user_ann", "state": "active", "tasks_count": 2,
        "active_tasks_count": 1, "executions_24h": 4, "notifications_7d": 3, "created_at": "2026-03-01T08:00:00Z",
        "last_login": "2026-03-31T09:00:00Z" });
    let all = json!({ "users": [bob, ann], "total": 3, "page": 1, "limit": 2 });
    let active = json!({ "users": [ann], "total": 2, "page": 1, "limit": 1 });

    check(get::<Users>("limit=2"), all).await;
    check(get::<Users>("active_only=true&limit=1"), active).await;
}

/// Failed, started again, succeeded: whatever arrives first, the latest event counts.
#[tokio::test]
async fn errors_lose_an_execution_that_succeeds_on_a_retry_in_any_order_of_arrival() {
    let run = execution(RUN_1, PHONE, ANN).started_at("2026-03-31T09:00:00Z");
    let events = [
        run.failed("TimeoutError", "too slow").at("2026-03-31T09:00:01Z"),
        run.started().at("2026-03-31T09:00:02Z"),
        run.succeeded(false).at("2026-03-31T09:00:03Z"),
    ];

    for order in [[0, 1, 2], [2, 1, 0], [1, 2, 0]] {
        let scenario = given_an_admin().start().await;
        for (step, i) in order.into_iter().enumerate() {
            scenario.receives(events[i].clone()).await;
            let errors = scenario.when(get::<Errors>("")).await;
            if order == [0, 1, 2] && step == 0 {
                assert_eq!(errors.json()["error_types"], json!({ "TimeoutError": 1 }));
            } else {
                errors.then(200, &json!({ "errors": [], "total": 0, "error_types": {} }));
            }
        }

        let stats = scenario.when(get::<Stats>("")).await.json();
        let expected = json!({ "total_24h": 1, "success_24h": 1, "failed_24h": 0, "avg_duration_ms": 3000 });
        assert_eq!(stats["executions"], expected);
    }
}
