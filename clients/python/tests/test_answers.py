"""Every list and number, against the events that a real stack received."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints, is_typeddict
from uuid import UUID

import pytest

from scenario import ADA, ADMIN, BOB, CARL, IPHONE, ODD, PS5, RUNS, TASKS, ago, written
from torale import Admin, NotFoundError, ValidationError, types

EPOCH_OF_ADMIN = "2024-01-01T00:00:00Z"


def fits(value: Any, hint: Any) -> bool:
    """Whether a value is exactly of a type: no field missing, none too many."""
    if is_typeddict(hint):
        fields = get_type_hints(hint)
        return (
            isinstance(value, dict)
            and hint.__required_keys__ <= set(value) <= set(fields)
            and all(fits(value[name], fields[name]) for name in value)
        )
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in (Union, UnionType):
        return any(fits(value, each) for each in arguments)
    if origin is Literal:
        return value in arguments
    if origin is list:
        return isinstance(value, list) and all(fits(each, arguments[0]) for each in value)
    if origin is dict:
        return isinstance(value, dict) and all(fits(each, arguments[1]) for each in value.values())
    return hint is Any or type(value) is hint


def test_stats(admin: Admin) -> None:
    assert admin.get_stats() == {
        "users": {"total": 4, "active_30d": 1, "new_7d": 1},
        "tasks": {"total": 6, "active": 2, "paused": 3},
        # (4 + 2 + 30 + 5) s / 4
        "executions": {"total_24h": 5, "success_24h": 2, "failed_24h": 2, "avg_duration_ms": 10_250},
        "notifications": {"sent_24h": 1, "sent_7d": 2},
        "popular_queries": [
            {"query": IPHONE, "count": 3},
            {"query": PS5, "count": 2},
            {"query": ODD, "count": 1},
        ],
    }


def test_health(admin: Admin) -> None:
    health = admin.get_health()
    assert fits(health, types.Health), health
    assert (health["live_generation"]["name"], health["shadow_generation"]) == ("g1", None)
    assert health["outbox"] == {"entries": 0, "capped": False, "oldest_at": None, "age_ms": 0}


METRICS: dict[types.Metric, int] = {
    "executions": 5,
    "errors": 2,
    "notifications": 1,
    "new_users": 0,
    "last_logins": 0,
    "workflows": 3,
}
BUCKETS: tuple[types.Bucket, ...] = ("minute", "hour", "day")


def test_series(admin: Admin) -> None:
    for metric, total in METRICS.items():
        for bucket in BUCKETS:
            answer = admin.get_series(metric=metric, bucket=bucket)
            assert (answer["metric"], answer["bucket"]) == (metric, bucket)
            assert sum(point["count"] for point in answer["points"]) == total
            assert fits(answer, types.Series)
    by_hour = admin.get_series(metric="executions", bucket="hour", hours=24)["points"]
    assert len(by_hour) in (24, 25)
    assert sum(point["failed"] for point in by_hour) == 2
    assert max(point["avg_duration_ms"] for point in by_hour) == 30_000
    assert sum(point["count"] for point in admin.get_series(metric="new_users", bucket="day", hours=168)["points"]) == 1


def test_queries(admin: Admin) -> None:
    rows = [
        {
            "search_query": IPHONE,
            "total_tasks": 3,
            "active_tasks": 1,
            "total_executions": 4,
            "success_rate": 0.75,
            "avg_duration_ms": 3_500,
        },
        {
            "search_query": PS5,
            "total_tasks": 2,
            "active_tasks": 1,
            "total_executions": 2,
            "success_rate": 0.0,
            "avg_duration_ms": 30_000,
        },
        {
            "search_query": ODD,
            "total_tasks": 1,
            "active_tasks": 0,
            "total_executions": 0,
            "success_rate": 0.0,
            "avg_duration_ms": 0,
        },
    ]
    assert admin.get_queries() == {"queries": rows, "total": 3, "page": 1, "limit": 50}
    assert admin.get_queries(page=2, limit=2) == {"queries": rows[2:], "total": 3, "page": 2, "limit": 2}
    assert list(admin.iter_queries(page_size=1)) == rows


def test_executions(admin: Admin) -> None:
    answer = admin.get_executions()
    assert [run["id"] for run in answer["executions"]] == [RUNS[4], RUNS[0], RUNS[1], RUNS[2], RUNS[3]]
    assert (answer["total"], answer["page"], answer["limit"]) == (5, 1, 50)
    running, succeeded = answer["executions"][:2]
    assert running == {
        "id": RUNS[4],
        "task_id": TASKS[2],
        "user_email": "bob@example.com",
        "search_query": PS5,
        "status": "running",
        "condition_met": None,
        "duration_ms": None,
        "started_at": written(ago(minutes=20)),
        "completed_at": None,
    }
    assert succeeded["condition_met"] is True
    assert succeeded["completed_at"] == written(ago(minutes=30) + timedelta(seconds=4))
    failed = admin.get_executions(status="failed", hours=1)
    assert [run["id"] for run in failed["executions"]] == [RUNS[1]]
    assert failed["executions"][0]["duration_ms"] == 2_000
    walked = [run["id"] for run in admin.iter_executions(hours=96, page_size=2)]
    assert walked == [RUNS[4], RUNS[0], RUNS[1], RUNS[2], RUNS[3], RUNS[5]]
    assert [run["id"] for run in admin.iter_executions(status="success", page_size=1)] == [RUNS[0], RUNS[3]]


def test_executions_of_a_task(admin: Admin) -> None:
    answer = admin.get_executions(task_id=UUID(TASKS[0]))
    assert ([run["id"] for run in answer["executions"]], answer["total"]) == ([RUNS[0], RUNS[1], RUNS[3]], 3)
    succeeded = admin.iter_executions(task_id=TASKS[0], status="success", hours=96, page_size=1)
    assert [run["id"] for run in succeeded] == [RUNS[0], RUNS[3], RUNS[5]]
    assert admin.get_executions(task_id=ADA) == {"executions": [], "total": 0, "page": 1, "limit": 50}


def test_execution(admin: Admin) -> None:
    answer = admin.get_execution(RUNS[1])
    assert fits(answer, types.ExecutionDetail)
    row = admin.get_executions(status="failed", hours=1)["executions"][0]
    assert {name: answer[name] for name in types.Execution.__required_keys__} == row  # type: ignore[literal-required]
    assert (answer["user_id"], answer["error_type"], answer["retry_count"]) == (ADA, "RateLimitError", 2)
    assert [entry["type"] for entry in answer["history"]] == ["ai.torale.execution.failed"]
    with pytest.raises(NotFoundError, match="Execution not found"):
        admin.get_execution(UUID(ADA))


def test_task(admin: Admin) -> None:
    answer = admin.get_task(TASKS[0])
    assert fits(answer, types.TaskDetail)
    assert (answer["user_email"], answer["state"], answer["name"]) == ("ada@example.com", "active", None)
    assert (answer["total_executions"], answer["success_rate"], answer["avg_duration_ms"]) == (4, 0.75, 3_500)
    assert answer["last_execution"] == {
        "id": RUNS[0],
        "status": "success",
        "started_at": written(ago(minutes=30)),
    }
    assert [schedule["schedule_id"] for schedule in answer["schedules"]] == [f"task-{TASKS[0]}"]
    assert answer["next_run_time"] == answer["schedules"][0]["next_run_time"]
    paused = admin.get_task(TASKS[1])
    assert (paused["next_run_time"], paused["last_execution"]) == (None, None)
    assert [schedule["is_paused"] for schedule in paused["schedules"]] == [True]
    with pytest.raises(NotFoundError, match="Task not found"):
        admin.get_task(RUNS[0])


def test_tasks(admin: Admin) -> None:
    answer = admin.get_tasks()
    assert fits(answer, types.TasksPage)
    # All were created at the same time.
    assert [row["id"] for row in answer["tasks"]] == TASKS[::-1]
    assert (answer["total"], answer["page"], answer["limit"]) == (6, 1, 50)
    assert answer["tasks"][0] == {
        "id": TASKS[5],
        "name": None,
        "search_query": PS5,
        "user_id": BOB,
        "user_email": "bob@example.com",
        "state": "paused",
        "schedule": None,
        "created_at": written(ago(days=2)),
        "total_executions": 0,
        "success_rate": 0.0,
        "avg_duration_ms": 0,
        "last_execution": None,
        "next_run_time": None,
    }
    playstation = answer["tasks"][3]
    assert (playstation["total_executions"], playstation["avg_duration_ms"]) == (2, 30_000)
    last = {"id": RUNS[4], "status": "running", "started_at": written(ago(minutes=20))}
    assert playstation["last_execution"] == last
    # The time of the next run may pass between the two answers.
    fields = types.Task.__required_keys__ - {"next_run_time"}
    for row in answer["tasks"]:
        detail = admin.get_task(row["id"])
        assert {name: row[name] for name in fields} == {name: detail[name] for name in fields}  # type: ignore[literal-required]
        assert (row["next_run_time"] is None) == (detail["next_run_time"] is None)
    second = admin.get_tasks(page=2, limit=4)
    assert ([row["id"] for row in second["tasks"]], second["total"]) == ([TASKS[1], TASKS[0]], 6)
    assert [row["id"] for row in admin.iter_tasks(page_size=4)] == TASKS[::-1]


def test_tasks_of_a_state_a_user_or_a_query(admin: Admin) -> None:
    def ids(rows: list[types.Task]) -> list[int]:
        return [TASKS.index(row["id"]) for row in rows]

    paused = admin.get_tasks(state="paused", limit=2)
    assert (ids(paused["tasks"]), paused["total"]) == ([5, 4], 3)
    assert ids(list(admin.iter_tasks(state="paused", page_size=2))) == [5, 4, 1]
    assert ids(admin.get_tasks(state="completed")["tasks"]) == [3]
    of_ada = admin.get_tasks(user_id=UUID(ADA))
    assert (ids(of_ada["tasks"]), of_ada["total"]) == ([4, 1, 0], 3)
    assert ids(list(admin.iter_tasks(user_id=BOB, page_size=1))) == [5, 2]
    assert ids(admin.get_tasks(search_query=PS5)["tasks"]) == [5, 2]
    assert ids(list(admin.iter_tasks(search_query=ODD))) == [3]
    nothing = {"tasks": [], "total": 0, "page": 1, "limit": 50}
    assert admin.get_tasks(search_query=PS5.lower()) == nothing
    assert admin.get_tasks(user_id=RUNS[0]) == nothing
    with pytest.raises(ValidationError) as refused:
        admin.get_tasks(state="active", search_query=PS5)
    assert sorted(fault["loc"][-1] for fault in refused.value.faults) == ["search_query", "state"]


def test_user(admin: Admin) -> None:
    answer = admin.get_user(ADMIN)
    assert fits(answer, types.UserDetail)
    assert (answer["role"], answer["deactivation"]) == ("admin", None)
    (key,) = answer["api_keys"]
    assert (key["revoked"], key["last_used_at"] is None) == (False, False)
    carl = admin.get_user(CARL)
    assert carl["deactivation"] == {
        "at": written(ago(days=4)),
        "by": None,
        "tasks_paused": None,
        "commands_pending": 0,
    }
    fields = {field for entry in carl["history"] for field in entry["fields"]}
    assert fields == {"clerk_user_id", "created_at", "email", "last_login", "state"}
    with pytest.raises(NotFoundError, match="User not found"):
        admin.get_user(TASKS[0])


def test_errors(admin: Admin) -> None:
    answer = admin.get_errors(hours=6)
    assert answer["total"] == 2
    assert answer["error_types"] == {"RateLimitError": 1, "TimeoutError": 1}
    assert answer["errors"][0] == {
        "execution_id": RUNS[1],
        "task_id": TASKS[0],
        "user_email": "ada@example.com",
        "search_query": IPHONE,
        "error_message": "too\nmany",
        "error_type": "RateLimitError",
        "retry_count": 2,
        "will_retry": True,
        "occurred_at": written(ago(minutes=40) + timedelta(seconds=2)),
    }
    assert admin.get_errors(hours=1)["error_types"] == {"RateLimitError": 1}
    assert admin.get_errors(page=2, limit=1)["errors"] == answer["errors"][1:]
    assert list(admin.iter_errors(hours=6, page_size=1)) == answer["errors"]


def test_errors_of_a_type_and_of_a_task(admin: Admin) -> None:
    kinds = {"RateLimitError": 1, "TimeoutError": 1}
    whole = admin.get_errors(hours=6)["errors"]
    for answer, errors in (
        (admin.get_errors(hours=6, error_type="TimeoutError"), whole[1:]),
        (admin.get_errors(hours=6, task_id=UUID(TASKS[0])), whole[:1]),
        (admin.get_errors(hours=6, task_id=TASKS[0], error_type="RateLimitError"), whole[:1]),
        (admin.get_errors(hours=6, task_id=TASKS[0], error_type="TimeoutError"), []),
        (admin.get_errors(hours=6, error_type="timeouterror"), []),
        (admin.get_errors(hours=6, task_id=ADA), []),
    ):
        assert answer == {"errors": errors, "total": len(errors), "error_types": kinds}
    assert admin.get_errors(hours=1, error_type="TimeoutError")["total"] == 0
    assert list(admin.iter_errors(hours=6, task_id=TASKS[2], error_type="TimeoutError", page_size=1)) == whole[1:]
    with pytest.raises(ValidationError, match="error_type: "):
        admin.get_errors(error_type="no type!")


def test_users(admin: Admin) -> None:
    answer = admin.get_users()
    assert [row["id"] for row in answer["users"]] == [BOB, ADA, CARL, ADMIN]
    assert (answer["total"], answer["page"], answer["limit"]) == (4, 1, 50)
    assert answer["users"][1] == {
        "id": ADA,
        "email": "ada@example.com",
        "clerk_user_id": "user_ada",
        "state": "active",
        "tasks_count": 3,
        "active_tasks_count": 1,
        "executions_24h": 3,
        "notifications_7d": 2,
        "created_at": written(ago(days=40)),
        "last_login": written(ago(days=2)),
    }
    assert answer["users"][0]["last_login"] is None
    assert answer["users"][3]["created_at"] == EPOCH_OF_ADMIN
    active = admin.get_users(active_only=True, limit=2)
    assert [row["id"] for row in active["users"]] == [BOB, ADA]
    assert active["total"] == 3
    assert [row["id"] for row in admin.iter_users(page_size=3)] == [BOB, ADA, CARL, ADMIN]
    assert [row["id"] for row in admin.iter_users(active_only=True)] == [BOB, ADA, ADMIN]


def test_users_whose_email_begins_with_a_text(admin: Admin) -> None:
    answer = admin.get_users(q="AD")
    assert fits(answer, types.UsersPage)
    assert [row["id"] for row in answer["users"]] == [ADA, ADMIN]
    assert (answer["total"], answer["total_capped"]) == (2, False)
    assert "total_capped" not in admin.get_users()
    assert [row["id"] for row in admin.iter_users(q="ad", page_size=1)] == [ADA, ADMIN]
    assert [row["id"] for row in admin.get_users(q="carl@")["users"]] == [CARL]
    assert admin.get_users(q="carl@", active_only=True)["total"] == 0
    for text in ("%", "*", "\0", "example", "👩" * 320):
        assert admin.get_users(q=text)["users"] == [], "just text"
    for text in ("", "a" * 321):
        with pytest.raises(ValidationError, match="q: "):
            admin.get_users(q=text)


def test_workflows(admin: Admin) -> None:
    answer = admin.get_temporal_workflows(limit=10)
    assert answer["total"] == 3
    address = "https://temporal.example.com/namespaces/torale/workflows"
    assert answer["workflows"][1] == {
        "workflow_id": "task-1",
        "workflow_type": "monitoring_workflow",
        "status": "COMPLETED",
        "start_time": written(ago(minutes=30)),
        "close_time": written(ago(minutes=30) + timedelta(seconds=5)),
        "execution_duration_ms": 5_000,
        "temporal_ui_url": f"{address}/task-1/run-2/history",
    }
    assert answer["workflows"][0]["close_time"] is None
    assert [row["status"] for row in answer["workflows"]] == ["RUNNING", "COMPLETED", "CONTINUED_AS_NEW"]
    assert admin.get_temporal_workflows(page=3, limit=1)["workflows"] == answer["workflows"][2:]
    # Two runs of one workflow are two rows.
    assert list(admin.iter_temporal_workflows(page_size=1)) == answer["workflows"]


def test_schedules(admin: Admin) -> None:
    before = datetime.now(timezone.utc)
    answer = admin.get_temporal_schedules()
    assert answer["total"] == 2
    newest, oldest = answer["schedules"]
    assert newest["cron"] == "*/30 * * * *"
    assert newest["recent_executions"] == 2
    assert oldest["schedule_id"] == f"task-{TASKS[0]}"
    assert oldest["user_email"] == "ada@example.com"
    assert oldest["recent_executions"] == 4
    assert oldest["is_paused"] is False
    assert oldest["next_run_time"] in [written(next_nine(time)) for time in (before, datetime.now(timezone.utc))]
    paused = admin.get_temporal_schedules(include_paused=True, page=2, limit=1)
    assert paused["total"] == 3
    assert paused["schedules"][0]["is_paused"] is True
    assert paused["schedules"][0]["next_run_time"] is None
    assert [row["cron"] for row in admin.iter_temporal_schedules(page_size=1)] == ["*/30 * * * *", "0 9 * * *"]
    assert len(list(admin.iter_temporal_schedules(include_paused=True, page_size=2))) == 3


def next_nine(time: datetime) -> datetime:
    """The next nine o'clock after a time."""
    nine = time.replace(hour=9, minute=0, second=0, microsecond=0)
    return nine if nine > time else nine + timedelta(days=1)


@pytest.mark.parametrize(
    ("method", "shape", "rows"),
    [
        ("get_stats", types.Stats, "popular_queries"),
        ("get_queries", types.QueriesPage, "queries"),
        ("get_executions", types.ExecutionsPage, "executions"),
        ("get_errors", types.ErrorsPage, "errors"),
        ("get_users", types.UsersPage, "users"),
        ("get_tasks", types.TasksPage, "tasks"),
        ("get_temporal_workflows", types.WorkflowsPage, "workflows"),
        ("get_temporal_schedules", types.SchedulesPage, "schedules"),
    ],
)
def test_answers_have_exactly_the_fields_of_their_types(admin: Admin, method: str, shape: type, rows: str) -> None:
    answer = getattr(admin, method)()
    assert answer[rows]
    assert fits(answer, shape), answer
