"""The admin API: one method for each endpoint."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import count
from typing import Any, Protocol, TypeVar

from torale import _endpoints as endpoints
from torale._endpoints import Call, Listing, Page, Parameter, UserId
from torale.types import (
    AuditPage,
    AuditRecord,
    Deactivated,
    DeactivationResults,
    ErrorsPage,
    Execution,
    ExecutionError,
    ExecutionsPage,
    ExecutionStatus,
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

T = TypeVar("T")
P = TypeVar("P", bound=Page)
R = TypeVar("R")


class _Send(Protocol):
    def __call__(self, call: Call[T]) -> T: ...


class Admin:
    """The endpoints of the admin API; answers are the dictionaries of `torale.types`.

    What is left out is the API's default: `page` 1, `limit` 50 (at most 100; of schedules 1000), `hours` 24 (at most
    8760). The last N hours are everything at or after the start of the minute N hours ago.

    The `iter_` methods walk all pages and ask for `page_size` rows at a time. While they do, the data may change:
    a row that has moved to a later page is not told twice, one that has moved to an earlier page is missed. They
    remember what tells each row apart.

    Raises:
        AuthenticationError, ForbiddenError: Whoever asks is no admin.
        ValidationError: Parameters are malformed or out of range.
        RateLimitError, ServerError: Still so after the retries.
        ToraleConnectionError: No answer, or none in time.
        UnexpectedResponseError: An answer that is not the API's.
    """

    def __init__(self, send: _Send) -> None:
        self._send = send

    def get_stats(self) -> Stats:
        """Figures of users, tasks, executions and notifications, and the 10 queries with the most tasks."""
        return self._send(endpoints.STATS)

    def get_queries(self, *, page: int | None = None, limit: int | None = None) -> QueriesPage:
        """Every distinct query with its tasks' totals, most tasks first."""
        return self._send(endpoints.QUERIES.call(page=page, limit=limit))

    def iter_queries(self, *, page_size: int = 100) -> Iterator[Query]:
        """All that `get_queries` lists."""
        return self._walk(endpoints.QUERIES, page_size)

    def get_executions(
        self,
        *,
        status: ExecutionStatus | None = None,
        hours: int | None = None,
        page: int | None = None,
        limit: int | None = None,
    ) -> ExecutionsPage:
        """Executions that began in the last hours, newest first; with `status`, only those."""
        call = endpoints.EXECUTIONS.call(status=status, hours=hours, page=page, limit=limit)
        return self._send(call)

    def iter_executions(
        self, *, status: ExecutionStatus | None = None, hours: int | None = None, page_size: int = 100
    ) -> Iterator[Execution]:
        """All that `get_executions` lists."""
        return self._walk(endpoints.EXECUTIONS, page_size, status=status, hours=hours)

    def get_errors(self, *, hours: int | None = None, page: int | None = None, limit: int | None = None) -> ErrorsPage:
        """Executions that failed in the last hours, newest first; `error_types` counts all of them by type."""
        return self._send(endpoints.ERRORS.call(hours=hours, page=page, limit=limit))

    def iter_errors(self, *, hours: int | None = None, page_size: int = 100) -> Iterator[ExecutionError]:
        """All that `get_errors` lists."""
        return self._walk(endpoints.ERRORS, page_size, hours=hours)

    def get_users(
        self, *, active_only: bool | None = None, page: int | None = None, limit: int | None = None
    ) -> UsersPage:
        """Users with their activity, newest first; with `active_only`, no deactivated ones."""
        return self._send(endpoints.USERS.call(active_only=active_only, page=page, limit=limit))

    def iter_users(self, *, active_only: bool | None = None, page_size: int = 100) -> Iterator[User]:
        """All that `get_users` lists."""
        return self._walk(endpoints.USERS, page_size, active_only=active_only)

    def get_temporal_workflows(self, *, page: int | None = None, limit: int | None = None) -> WorkflowsPage:
        """Workflow runs that began in the last 24 hours, newest first."""
        return self._send(endpoints.WORKFLOWS.call(page=page, limit=limit))

    def iter_temporal_workflows(self, *, page_size: int = 100) -> Iterator[Workflow]:
        """All that `get_temporal_workflows` lists."""
        return self._walk(endpoints.WORKFLOWS, page_size)

    def get_temporal_schedules(
        self, *, include_paused: bool | None = None, page: int | None = None, limit: int | None = None
    ) -> SchedulesPage:
        """Schedules that are active, newest first; with `include_paused`, paused ones too.

        Without `page` and `limit` all of them, up to 10,000.
        """
        call = endpoints.SCHEDULES.call(include_paused=include_paused, page=page, limit=limit)
        return self._send(call)

    def iter_temporal_schedules(
        self, *, include_paused: bool | None = None, page_size: int = 100
    ) -> Iterator[Schedule]:
        """All that `get_temporal_schedules` lists."""
        return self._walk(endpoints.SCHEDULES, page_size, include_paused=include_paused)

    def get_audit(
        self,
        *,
        principal: str | None = None,
        action: str | None = None,
        hours: int | None = None,
        page: int | None = None,
        limit: int | None = None,
    ) -> AuditPage:
        """Requests of the last hours, newest first, of one user (`principal`) or for one action (`users.list`).

        A request is listed once it is sealed, within a minute.
        """
        call = endpoints.AUDIT.call(principal=principal, action=action, hours=hours, page=page, limit=limit)
        return self._send(call)

    def iter_audit(
        self,
        *,
        principal: str | None = None,
        action: str | None = None,
        hours: int | None = None,
        page_size: int = 100,
    ) -> Iterator[AuditRecord]:
        """All that `get_audit` lists."""
        return self._walk(endpoints.AUDIT, page_size, principal=principal, action=action, hours=hours)

    def deactivate_user(self, user_id: UserId) -> Deactivated:
        """Bars a user at once; its active tasks, its keys and its login are stopped by commands. Safe to repeat.

        Raises:
            NotFoundError: There is no such user.
            ConflictError: It is the one who asks.
        """
        return self._send(endpoints.deactivate_user(user_id))

    def deactivate_users(self, user_ids: Sequence[UserId]) -> DeactivationResults:
        """Bars 1 to 100 users, each by itself: what becomes of one touches none of the others. Safe to repeat."""
        return self._send(endpoints.deactivate_users(user_ids))

    def reactivate_user(self, user_id: UserId) -> Reactivated:
        """Lets a user come back; its tasks stay paused, its keys revoked.

        After a 503 this is not tried again by itself: it could undo a deactivation of somebody else's.

        Raises:
            NotFoundError: There is no such user.
            ConflictError: Its deactivation is still being carried out.
        """
        return self._send(endpoints.reactivate_user(user_id))

    def get_openapi(self) -> dict[str, Any]:
        """The OpenAPI description of the API."""
        return self._send(endpoints.OPENAPI)

    def _walk(self, listing: Listing[P, R], page_size: int, **parameters: Parameter) -> Iterator[R]:
        told: set[str] = set()
        for page_number in count(1):
            page = self._send(listing.call(page=page_number, limit=page_size, **parameters))
            rows = listing.rows(page)
            for row in rows:
                key = listing.key(row)
                if key not in told:
                    told.add(key)
                    yield row
            if not rows or page_number * page_size >= page["total"]:
                return
