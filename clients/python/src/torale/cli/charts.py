"""Bar charts for the terminal."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from rich.console import Group, RenderableType
from rich.text import Text

from torale.cli.output import cell, count, duration
from torale.cli.tables import Row, table
from torale.types import Point, Series

# The width of the longest bar, in cells.
WIDTH = 40
# A cell that is filled from the left by so many eighths.
EIGHTHS = ("", "▏", "▎", "▍", "▌", "▋", "▊", "▉")
# The part of the start of a bucket that changes from bar to bar.
FORMATS = {"minute": "%m-%d %H:%M", "hour": "%m-%d %H:%M", "day": "%Y-%m-%d"}


def bar(number: int, greatest: int) -> str:
    """A bar whose length is the number's share of the greatest; at least an eighth of a cell unless it is 0."""
    if number <= 0:
        return ""
    eighths = max(1, round(number * WIDTH * 8 / greatest))
    return "█" * (eighths // 8) + EIGHTHS[eighths % 8]


def series(answer: Series) -> RenderableType:
    """A bar for each bucket, oldest first; of executions also failures and mean duration."""
    points = answer["points"]
    greatest = max((point["count"] for point in points), default=0)
    of_executions = answer["metric"] == "executions"

    def row(point: Point) -> Row:
        start = datetime.fromisoformat(point["start"].replace("Z", "+00:00"))
        shown = [cell(start.strftime(FORMATS[answer["bucket"]])), cell(count(point["count"]))]
        if of_executions:
            shown += [cell(count(point["failed"])), cell(duration(point["avg_duration_ms"]))]
        return [*shown, _coloured(point, greatest)]

    numbers = ["Count", "Failed", "Average"] if of_executions else ["Count"]
    rows = [row(point) for point in points]
    return Group(table(["From (UTC)", *numbers, ""], rows, numbers), _sum(points))


def _coloured(point: Point, greatest: int) -> Text:
    """The bar of a point; its failed part is red, at the right end."""
    whole = bar(point["count"], greatest)
    failed = len(bar(point.get("failed", 0), greatest))
    return Text.assemble((whole[: len(whole) - failed], "cyan"), (whole[len(whole) - failed :], "red"))


def _sum(points: Sequence[Point]) -> Text:
    return Text(f"{count(sum(point['count'] for point in points))} in all", style="dim")
