"""Every endpoint of the admin API, as data: what both clients send, and what they find in the answers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypedDict, TypeVar
from urllib.parse import quote

from torale.exceptions import ValidationError
from torale.types import (
    AuditPage,
    AuditRecord,
    Deactivated,
    DeactivationResults,
    ErrorsPage,
    Execution,
    ExecutionError,
    ExecutionsPage,
    QueriesPage,
    Query,
    Reactivated,
    Schedule,
    SchedulesPage,
    Stats,
    User,
    UsersPage,
    Workflow,
    WorkflowsPage,
)

Parameter = str | int | bool | None


class Page(TypedDict):
    """What every page tells."""

    total: int


T = TypeVar("T")
P = TypeVar("P", bound=Page)
R = TypeVar("R")


@dataclass(frozen=True)
class Call(Generic[T]):
    """A request whose answer is a T. `repeatable`: sending it again, whatever became of it, does no harm."""

    method: str
    path: str
    parameters: Mapping[str, Parameter] = field(default_factory=dict[str, Parameter])
    body: Mapping[str, object] | None = None
    repeatable: bool = True

    def query(self) -> dict[str, str | int | bool]:
        """The parameters that are given."""
        return {name: value for name, value in self.parameters.items() if value is not None}


@dataclass(frozen=True)
class Listing(Generic[P, R]):
    """A list that is read page by page: where its rows are, and what tells them apart."""

    path: str
    rows: Callable[[P], list[R]]
    key: Callable[[R], str]

    def call(self, **parameters: Parameter) -> Call[P]:
        """The request for one page."""
        return Call("GET", self.path, parameters)


STATS: Call[Stats] = Call("GET", "/admin/stats")
OPENAPI: Call[dict[str, Any]] = Call("GET", "/admin/openapi.json")
QUERIES: Listing[QueriesPage, Query] = Listing(
    "/admin/queries", lambda page: page["queries"], lambda query: query["search_query"]
)
EXECUTIONS: Listing[ExecutionsPage, Execution] = Listing(
    "/admin/executions", lambda page: page["executions"], lambda execution: execution["id"]
)
ERRORS: Listing[ErrorsPage, ExecutionError] = Listing(
    "/admin/errors", lambda page: page["errors"], lambda error: error["execution_id"]
)
USERS: Listing[UsersPage, User] = Listing("/admin/users", lambda page: page["users"], lambda user: user["id"])
# The address is the one field that names the run.
WORKFLOWS: Listing[WorkflowsPage, Workflow] = Listing(
    "/admin/temporal/workflows", lambda page: page["workflows"], lambda workflow: workflow["temporal_ui_url"]
)
SCHEDULES: Listing[SchedulesPage, Schedule] = Listing(
    "/admin/temporal/schedules", lambda page: page["schedules"], lambda schedule: schedule["schedule_id"]
)
AUDIT: Listing[AuditPage, AuditRecord] = Listing(
    "/admin/audit", lambda page: page["records"], lambda record: record["id"]
)


def deactivate_user(user_id: str) -> Call[Deactivated]:
    """Safe to repeat: the answer is the same, and nothing is commanded twice."""
    return Call("PATCH", f"/admin/users/{_segment(user_id)}/deactivate")


def deactivate_users(user_ids: Sequence[str]) -> Call[DeactivationResults]:
    """Safe to repeat, like that of one user."""
    return Call("POST", "/admin/users/deactivate", body={"user_ids": list(user_ids)})


def reactivate_user(user_id: str) -> Call[Reactivated]:
    """Not repeated blindly: it could undo a deactivation that someone has ordered meanwhile."""
    return Call("PATCH", f"/admin/users/{_segment(user_id)}/reactivate", repeatable=False)


def _segment(user_id: str) -> str:
    # Such a segment would make it another path.
    if user_id in ("", ".", ".."):
        raise ValidationError("user_id: a UUID is needed")
    return quote(user_id, safe="")
