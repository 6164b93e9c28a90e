"""Deactivating and reactivating users of a real stack: the effects, and the audit trail."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeVar
from uuid import uuid4

import pytest

import torale
from conftest import connect
from scenario import ago, api_key, event, task, user
from stack import Stack
from test_answers import fits
from torale import Admin, AuthenticationError, ConflictError, ForbiddenError, types
from torale.types import User

T = TypeVar("T")


@dataclass(frozen=True)
class Caller:
    """An admin for one test, with limits of their own."""

    user_id: str
    admin: Admin


@pytest.fixture
def caller(changing: Stack, kind: str) -> Iterator[Caller]:
    user_id, key = str(uuid4()), f"sk_{uuid4().hex}"
    changing.send([user(user_id, user_id[:8], ago(days=3), role="admin"), api_key(user_id, key)])
    with connect(kind, key, changing.url) as admin:
        yield Caller(user_id, admin)


@pytest.fixture
def admin(caller: Caller) -> Admin:
    return caller.admin


def eventually(look: Callable[[], T | None]) -> T:
    """Waits until `look` returns something."""
    for _ in range(60):
        if (found := look()) is not None:
            return found
        time.sleep(0.5)
    raise AssertionError("nothing came within 60 attempts")


def one(admin: Admin, user_id: str) -> User:
    return next(row for row in admin.iter_users() if row["id"] == user_id)


def somebody(stack: Stack, key: str | None = None) -> str:
    """A new user with two active tasks and one paused."""
    user_id, tasks = str(uuid4()), [str(uuid4()) for _ in range(3)]
    events = [user(user_id, user_id[:8], ago(days=3)), *([api_key(user_id, key)] if key else [])]
    for task_id in tasks:
        events += task(task_id, user_id, "?")
    stack.send([*events, event("task.paused", ago(hours=1), task_id=tasks[0])])
    return user_id


def test_deactivation_denies_access_at_once_and_pauses_tasks_soon(changing: Stack, admin: Admin) -> None:
    key = f"sk_{uuid4().hex}"
    user_id = somebody(changing, key)
    with connect("sync", key, changing.url) as client_of_user:
        with pytest.raises(ForbiddenError, match="Admin access required"):
            client_of_user.get_stats()

        answer = admin.deactivate_user(user_id)
        assert answer == {"message": "User deactivated successfully", "user_id": user_id, "tasks_paused": 2}
        assert fits(answer, types.Deactivated)
        with pytest.raises(AuthenticationError, match="Invalid API key"):
            client_of_user.get_stats()
    assert one(admin, user_id)["state"] == "deactivated"
    assert user_id not in [row["id"] for row in admin.iter_users(active_only=True)]
    assert admin.deactivate_user(user_id) == answer, "repeating is safe"

    eventually(lambda: one(admin, user_id)["active_tasks_count"] == 0 or None)

    def back() -> types.Reactivated | None:
        try:
            return admin.reactivate_user(user_id)
        except ConflictError as error:
            assert error.detail == "The user's deactivation is still being carried out"
            return None

    assert eventually(back) == {"message": "User reactivated successfully", "user_id": user_id}
    returned = one(admin, user_id)
    assert (returned["state"], returned["active_tasks_count"], returned["tasks_count"]) == ("active", 0, 3)


def test_several_users_are_deactivated_independently(changing: Stack, caller: Caller) -> None:
    first, second, unknown = somebody(changing), somebody(changing), str(uuid4())
    caller.admin.deactivate_user(first)
    answer = caller.admin.deactivate_users([first, second, unknown, caller.user_id, "me"])
    assert fits(answer, types.DeactivationResults)
    assert answer["results"] == [
        {"user_id": first, "result": "already", "tasks_paused": 2},
        {"user_id": second, "result": "deactivated", "tasks_paused": 2},
        {"user_id": unknown, "result": "not_found", "detail": "User not found"},
        {"user_id": caller.user_id, "result": "refused", "detail": "Administrators cannot deactivate themselves"},
        {"user_id": "me", "result": "refused", "detail": "Input should be a UUID with hyphens"},
    ]


def test_audit_trail_names_the_caller_of_a_deactivation(changing: Stack, caller: Caller) -> None:
    admin, user_id = caller.admin, somebody(changing)
    admin.get_stats()
    admin.deactivate_user(user_id)

    def listed() -> types.AuditPage | None:
        page = admin.get_audit(principal=caller.user_id, action="users.deactivate", hours=1)
        return page if page["total"] else None

    page = eventually(listed)
    assert fits(page, types.AuditPage), page
    assert (page["total"], page["page"], page["limit"]) == (1, 1, 50)
    record = page["records"][0]
    assert "target" in record
    assert fits(record, types.RecordedRequest), record
    assert (record["principal"]["user_id"], record["target"]) == (caller.user_id, user_id)
    assert (record["action"], record["method"], record["status"]) == ("users.deactivate", "api_key", 200)
    assert record["user_agent"] == f"torale-python/{torale.__version__}"
    everything = [
        each["action"] for each in admin.iter_audit(principal=caller.user_id, page_size=1) if "action" in each
    ]
    assert everything[-2:] == ["users.deactivate", "stats.read"]
    assert admin.get_audit(principal=user_id) == {"records": [], "total": 0, "page": 1, "limit": 50}
