"""Answers as tables for people."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

from rich import box
from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, Group, JustifyMethod, RenderableType
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from torale.cli.output import cell, count, duration, link, now, pairs, when
from torale.types import (
    AuditPage,
    AuditRecord,
    Deactivated,
    DeactivationResults,
    ErrorsPage,
    ExecutionsPage,
    QueriesPage,
    Reactivated,
    Schedule,
    SchedulesPage,
    Stats,
    Task,
    TasksPage,
    UsersPage,
    WorkflowsPage,
)

STYLES = {
    "success": "green",
    "COMPLETED": "green",
    "active": "green",
    "paused": "yellow",
    "deactivated": "yellow",
    "running": "cyan",
    "RUNNING": "cyan",
    "failed": "red",
    "FAILED": "red",
    "TIMED_OUT": "red",
    "TERMINATED": "red",
    "refused": "red",
    "not_found": "red",
}
BAD_REQUEST = 400
# Columns that a narrow terminal folds, to at least NARROWEST characters. Others are never folded.
FOLDED = (
    "Email",
    "User",
    "Name",
    "Query",
    "Value",
    "Decides",
    "Source",
    "Event id",
    "Popular query",
    "Message",
    "Parameters",
    "Why",
    "Measure",
    "Advice",
)
NARROWEST = 12
# The width between two columns.
GAP = 3

Row = Sequence[str | Text]


class Fitting(Table):
    """A table that knows how narrow it can be without cutting a cell."""

    narrowest = 0

    def __rich_measure__(self, console: Console, options: ConsoleOptions) -> Measurement:
        """Its least and greatest width."""
        return Measurement(self.narrowest, max(self.narrowest, super().__rich_measure__(console, options).maximum))


def table(columns: Sequence[str], rows: Iterable[Row], numbers: Sequence[str] = ()) -> Table:
    """A table; the columns in `numbers` are aligned to the right."""
    made = Fitting(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, header_style="bold")
    rows = list(rows)
    made.narrowest = GAP * (len(columns) - 1)
    for index, name in enumerate(columns):
        whole = max(cell_len(str(text)) for text in (name, *(row[index] for row in rows)))
        width = min(whole, NARROWEST) if name in FOLDED else whole
        made.narrowest += width
        justify: JustifyMethod = "right" if name in numbers else "left"
        made.add_column(name, justify=justify, overflow="fold", no_wrap=name not in FOLDED, min_width=width)
    for row in rows:
        made.add_row(*row)
    return made


def _listing(shown: Table, rows: Sequence[object], total: int, *, capped: bool = False) -> RenderableType:
    """A table and how many rows there are; `capped` if there are more than `total`."""
    of = f"more than {count(total)}" if capped else count(total)
    return Group(shown, Text(f"{count(len(rows))} of {of}", style="dim"))


def state(name: str) -> Text:
    """The name of a state, in its colour."""
    return cell(name, STYLES.get(name, ""))


def stats(answer: Stats) -> RenderableType:
    """The numbers, one a line, and the popular queries."""
    users, tasks, runs, sent = answer["users"], answer["tasks"], answer["executions"], answer["notifications"]
    figures = [
        ("users", count(users["total"])),
        ("  active in 30 days", count(users["active_30d"])),
        ("  new in 7 days", count(users["new_7d"])),
        ("tasks", count(tasks["total"])),
        ("  active", count(tasks["active"])),
        ("  paused", count(tasks["paused"])),
        ("executions in 24 h", count(runs["total_24h"])),
        ("  succeeded", count(runs["success_24h"])),
        ("  failed", count(runs["failed_24h"])),
        ("  average duration", duration(runs["avg_duration_ms"])),
        ("notifications in 24 h", count(sent["sent_24h"])),
        ("  in 7 days", count(sent["sent_7d"])),
    ]
    popular = [(cell(query["query"]), count(query["count"])) for query in answer["popular_queries"]]
    return Group(
        table(["Figure", "Now"], figures, numbers=["Now"]),
        "",
        table(["Popular query", "Tasks"], popular, numbers=["Tasks"]),
    )


def errors(answer: ErrorsPage) -> RenderableType:
    """Failed executions, and the number of errors of each type in the whole window."""
    at = now()
    rows = [
        (
            cell(error["execution_id"]),
            when(error["occurred_at"], at),
            cell(error["error_type"], "red"),
            "yes" if error["will_retry"] else "no",
            count(error["retry_count"]),
            cell(error["user_email"]),
            cell(error["search_query"]),
            cell(error["error_message"]),
        )
        for error in answer["errors"]
    ]
    columns = ["Execution", "Failed", "Type", "Will retry", "Retries", "User", "Query", "Message"]
    types = [(cell(name, "red"), count(number)) for name, number in answer["error_types"].items()]
    return Group(
        table(["Type", "Errors"], types, numbers=["Errors"]),
        "",
        _listing(table(columns, rows, numbers=["Retries"]), rows, answer["total"]),
    )


def users(answer: UsersPage) -> RenderableType:
    """Users with their activity."""
    at = now()
    rows = [
        (
            cell(user["id"]),
            cell(user["email"]),
            state(user["state"]),
            f"{count(user['active_tasks_count'])}/{count(user['tasks_count'])}",
            count(user["executions_24h"]),
            count(user["notifications_7d"]),
            when(user["created_at"], at),
            when(user["last_login"], at),
        )
        for user in answer["users"]
    ]
    numbers = ["Active/tasks", "Runs 24 h", "Sent 7 d"]
    columns = ["Id", "Email", "State", *numbers, "Created", "Last login"]
    return _listing(table(columns, rows, numbers), rows, answer["total"], capped=answer.get("total_capped", False))


def tasks(answer: TasksPage) -> RenderableType:
    """Tasks with what their executions add up to."""
    at = now()
    rows = [
        (
            when(task["created_at"], at),
            state(task["state"]),
            count(task["total_executions"]),
            f"{task['success_rate']:.0%}",
            duration(task["avg_duration_ms"]),
            _last_execution(task, at),
            when(task["next_run_time"], at),
            cell(task["user_email"]),
            cell(task["name"]),
            cell(task["search_query"]),
            cell(task["id"]),
        )
        for task in answer["tasks"]
    ]
    numbers = ["Executions", "Success", "Average"]
    columns = ["Created", "State", *numbers, "Last execution", "Next run", "User", "Name", "Query", "Id"]
    return _listing(table(columns, rows, numbers), rows, answer["total"])


def _last_execution(task: Task, at: datetime) -> Text:
    last = task["last_execution"]
    if last is None:
        return cell(None)
    return cell(f"{last['status']}, {when(last['started_at'], at)}", STYLES.get(last["status"], ""))


def executions(answer: ExecutionsPage) -> RenderableType:
    """Executions."""
    at = now()
    rows = [
        (
            when(run["started_at"], at),
            state(run["status"]),
            duration(run["duration_ms"]),
            {None: "-", True: "yes", False: "no"}[run["condition_met"]],
            cell(run["user_email"]),
            cell(run["search_query"]),
            cell(run["id"]),
        )
        for run in answer["executions"]
    ]
    columns = ["Started", "Status", "Duration", "Met", "User", "Query", "Id"]
    return _listing(table(columns, rows, numbers=["Duration"]), rows, answer["total"])


def queries(answer: QueriesPage) -> RenderableType:
    """Queries with their totals."""
    rows = [
        (
            cell(query["search_query"]),
            f"{count(query['active_tasks'])}/{count(query['total_tasks'])}",
            count(query["total_executions"]),
            f"{query['success_rate']:.0%}",
            duration(query["avg_duration_ms"]),
        )
        for query in answer["queries"]
    ]
    numbers = ["Active/tasks", "Executions", "Success", "Average"]
    return _listing(table(["Query", *numbers], rows, numbers), rows, answer["total"])


def workflows(answer: WorkflowsPage) -> RenderableType:
    """Workflow runs; the id links to Temporal's page."""
    at = now()
    rows = [
        (
            when(run["start_time"], at),
            state(run["status"]),
            duration(run["execution_duration_ms"]),
            cell(run["workflow_type"]),
            link(run["workflow_id"], run["temporal_ui_url"]),
        )
        for run in answer["workflows"]
    ]
    columns = ["Started", "Status", "Duration", "Type", "Workflow"]
    return _listing(table(columns, rows, numbers=["Duration"]), rows, answer["total"])


def schedules(answer: SchedulesPage) -> RenderableType:
    """Schedules; the id links to Temporal's page."""
    return _listing(schedule_table(answer["schedules"], now()), answer["schedules"], answer["total"])


def schedule_table(schedules: Sequence[Schedule], at: datetime) -> Table:
    """A row for each schedule."""
    rows = [
        (
            cell(schedule["cron"]),
            cell("paused", "yellow") if schedule["is_paused"] else cell(when(schedule["next_run_time"], at)),
            count(schedule["recent_executions"]),
            cell(schedule["user_email"]),
            link(schedule["schedule_id"], schedule["temporal_ui_url"]),
        )
        for schedule in schedules
    ]
    return table(["Cron", "Next run", "Runs 30 d", "User", "Schedule"], rows, numbers=["Runs 30 d"])


def audit(answer: AuditPage) -> RenderableType:
    """The audit trail."""
    at = now()

    def row(record: AuditRecord) -> Row:
        if "missing" in record:
            return [cell("MISSING", "bold red"), "", "", "", "", cell(record["id"], "bold red")]
        status = record["status"]
        return [
            when(record["at"], at),
            cell(record["principal"]["user_id"]),
            cell(record["action"]),
            cell(str(status), "red" if status >= BAD_REQUEST else "green"),
            cell(record["target"]),
            cell(pairs(record["parameters"])),
        ]

    rows = [row(record) for record in answer["records"]]
    columns = ["At", "Who", "Action", "Status", "Target", "Parameters"]
    return _listing(table(columns, rows), rows, answer["total"])


def deactivated(answer: Deactivated) -> RenderableType:
    """One user's deactivation."""
    tasks = count(answer["tasks_paused"])
    return cell(f"{answer['user_id']} is deactivated; tasks that were active: {tasks}")


def deactivations(answer: DeactivationResults) -> RenderableType:
    """The outcome for each user."""
    rows = [
        (
            cell(result["user_id"]),
            state(result["result"]),
            cell(result.get("tasks_paused")),
            cell(result.get("detail")),
        )
        for result in answer["results"]
    ]
    return table(["Id", "Result", "Tasks paused", "Why"], rows, numbers=["Tasks paused"])


def reactivated(answer: Reactivated) -> RenderableType:
    """One user's reactivation."""
    return cell(f"{answer['user_id']} is active again; their tasks stay paused, their keys revoked")
