"""The output of `torale-admin`: to terminals of any width, pipes, and streams that are full or closed."""

from __future__ import annotations

import json
import os
import pty
import re
import subprocess
import sys
import threading
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import Any, cast
from uuid import uuid4

import pytest
from rich.cells import cell_len

from scenario import ADA
from stack import Stack
from test_cli import Cli, cli, plain  # noqa: F401
from torale import Admin
from torale.cli import details, tables, watching
from torale.cli.output import now, visible, write, write_json
from torale.types import DeactivationResult, Health

PROGRAM = Path(sys.executable).with_name("torale-admin")
BUSY: Health = {
    "live_generation": {"name": "g2", "lanes": 2},
    "shadow_generation": {"name": "g1", "lanes": 2, "since": "2024-01-15T10:00:00Z", "complete": False},
    "events_waiting": 12,
    "outbox": {"entries": 1000, "capped": True, "oldest_at": "2024-01-15T10:23:15.120Z", "age_ms": 90_000},
    "quarantine": {"messages": 3, "capped": False},
}


@pytest.mark.parametrize("width", [80, 300])
def test_terminal_shows_every_cell_whole_or_folded(
    plain: Admin,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    width: int,
) -> None:
    at = now()
    for module in (details, tables, watching):
        monkeypatch.setattr(module, "now", lambda: at)
    trail = [{"id": "2026-abc-1", "missing": True}, *plain.get_audit(limit=5)["records"]]
    failed: DeactivationResult = {
        "user_id": ADA,
        "result": "refused",
        "detail": "There are many reasons against it, one of them long",
    }
    shown = {
        "stats": tables.stats(plain.get_stats()),
        "health": details.health(BUSY),
        "errors": tables.errors(plain.get_errors()),
        "users": tables.users(plain.get_users()),
        "tasks": tables.tasks(plain.get_tasks()),
        "executions": tables.executions(plain.get_executions()),
        "queries": tables.queries(plain.get_queries()),
        "workflows": tables.workflows(plain.get_temporal_workflows()),
        "schedules": tables.schedules(plain.get_temporal_schedules()),
        "audit": tables.audit({"records": cast("Any", trail), "total": 1, "page": 1, "limit": 50}),
        "deactivations": tables.deactivations({"results": [failed]}),
        "watch": watching.as_table(watching.run_check(plain)),
    }
    monkeypatch.setenv("COLUMNS", str(width))
    for name, table in shown.items():
        capsys.readouterr()
        write(table)
        piped = capsys.readouterr().out
        with monkeypatch.context() as context:
            context.setattr(sys.stdout, "isatty", lambda: True)
            write(table)
        seen = re.sub(r"\x1b\[[0-9;]*m|\x1b\]8;[^\x1b]*\x1b\\", "", capsys.readouterr().out)
        assert letters(seen) == letters(piped), name
        for whole in re.findall(r"[0-9a-f-]{36}|\d[\d.,/]*", piped):
            assert whole in seen, (name, whole)
        if name in ("stats", "health", "queries", "deactivations", "watch"):
            assert max(cell_len(each) for each in seen.splitlines()) <= width, name


def test_health_names_the_shadow_generation_and_what_may_be_more(capsys: pytest.CaptureFixture[str]) -> None:
    write(details.health(BUSY))
    lines = [line.split("   ") for line in capsys.readouterr().out.splitlines()]
    shown = {line[0].strip(): line[-1].strip() for line in lines}
    assert shown["live generation"] == "g2"
    assert shown["shadow generation"] == "g1, not complete, written since 2024-01-15 10:00"
    assert shown["outbox entries"] == "at least 1,000"
    assert shown["age of the oldest"] == "1 min 30 s"
    assert shown["quarantined messages"] == "3"


@pytest.mark.parametrize(
    ("char", "shown"),
    [
        ("\u200b", r"\u200b"),  # zero width space
        ("\u00ad", r"\xad"),  # soft hyphen
        ("\u3164", r"\u3164"),  # Hangul filler
        ("\U000e0061", r"\U000e0061"),  # tag small letter a
        ("\u180e", r"\u180e"),  # Mongolian vowel separator
        ("\u202e", r"\u202e"),  # right-to-left override
        ("\u2066", r"\u2066"),  # left-to-right isolate
        ("\u200d", r"\u200d"),  # zero width joiner
        ("\ufe0f", r"\ufe0f"),  # variation selector
        ("\u034f", r"\u034f"),  # combining grapheme joiner
        ("\u2800", r"\u2800"),  # braille blank
        ("\u00a0", r"\xa0"),  # no-break space
        ("\x9b", r"\x9b"),  # C1 control
        ("\U0001d159", r"\U0001d159"),  # musical null notehead
        ("\x00", r"\x00"),
        ("\\u200b", r"\\u200b"),  # the text of an escape
    ],
)
def test_emails_that_differ_in_an_invisible_character_look_different(
    capsys: pytest.CaptureFixture[str], char: str, shown: str
) -> None:
    """An email with such a character, and one that it could be taken for."""
    row: Any = {"id": ADA, "clerk_user_id": "c", "state": "active", "last_login": None}
    row |= dict.fromkeys(("tasks_count", "active_tasks_count", "executions_24h", "notifications_7d"), 0)
    row["created_at"] = "2024-01-15T09:00:00Z"
    emails = ("ada@example.com", f"ad{char}a@example.com")
    rows: Any = [{**row, "email": email} for email in emails]

    write(tables.users({"users": rows, "total": 2, "page": 1, "limit": 50}))

    cells = [each.split("   ")[1] for each in capsys.readouterr().out.splitlines() if ADA in each]
    assert cells == ["ada@example.com", f"ad{shown}a@example.com"]


def test_blanks_at_the_end_of_a_text_are_shown() -> None:
    assert visible("  a b ") == r"\x20\x20a b\x20"
    assert visible(" ") == r"\x20"


def test_json_escapes_invisible_characters_and_stays_the_same_json(capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    answer = {"email": "ad\u202e\x9b\U000e0061\x7fa »Ω«"}
    write_json(answer)
    out = capsysbinary.readouterr().out.decode("utf-8")
    assert out == '{"email": "ad\\u202e\\u009b\\udb40\\udc61\\u007fa »Ω«"}\n'
    assert json.loads(out) == answer


def letters(shown: str) -> Counter[str]:
    """The letters of all cells, however the lines are folded."""
    return Counter(each for each in shown if not each.isspace() and each != "─")


def test_pipe_has_no_width(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: F811
    without = cli("users").out
    for name, value in (("COLUMNS", "40"), ("FORCE_COLOR", "1")):
        monkeypatch.setenv(name, value)
        assert letters(re.sub(r"\x1b\[[0-9;]*m", "", cli("users").out)) == letters(without)
        assert len(cli("users").out.splitlines()) == len(without.splitlines())


def on_a_terminal(environment: dict[str, str], *arguments: str) -> str:
    """The output of a command on a terminal of 100 columns."""
    process, terminal = pty.fork()
    if process == 0:
        os.execve(PROGRAM, [str(PROGRAM), *arguments], {**os.environ, **environment})
    written = b""
    with suppress(OSError):
        while some := os.read(terminal, 65_536):
            written += some
    os.close(terminal)
    assert os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]) == 0
    return written.decode()


def test_only_terminals_get_colour(stack: Stack) -> None:
    environment = {
        "TORALE_API_KEY": stack.key,
        "TORALE_API_URL": stack.url,
        "TERM": "xterm-256color",
        "COLUMNS": "100",
    }
    shown = on_a_terminal(environment, "errors")
    assert "\x1b[31mRateLimitError" in shown
    assert "\x1b" not in on_a_terminal({**environment, "NO_COLOR": "1", "TERM": "dumb"}, "errors")


def test_any_encoding_and_a_closed_pipe_are_no_errors(stack: Stack) -> None:
    environment = {**os.environ, "TORALE_API_KEY": stack.key, "TORALE_API_URL": stack.url, "PYTHONIOENCODING": "ascii"}

    def start(*arguments: str) -> subprocess.Popen[bytes]:
        command = [str(PROGRAM), *arguments]
        return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    with start("queries") as shown:
        out, err = shown.communicate(timeout=30)
        assert (shown.returncode, err) == (0, b"")
        assert rb"\u51fa\u8377" in out
    with start("queries", "--json") as shown:
        assert json.loads(shown.communicate(timeout=30)[0].decode("utf-8"))["total"] == 3
    for command in (["queries"], ["queries", "--json"], ["--help"], ["--version"], ["stats", "--help"]):
        with start(*command) as left:
            assert left.stdout is not None
            assert left.stderr is not None
            left.stdout.close()
            assert left.stderr.read() == b"", command
            assert left.wait(30) == 1, command


def test_unwritable_output_and_missing_input_exit_with_1(stack: Stack) -> None:
    environment = {**os.environ, "TORALE_API_KEY": stack.key, "TORALE_API_URL": stack.url}

    def shell(command: str) -> tuple[int, str, str]:
        ran = subprocess.run(
            ["sh", "-c", f'"$0" {command}', PROGRAM],
            check=False,
            env=environment,
            capture_output=True,
            text=True,
            timeout=30,
        )
        return ran.returncode, ran.stdout, ran.stderr

    full = "error: the answer can't be written: No space left on device\n"
    for command in ("queries", "queries --json", "watch --once", "--version"):
        assert shell(f"{command} >/dev/full") == (1, "", full), command
    assert shell(f"deactivate {uuid4()} --yes 2>&-") == (1, "", "")
    assert shell("queries >&-") == (1, "", "error: there is no standard output\n")
    code, out, err = shell(f"deactivate {ADA} <&-")
    assert (code, out) == (1, "")
    assert err.endswith("nothing was changed\n")


def test_watch_writes_each_check_at_once(stack: Stack) -> None:
    environment = {**os.environ, "TORALE_API_KEY": stack.key, "TORALE_API_URL": stack.url}
    command = [str(PROGRAM), "watch", "--interval", "600"]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE) as loop:
        assert loop.stdout is not None
        timer = threading.Timer(30, loop.kill)
        timer.start()
        assert b"UTC" in loop.stdout.readline()
        timer.cancel()
        loop.terminate()
