"""Answers that a healthy stack does not give: busy, broken, late, redirected. A stub replaces the network."""

from __future__ import annotations

import gzip
import json
import logging
import traceback
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any
from uuid import UUID

import httpx
import pytest

from conftest import ANYTHING, connect
from torale import (
    Admin,
    AsyncToraleClient,
    RateLimitError,
    ServerError,
    ToraleAPIError,
    ToraleClient,
    ToraleConnectionError,
    ToraleTimeoutError,
    UnexpectedResponseError,
    ValidationError,
)

KEY = "sk_secret_0123456789"
URL = "https://api.example.com/base"
USER = "a0000000-0000-4000-8000-000000000001"
BUSY = {"detail": "Rate limit exceeded", "retry_after": 17}
DOWN = {"detail": "Service temporarily unavailable"}

Handler = Callable[[httpx.Request], httpx.Response]


class Network:
    """Gives answers in turn, the last one repeatedly; records the requests and the pauses."""

    def __init__(self, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
        self.kind = kind
        self.requests: list[httpx.Request] = []
        self.slept: list[float] = []
        monkeypatch.setattr("torale._sync.client.sleep", self.slept.append)
        monkeypatch.setattr("torale._async.client.sleep", self._sleep)

    async def _sleep(self, seconds: float) -> None:
        self.slept.append(seconds)

    def admin(self, *answers: httpx.Response | Handler, **settings: Any) -> AbstractContextManager[Admin]:
        def handle(request: httpx.Request) -> httpx.Response:
            self.requests.append(request)
            answer = answers[min(len(self.requests), len(answers)) - 1]
            return answer if isinstance(answer, httpx.Response) else answer(request)

        return connect(self.kind, KEY, URL, transport=httpx.MockTransport(handle), **settings)


@pytest.fixture
def network(kind: str, monkeypatch: pytest.MonkeyPatch) -> Network:
    return Network(kind, monkeypatch)


def busy(seconds: object = 17) -> httpx.Response:
    return httpx.Response(429, json=BUSY, headers={"Retry-After": str(seconds)})


def down(seconds: object = 2) -> httpx.Response:
    return httpx.Response(503, json=DOWN, headers={"Retry-After": str(seconds)})


def fine(body: object = None) -> httpx.Response:
    return httpx.Response(200, json=body if body is not None else ANYTHING)


def test_request_has_the_key_and_only_given_parameters(network: Network) -> None:
    with network.admin(fine()) as admin:
        admin.get_users(active_only=True, limit=5)
        admin.get_stats()
        admin.deactivate_users([USER])
    users, stats, change = network.requests
    assert (users.method, str(users.url)) == ("GET", f"{URL}/admin/users?active_only=true&limit=5")
    assert users.headers["authorization"] == f"Bearer {KEY}"
    assert str(stats.url) == f"{URL}/admin/stats"
    assert (change.method, json.loads(change.content)) == ("POST", {"user_ids": [USER]})
    assert change.headers["content-type"] == "application/json"


def test_429_and_503_are_retried_after_the_announced_seconds(network: Network) -> None:
    with network.admin(busy(17), down(2), down(0), fine()) as admin:
        assert admin.deactivate_user(USER)["message"] == "done"
    assert network.slept == [17, 2, 0]
    assert len({str(request.url) for request in network.requests}) == 1


def test_number_of_retries_is_limited(network: Network) -> None:
    with network.admin(down(1), max_retries=2) as admin:
        with pytest.raises(ServerError, match="Service temporarily unavailable") as caught:
            admin.get_stats()
    assert (network.slept, len(network.requests)) == ([1, 1], 3)
    assert caught.value.retry_after == 1
    assert caught.value.status_code == 503


def test_total_wait_is_limited(network: Network) -> None:
    with network.admin(busy(30), busy(30), busy(1), fine(), max_wait=60) as admin:
        with pytest.raises(RateLimitError) as caught:
            admin.get_stats()
    assert network.slept == [30, 30]
    assert caught.value.retry_after == 1


@pytest.mark.parametrize("header", ["soon", "-1", "1.5", "", "Wed, 21 Oct 2026 07:28:00 GMT", "²"])
def test_without_seconds_in_retry_after_there_is_no_retry(network: Network, header: str) -> None:
    answer = httpx.Response(503, json=DOWN, headers=[(b"retry-after", header.encode())])
    with network.admin(answer) as admin:
        with pytest.raises(ServerError) as caught:
            admin.get_stats()
    assert (network.slept, caught.value.retry_after) == ([], None)


def test_reactivation_is_retried_after_429_but_not_after_503(network: Network) -> None:
    with network.admin(busy(1), down(1), fine()) as admin:
        with pytest.raises(ServerError):
            admin.reactivate_user(USER)
    assert (network.slept, len(network.requests)) == ([1], 2)


@pytest.mark.parametrize("status", [500, 502, 504])
def test_other_server_errors_are_not_retried(network: Network, status: int) -> None:
    with network.admin(httpx.Response(status, text="<h1>Bad Gateway</h1>", headers={"Retry-After": "1"})) as admin:
        with pytest.raises(ServerError, match=rf"\(HTTP {status}\)$") as caught:
            admin.get_stats()
    assert (network.slept, len(network.requests)) == ([], 1)
    assert caught.value.detail is None
    assert "Gateway" not in str(caught.value)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirects_are_not_followed(network: Network, status: int) -> None:
    with network.admin(httpx.Response(status, headers={"Location": "https://elsewhere.example.com/"})) as admin:
        with pytest.raises(UnexpectedResponseError, match="a redirect"):
            admin.deactivate_user(USER)
    assert [request.url.host for request in network.requests] == ["api.example.com"]


@pytest.mark.parametrize(
    "answer",
    [
        lambda _: httpx.Response(200, text="<html>"),
        lambda _: httpx.Response(200, text=""),
        lambda _: httpx.Response(200, text='{"users":'),
        lambda _: httpx.Response(200, text="[]"),
        lambda _: httpx.Response(200, json={"status": "ok"}),
        lambda _: httpx.Response(200, json={"detail": "users"}),
        lambda _: httpx.Response(200, text="[" * 100_000),
        lambda _: httpx.Response(200, content=b"\xff\xfe\x00"),
        lambda _: httpx.Response(204),
        lambda _: httpx.Response(404, text="no such page"),
        lambda _: httpx.Response(403, json=["detail"]),
        lambda _: httpx.Response(422, json={"detail": [{"loc": [], "msg": "?"}]}),
        lambda _: httpx.Response(418, json={}),
    ],
)
def test_answer_that_is_not_the_apis_raises_unexpected_response_error(network: Network, answer: Handler) -> None:
    with network.admin(answer) as admin:
        with pytest.raises(UnexpectedResponseError) as caught:
            admin.get_stats()
    assert caught.value.status_code == answer(network.requests[0]).status_code


def test_broken_connection_and_timeout(network: Network) -> None:
    def broken(request: httpx.Request) -> httpx.Response:
        raise httpx.RemoteProtocolError("peer closed connection", request=request)

    def late(request: httpx.Request) -> httpx.Response:
        raise httpx.ReadTimeout("", request=request)

    with network.admin(broken, late, timeout=7) as admin:
        with pytest.raises(ToraleConnectionError, match="peer closed connection"):
            admin.get_stats()
        with pytest.raises(ToraleTimeoutError, match=r"did not answer in 7 s \(ReadTimeout\)"):
            admin.get_stats()
    assert len(network.requests) == 2, "a request that may have arrived is not repeated"


def test_every_phase_has_a_timeout(network: Network) -> None:
    with network.admin(fine(), timeout=7) as admin:
        admin.get_stats()
    assert network.requests[0].extensions["timeout"] == {"connect": 7, "read": 7, "write": 7, "pool": 7}


def test_compressed_answer_is_decompressed(network: Network) -> None:
    packed = gzip.compress(json.dumps(ANYTHING).encode())
    with network.admin(httpx.Response(200, content=packed, headers={"content-encoding": "gzip"})) as admin:
        assert admin.get_stats() == ANYTHING


def test_id_may_be_a_uuid_and_a_lone_surrogate_is_refused(network: Network) -> None:
    with network.admin(fine()) as admin:
        admin.deactivate_user(UUID(USER))
        admin.reactivate_user(UUID(USER))
        admin.deactivate_users([UUID(USER), USER])
        admin.deactivate_user("\udcff")
        with pytest.raises(ValidationError, match="not valid text"):
            admin.get_audit(action="\udcff")
        with pytest.raises(ValidationError, match="not valid text"):
            admin.deactivate_users(["\udcff"])
    one, other, both, odd = network.requests
    assert (one.url.path, other.url.path) == (
        f"/base/admin/users/{USER}/deactivate",
        f"/base/admin/users/{USER}/reactivate",
    )
    assert json.loads(both.content) == {"user_ids": [USER, USER]}
    assert odd.url.raw_path == b"/base/admin/users/%3F/deactivate"


def page(*ids: str, total: int) -> httpx.Response:
    return fine({"users": [{"id": user_id} for user_id in ids], "total": total, "page": 1, "limit": 2})


def test_iteration_returns_no_row_twice_if_rows_move(network: Network) -> None:
    # After the first page a user is created, after the second one is gone.
    with network.admin(page("d", "c", total=4), page("c", "b", total=5), page(total=4)) as admin:
        assert [row["id"] for row in admin.iter_users(page_size=2)] == ["d", "c", "b"]
    assert [request.url.params["page"] for request in network.requests] == ["1", "2", "3"]


def test_iteration_ends_with_the_total(network: Network) -> None:
    with network.admin(page("b", "a", total=2)) as admin:
        assert [row["id"] for row in admin.iter_users(page_size=2)] == ["b", "a"]
    assert len(network.requests) == 1


def test_key_appears_in_no_message_log_or_repr(
    network: Network, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)

    def refused(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("refused", request=request)

    shown = []
    with network.admin(httpx.Response(401, json={"detail": "Invalid API key"}), busy(99), refused) as admin:
        for _ in range(3):
            with pytest.raises(ToraleAPIError) as caught:
                admin.get_stats()
            shown += [repr(caught.value), *traceback.format_exception(caught.value), repr(vars(caught.value))]
    with ToraleClient(KEY, URL) as client:
        shown += [repr(client), str(client), repr(client.admin), repr(vars(client))]
    shown.append(repr(AsyncToraleClient(KEY, URL)))
    shown += [caplog.text, *capfd.readouterr()]
    assert "HTTP Request" in caplog.text
    assert not [text for text in shown if KEY in text]
