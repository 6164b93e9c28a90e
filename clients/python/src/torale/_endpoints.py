"""The endpoints of the admin API as data: what both clients send and what the responses hold."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypedDict, TypeVar
from urllib.parse import quote
from uuid import UUID

from torale.exceptions import ValidationError
from torale.types import (
    AuditPage,
    AuditRecord,
    Bucket,
    Deactivated,
    DeactivationResults,
    ErrorsPage,
    Execution,
    ExecutionDetail,
    ExecutionError,
    ExecutionsPage,
    Health,
    Metric,
    QueriesPage,
    Query,
    Reactivated,
    Schedule,
    SchedulesPage,
    Series,
    Stats,
    Task,
    TaskDetail,
    TasksPage,
    User,
    UserDetail,
    UsersPage,
    Workflow,
    WorkflowsPage,
)

Parameter = str | int | bool | None
Id = str | UUID
UserId = Id


class Page(TypedDict):
    """The field that every page has."""

    total: int


T = TypeVar("T")
P = TypeVar("P", bound=Page)
R = TypeVar("R")


@dataclass(frozen=True)
class Call(Generic[T]):
    """A request; its response is a T, a JSON object with at least these keys.

    `repeatable`: sending it again does no harm, even if it was carried out before.
    """

    method: str
    path: str
    keys: frozenset[str]
    parameters: Mapping[str, Parameter] = field(default_factory=dict[str, Parameter])
    body: Mapping[str, object] | None = None
    repeatable: bool = True

    def query(self) -> dict[str, str | int | bool]:
        """The parameters that are not None."""
        return {name: value for name, value in self.parameters.items() if value is not None}


@dataclass(frozen=True)
class Listing(Generic[P, R]):
    """A list that is read page by page, with the key that identifies a row."""

    path: str
    keys: frozenset[str]
    rows: Callable[[P], list[R]]
    key: Callable[[R], str]

    def call(self, **parameters: Parameter) -> Call[P]:
        """The request for one page."""
        return Call("GET", self.path, self.keys, parameters)


STATS: Call[Stats] = Call("GET", "/admin/stats", Stats.__required_keys__)
HEALTH: Call[Health] = Call("GET", "/admin/health", Health.__required_keys__)
OPENAPI: Call[dict[str, Any]] = Call("GET", "/admin/openapi.json", frozenset(("openapi", "paths")))
QUERIES: Listing[QueriesPage, Query] = Listing(
    "/admin/queries", QueriesPage.__required_keys__, lambda page: page["queries"], lambda query: query["search_query"]
)
EXECUTIONS: Listing[ExecutionsPage, Execution] = Listing(
    "/admin/executions",
    ExecutionsPage.__required_keys__,
    lambda page: page["executions"],
    lambda execution: execution["id"],
)
ERRORS: Listing[ErrorsPage, ExecutionError] = Listing(
    "/admin/errors", ErrorsPage.__required_keys__, lambda page: page["errors"], lambda error: error["execution_id"]
)
USERS: Listing[UsersPage, User] = Listing(
    "/admin/users", UsersPage.__required_keys__, lambda page: page["users"], lambda user: user["id"]
)
TASKS: Listing[TasksPage, Task] = Listing(
    "/admin/tasks", TasksPage.__required_keys__, lambda page: page["tasks"], lambda task: task["id"]
)
# Only the URL holds the id of the run.
WORKFLOWS: Listing[WorkflowsPage, Workflow] = Listing(
    "/admin/temporal/workflows",
    WorkflowsPage.__required_keys__,
    lambda page: page["workflows"],
    lambda workflow: workflow["temporal_ui_url"],
)
SCHEDULES: Listing[SchedulesPage, Schedule] = Listing(
    "/admin/temporal/schedules",
    SchedulesPage.__required_keys__,
    lambda page: page["schedules"],
    lambda schedule: schedule["schedule_id"],
)
AUDIT: Listing[AuditPage, AuditRecord] = Listing(
    "/admin/audit", AuditPage.__required_keys__, lambda page: page["records"], lambda record: record["id"]
)


def series(metric: Metric, bucket: Bucket, hours: int | None) -> Call[Series]:
    """What happened in each bucket of the last hours."""
    parameters: dict[str, Parameter] = {"metric": metric, "bucket": bucket, "hours": hours}
    return Call("GET", "/admin/stats/series", Series.__required_keys__, parameters)


def execution(execution_id: Id) -> Call[ExecutionDetail]:
    """One execution."""
    path = f"/admin/executions/{_segment(execution_id, 'execution_id')}"
    return Call("GET", path, ExecutionDetail.__required_keys__)


def task(task_id: Id) -> Call[TaskDetail]:
    """One task."""
    return Call("GET", f"/admin/tasks/{_segment(task_id, 'task_id')}", TaskDetail.__required_keys__)


def user(user_id: Id) -> Call[UserDetail]:
    """One user."""
    return Call("GET", f"/admin/users/{_segment(user_id)}", UserDetail.__required_keys__)


def deactivate_user(user_id: UserId) -> Call[Deactivated]:
    """Safe to repeat: the answer is the same, and no command is sent twice."""
    return Call("PATCH", f"/admin/users/{_segment(user_id)}/deactivate", Deactivated.__required_keys__)


def deactivate_users(user_ids: Sequence[UserId]) -> Call[DeactivationResults]:
    """Safe to repeat, like the deactivation of one user."""
    body = {"user_ids": [str(user_id) for user_id in user_ids]}
    return Call("POST", "/admin/users/deactivate", DeactivationResults.__required_keys__, body=body)


def reactivate_user(user_id: UserId) -> Call[Reactivated]:
    """Not repeatable: it could undo a deactivation that somebody has requested meanwhile."""
    path = f"/admin/users/{_segment(user_id)}/reactivate"
    return Call("PATCH", path, Reactivated.__required_keys__, repeatable=False)


def _segment(identifier: Id, name: str = "user_id") -> str:
    text = str(identifier)
    # Such a segment would change the path.
    if text in ("", ".", ".."):
        raise ValidationError(f"{name}: should be a UUID")
    # A lone surrogate becomes a question mark.
    return quote(text, safe="", errors="replace")
