"""The client: key, connection, time limits, retries."""

from __future__ import annotations

from time import sleep
from types import TracebackType
from typing import TypeVar, cast

import httpx

from torale._answers import Patience
from torale._config import resolve
from torale._endpoints import Call
from torale._http import BearerKey, exchange, setting_up, user_agent
from torale._sync.admin import Admin
from torale.exceptions import ConfigurationError, ValidationError

T = TypeVar("T")


class ToraleClient:
    """A client of Torale's admin API; `admin` has its endpoints.

    Key and URL come from the arguments, else from `TORALE_API_KEY` and `TORALE_API_URL`, else from
    `~/.torale/config.json`. There is no default URL. Plain `http` is for this machine only. Redirects are not followed.

    Args:
        api_key: An API key (`sk_...`) or a session token of an admin's.
        api_url: Where the API is, without `/admin`: `https://api.example.com`.
        timeout: Seconds that connecting, sending and waiting for the next bytes may take each. `AsyncToraleClient`
            gives a whole try no more than that; `ToraleClient` looks at it whenever bytes of the body come in.
        max_retries: How often a call is tried again after a 429 or 503.
        max_wait: Seconds that a call may wait for its next tries, all together; where the API asks for more, the
            error is raised at once.
        transport: What carries the requests, in place of the network: for tests.

    Raises:
        ConfigurationError: Key or URL is missing, malformed or can't be read, or the environment's proxies or
            certificates can't be used.
    """

    def __init__(
        self,
        api_key: str | None = None,
        api_url: str | None = None,
        *,
        timeout: float = 30.0,
        max_retries: int = 3,
        max_wait: float = 70.0,
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
                # A proxy would see an unencrypted key.
                trust_env=settings.encrypted,
                transport=transport,
            )
        self.admin = Admin(self._send)

    def __repr__(self) -> str:
        # A debugger may ask for one whose constructor has failed.
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
        patience = Patience(self._max_retries, self._max_wait)
        while True:
            answer = exchange(self._http, self._request(call), self._timeout)
            pause = patience.pause(answer, repeatable=call.repeatable)
            if pause is None:
                return cast("T", answer.read(call.keys))
            sleep(pause)

    def _request(self, call: Call[T]) -> httpx.Request:
        try:
            return self._http.build_request(call.method, self._url + call.path, params=call.query(), json=call.body)
        except UnicodeError:
            raise ValidationError("an argument holds what is no text: a lone surrogate") from None
