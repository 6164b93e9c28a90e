"""The types of the answers: dictionaries.

Times are RFC 3339 in UTC (`2024-01-15T09:00:04Z`, with milliseconds unless they are 0), durations are
in milliseconds, rates lie between 0 and 1, ids of users, tasks and executions are UUIDs with
hyphens. `total` counts all rows of a list, not those of the page.
"""

from __future__ import annotations

from typing import Any, Literal, TypedDict, final

ExecutionStatus = Literal["success", "failed", "running"]
TaskState = Literal["active", "paused", "completed"]
Metric = Literal["executions", "errors", "notifications", "new_users", "last_logins", "workflows"]
Bucket = Literal["minute", "hour", "day"]


class HistoryEntry(TypedDict):
    """An event that decides fields of an answer: who said so, and when."""

    type: str
    id: str
    source: str
    time: str
    fields: list[str]


class Fault(TypedDict):
    """An error of a request: its place (`query`, `path` or `body`, then the name), and what is wrong."""

    loc: list[str]
    msg: str
    type: str


class UserStats(TypedDict):
    """Numbers of users: all, active ones who logged in within 30 days, those created within 7 days."""

    total: int
    active_30d: int
    new_7d: int


class TaskStats(TypedDict):
    """Numbers of tasks that are not deleted; completed ones count in `total` only."""

    total: int
    active: int
    paused: int


class ExecutionStats(TypedDict):
    """Executions that began in the last 24 hours, and the mean duration of the finished ones."""

    total_24h: int
    success_24h: int
    failed_24h: int
    avg_duration_ms: int


class NotificationStats(TypedDict):
    """Notifications by the time they were sent."""

    sent_24h: int
    sent_7d: int


class PopularQuery(TypedDict):
    """A query and how many tasks have it."""

    query: str
    count: int


class Stats(TypedDict):
    """The answer of `get_stats`."""

    users: UserStats
    tasks: TaskStats
    executions: ExecutionStats
    notifications: NotificationStats
    popular_queries: list[PopularQuery]


class LiveGeneration(TypedDict):
    """The generation of projections that answers requests."""

    name: str
    lanes: int


class ShadowGeneration(TypedDict):
    """The generation that is written as well; it can be promoted if it is complete."""

    name: str
    lanes: int
    since: str
    complete: bool


class Outbox(TypedDict):
    """Deactivations whose commands are still being sent; `capped` if there may be more, and older ones."""

    entries: int
    capped: bool
    oldest_at: str | None
    age_ms: int


class Quarantine(TypedDict):
    """Messages that could not be read or projected; `capped` if there may be more."""

    messages: int
    capped: bool


class Health(TypedDict):
    """The answer of `get_health`; `events_waiting` is what SQS counts, within about a minute."""

    live_generation: LiveGeneration
    shadow_generation: ShadowGeneration | None
    events_waiting: int
    outbox: Outbox
    quarantine: Quarantine


class _Point(TypedDict):
    start: str
    count: int


class Point(_Point, total=False):
    """A bucket of a series; only those of executions have `failed` and `avg_duration_ms`."""

    failed: int
    avg_duration_ms: int


class Series(TypedDict):
    """Every bucket of a window, oldest first; the last one holds now, and counts everything later too."""

    metric: Metric
    bucket: Bucket
    points: list[Point]


class Query(TypedDict):
    """A distinct query with the totals of the tasks that have it now; executions of all time."""

    search_query: str
    total_tasks: int
    active_tasks: int
    total_executions: int
    success_rate: float
    avg_duration_ms: int


class QueriesPage(TypedDict):
    """One page of queries."""

    queries: list[Query]
    total: int
    page: int
    limit: int


class Execution(TypedDict):
    """One run of a task. Values that are not known yet are None."""

    id: str
    task_id: str
    user_email: str | None
    search_query: str | None
    status: ExecutionStatus
    condition_met: bool | None
    duration_ms: int | None
    started_at: str
    completed_at: str | None


class ExecutionDetail(Execution):
    """An execution with its error, whose fields are None unless it failed, and the event that says so."""

    user_id: str
    error_type: str | None
    error_message: str | None
    retry_count: int | None
    will_retry: bool | None
    history: list[HistoryEntry]


class ExecutionsPage(TypedDict):
    """One page of executions."""

    executions: list[Execution]
    total: int
    page: int
    limit: int


class ExecutionError(TypedDict):
    """A failed execution."""

    execution_id: str
    task_id: str
    user_email: str | None
    search_query: str | None
    error_message: str
    error_type: str
    retry_count: int
    will_retry: bool
    occurred_at: str


class ErrorsPage(TypedDict):
    """One page of errors; `error_types` counts the whole window by type, whatever the filters, descending."""

    errors: list[ExecutionError]
    total: int
    error_types: dict[str, int]


class User(TypedDict):
    """A user and their activity."""

    id: str
    email: str | None
    clerk_user_id: str
    state: Literal["active", "deactivated"]
    tasks_count: int
    active_tasks_count: int
    executions_24h: int
    notifications_7d: int
    created_at: str
    last_login: str | None


class ApiKey(TypedDict):
    """An API key; `last_used_at` is the last request it authenticated, to the minute."""

    key_id: str
    key_prefix: str
    name: str | None
    created_at: str
    revoked: bool
    last_used_at: str | None


class UserDeactivation(TypedDict):
    """A deactivation: since when, by whom, and what became of its commands."""

    at: str
    by: str | None
    tasks_paused: int | None
    commands_pending: int


class UserDetail(User):
    """A user with their API keys, their deactivation if there is one, and the events that say so."""

    role: str | None
    api_keys: list[ApiKey]
    deactivation: UserDeactivation | None
    history: list[HistoryEntry]


class _UsersPage(TypedDict):
    users: list[User]
    total: int
    page: int
    limit: int


class UsersPage(_UsersPage, total=False):
    """One page of users; only that of a search has `total_capped`: whether there are more than `total`."""

    total_capped: bool


class Workflow(TypedDict):
    """A workflow run: `RUNNING`, `COMPLETED`, `FAILED`, `CANCELED`, `TERMINATED`, `TIMED_OUT`, ..."""

    workflow_id: str
    workflow_type: str
    status: str
    start_time: str
    close_time: str | None
    execution_duration_ms: int | None
    temporal_ui_url: str


class WorkflowsPage(TypedDict):
    """One page of workflow runs."""

    workflows: list[Workflow]
    total: int


class _Schedule(TypedDict):
    schedule_id: str
    task_id: str
    user_email: str | None
    cron: str
    is_paused: bool
    recent_executions: int
    next_run_time: str | None
    temporal_ui_url: str


class Schedule(_Schedule, total=False):
    """A schedule; `recent_executions` counts the executions of its task in the last 30 days.

    Only with `include_timezone` it has `timezone`.
    """

    timezone: str


class LastExecution(TypedDict):
    """The execution of a task that began last."""

    id: str
    status: ExecutionStatus
    started_at: str


class Task(TypedDict):
    """A task and what its executions of all time add up to. Values that no event has told are None."""

    id: str
    name: str | None
    search_query: str
    user_id: str
    user_email: str | None
    state: TaskState
    schedule: str | None
    created_at: str
    total_executions: int
    success_rate: float
    avg_duration_ms: int
    last_execution: LastExecution | None
    next_run_time: str | None


class TaskDetail(Task):
    """A task with its schedules, paused ones too, and the events that say so."""

    schedules: list[Schedule]
    history: list[HistoryEntry]


class TasksPage(TypedDict):
    """One page of tasks."""

    tasks: list[Task]
    total: int
    page: int
    limit: int


class SchedulesPage(TypedDict):
    """Schedules: all, or one page."""

    schedules: list[Schedule]
    total: int


class Principal(TypedDict):
    """The caller, as far as known."""

    user_id: str | None
    clerk_user_id: str | None
    key_id: str | None
    impersonator: str | None


@final
class RecordedRequest(TypedDict):
    """A record of the audit trail: one request."""

    id: str
    at: str
    principal: Principal
    method: Literal["api_key", "session"]
    action: str
    target: str | None
    parameters: dict[str, Any]
    status: int
    request_id: str
    source: str | None
    user_agent: str | None
    duration_ms: int


@final
class MissingRecord(TypedDict):
    """A record that has disappeared: somebody has tampered with the trail."""

    id: str
    missing: Literal[True]


AuditRecord = RecordedRequest | MissingRecord


class AuditPage(TypedDict):
    """One page of the audit trail."""

    records: list[AuditRecord]
    total: int
    page: int
    limit: int


class Deactivated(TypedDict):
    """The answer to a deactivation; `tasks_paused` counts the tasks that were active then."""

    message: str
    user_id: str
    tasks_paused: int


class _Result(TypedDict):
    user_id: str
    result: Literal["deactivated", "already", "not_found", "refused"]


class DeactivationResult(_Result, total=False):
    """The outcome for one user: `tasks_paused` if they are deactivated, else the reason in `detail`."""

    tasks_paused: int
    detail: str


class DeactivationResults(TypedDict):
    """One result for each id, in the order of the request."""

    results: list[DeactivationResult]


class Reactivated(TypedDict):
    """The answer to a reactivation."""

    message: str
    user_id: str
