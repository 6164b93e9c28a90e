"""The events of the platform, which decide what the API must answer.

No time lies within 15 minutes of the end of a window: a run of the tests may take that long.
"""

from __future__ import annotations

import hashlib
from datetime import datetime, timedelta, timezone
from itertools import count

NOW = datetime.now(timezone.utc).replace(microsecond=0)
ADMIN = "00000000-0000-4000-8000-000000000001"  # The local stack's own.
ADA, BOB, CARL = (f"a0000000-0000-4000-8000-00000000000{n}" for n in (1, 2, 3))
TASKS = [f"b0000000-0000-4000-8000-00000000000{n}" for n in range(1, 7)]
RUNS = [f"c0000000-0000-4000-8000-00000000000{n}" for n in range(1, 7)]
IPHONE, PS5 = "When is the next iPhone being released?", "Is the PlayStation 5 in stock?"
ODD = "Wann erscheint »Ω« [bold]für 👩‍🚀? 出荷は？\x1b[31m"

Event = dict[str, object]
_numbers = count(1)


def ago(**spans: float) -> datetime:
    return NOW - timedelta(**spans)


def written(time: datetime) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ")


def event(kind: str, time: datetime, **data: object) -> Event:
    return {
        "specversion": "1.0",
        "id": f"client-test-{next(_numbers)}",
        "source": "/client-test",
        "type": f"ai.torale.{kind}",
        "time": written(time),
        "data": data,
    }


def user(user_id: str, name: str, created: datetime, **more: object) -> Event:
    identity = {"user_id": user_id, "clerk_user_id": f"user_{name}", "email": f"{name}@example.com"}
    return event("user.created", created, **identity, **more)


def api_key(user_id: str, key: str) -> Event:
    digest = hashlib.sha256(key.encode()).hexdigest()
    data = {"key_id": f"key_{digest[:8]}", "user_id": user_id, "key_hash": digest, "key_prefix": key[:8]}
    return event("api_key.created", ago(days=1), **data)


def task(task_id: str, user_id: str, query: str, state: str = "active") -> list[Event]:
    """A task and its later state."""
    created = event("task.created", ago(days=2), task_id=task_id, user_id=user_id, search_query=query)
    return [created, event(f"task.{state}", ago(days=1), task_id=task_id)] if state != "active" else [created]


def run(number: int, task_id: str, user_id: str, started: datetime, kind: str, seconds: int, **more: object) -> Event:
    """An execution that ended after some seconds."""
    completed = started + timedelta(seconds=seconds)
    times = {"started_at": written(started), "completed_at": written(completed)}
    ids = {"execution_id": RUNS[number - 1], "task_id": task_id, "user_id": user_id}
    return event(f"execution.{kind}", completed, **ids, **times, **more)


def workflow(workflow_id: str, run_id: str, started: datetime, status: str | None, seconds: int = 5) -> Event:
    """A workflow run: still running without a status, else closed after some seconds."""
    data = {"workflow_id": workflow_id, "run_id": run_id, "workflow_type": "monitoring_workflow"}
    if status is None:
        return event("temporal.workflow.started", started, **data)
    closed = started + timedelta(seconds=seconds)
    return event("temporal.workflow.closed", closed, **data, start_time=written(started), status=status)


def schedule(number: int, user_id: str, cron: str, *, paused: bool = False) -> Event:
    """The schedule of a task; the higher its number, the newer."""
    task_id = TASKS[number - 1]
    ids = {"schedule_id": f"task-{task_id}", "task_id": task_id, "user_id": user_id}
    return event("temporal.schedule.created", ago(days=2, minutes=-number), **ids, cron=cron, paused=paused)


def events() -> list[Event]:
    limit = {"error_type": "RateLimitError", "error_message": "too\nmany", "retry_count": 2, "will_retry": True}
    timeout = {"error_type": "TimeoutError", "error_message": "The search did not finish"}
    return [
        user(ADA, "ada", ago(days=40)),
        event("user.logged_in", ago(days=2), user_id=ADA),
        user(BOB, "bob", ago(days=3)),
        user(CARL, "carl", ago(days=100)),
        event("user.logged_in", ago(days=5), user_id=CARL),
        event("user.deactivated", ago(days=4), user_id=CARL),
        *task(TASKS[0], ADA, IPHONE),
        *task(TASKS[1], ADA, IPHONE, "paused"),
        *task(TASKS[2], BOB, PS5),
        *task(TASKS[3], CARL, ODD, "completed"),
        *task(TASKS[4], ADA, IPHONE, "paused"),
        *task(TASKS[5], BOB, PS5, "paused"),
        run(1, TASKS[0], ADA, ago(minutes=30), "succeeded", 4, condition_met=True),
        run(2, TASKS[0], ADA, ago(minutes=40), "failed", 2, **limit),
        run(3, TASKS[2], BOB, ago(hours=5), "failed", 30, **timeout),
        run(4, TASKS[0], ADA, ago(hours=10), "succeeded", 5, condition_met=False),
        event("execution.started", ago(minutes=20), execution_id=RUNS[4], task_id=TASKS[2], user_id=BOB),
        run(6, TASKS[0], ADA, ago(days=3), "succeeded", 3, condition_met=False),
        event("notification.sent", ago(hours=1), notification_id="n1", user_id=ADA, channel="email"),
        event("notification.sent", ago(days=3), notification_id="n2", user_id=ADA, channel="webhook"),
        workflow("task-1", "run-1", ago(minutes=50), "CONTINUED_AS_NEW"),
        workflow("task-1", "run-2", ago(minutes=30), "COMPLETED"),
        workflow("task-3", "run-1", ago(minutes=20), None),
        workflow("task-3", "run-0", ago(days=3), "FAILED"),
        schedule(1, ADA, "0 9 * * *"),
        schedule(2, ADA, "0 9 * * *", paused=True),
        schedule(3, BOB, "*/30 * * * *"),
    ]
