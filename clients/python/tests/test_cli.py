"""`torale-admin`, as people and programs use it, against a real stack."""

from __future__ import annotations

import io
import json
import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import pytest

from conftest import KEY
from scenario import ADA, ADMIN, BOB, CARL, ODD, PS5, RUNS, TASKS, ago, event, task, user
from stack import Stack, free_ports
from test_changes import eventually
from torale import Admin, ToraleClient, __version__
from torale.cli import charts, run, tables
from torale.cli.output import write


@dataclass(frozen=True)
class Ran:
    code: int
    out: str
    err: str

    def json(self) -> Any:
        assert (self.code, self.err) == (0, "")
        return json.loads(self.out)


Cli = Callable[..., Ran]


@pytest.fixture
def cli(stack: Stack, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Cli:
    """Runs a command within this process, with its output piped."""
    monkeypatch.setenv("TORALE_API_KEY", stack.key)
    monkeypatch.setenv("TORALE_API_URL", stack.url)

    def call(*arguments: str, says: str = "") -> Ran:
        monkeypatch.setattr(sys, "argv", ["torale-admin", *arguments])
        monkeypatch.setattr(sys, "stdin", io.StringIO(says))
        code: str | int | None = 0
        try:
            run()
        except SystemExit as end:
            code = end.code
        assert isinstance(code, int)
        return Ran(code, *capsys.readouterr())

    return call


@pytest.fixture
def plain(stack: Stack) -> Iterator[Admin]:
    with ToraleClient(stack.key, stack.url) as client:
        yield client.admin


@pytest.mark.parametrize(
    ("command", "ask"),
    [
        ("stats", lambda admin: admin.get_stats()),
        ("health", lambda admin: admin.get_health()),
        (
            "series errors --bucket day --hours 48",
            lambda admin: admin.get_series(metric="errors", bucket="day", hours=48),
        ),
        ("errors --hours 6 --page 2 --limit 1", lambda admin: admin.get_errors(hours=6, page=2, limit=1)),
        (
            f"errors --type RateLimitError --task {TASKS[0]}",
            lambda admin: admin.get_errors(error_type="RateLimitError", task_id=TASKS[0]),
        ),
        (f"execution {RUNS[1]}", lambda admin: admin.get_execution(RUNS[1])),
        ("tasks", lambda admin: admin.get_tasks()),
        ("tasks --state paused --page 2 --limit 2", lambda admin: admin.get_tasks(state="paused", page=2, limit=2)),
        (f"tasks --user {ADA}", lambda admin: admin.get_tasks(user_id=ADA)),
        (f"task {TASKS[0]}", lambda admin: admin.get_task(TASKS[0])),
        (f"user {CARL}", lambda admin: admin.get_user(CARL)),
        ("users --active-only --page 1 --limit 2", lambda admin: admin.get_users(active_only=True, page=1, limit=2)),
        ("users", lambda admin: admin.get_users()),
        ("users --email AD --limit 1", lambda admin: admin.get_users(q="AD", limit=1)),
        (
            f"executions --status failed --task {TASKS[0]} --hours 1 --page 1 --limit 9",
            lambda admin: admin.get_executions(status="failed", task_id=TASKS[0], hours=1, page=1, limit=9),
        ),
        ("queries --page 2 --limit 2", lambda admin: admin.get_queries(page=2, limit=2)),
        ("workflows --page 2 --limit 1", lambda admin: admin.get_temporal_workflows(page=2, limit=1)),
        ("schedules", lambda admin: admin.get_temporal_schedules()),
        (
            "schedules --include-paused --page 1 --limit 200",
            lambda admin: admin.get_temporal_schedules(include_paused=True, page=1, limit=200),
        ),
        (
            f"audit --principal {ADA} --action users.list --hours 1 --page 1 --limit 9",
            lambda admin: admin.get_audit(principal=ADA, action="users.list", hours=1, page=1, limit=9),
        ),
    ],
)
def test_json_option_prints_the_answer_of_the_api(
    cli: Cli, plain: Admin, command: str, ask: Callable[[Admin], object]
) -> None:
    assert cli(*command.split(), "--json").json() == ask(plain)


def line(ran: Ran, *words: str) -> list[str]:
    """The only line that holds some words, split into its columns."""
    assert (ran.code, ran.err) == (0, "")
    (found,) = [each for each in ran.out.splitlines() if all(word in each for word in words)]
    return [part.strip() for part in found.split("   ") if part.strip()]


def test_tables_show_the_answer_of_the_api(cli: Cli) -> None:
    stats = cli("stats")
    assert line(stats, "average duration") == ["average duration", "10.2 s"]
    assert line(stats, "failed") == ["failed", "2"]
    errors = cli("errors", "--hours", "6")
    assert line(errors, "ada@")[2:6] == ["RateLimitError", "yes", "2", "ada@example.com"]
    assert line(errors, "ada@")[-1] == r"too\nmany", "a line for each row"
    types = [each.split() for each in errors.out.splitlines()]
    assert ["RateLimitError", "1"] in types, "a time may have the digit 1, too"
    assert line(errors, " of ") == ["2 of 2"]
    users = cli("users", "--limit", "2")
    assert line(users, ADA)[:6] == [ADA, "ada@example.com", "active", "1/3", "3", "2"]
    assert line(users, BOB)[-1] == "-"
    assert line(users, " of ") == ["2 of 4"]
    tasks = cli("tasks")
    shown = line(tasks, TASKS[2])
    assert (shown[1:5], shown[7:]) == (["active", "2", "0%", "30.0 s"], ["bob@example.com", "-", PS5, TASKS[2]])
    assert shown[5].startswith("running, ")
    assert shown[6].startswith("in ")
    assert line(tasks, TASKS[5])[5:7] == ["-", "-"]
    assert line(tasks, " of ") == ["6 of 6"]
    assert line(cli("executions"), "running")[1:5] == ["running", "-", "-", "bob@example.com"]
    assert line(cli("queries"), "iPhone")[1:] == ["1/3", "4", "75%", "3.5 s"]
    assert line(cli("workflows"), "RUNNING")[1:] == ["RUNNING", "-", "monitoring_workflow", "task-3"]
    schedules = cli("schedules", "--include-paused")
    assert line(schedules, "paused")[:4] == ["0 9 * * *", "paused", "0", "ada@example.com"]


def test_details_show_facts_and_who_says_so(cli: Cli) -> None:
    execution = cli("execution", RUNS[1])
    assert line(execution, r"too\nmany") == ["message", r"too\nmany"]
    assert line(execution, "execution.failed", "error_type")[1] == "execution.failed"
    task = cli("task", TASKS[0])
    assert line(task, "75%") == ["success", "75%"]
    assert line(task, "last execution")[1].startswith(f"{RUNS[0]}, success, ")
    assert line(task, "task.created")[1] == "task.created"
    user = cli("user", CARL)
    assert any(each.split() == ["state", "deactivated"] for each in user.out.splitlines())
    assert line(user, "commands pending") == ["commands pending", "0"]
    assert line(user, "user.deactivated")[2] == "state"
    missing = cli("task", TASKS[0].replace("0", "9"))
    assert (missing.code, missing.err) == (1, "error: Task not found (HTTP 404)\n")


def test_filters_are_passed_to_the_api(cli: Cli) -> None:
    asked = cli("tasks", "--query", PS5, "--json").json()
    assert [row["id"] for row in asked["tasks"]] == [TASKS[5], TASKS[2]]
    errors = cli("errors", "--type", "TimeoutError")
    assert line(errors, " of ") == ["1 of 1"]
    assert line(errors, "RateLimitError") == ["RateLimitError", "1"], "of the whole window"
    both = cli("tasks", "--state", "active", "--user", ADA)
    assert (both.code, both.out) == (1, "")
    assert both.err.startswith("error: state: Only one of ")


def test_user_is_shown_by_id_or_email(cli: Cli, plain: Admin) -> None:
    found = cli("user", "ADA@example.com", "--json").json()
    assert found == plain.get_user(ADA)
    for text in ("nobody@example.com", "ada@example", "%"):
        missing = cli("user", text)
        assert (missing.code, missing.out, missing.err) == (1, "", "error: no user with this email\n")
    assert cli("user", "a" * 321).err.startswith("error: q: ")


def test_users_who_share_an_email_are_listed(cli: Cli, changing: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORALE_API_URL", changing.url)
    users = sorted((str(uuid4()) for _ in range(2)), reverse=True)
    name = f"twin-{users[0][:8]}"
    changing.send(
        [
            user(users[0], name, ago(days=1)),
            user(users[1], f"{name}-2", ago(days=1)),
            event("user.updated", ago(hours=1), user_id=users[1], email=f"{name.upper()}@example.com"),
        ]
    )

    several = cli("user", f"{name}@example.com")

    assert (several.code, several.out) == (1, "")
    assert several.err == f"error: 2 users have this email: {', '.join(users)}\n"


def test_search_with_more_matches_than_it_counts_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    write(tables.users({"users": [], "total": 1000, "total_capped": True, "page": 21, "limit": 50}))
    assert capsys.readouterr().out.splitlines()[-1] == "0 of more than 1,000"


def test_series_is_a_bar_chart_whose_failed_part_is_counted(cli: Cli) -> None:
    series = cli("series", "--bucket", "day", "--hours", "24")
    first, *_ = (each for each in series.out.splitlines() if "█" in each)
    assert re.match(r"\d{4}-\d\d-\d\d +\d +\d +[\d.]+ (s|ms) +█", first), first
    assert line(series, " in all") == ["5 in all"]
    minutes = cli("series", "workflows", "--bucket", "minute")
    assert sum("▏" in each or "█" in each for each in minutes.out.splitlines()) == 3
    assert cli("series", "executions", "--bucket", "minute", "--hours", "25").err.startswith("error: hours: ")


@pytest.mark.parametrize(
    ("number", "shown"), [(0, ""), (1, "▏"), (500, "█" * 20), (512, "█" * 20 + "▌"), (1000, "█" * 40)]
)
def test_bar_has_the_length_of_its_share(number: int, shown: str) -> None:
    assert charts.bar(number, 1000) == shown


def test_control_characters_of_users_do_not_reach_the_terminal(cli: Cli) -> None:
    queries = cli("queries")
    shown = ODD.replace("\x1b", r"\x1b").replace("\u200d", r"\u200d")
    assert line(queries, "Ω")[0] == shown
    assert "\x1b" not in queries.out
    assert cli("queries", "--json").json()["queries"][2]["search_query"] == ODD


def test_audit_lists_a_refused_request(cli: Cli) -> None:
    assert cli("executions", "--limit", "0").code == 1
    asked = ("audit", "--principal", ADMIN, "--action", "executions.list", "--hours", "1")
    sealed = eventually(lambda: next((row for row in cli(*asked).out.splitlines() if " 422 " in row), None))
    assert sealed.split()[-4:] == ["executions.list", "422", "-", 'invalid=["limit"]']


def test_missing_audit_record_is_marked(capsys: pytest.CaptureFixture[str]) -> None:
    write(tables.audit({"records": [{"id": "2026-abc-1", "missing": True}], "total": 1, "page": 1, "limit": 50}))
    (row,) = [each for each in capsys.readouterr().out.splitlines() if "2026-abc-1" in each]
    assert row.split() == ["MISSING", "2026-abc-1"]


def test_refusal_is_one_line_and_exits_with_1(cli: Cli, stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    wrong = cli("users", "--limit", "0", "--page", "0")
    assert (wrong.code, wrong.out) == (1, "")
    message = "Input should be greater than or equal to 1"
    assert wrong.err == f"error: page: {message}; limit: {message} (HTTP 422)\n"
    missing = cli("deactivate", str(uuid4()), "--yes", "--json")
    assert (missing.code, missing.out, missing.err) == (1, "", "error: User not found (HTTP 404)\n")
    nowhere = cli("--api-url", f"http://127.0.0.1:{free_ports(1)[0]}", "stats")
    assert nowhere.code == 1
    assert nowhere.err.startswith("error: the API can't be reached: ")
    monkeypatch.setenv("TORALE_API_KEY", "sk_unknown_0123456789_0123")
    unknown = cli("stats")
    assert (unknown.code, unknown.err) == (1, "error: Invalid API key (HTTP 401)\n")
    assert not [text for text in (*vars(unknown).values(), *vars(nowhere).values()) if stack.key in str(text)]


def test_wrong_command_line_or_configuration_exits_with_2(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    for command in (
        ["users", "--limit", "x"],
        ["executions", "--status", "odd"],
        ["tasks", "--state", "odd"],
        ["deactivate"],
        ["nothing"],
    ):
        assert cli(*command).code == 2, command
    assert cli("--api-key", KEY, "stats").code == 2, "a key among the arguments is visible to all"
    monkeypatch.delenv("TORALE_API_URL")
    unset = cli("stats")
    assert (unset.code, unset.out) == (2, "")
    assert unset.err.startswith("error: no API URL: pass api_url, set TORALE_API_URL")
    assert cli("--version").out == f"{__version__}\n"


def test_deactivate_asks_for_confirmation(cli: Cli, changing: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORALE_API_URL", changing.url)
    users = [str(uuid4()) for _ in range(3)]
    events = [user(user_id, user_id[:8], ago(days=1)) for user_id in users]
    changing.send([*events, *task(str(uuid4()), users[0], "?")])

    def state(user_id: str) -> str:
        page = cli("users", "--limit", "100", "--json").json()
        return next(str(row["state"]) for row in page["users"] if row["id"] == user_id)

    for answer in ("n\n", "", "\n"):
        declined = cli("deactivate", users[0], says=answer)
        assert (declined.code, declined.out) == (1, "")
        assert f"Deactivate {users[0]}? [y/N]" in declined.err
    assert state(users[0]) == "active"

    done = cli("deactivate", users[0], "--json", says="y\n")
    assert json.loads(done.out) == {
        "message": "User deactivated successfully",
        "user_id": users[0],
        "tasks_paused": 1,
    }
    assert state(users[0]) == "deactivated"
    assert "is deactivated; tasks that were active: 1" in cli("deactivate", users[0], "--yes").out

    both = cli("deactivate", users[0], users[1], "-y")
    assert line(both, users[0]) == [users[0], "already", "1", "-"]
    assert line(both, users[1]) == [users[1], "deactivated", "0", "-"]
    some = cli("deactivate", users[2], ADMIN, "--yes", "--json")
    assert some.code == 1, "one of them was refused"
    assert [each["result"] for each in json.loads(some.out)["results"]] == ["deactivated", "refused"]

    assert cli("reactivate", users[0], says="n\n").code == 1
    back = cli("reactivate", users[2], "--yes")
    assert back.code == 0 or "still being carried out" in back.err


def test_usage_names_each_argument_once(cli: Cli) -> None:
    assert re.search(r"deactivate \[OPTIONS\] \{?USER_ID\}?\.\.\.\s", cli("deactivate", "--help").out)
    assert "Print the version" in cli("--help").out
