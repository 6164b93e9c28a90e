"""The alarms about what the platform does have the limits of infra/thresholds.json; their
descriptions and docs/operations.md name the same numbers.
"""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

LIMITS = json.loads((Path(__file__).parent.parent / "thresholds.json").read_text())


class Measure(NamedTuple):
    """How a limit appears elsewhere: the name of its alarm, the value of the metric, and the words."""

    alarm: str
    metric: Callable[[float], float]
    words: Callable[[float], str]


def count(alarm: str) -> Measure:
    return Measure(alarm, lambda number: number, lambda number: f"{number:,}")


MEASURES = {
    # The metric is a percentage with two decimals.
    "error_rate": Measure("ErrorRate", lambda share: round(share * 100, 2), lambda share: f"{share * 100:g} %"),
    "avg_duration_ms": Measure("AvgDuration", lambda ms: ms, lambda ms: f"{ms / 1000:g} s"),
    "failed_executions_1h": count("FailedExecutions"),
    "new_errors_1h": count("NewErrors"),
}


def names(text: str, beginning: str, words: str) -> bool:
    """Whether a text has a number, in these words and as a whole, after a beginning."""
    return re.search(re.escape(f"{beginning}{words}") + r"(?![\d.,]*\d)", text, re.IGNORECASE) is not None


def findings(template: dict) -> list[str]:
    """Alarms whose threshold or description differs from the limit."""
    found = []
    if LIMITS.keys() != MEASURES.keys():
        found.append(f"thresholds.json and thresholds.py differ: {sorted(LIMITS.keys() ^ MEASURES.keys())}")
    for name in LIMITS.keys() & MEASURES.keys():
        limit, measure = LIMITS[name], MEASURES[name]
        alarm = template["Resources"][f"{measure.alarm}Alarm"]["Properties"]
        wanted, words = measure.metric(limit), measure.words(limit)
        if alarm["Threshold"] != wanted:
            found.append(f"{measure.alarm}Alarm: the threshold is {alarm['Threshold']}, by thresholds.json {wanted}")
        if not names(alarm["AlarmDescription"], "more than ", words):
            found.append(f"{measure.alarm}Alarm: the description does not say: more than {words}")
    return found


def documented(operations: str) -> list[str]:
    """Alarms whose limit the table of alarms in docs/operations.md does not name."""
    pairs = [(MEASURES[name].alarm, MEASURES[name].words(LIMITS[name])) for name in LIMITS.keys() & MEASURES.keys()]
    return [
        f"docs/operations.md does not say: {alarm} (> {words}"
        for alarm, words in pairs
        if not names(operations, f"{alarm} (> ", words)
    ]


def _set(name: str, key: str, value):
    def worsen(resources: dict) -> None:
        resources[name]["Properties"][key] = value

    return worsen


# Each of these must be noticed.
WORSE = [
    ("an error rate that is a share", _set("ErrorRateAlarm", "Threshold", 0.05)),
    ("a duration in seconds", _set("AvgDurationAlarm", "Threshold", 10)),
    ("another number of failures", _set("FailedExecutionsAlarm", "Threshold", 100)),
    ("another number of errors", _set("NewErrorsAlarm", "Threshold", 1000)),
    ("a description of another number", _set("NewErrorsAlarm", "AlarmDescription", "More than 100,000 failed")),
]
