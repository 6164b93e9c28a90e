"""The programs of `examples`, as users run them."""

from __future__ import annotations

from pathlib import Path

from programs import run
from scenario import IPHONE, PS5
from stack import Stack

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"


def test_every_example_has_a_test() -> None:
    assert {path.name for path in EXAMPLES.iterdir()} == {"report.py", "idle_users.py", "failing_tasks.py"}


def test_report_prints_the_numbers_of_the_scenario(stack: Stack) -> None:
    assert run(stack, EXAMPLES / "report.py").splitlines() == [
        "4 users, 1 of them new this week",
        "2 failures today",
        "  RateLimitError: 1",
        "  TimeoutError: 1",
        f"fails most: {PS5} (0% succeed)",
    ]


def test_failing_tasks_lists_those_with_the_most_frequent_error(stack: Stack) -> None:
    assert run(stack, EXAMPLES / "failing_tasks.py").splitlines() == [
        # Of types with equal counts the API names the first by name first.
        "RateLimitError: 1 of 2 failures",
        f"1: {IPHONE} (ada@example.com, 75% succeed)",
    ]


def test_idle_users_lists_active_users_without_a_recent_login(stack: Stack) -> None:
    def idle(days: int) -> list[str]:
        lines = run(stack, EXAMPLES / "idle_users.py", str(days)).splitlines()
        # The stack's own admin has never logged in.
        return [line.split()[0] for line in lines if not line.startswith("admin@")]

    assert idle(1) == ["bob@example.com", "ada@example.com"]
    assert idle(60) == []
