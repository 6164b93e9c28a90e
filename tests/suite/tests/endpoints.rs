//! One small story told by hand, and what each endpoint says of it. The present is 2026-03-31T10:30:30.500Z.

use serde_json::{Value, json};
use torale_domain::values::time::Timestamp;
use torale_tests::generate::{self, event};
use torale_tests::stack::Stack;

const ANN: &str = "11111111-0000-4000-8000-000000000001";
const BOB: &str = "11111111-0000-4000-8000-000000000002";
const PHONE: &str = "22222222-0000-4000-8000-000000000001";
const PRICE: &str = "22222222-0000-4000-8000-000000000002";
const GONE: &str = "22222222-0000-4000-8000-000000000003";
const RUN_1: &str = "33333333-0000-4000-8000-000000000001";
const RUN_2: &str = "33333333-0000-4000-8000-000000000002";
const RUN_3: &str = "33333333-0000-4000-8000-000000000003";
const RUN_4: &str = "33333333-0000-4000-8000-000000000004";

struct Story(Vec<String>);

impl Story {
    fn tell(&mut self, time: &str, kind: &str, data: Value) {
        let id = format!("story-{}", self.0.len());
        self.0.push(event(&id, Timestamp::parse(time).unwrap(), kind, data));
    }
}

fn story() -> Vec<String> {
    let mut story = Story(generate::admin());
    let ann = json!({ "user_id": ANN, "clerk_user_id": "user_ann", "email": "ann@example.com" });
    story.tell("2026-03-01T08:00:00Z", "user.created", ann);
    let bob = json!({ "user_id": BOB, "clerk_user_id": "user_bob", "email": "bob@example.com", "created_at": "2026-03-30T00:00:00.250Z" });
    story.tell("2026-03-30T09:00:00Z", "user.created", bob);
    story.tell("2026-03-31T09:00:00Z", "user.logged_in", json!({ "user_id": ANN }));
    story.tell("2026-03-31T08:00:00Z", "user.logged_in", json!({ "user_id": ANN }));
    story.tell("2026-03-31T10:00:00Z", "user.updated", json!({ "user_id": ANN, "email": "ann@new.example" }));
    story.tell("2026-03-31T10:00:00Z", "user.deactivated", json!({ "user_id": BOB }));

    let task =
        |id: &str, user: &str, query: &str| json!({ "task_id": id, "user_id": user, "search_query": query });
    story.tell("2026-03-02T08:00:00Z", "task.created", task(PHONE, ANN, "iphone"));
    story.tell("2026-03-02T08:00:00Z", "task.created", task(PRICE, ANN, "ps6 price"));
    story.tell("2026-03-02T08:00:00Z", "task.created", task(GONE, BOB, "gone"));
    story.tell(
        "2026-03-03T08:00:00Z",
        "task.updated",
        json!({ "task_id": PHONE, "search_query": "iPhone release" }),
    );
    story.tell("2026-03-03T08:00:00Z", "task.paused", json!({ "task_id": PRICE }));
    story.tell("2026-03-03T08:00:00Z", "task.deleted", json!({ "task_id": GONE }));

    let run = |id: &str, task: &str, started: &str| json!({ "execution_id": id, "task_id": task, "user_id": ANN, "started_at": started });
    let mut failed = run(RUN_1, PHONE, "2026-03-31T09:00:00Z");
    failed["error_type"] = json!("RateLimitError");
    failed["error_message"] = json!("slow down");
    story.tell("2026-03-31T09:00:02.120Z", "execution.failed", failed);
    let mut succeeded = run(RUN_2, PHONE, "2026-03-30T10:30:00Z");
    succeeded["condition_met"] = json!(true);
    succeeded["duration_ms"] = json!(4_001);
    story.tell("2026-03-30T10:30:05Z", "execution.succeeded", succeeded);
    story.tell("2026-03-30T10:29:59.999Z", "execution.started", run(RUN_3, GONE, "2026-03-30T10:29:59.999Z"));
    story.tell("2026-03-31T10:30:00Z", "execution.started", run(RUN_4, PRICE, "2026-03-31T10:30:00Z"));

    for (time, id) in
        [("2026-03-31T10:00:00Z", "n1"), ("2026-03-24T10:30:00Z", "n2"), ("2026-03-24T10:00:00Z", "n3")]
    {
        story.tell(
            time,
            "notification.sent",
            json!({ "notification_id": id, "user_id": ANN, "channel": "email" }),
        );
    }
    let workflow = json!({ "workflow_id": "task-1 /ä", "run_id": "r-1", "workflow_type": "monitoring_workflow",
        "status": "COMPLETED", "start_time": "2026-03-31T09:00:00Z", "close_time": "2026-03-31T09:00:05Z" });
    story.tell("2026-03-31T09:00:06Z", "temporal.workflow.closed", workflow);
    let schedule = |id: &str, paused: bool| json!({ "schedule_id": id, "task_id": PHONE, "user_id": ANN, "cron": "0 9 * * *", "timezone": "Europe/Berlin", "paused": paused });
    story.tell("2026-03-02T08:00:00Z", "temporal.schedule.created", schedule("task-a", false));
    story.tell("2026-03-02T08:00:01Z", "temporal.schedule.created", schedule("task-b", true));
    story.0
}

#[track_caller]
fn equal(found: &str, expected: &Value) {
    assert_eq!(serde_json::from_str::<Value>(found).unwrap(), *expected, "\n{found}");
}

async fn check(path: &str, query: &str, expected: Value) {
    let stack = Stack::start().await;
    stack.consume(&story()).await;
    let (status, body) = stack.get(path, query).await;
    assert_eq!(status, 200, "{body}");
    equal(&body, &expected);
}

#[tokio::test]
async fn stats() {
    check("/admin/stats", "", json!({
        "users": { "total": 3, "active_30d": 1, "new_7d": 1 },
        "tasks": { "total": 2, "active": 1, "paused": 1 },
        // RUN_3 began 1 ms before the window's first minute. (2120 + 4001) / 2 = 3060.5
        "executions": { "total_24h": 3, "success_24h": 1, "failed_24h": 1, "avg_duration_ms": 3061 },
        "notifications": { "sent_24h": 1, "sent_7d": 2 },
        "popular_queries": [{ "query": "iPhone release", "count": 1 }, { "query": "ps6 price", "count": 1 }],
    }))
    .await;
}

#[tokio::test]
async fn queries() {
    check("/admin/queries", "limit=2", json!({
        "queries": [
            { "search_query": "iPhone release", "total_tasks": 1, "active_tasks": 1, "total_executions": 2,
              "success_rate": 0.5, "avg_duration_ms": 3061 },
            { "search_query": "ps6 price", "total_tasks": 1, "active_tasks": 0, "total_executions": 1,
              "success_rate": 0.0, "avg_duration_ms": 0 },
        ],
        "total": 2, "page": 1, "limit": 2,
    }))
    .await;
}

#[tokio::test]
async fn executions() {
    let first = json!({ "id": RUN_4, "task_id": PRICE, "user_email": "ann@new.example", "search_query": "ps6 price",
        "status": "running", "condition_met": null, "duration_ms": null, "started_at": "2026-03-31T10:30:00Z", "completed_at": null });
    let second = json!({ "id": RUN_1, "task_id": PHONE, "user_email": "ann@new.example", "search_query": "iPhone release",
        "status": "failed", "condition_met": null, "duration_ms": 2120, "started_at": "2026-03-31T09:00:00Z",
        "completed_at": "2026-03-31T09:00:02.120Z" });
    let third = json!({ "id": RUN_2, "task_id": PHONE, "user_email": "ann@new.example", "search_query": "iPhone release",
        "status": "success", "condition_met": true, "duration_ms": 4001, "started_at": "2026-03-30T10:30:00Z",
        "completed_at": "2026-03-30T10:30:05Z" });
    let all = json!([first, second, third]);
    check("/admin/executions", "", json!({ "executions": all, "total": 3, "page": 1, "limit": 50 })).await;
    check(
        "/admin/executions",
        "status=failed&limit=1",
        json!({ "executions": [second], "total": 1, "page": 1, "limit": 1 }),
    )
    .await;
    check("/admin/executions", "page=9", json!({ "executions": [], "total": 3, "page": 9, "limit": 50 }))
        .await;
}

#[tokio::test]
async fn executions_of_deleted_tasks_stay_listed() {
    let gone = json!({ "id": RUN_3, "task_id": GONE, "user_email": "ann@new.example", "search_query": "gone", "status": "running",
        "condition_met": null, "duration_ms": null, "started_at": "2026-03-30T10:29:59.999Z", "completed_at": null });
    check(
        "/admin/executions",
        "hours=25&page=4&limit=1",
        json!({ "executions": [gone], "total": 4, "page": 4, "limit": 1 }),
    )
    .await;
}

#[tokio::test]
async fn workflows() {
    let url = "https://cloud.temporal.io/namespaces/torale.abc123/workflows/task-1%20%2F%C3%A4/r-1/history";
    let row = json!({ "workflow_id": "task-1 /ä", "workflow_type": "monitoring_workflow", "status": "COMPLETED",
        "start_time": "2026-03-31T09:00:00Z", "close_time": "2026-03-31T09:00:05Z", "execution_duration_ms": 5000,
        "temporal_ui_url": url });
    check("/admin/temporal/workflows", "", json!({ "workflows": [row], "total": 1 })).await;
}

#[tokio::test]
async fn schedules() {
    // 9:00 in Berlin's summer time is 7:00 UTC.
    let active = json!({ "schedule_id": "task-a", "task_id": PHONE, "user_email": "ann@new.example", "cron": "0 9 * * *",
        "is_paused": false, "recent_executions": 2, "next_run_time": "2026-04-01T07:00:00Z",
        "temporal_ui_url": "https://cloud.temporal.io/namespaces/torale.abc123/schedules/task-a" });
    let paused = json!({ "schedule_id": "task-b", "task_id": PHONE, "user_email": "ann@new.example", "cron": "0 9 * * *",
        "is_paused": true, "recent_executions": 2, "next_run_time": null,
        "temporal_ui_url": "https://cloud.temporal.io/namespaces/torale.abc123/schedules/task-b" });
    check("/admin/temporal/schedules", "", json!({ "schedules": [active], "total": 1 })).await;
    check(
        "/admin/temporal/schedules",
        "include_paused=1",
        json!({ "schedules": [paused, active], "total": 2 }),
    )
    .await;
}

#[tokio::test]
async fn errors() {
    let row = json!({ "execution_id": RUN_1, "task_id": PHONE, "user_email": "ann@new.example", "search_query": "iPhone release",
        "error_message": "slow down", "error_type": "RateLimitError", "retry_count": 0, "will_retry": false,
        "occurred_at": "2026-03-31T09:00:02.120Z" });
    check(
        "/admin/errors",
        "hours=2",
        json!({ "errors": [row], "total": 1, "error_types": { "RateLimitError": 1 } }),
    )
    .await;
    check("/admin/errors", "hours=1", json!({ "errors": [], "total": 0, "error_types": {} })).await;
}

#[tokio::test]
async fn users() {
    let bob = json!({ "id": BOB, "email": "bob@example.com", "clerk_user_id": "user_bob", "state": "deactivated", "tasks_count": 0,
        "active_tasks_count": 0, "executions_24h": 0, "notifications_7d": 0, "created_at": "2026-03-30T00:00:00.250Z", "last_login": null });
    // 24 hours ago is cut at 10:00, so RUN_3 counts; seven days ago too, so n3 counts.
    let ann = json!({ "id": ANN, "email": "ann@new.example", "clerk_user_id": "user_ann", "state": "active", "tasks_count": 2,
        "active_tasks_count": 1, "executions_24h": 4, "notifications_7d": 3, "created_at": "2026-03-01T08:00:00Z",
        "last_login": "2026-03-31T09:00:00Z" });
    check("/admin/users", "limit=2", json!({ "users": [bob, ann], "total": 3, "page": 1, "limit": 2 })).await;
    check(
        "/admin/users",
        "active_only=true&limit=1",
        json!({ "users": [ann], "total": 2, "page": 1, "limit": 1 }),
    )
    .await;
}

/// Failed, started again, succeeded: whatever arrives first, the latest tells.
#[tokio::test]
async fn an_execution_that_succeeds_on_a_retry_leaves_the_errors() {
    let run = json!({ "execution_id": RUN_1, "task_id": PHONE, "user_id": ANN, "started_at": "2026-03-31T09:00:00Z" });
    let with = |name: &str, value: Value| {
        let mut run = run.clone();
        run[name] = value;
        run
    };
    let mut failed = with("error_type", json!("TimeoutError"));
    failed["error_message"] = json!("too slow");
    let at = |time: &str| Timestamp::parse(time).unwrap();
    let events = [
        event("a", at("2026-03-31T09:00:01Z"), "execution.failed", failed),
        event("b", at("2026-03-31T09:00:02Z"), "execution.started", run.clone()),
        event("c", at("2026-03-31T09:00:03Z"), "execution.succeeded", with("condition_met", json!(false))),
    ];
    for order in [[0, 1, 2], [2, 1, 0], [1, 2, 0]] {
        let stack = Stack::start().await;
        stack.consume(&generate::admin()).await;
        for (step, i) in order.into_iter().enumerate() {
            stack.consume(&events[i..=i]).await;
            let (_, body) = stack.get("/admin/errors", "").await;
            let listed = order == [0, 1, 2] && step == 0;
            equal(
                &body,
                &if listed {
                    serde_json::from_str(&body).unwrap()
                } else {
                    json!({ "errors": [], "total": 0, "error_types": {} })
                },
            );
            assert_eq!(body.contains("TimeoutError"), listed);
        }
        let (_, stats) = stack.get("/admin/stats", "").await;
        let expected = json!({ "total_24h": 1, "success_24h": 1, "failed_24h": 0, "avg_duration_ms": 3000 });
        assert_eq!(serde_json::from_str::<Value>(&stats).unwrap()["executions"], expected);
    }
}
