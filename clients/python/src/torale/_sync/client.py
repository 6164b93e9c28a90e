"""The client: key, connection, time limits, retries."""

from __future__ import annotations

from time import sleep
from types import TracebackType
from typing import TypeVar, cast

import httpx

from torale._answers import RetryBudget
from torale._config import resolve
from torale._endpoints import Call
from torale._http import BearerKey, environment_proxy, exchange, setting_up, user_agent
from torale._sync.admin import Admin
from torale.exceptions import ConfigurationError, ValidationError

T = TypeVar("T")


class ToraleClient:
    """A client of Torale's admin API; `admin` has its endpoints.

    Key and URL come from the arguments, else from `TORALE_API_KEY` and `TORALE_API_URL`, else from
    `~/.torale/config.json`. There is no default URL. Plain `http` is accepted for this machine only.
    Redirects are not followed.

    Args:
        api_key: An admin's API key (`sk_...`) or session token.
        api_url: The base URL of the API, without `/admin`: `https://api.example.com`.
        timeout: Seconds for each of connecting, sending and waiting for the next bytes.
            `AsyncToraleClient` also limits a whole attempt to it; `ToraleClient` checks the time of
            a whole attempt whenever bytes of the body arrive.
        max_retries: How often a call is retried after a 429 or 503.
        max_wait: Seconds that a call may wait for all its retries; if the API demands more, the
            error is raised at once.
        transport: Replaces the network, in tests.

    Raises:
        ConfigurationError: Key or URL is missing, malformed or can't be read, or the environment's
            proxies or certificates can't be used.
    """

    def __init__(
        self,
        api_key: str | None = None,
        api_url: str | None = None,
        *,
        timeout: float = 30.0,
        max_retries: int = 3,
        max_wait: float = 100.0,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        settings = resolve(api_key, api_url)
        self._url = settings.api_url
        self._timeout = timeout
        self._max_retries = max_retries
        self._max_wait = max_wait
        with setting_up():
            self._http = httpx.Client(
                auth=BearerKey(settings.api_key),
                headers={"accept": "application/json", "user-agent": user_agent()},
                timeout=timeout,
                follow_redirects=False,
                trust_env=settings.encrypted,
                transport=transport
                or httpx.HTTPTransport(
                    trust_env=settings.encrypted,
                    # A proxy would see an unencrypted key.
                    proxy=environment_proxy(settings.api_url) if settings.encrypted else None,
                ),
            )
        self.admin = Admin(self._send)

    def __repr__(self) -> str:
        # Works also if the constructor has failed: a debugger may show the object.
        return f"{type(self).__name__}(api_url={getattr(self, '_url', None)!r})"

    def __enter__(self) -> ToraleClient:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Closes the connections."""
        self._http.close()

    def _send(self, call: Call[T]) -> T:
        if self._http.is_closed:
            raise ConfigurationError("the client is closed")
        budget = RetryBudget(self._max_retries, self._max_wait)
        while True:
            answer = exchange(self._http, self._request(call), self._timeout)
            pause = budget.pause(answer, repeatable=call.repeatable)
            if pause is None:
                return cast("T", answer.read(call.keys))
            sleep(pause)

    def _request(self, call: Call[T]) -> httpx.Request:
        try:
            return self._http.build_request(call.method, self._url + call.path, params=call.query(), json=call.body)
        except UnicodeError:
            raise ValidationError("an argument is not valid text: it holds a lone surrogate") from None
