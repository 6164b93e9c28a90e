"""`torale-admin watch`: what is measured, and the thresholds above which it is pointed out."""

from __future__ import annotations

import json as jsonlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.resources import files
from time import sleep

from rich.console import Group, RenderableType
from rich.text import Text

from torale import Admin, RateLimitError, ServerError, ToraleConnectionError
from torale.cli.output import cell, count, duration, note, now, write, write_json
from torale.cli.tables import Row, table
from torale.types import Stats


@dataclass(frozen=True)
class Check:
    """The measurements of one check."""

    stats: Stats
    failed_1h: int
    errors_1h: int
    error_types: dict[str, int]

    @property
    def error_rate(self) -> float:
        """Failed executions of those that began in the last 24 hours, 0 to 1."""
        executions = self.stats["executions"]
        return executions["failed_24h"] / executions["total_24h"] if executions["total_24h"] else 0.0


@dataclass(frozen=True)
class Threshold:
    """A measure and advice for values that are too high; its name is that of its limit in thresholds.json."""

    name: str
    label: str
    measure: Callable[[Check], float]
    written: Callable[[float], str]
    advice: str

    @property
    def limit(self) -> float:
        """The value above which the measure is too high."""
        return LIMITS[self.name]

    def is_exceeded(self, check: Check) -> bool:
        """Whether the measure is above the limit."""
        return self.measure(check) > self.limit


# A share of 0 to 1, milliseconds, and executions: a copy of infra/thresholds.json.
LIMITS: Mapping[str, float] = jsonlib.loads(files("torale.cli").joinpath("thresholds.json").read_text("utf-8"))


def _whole(number: float) -> str:
    return count(int(number))


THRESHOLDS = (
    Threshold(
        "error_rate",
        "error rate, 24 h",
        lambda check: check.error_rate,
        "{:.1%}".format,
        "see the recent errors",
    ),
    Threshold(
        "avg_duration_ms",
        "average duration, 24 h",
        lambda check: check.stats["executions"]["avg_duration_ms"],
        duration,
        "see how fast the AI API answers",
    ),
    Threshold(
        "failed_executions_1h",
        "failed executions, 1 h",
        lambda check: check.failed_1h,
        _whole,
        "see the rate limits, and whether the APIs work",
    ),
    Threshold("new_errors_1h", "new errors, 1 h", lambda check: check.errors_1h, _whole, "see the error logs"),
)


def run_check(admin: Admin) -> Check:
    """Request the measurements: failed executions by their start, errors by the time they occurred."""
    stats = admin.get_stats()
    failed = admin.get_executions(status="failed", hours=1, limit=1)["total"]
    errors = admin.get_errors(hours=1, limit=1)
    return Check(stats, failed, errors["total"], errors["error_types"])


def as_json(check: Check) -> dict[str, object]:
    """A check for programs: each measure, and the names of those that are too high."""
    measures = {threshold.name: threshold.measure(check) for threshold in THRESHOLDS}
    return {
        "at": now().strftime("%Y-%m-%dT%H:%M:%SZ"),
        **measures,
        "error_types_1h": check.error_types,
        "new_users_7d": check.stats["users"]["new_7d"],
        "alerts": [threshold.name for threshold in THRESHOLDS if threshold.is_exceeded(check)],
    }


def as_table(check: Check) -> RenderableType:
    """A check for people."""
    rows: list[Row] = []
    for threshold in THRESHOLDS:
        too_high = threshold.is_exceeded(check)
        style = "bold red" if too_high else "green"
        rows.append(
            (
                cell(threshold.label),
                cell(threshold.written(threshold.measure(check)), style),
                cell(threshold.written(threshold.limit)),
                cell(f"TOO HIGH: {threshold.advice}" if too_high else "ok", style),
            )
        )
    rows.append((cell("new users, 7 d"), cell(count(check.stats["users"]["new_7d"])), cell(None), cell("")))
    shown = table(["Measure", "Now", "Alert above", "Advice"], rows, numbers=["Now", "Alert above"])
    parts: list[RenderableType] = [Text(now().strftime("%Y-%m-%d %H:%M:%S UTC"), style="bold"), shown]
    if any(threshold.is_exceeded(check) for threshold in THRESHOLDS):
        types = ", ".join(f"{name} {count(number)}" for name, number in check.error_types.items())
        parts.append(cell(f"errors in the last hour: {types or 'none'}", "yellow"))
    return Group(*parts)


def watch(admin: Admin, *, interval: int, once: bool, json: bool) -> None:
    """Check regularly. Errors that may pass are noted, and the next check follows; others are raised."""
    while True:
        try:
            check = run_check(admin)
        except (RateLimitError, ServerError, ToraleConnectionError) as error:
            if once:
                raise
            note(f"error: {error}")
        else:
            write_json(as_json(check)) if json else write(as_table(check))
        if once:
            return
        sleep(interval)
