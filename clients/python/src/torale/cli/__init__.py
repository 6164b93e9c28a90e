"""`torale-admin`: the admin API on the command line; tables for people, `--json` for programs.

Exit codes: 0; 1 if the API refuses or can't be reached; 2 if the command line or configuration is wrong.
"""

from __future__ import annotations

import io
import os
import sys
from typing import Annotated, NoReturn

import typer

from torale import Admin, ConfigurationError, ToraleAPIError, ToraleClient, __version__
from torale.cli import charts, details, lookup, tables, watching
from torale.cli.output import note, show, visible
from torale.types import Bucket, DeactivationResults, ExecutionStatus, Metric, TaskState

app = typer.Typer(
    name="torale-admin",
    no_args_is_help=True,
    add_completion=False,
    # A traceback with local variables would show the key.
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

Json = Annotated[bool, typer.Option("--json", help="Print the API's answer as it is.")]
Hours = Annotated[int | None, typer.Option(help="How many hours back, 1 to 8760; the API's default is 24.")]
Page = Annotated[int | None, typer.Option(help="The page, from 1.")]
Limit = Annotated[int | None, typer.Option(help="Rows of a page, 1 to 100; the API's default is 50.")]
UserIds = Annotated[list[str], typer.Argument(metavar="USER_ID", help="As `users` lists them; at most 100.")]
UserId = Annotated[str, typer.Argument(metavar="USER_ID", help="As `users` lists it.")]
TaskId = Annotated[str, typer.Argument(metavar="TASK_ID", help="As `tasks` lists it.")]
ExecutionId = Annotated[str, typer.Argument(metavar="EXECUTION_ID", help="As `executions` lists it.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Don't ask for confirmation.")]


def _version(asked: bool) -> None:
    if asked:
        typer.echo(__version__)
        raise typer.Exit


@app.callback()
def torale_admin(
    context: typer.Context,
    *,
    api_url: Annotated[str | None, typer.Option(metavar="URL", help="In place of TORALE_API_URL.")] = None,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Torale's admin API.

    The API key comes from TORALE_API_KEY, the URL from TORALE_API_URL; else both from ~/.torale/config.json.
    """
    context.obj = api_url


def _connect(context: typer.Context) -> Admin:
    return context.with_resource(ToraleClient(api_url=context.obj)).admin


@app.command()
def stats(context: typer.Context, *, json: Json = False) -> None:
    """Numbers of users, tasks, executions and notifications."""
    show(_connect(context).get_stats(), tables.stats, json=json)


@app.command()
def health(context: typer.Context, *, json: Json = False) -> None:
    """The generations in use, and what waits in the queue, in the outbox and in the quarantine."""
    show(_connect(context).get_health(), details.health, json=json)


@app.command()
def series(
    context: typer.Context,
    metric: Annotated[Metric, typer.Argument(help="What is counted.")] = "executions",
    *,
    bucket: Annotated[Bucket, typer.Option(help="How long a bar lasts.")] = "hour",
    hours: Annotated[
        int | None, typer.Option(help="How many hours back; by minute at most 24, by hour 744, by day 8760.")
    ] = None,
    json: Json = False,
) -> None:
    """How much happened in each minute, hour or day, as a bar chart."""
    show(_connect(context).get_series(metric=metric, bucket=bucket, hours=hours), charts.series, json=json)


@app.command()
def errors(
    context: typer.Context,
    *,
    error_type: Annotated[str | None, typer.Option("--type", help="Only errors of exactly this type.")] = None,
    task: Annotated[str | None, typer.Option(metavar="TASK_ID", help="Only errors of this task.")] = None,
    hours: Hours = None,
    page: Page = None,
    limit: Limit = None,
    json: Json = False,
) -> None:
    """Failed executions, newest first; the counts by type are of all of them, whatever the filters."""
    admin = _connect(context)
    answer = admin.get_errors(error_type=error_type, task_id=task, hours=hours, page=page, limit=limit)
    show(answer, tables.errors, json=json)


@app.command()
def users(
    context: typer.Context,
    *,
    email: Annotated[
        str | None, typer.Option(metavar="PREFIX", help="Only users whose email begins with this; by email.")
    ] = None,
    active_only: Annotated[bool, typer.Option("--active-only", help="Without deactivated users.")] = False,
    page: Page = None,
    limit: Limit = None,
    json: Json = False,
) -> None:
    """Users with their activity, newest first."""
    answer = _connect(context).get_users(q=email, active_only=active_only, page=page, limit=limit)
    show(answer, tables.users, json=json)


@app.command()
def executions(
    context: typer.Context,
    *,
    status: Annotated[ExecutionStatus | None, typer.Option(help="Only executions with this status.")] = None,
    task: Annotated[str | None, typer.Option(metavar="TASK_ID", help="Only executions of this task.")] = None,
    hours: Hours = None,
    page: Page = None,
    limit: Limit = None,
    json: Json = False,
) -> None:
    """Executions, newest first."""
    admin = _connect(context)
    answer = admin.get_executions(status=status, task_id=task, hours=hours, page=page, limit=limit)
    show(answer, tables.executions, json=json)


@app.command()
def execution(context: typer.Context, execution_id: ExecutionId, *, json: Json = False) -> None:
    """One execution: its error if it failed, and the event that says so."""
    show(_connect(context).get_execution(execution_id), details.execution, json=json)


@app.command()
def tasks(
    context: typer.Context,
    *,
    state: Annotated[TaskState | None, typer.Option(help="Only tasks in this state.")] = None,
    user: Annotated[str | None, typer.Option(metavar="USER_ID", help="Only tasks of this user.")] = None,
    query: Annotated[str | None, typer.Option(help="Only tasks with exactly this query.")] = None,
    page: Page = None,
    limit: Limit = None,
    json: Json = False,
) -> None:
    """Tasks, newest first; at most one of --state, --user and --query."""
    admin = _connect(context)
    answer = admin.get_tasks(state=state, user_id=user, search_query=query, page=page, limit=limit)
    show(answer, tables.tasks, json=json)


@app.command()
def task(context: typer.Context, task_id: TaskId, *, json: Json = False) -> None:
    """One task: its totals, last execution and schedules, and the events that say so."""
    show(_connect(context).get_task(task_id), details.task, json=json)


@app.command()
def user(
    context: typer.Context,
    id_or_email: Annotated[str, typer.Argument(metavar="USER_ID|EMAIL", help="The id, or the whole email.")],
    *,
    json: Json = False,
) -> None:
    """One user: their role, API keys and deactivation, and the events that say so."""
    admin = _connect(context)
    show(admin.get_user(lookup.user_id(admin, id_or_email)), details.user, json=json)


@app.command()
def queries(context: typer.Context, *, page: Page = None, limit: Limit = None, json: Json = False) -> None:
    """Distinct queries with the totals of their tasks, most tasks first."""
    show(_connect(context).get_queries(page=page, limit=limit), tables.queries, json=json)


@app.command()
def workflows(context: typer.Context, *, page: Page = None, limit: Limit = None, json: Json = False) -> None:
    """Workflow runs of the last 24 hours, newest first."""
    show(_connect(context).get_temporal_workflows(page=page, limit=limit), tables.workflows, json=json)


@app.command()
def schedules(
    context: typer.Context,
    *,
    include_paused: Annotated[bool, typer.Option("--include-paused", help="Also paused schedules.")] = False,
    page: Page = None,
    limit: Annotated[int | None, typer.Option(help="Rows of a page, 1 to 1000; without it and --page, all.")] = None,
    json: Json = False,
) -> None:
    """Schedules with their next run, newest first."""
    answer = _connect(context).get_temporal_schedules(include_paused=include_paused, page=page, limit=limit)
    show(answer, tables.schedules, json=json)


@app.command()
def audit(
    context: typer.Context,
    *,
    principal: Annotated[str | None, typer.Option(metavar="USER_ID", help="Only this user's requests.")] = None,
    action: Annotated[str | None, typer.Option(help="Only requests for this action, such as users.list.")] = None,
    hours: Hours = None,
    page: Page = None,
    limit: Limit = None,
    json: Json = False,
) -> None:
    """Who called what, newest first; up to a minute late."""
    admin = _connect(context)
    answer = admin.get_audit(principal=principal, action=action, hours=hours, page=page, limit=limit)
    show(answer, tables.audit, json=json)


@app.command()
def deactivate(context: typer.Context, user_ids: UserIds, *, yes: Yes = False, json: Json = False) -> None:
    """Deny users access at once; commands pause their tasks, revoke their keys and block their login.

    Each user is handled independently; the exit code is 1 unless all are deactivated.
    """
    admin = _connect(context)
    _confirm(f"Deactivate {' '.join(user_ids)}?", yes=yes)
    if len(user_ids) == 1:
        show(admin.deactivate_user(user_ids[0]), tables.deactivated, json=json)
        return
    answer = admin.deactivate_users(user_ids)
    show(answer, tables.deactivations, json=json)
    if not _all_deactivated(answer):
        raise typer.Exit(1)


def _all_deactivated(answer: DeactivationResults) -> bool:
    return all(result["result"] in ("deactivated", "already") for result in answer["results"])


@app.command()
def reactivate(context: typer.Context, user_id: UserId, *, yes: Yes = False, json: Json = False) -> None:
    """Give a user access again; their tasks stay paused, their API keys revoked."""
    admin = _connect(context)
    _confirm(f"Reactivate {user_id}?", yes=yes)
    show(admin.reactivate_user(user_id), tables.reactivated, json=json)


def _confirm(question: str, *, yes: bool) -> None:
    """Ask on standard error, since standard output is for the answer; exit unless confirmed."""
    if yes:
        return
    if sys.stderr:
        sys.stderr.write(f"{visible(question)} [y/N] ")
        sys.stderr.flush()
    # Without standard input nobody can confirm.
    if not sys.stdin or sys.stdin.readline().strip().lower() not in ("y", "yes"):
        note("nothing was changed")
        raise typer.Exit(1)


@app.command()
def watch(
    context: typer.Context,
    *,
    interval: Annotated[int, typer.Option(min=1, metavar="SECONDS", help="The time between two checks.")] = 300,
    once: Annotated[bool, typer.Option("--once", help="Check once.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print each check as a line of JSON.")] = False,
) -> None:
    """Check error rate, duration, failures and errors regularly, and point out values that are too high."""
    try:
        watching.watch(_connect(context), interval=interval, once=once, json=json)
    except KeyboardInterrupt:
        raise typer.Exit(130) from None


def _fail(error: ToraleAPIError, code: int) -> NoReturn:
    note(f"error: {error}")
    sys.exit(code)


def run() -> None:
    """Run the command line."""
    for stream in (sys.stdout, sys.stderr):
        # Characters that the terminal's encoding lacks are escaped instead of raising an error.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    if not sys.stdout:
        note("error: there is no standard output")
        sys.exit(1)
    try:
        try:
            app()
        finally:
            sys.stdout.flush()
    except ConfigurationError as error:
        _fail(error, 2)
    except ToraleAPIError as error:
        _fail(error, 1)
    except OSError as error:
        # Buffered output must not fail again at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        # A closed pipe is no error: nobody reads any more.
        if not isinstance(error, BrokenPipeError):
            note(f"error: the answer can't be written: {error.strerror}")
        sys.exit(1)
