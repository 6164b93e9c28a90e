"""The programs of the contract, next to the repository, run as users run them: only the key is replaced."""

from __future__ import annotations

from pathlib import Path

from programs import run
from scenario import IPHONE, PS5
from stack import ROOT, Stack

DOCUMENTED = ROOT.parent / "shared" / "contract" / "python-examples"
PLACEHOLDER = "sk_admin_..."


def program(name: str, folder: Path, key: str) -> Path:
    """A program of the contract with its key replaced."""
    text = (DOCUMENTED / name).read_text()
    assert PLACEHOLDER in text
    copy = folder / name
    copy.write_text(text.replace(PLACEHOLDER, key))
    return copy


def test_tour(stack: Stack, tmp_path: Path) -> None:
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


# The program never ends, so its second sleep ends it.
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


def test_monitor(stack: Stack, tmp_path: Path) -> None:
    printed = run(stack, "-c", TWICE, program("monitor.py", tmp_path, stack.key))
    once = [
        "Error rate: 40.0%",
        "⚠️  High error rate detected!",
        "Errors in last hour: 1",
        "Error types: {'RateLimitError': 1}",
    ]
    assert printed.splitlines() == [*once, *once, "slept [300, 300]"]
