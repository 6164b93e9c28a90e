"""What both clients share of HTTP."""

from __future__ import annotations

from collections.abc import Generator

import httpx

from torale._version import __version__
from torale.exceptions import ToraleConnectionError, ToraleTimeoutError


class BearerKey(httpx.Auth):
    """Puts the key on each request, and shows it nowhere else."""

    def __init__(self, key: str) -> None:
        self._key = key

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """Adds the header."""
        request.headers["authorization"] = f"Bearer {self._key}"
        yield request


def user_agent() -> str:
    """How the audit trail names this client."""
    return f"torale-python/{__version__}"


def connection_error(error: httpx.HTTPError, timeout: float) -> ToraleConnectionError:
    """A failure of the network as an exception of ours."""
    if isinstance(error, httpx.TimeoutException):
        return ToraleTimeoutError(f"the API did not answer in {timeout:g} s ({type(error).__name__})")
    return ToraleConnectionError(f"the API can't be reached: {str(error) or type(error).__name__}")
