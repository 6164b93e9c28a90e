"""The dashboard loop: what is measured, and above which values it is pointed out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from time import sleep

from rich.console import Group, RenderableType
from rich.text import Text

from torale import Admin, RateLimitError, ServerError, ToraleConnectionError
from torale.cli.output import cell, count, duration, note, now, write, write_json
from torale.cli.tables import Row, table
from torale.types import Stats


@dataclass(frozen=True)
class Look:
    """One look at the platform."""

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
    """A measure, the value above which it is too high, and where to look then."""

    name: str
    label: str
    limit: float
    measure: Callable[[Look], float]
    written: Callable[[float], str]
    advice: str

    def is_exceeded(self, look: Look) -> bool:
        """Whether the measure is above the limit."""
        return self.measure(look) > self.limit


def _whole(number: float) -> str:
    return count(int(number))


THRESHOLDS = (
    Threshold(
        "error_rate",
        "error rate, 24 h",
        0.05,
        lambda look: look.error_rate,
        "{:.1%}".format,
        "see the recent errors",
    ),
    Threshold(
        "avg_duration_ms",
        "average duration, 24 h",
        10_000,
        lambda look: look.stats["executions"]["avg_duration_ms"],
        duration,
        "see how fast the AI API answers",
    ),
    Threshold(
        "failed_executions_1h",
        "failed executions, 1 h",
        1_000,
        lambda look: look.failed_1h,
        _whole,
        "see the rate limits, and whether the APIs work",
    ),
    Threshold("new_errors_1h", "new errors, 1 h", 100, lambda look: look.errors_1h, _whole, "see the error logs"),
)


def look(admin: Admin) -> Look:
    """Ask for all that is measured: failures by their start, errors by the time they came up."""
    stats = admin.get_stats()
    failed = admin.get_executions(status="failed", hours=1, limit=1)["total"]
    errors = admin.get_errors(hours=1, limit=1)
    return Look(stats, failed, errors["total"], errors["error_types"])


def as_json(looked: Look) -> dict[str, object]:
    """A look for machines: each measure, and the names of those that are too high."""
    measures = {threshold.name: threshold.measure(looked) for threshold in THRESHOLDS}
    return {
        "at": now().strftime("%Y-%m-%dT%H:%M:%SZ"),
        **measures,
        "error_types_1h": looked.error_types,
        "new_users_7d": looked.stats["users"]["new_7d"],
        "alerts": [threshold.name for threshold in THRESHOLDS if threshold.is_exceeded(looked)],
    }


def as_table(looked: Look) -> RenderableType:
    """A look for people."""
    rows: list[Row] = []
    for threshold in THRESHOLDS:
        too_high = threshold.is_exceeded(looked)
        style = "bold red" if too_high else "green"
        rows.append(
            (
                cell(threshold.label),
                cell(threshold.written(threshold.measure(looked)), style),
                cell(threshold.written(threshold.limit)),
                cell(f"TOO HIGH: {threshold.advice}" if too_high else "ok", style),
            )
        )
    rows.append((cell("new users, 7 d"), cell(count(looked.stats["users"]["new_7d"])), cell(None), cell("")))
    shown = table(["Measure", "Now", "Alert above", "Advice"], rows, numbers=["Now", "Alert above"])
    parts: list[RenderableType] = [Text(now().strftime("%Y-%m-%d %H:%M:%S UTC"), style="bold"), shown]
    if any(threshold.is_exceeded(looked) for threshold in THRESHOLDS):
        types = ", ".join(f"{name} {count(number)}" for name, number in looked.error_types.items())
        parts.append(cell(f"errors in the last hour: {types or 'none'}", "yellow"))
    return Group(*parts)


def watch(admin: Admin, *, interval: int, once: bool, json: bool) -> None:
    """Look, and look again. What passes by itself is noted and waited out; anything else ends it."""
    while True:
        try:
            looked = look(admin)
        except (RateLimitError, ServerError, ToraleConnectionError) as error:
            if once:
                raise
            note(f"error: {error}")
        else:
            write_json(as_json(looked)) if json else write(as_table(looked))
        if once:
            return
        sleep(interval)
