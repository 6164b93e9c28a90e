"""The admin API: one method for each endpoint."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import count
from typing import Any, Protocol, TypeVar

from torale import _endpoints as endpoints
from torale._endpoints import Call, Id, Listing, Page, Parameter, UserId
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
    ExecutionStatus,
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
    TaskState,
    User,
    UserDetail,
    UsersPage,
    Workflow,
    WorkflowsPage,
)

T = TypeVar("T")
P = TypeVar("P", bound=Page)
R = TypeVar("R")


class _Send(Protocol):
    def __call__(self, call: Call[T]) -> T: ...


def _text(identifier: Id | None) -> str | None:
    return None if identifier is None else str(identifier)


class Admin:
    """The endpoints of the admin API; the answers are the dictionaries of `torale.types`.

    Arguments that are left out have the API's defaults: `page` 1, `limit` 50 (at most 100; for
    schedules 1000), `hours` 24 (at most 8760). The last N hours begin with the minute N hours ago.

    The `iter_` methods read all pages, `page_size` rows at a time. If the data changes meanwhile, a
    row that moves to a later page is not returned twice, and one that moves to an earlier page is
    missed. They keep the key of every row in memory.

    Raises:
        AuthenticationError, ForbiddenError: The caller is not an admin.
        ValidationError: Parameters are malformed or out of range.
        RateLimitError, ServerError: Also after the retries.
        ToraleConnectionError: No answer, or none in time.
        UnexpectedResponseError: An answer that is not the API's.
    """

    def __init__(self, send: _Send) -> None:
        self._send = send

    def get_stats(self) -> Stats:
        """Numbers of users, tasks, executions and notifications, and the 10 queries with the most tasks."""
        return self._send(endpoints.STATS)

    def get_health(self) -> Health:
        """The generations in use, and what waits in the queue, in the outbox and in the quarantine."""
        return self._send(endpoints.HEALTH)

    def get_series(self, *, metric: Metric, bucket: Bucket, hours: int | None = None) -> Series:
        """What happened in each `minute` (`hours` at most 24), `hour` (744) or `day` of the last `hours`.

        Every bucket is present, oldest first. The first begins where the window does.
        """
        return self._send(endpoints.series(metric, bucket, hours))

    def get_queries(self, *, page: int | None = None, limit: int | None = None) -> QueriesPage:
        """Every distinct query with the totals of its tasks, most tasks first."""
        return self._send(endpoints.QUERIES.call(page=page, limit=limit))

    def iter_queries(self, *, page_size: int = 100) -> Iterator[Query]:
        """All rows of `get_queries`."""
        return self._rows(endpoints.QUERIES, page_size)

    def get_executions(
        self,
        *,
        status: ExecutionStatus | None = None,
        task_id: Id | None = None,
        hours: int | None = None,
        page: int | None = None,
        limit: int | None = None,
    ) -> ExecutionsPage:
        """Executions that began in the last `hours`, newest first; only those with `status`, or of a task."""
        filters = {"status": status, "task_id": _text(task_id), "hours": hours}
        return self._send(endpoints.EXECUTIONS.call(**filters, page=page, limit=limit))

    def iter_executions(
        self,
        *,
        status: ExecutionStatus | None = None,
        task_id: Id | None = None,
        hours: int | None = None,
        page_size: int = 100,
    ) -> Iterator[Execution]:
        """All rows of `get_executions`."""
        return self._rows(endpoints.EXECUTIONS, page_size, status=status, task_id=_text(task_id), hours=hours)

    def get_execution(self, execution_id: Id) -> ExecutionDetail:
        """One execution: its error if it failed, and the event that says so.

        Raises:
            NotFoundError: There is no such execution.
        """
        return self._send(endpoints.execution(execution_id))

    def get_errors(
        self,
        *,
        error_type: str | None = None,
        task_id: Id | None = None,
        hours: int | None = None,
        page: int | None = None,
        limit: int | None = None,
    ) -> ErrorsPage:
        """Executions that failed in the last `hours`, newest first; only those of one type, or of a task.

        `total` counts what the filters leave. `error_types` counts the whole window by type, whatever
        the filters.
        """
        filters = {"error_type": error_type, "task_id": _text(task_id), "hours": hours}
        return self._send(endpoints.ERRORS.call(**filters, page=page, limit=limit))

    def iter_errors(
        self,
        *,
        error_type: str | None = None,
        task_id: Id | None = None,
        hours: int | None = None,
        page_size: int = 100,
    ) -> Iterator[ExecutionError]:
        """All rows of `get_errors`."""
        filters = {"error_type": error_type, "task_id": _text(task_id), "hours": hours}
        return self._rows(endpoints.ERRORS, page_size, **filters)

    def get_users(
        self,
        *,
        q: str | None = None,
        active_only: bool | None = None,
        page: int | None = None,
        limit: int | None = None,
    ) -> UsersPage:
        """Users with their activity, newest first; with `active_only`, without deactivated ones.

        With `q` (1 to 320 characters), only those whose email begins with it, in upper or lower case,
        in the order of their emails. A search goes as far as 1,000 users; `total_capped` says whether
        there are more.
        """
        return self._send(endpoints.USERS.call(q=q, active_only=active_only, page=page, limit=limit))

    def iter_users(
        self, *, q: str | None = None, active_only: bool | None = None, page_size: int = 100
    ) -> Iterator[User]:
        """All rows of `get_users`; of a search at most 1,000."""
        return self._rows(endpoints.USERS, page_size, q=q, active_only=active_only)

    def get_user(self, user_id: UserId) -> UserDetail:
        """One user: their role, API keys and deactivation, and the events that say so.

        Raises:
            NotFoundError: There is no such user.
        """
        return self._send(endpoints.user(user_id))

    def get_tasks(
        self,
        *,
        state: TaskState | None = None,
        user_id: UserId | None = None,
        search_query: str | None = None,
        page: int | None = None,
        limit: int | None = None,
    ) -> TasksPage:
        """Tasks that are not deleted, newest first; only those in a state, of a user, or with exactly a query.

        Raises:
            ValidationError: More than one of `state`, `user_id` and `search_query` is given.
        """
        filters = {"state": state, "user_id": _text(user_id), "search_query": search_query}
        return self._send(endpoints.TASKS.call(**filters, page=page, limit=limit))

    def iter_tasks(
        self,
        *,
        state: TaskState | None = None,
        user_id: UserId | None = None,
        search_query: str | None = None,
        page_size: int = 100,
    ) -> Iterator[Task]:
        """All rows of `get_tasks`."""
        filters = {"state": state, "user_id": _text(user_id), "search_query": search_query}
        return self._rows(endpoints.TASKS, page_size, **filters)

    def get_task(self, task_id: Id) -> TaskDetail:
        """One task: its totals, last execution and schedules, and the events that say so.

        Raises:
            NotFoundError: There is no such task, or it is deleted.
        """
        return self._send(endpoints.task(task_id))

    def get_temporal_workflows(self, *, page: int | None = None, limit: int | None = None) -> WorkflowsPage:
        """Workflow runs that began in the last 24 hours, newest first."""
        return self._send(endpoints.WORKFLOWS.call(page=page, limit=limit))

    def iter_temporal_workflows(self, *, page_size: int = 100) -> Iterator[Workflow]:
        """All rows of `get_temporal_workflows`."""
        return self._rows(endpoints.WORKFLOWS, page_size)

    def get_temporal_schedules(
        self,
        *,
        include_paused: bool | None = None,
        include_timezone: bool | None = None,
        page: int | None = None,
        limit: int | None = None,
    ) -> SchedulesPage:
        """Active schedules, newest first; with `include_paused`, paused ones too.

        With `include_timezone` each has its `timezone`.

        Without `page` and `limit` the answer has all of them, up to 10,000.
        """
        call = endpoints.SCHEDULES.call(
            include_paused=include_paused, include_timezone=include_timezone, page=page, limit=limit
        )
        return self._send(call)

    def iter_temporal_schedules(
        self, *, include_paused: bool | None = None, include_timezone: bool | None = None, page_size: int = 100
    ) -> Iterator[Schedule]:
        """All rows of `get_temporal_schedules`."""
        return self._rows(
            endpoints.SCHEDULES, page_size, include_paused=include_paused, include_timezone=include_timezone
        )

    def get_audit(
        self,
        *,
        principal: str | None = None,
        action: str | None = None,
        hours: int | None = None,
        page: int | None = None,
        limit: int | None = None,
    ) -> AuditPage:
        """Requests of the last `hours`, newest first; only those of a user or for an action, if given.

        `principal` is a user id, `action` for example `users.list`. A request appears when it is
        sealed, within a minute.
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
        """All rows of `get_audit`."""
        return self._rows(endpoints.AUDIT, page_size, principal=principal, action=action, hours=hours)

    def deactivate_user(self, user_id: UserId) -> Deactivated:
        """Denies a user access at once. Safe to repeat.

        Commands then pause the user's tasks, revoke their API keys and block their login.

        Raises:
            NotFoundError: There is no such user.
            ConflictError: The user is the caller.
        """
        return self._send(endpoints.deactivate_user(user_id))

    def deactivate_users(self, user_ids: Sequence[UserId]) -> DeactivationResults:
        """Denies 1 to 100 users access, each independently of the others. Safe to repeat."""
        return self._send(endpoints.deactivate_users(user_ids))

    def reactivate_user(self, user_id: UserId) -> Reactivated:
        """Gives a user access again; their tasks stay paused, their API keys revoked.

        After a 503 this is not retried: it could undo a deactivation that somebody else requested.

        Raises:
            NotFoundError: There is no such user.
            ConflictError: Their deactivation is still being carried out.
        """
        return self._send(endpoints.reactivate_user(user_id))

    def get_openapi(self) -> dict[str, Any]:
        """The OpenAPI description of the API."""
        return self._send(endpoints.OPENAPI)

    def _rows(self, listing: Listing[P, R], page_size: int, **parameters: Parameter) -> Iterator[R]:
        returned: set[str] = set()
        for page_number in count(1):
            page = self._send(listing.call(page=page_number, limit=page_size, **parameters))
            rows = listing.rows(page)
            for row in rows:
                key = listing.key(row)
                if key not in returned:
                    returned.add(key)
                    yield row
            if not rows or page_number * page_size >= page["total"]:
                return
