"""Two stacks for the whole run: one is only read, in the other users are deactivated."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager
from inspect import isawaitable
from pathlib import Path
from typing import Any, cast

import pytest

import scenario
from stack import Stack
from torale import Admin, AsyncToraleClient, ToraleClient, _endpoints, types

KEY = "sk_client_0123456789_0123456789"
PER_MINUTE = 40
# An answer that every method accepts: all keys of all answers.
CHANGES = types.Deactivated.__required_keys__ | types.DeactivationResults.__required_keys__
LISTS = [each for each in vars(_endpoints).values() if isinstance(each, _endpoints.Listing)]
DETAILS = (types.ExecutionDetail, types.TaskDetail, types.UserDetail, types.Series)
PLAIN = (_endpoints.STATS, _endpoints.HEALTH, _endpoints.OPENAPI)
CALLS = {key for call in PLAIN for key in call.keys}.union(*(detail.__required_keys__ for detail in DETAILS))
KEYS = {key for listing in LISTS for key in listing.keys} | CHANGES | CALLS
ANYTHING: dict[str, Any] = {**{key: [] for key in KEYS}, "total": 0, "message": "done"}


@pytest.fixture(autouse=True)
def no_configuration(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The developer's own configuration must not reach a test."""
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("TORALE_API_KEY", "TORALE_API_URL", "COLUMNS", "FORCE_COLOR", "NO_COLOR", "PYTHONUNBUFFERED"):
        monkeypatch.delenv(name, raising=False)


def _stack(**environment: str) -> Iterator[Stack]:
    stack = Stack(KEY, environment)
    try:
        yield stack
    finally:
        stack.stop()


@pytest.fixture(scope="session")
def stack() -> Iterator[Stack]:
    """A stack with the scenario, which no test changes."""
    for stack in _stack(TEMPORAL_UI_URL="https://temporal.example.com", TEMPORAL_NAMESPACE="torale"):
        stack.send(scenario.events())
        yield stack


@pytest.fixture(scope="session")
def changing(stack: Stack) -> Iterator[Stack]:
    """A stack to change, with a low limit; started after the other, which may have to install the queue."""
    yield from _stack(RATE_LIMIT_PER_MINUTE=str(PER_MINUTE))


class Blocking:
    """An asynchronous client, called like the synchronous one."""

    def __init__(self, client: AsyncToraleClient) -> None:
        self._client = client
        self._loop = asyncio.new_event_loop()

    def __getattr__(self, name: str) -> Callable[..., Any]:
        def call(*args: object, **kwargs: object) -> Any:
            result = getattr(self._client.admin, name)(*args, **kwargs)
            return self._run(result if isawaitable(result) else self._all(result))

        return call

    def _run(self, awaitable: Awaitable[Any]) -> Any:
        return self._loop.run_until_complete(awaitable)

    @staticmethod
    async def _all(rows: AsyncIterator[object]) -> list[object]:
        return [row async for row in rows]

    def close(self) -> None:
        self._run(self._client.aclose())
        self._loop.close()


@contextmanager
def connect(kind: str, key: str, url: str, **settings: Any) -> Iterator[Admin]:
    """A client of either kind."""
    if kind == "sync":
        with ToraleClient(key, url, **settings) as client:
            yield client.admin
        return
    blocking = Blocking(AsyncToraleClient(key, url, **settings))
    try:
        yield cast("Admin", blocking)
    finally:
        blocking.close()


@pytest.fixture(params=["sync", "async"])
def kind(request: pytest.FixtureRequest) -> str:
    """Tests run with both clients."""
    return str(request.param)


@pytest.fixture
def admin(stack: Stack, kind: str) -> Iterator[Admin]:
    """An admin of the stack that no test changes."""
    with connect(kind, stack.key, stack.url) as admin:
        yield admin
