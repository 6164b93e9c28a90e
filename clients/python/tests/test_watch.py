"""`torale-admin watch`: alerts, and errors that it survives."""

from __future__ import annotations

import json
from datetime import datetime, timezone

import httpx
import pytest

from stack import ROOT
from test_cli import Cli, cli  # noqa: F401
from torale import AuthenticationError, NotFoundError, ServerError, ToraleClient, UnexpectedResponseError
from torale.cli import watching
from torale.cli.output import duration, when
from torale.cli.watching import THRESHOLDS, Check, watch

NAMES = [threshold.name for threshold in THRESHOLDS]


def test_limits_are_those_of_the_repository() -> None:
    defined = json.loads((ROOT / "infra" / "thresholds.json").read_text())
    assert {threshold.name: threshold.limit for threshold in THRESHOLDS} == defined


def check_with(total: int = 100, failed: int = 0, average: int = 0, failed_1h: int = 0, errors_1h: int = 0) -> Check:
    return Check(
        {
            "users": {"total": 0, "active_30d": 0, "new_7d": 7},
            "tasks": {"total": 0, "active": 0, "paused": 0},
            "executions": {
                "total_24h": total,
                "success_24h": total - failed,
                "failed_24h": failed,
                "avg_duration_ms": average,
            },
            "notifications": {"sent_24h": 0, "sent_7d": 0},
            "popular_queries": [],
        },
        failed_1h,
        errors_1h,
        {"TimeoutError": errors_1h} if errors_1h else {},
    )


@pytest.mark.parametrize(
    ("check", "alerts"),
    [
        (check_with(total=0), []),
        (check_with(failed=5, average=10_000, failed_1h=1_000, errors_1h=100), []),
        (check_with(failed=6), ["error_rate"]),
        (check_with(average=10_001), ["avg_duration_ms"]),
        (check_with(failed_1h=1_001), ["failed_executions_1h"]),
        (check_with(errors_1h=101), ["new_errors_1h"]),
        (check_with(failed=100, average=99_999, failed_1h=9_999, errors_1h=9_999), NAMES),
    ],
)
def test_values_above_their_threshold_are_alerts(check: Check, alerts: list[str]) -> None:
    assert watching.as_json(check)["alerts"] == alerts
    assert [threshold.name for threshold in THRESHOLDS if threshold.is_exceeded(check)] == alerts


def test_check_of_a_real_stack(cli: Cli) -> None:  # noqa: F811
    seen = cli("watch", "--once", "--json").json()
    assert {name: seen[name] for name in (*NAMES, "error_types_1h", "new_users_7d", "alerts")} == {
        "error_rate": 0.4,
        "avg_duration_ms": 10_250,
        "failed_executions_1h": 1,
        "new_errors_1h": 1,
        "error_types_1h": {"RateLimitError": 1},
        "new_users_7d": 1,
        "alerts": ["error_rate", "avg_duration_ms"],
    }
    shown = cli("watch", "--once")
    rows = {row.split("  ")[0]: row for row in shown.out.splitlines()}
    assert "40.0%" in rows["error rate, 24 h"]
    assert "TOO HIGH: see the recent errors" in rows["error rate, 24 h"]
    assert "TOO HIGH" in rows["average duration, 24 h"]
    assert rows["failed executions, 1 h"].endswith("ok")
    assert rows["new errors, 1 h"].endswith("ok")
    assert "errors in the last hour: RateLimitError 1" in rows
    assert "\x1b" not in shown.out


class Rounds:
    """Replaces sleep: takes no time, and ends the loop after some rounds."""

    def __init__(self, rounds: int) -> None:
        self.slept: list[float] = []
        self.rounds = rounds

    def __call__(self, seconds: float) -> None:
        self.slept.append(seconds)
        if len(self.slept) == self.rounds:
            raise KeyboardInterrupt


def test_watch_goes_on_until_it_is_interrupted(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: F811
    rounds = Rounds(3)
    monkeypatch.setattr(watching, "sleep", rounds)
    ended = cli("watch", "--interval", "7", "--json")
    assert (ended.code, ended.err, rounds.slept) == (130, "", [7, 7, 7])
    assert [json.loads(line)["error_rate"] for line in ended.out.splitlines()] == [0.4] * 3
    assert cli("watch", "--interval", "0").code == 2


def stub(stats: httpx.Response) -> ToraleClient:
    """A client of an API that always gives this answer."""
    transport = httpx.MockTransport(lambda _: stats)
    return ToraleClient("sk_0123456789", "https://api.example.com", transport=transport, max_retries=0)


def test_watch_survives_errors_that_may_pass(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    rounds = Rounds(2)
    monkeypatch.setattr(watching, "sleep", rounds)
    with stub(httpx.Response(503, json={"detail": "Service temporarily unavailable"})) as client:
        with pytest.raises(KeyboardInterrupt):
            watch(client.admin, interval=300, once=False, json=False)
        assert capsys.readouterr() == ("", "error: Service temporarily unavailable (HTTP 503)\n" * 2)
        with pytest.raises(ServerError):
            watch(client.admin, interval=300, once=True, json=False)
    for answer, error in (
        (httpx.Response(401, json={"detail": "Invalid API key"}), AuthenticationError),
        (httpx.Response(404, json={"detail": "Not Found"}), NotFoundError),
        (httpx.Response(200, json={"status": "ok"}), UnexpectedResponseError),
    ):
        with stub(answer) as client, pytest.raises(error):
            watch(client.admin, interval=300, once=False, json=False)
    assert rounds.slept == [300, 300]


@pytest.mark.parametrize(
    ("milliseconds", "written"),
    [(None, "-"), (0, "0 ms"), (999, "999 ms"), (1_000, "1.0 s"), (59_900, "59.9 s"), (125_400, "2 min 5 s")],
)
def test_durations(milliseconds: int | None, written: str) -> None:
    assert duration(milliseconds) == written


@pytest.mark.parametrize(
    ("time", "written"),
    [
        (None, "-"),
        ("2026-03-01T12:00:00Z", "0 s ago"),
        ("2026-03-01T11:59:00.500Z", "59 s ago"),
        ("2026-03-01T11:01:00Z", "59 min ago"),
        ("2026-03-01T14:30:00Z", "in 2 h"),
        ("2026-02-28T12:00:01Z", "23 h ago"),
        ("2026-02-28T12:00:00Z", "2026-02-28 12:00"),
        ("2026-03-05T09:00:00Z", "2026-03-05 09:00"),
    ],
)
def test_times(time: str | None, written: str) -> None:
    assert when(time, datetime(2026, 3, 1, 12, tzinfo=timezone.utc)) == written
