"""The programs of `examples`, and the documented ones where they lie beside the repository, as users run them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from scenario import IPHONE, PS5
from stack import ROOT, Stack

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"
DOCUMENTED = ROOT.parent / "shared" / "contract" / "python-examples"
PLACEHOLDER = "sk_admin_..."

if_documented = pytest.mark.skipif(
    not DOCUMENTED.is_dir(), reason="the contract's programs do not lie beside this repository"
)


def program(name: str, folder: Path, key: str) -> Path:
    """A documented program with the key put in."""
    text = (DOCUMENTED / name).read_text()
    assert PLACEHOLDER in text
    copy = folder / name
    copy.write_text(text.replace(PLACEHOLDER, key))
    return copy


def run(stack: Stack, *arguments: str | Path) -> str:
    """What a program prints, run as its user would."""
    settings = {"TORALE_API_URL": stack.url, "TORALE_API_KEY": stack.key}
    environment = {**os.environ, **settings, "PYTHONIOENCODING": "utf-8"}
    command = [sys.executable, *arguments]
    ran = subprocess.run(command, env=environment, capture_output=True, encoding="utf-8", timeout=60, check=False)
    assert (ran.returncode, ran.stderr) == (0, "")
    return ran.stdout


def test_every_example_is_tried() -> None:
    assert {path.name for path in EXAMPLES.iterdir()} == {"report.py", "idle_users.py"}


def test_the_report(stack: Stack) -> None:
    assert run(stack, EXAMPLES / "report.py").splitlines() == [
        "4 users, 1 of them new this week",
        "2 failures today",
        "  RateLimitError: 1",
        "  TimeoutError: 1",
        f"fails most: {PS5} (0% succeed)",
    ]


def test_idle_users(stack: Stack) -> None:
    def idle(days: int) -> list[str]:
        lines = run(stack, EXAMPLES / "idle_users.py", str(days)).splitlines()
        # The stack's own admin has never logged in.
        return [line.split()[0] for line in lines if not line.startswith("admin@")]

    assert idle(1) == ["bob@example.com", "ada@example.com"]
    assert idle(60) == []


@if_documented
def test_the_tour(stack: Stack, tmp_path: Path) -> None:
    printed = run(stack, program("tour.py", tmp_path, stack.key))
    lines = printed.replace("too\nmany", "too many").splitlines()
    assert lines[:8] == [
        "Total users: 4",
        "Active tasks: 2",
        "Error: too many",
        "User: ada@example.com",
        "Will retry: True",
        "Error: The search did not finish",
        "User: bob@example.com",
        "Will retry: False",
    ]
    assert lines[8:14] == [
        f"Query: {IPHONE}",
        "Tasks: 3",
        "Success rate: 75.0%",
        f"Query: {PS5}",
        "Tasks: 2",
        "Success rate: 0.0%",
    ]
    assert lines[17:20] == [
        "Workflow: task-3",
        "Status: RUNNING",
        "Temporal UI: https://temporal.example.com/namespaces/torale/workflows/task-3/run-1/history",
    ]
    assert len(lines) == 26


# The program has no end: its second sleep is made one.
TWICE = """
import runpy, sys, time
slept = []
def sleep(seconds):
    slept.append(seconds)
    if len(slept) == 2:
        print("slept", slept)
        sys.exit()
time.sleep = sleep
runpy.run_path(sys.argv[1])
"""


@if_documented
def test_the_monitor(stack: Stack, tmp_path: Path) -> None:
    printed = run(stack, "-c", TWICE, program("monitor.py", tmp_path, stack.key))
    once = [
        "Error rate: 40.0%",
        "⚠️  High error rate detected!",
        "Errors in last hour: 1",
        "Error types: {'RateLimitError': 1}",
    ]
    assert printed.splitlines() == [*once, *once, "slept [300, 300]"]
