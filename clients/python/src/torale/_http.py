"""The HTTP code that both clients share."""

from __future__ import annotations

import asyncio
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from time import monotonic
from urllib.request import getproxies, proxy_bypass

import httpx

from torale._answers import Answer
from torale._version import __version__
from torale.exceptions import ConfigurationError, ToraleConnectionError, ToraleTimeoutError


class BearerKey(httpx.Auth):
    """Adds the key to each request and shows it nowhere else."""

    def __init__(self, key: str) -> None:
        self._key = key

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """Adds the header."""
        request.headers["authorization"] = f"Bearer {self._key}"
        yield request


def user_agent() -> str:
    """The name of this client in the audit trail."""
    return f"torale-python/{__version__}"


def environment_proxy(url: str) -> str | None:
    """The proxy that the environment (or the system) sets for a URL; None if there is none.

    The HTTP library does the same, but fails on entries of `NO_PROXY` that it can't parse, such as
    an IPv6 address in brackets.
    """
    proxies, target = getproxies(), httpx.URL(url)
    not_for = [entry.strip() for entry in proxies.get("no", "").split(",")]
    # `NO_PROXY` may have an IPv6 address with or without brackets.
    if "*" in not_for or proxy_bypass(target.netloc.decode()) or proxy_bypass(target.host):
        return None
    proxy = proxies.get(target.scheme) or proxies.get("all")
    return proxy if not proxy or "://" in proxy else f"http://{proxy}"


@contextmanager
def setting_up() -> Iterator[None]:
    """Turns errors of setting up the HTTP library, which reads the environment, into ours."""
    try:
        yield
    except (ImportError, OSError, ValueError, httpx.InvalidURL) as error:
        # The error's text may contain a proxy's password.
        reason = f"{type(error).__name__}: are its proxies and SSL_CERT_FILE right?"
        raise ConfigurationError(f"the environment's network settings can't be used ({reason})") from None


@contextmanager
def _exchanging(timeout: float) -> Iterator[None]:
    """Turns errors of the network into ours."""
    try:
        yield
    except (httpx.TimeoutException, asyncio.TimeoutError) as error:
        raise ToraleTimeoutError(f"the API did not answer in {timeout:g} s ({type(error).__name__})") from error
    except httpx.HTTPError as error:
        raise ToraleConnectionError(f"the API can't be reached: {str(error) or type(error).__name__}") from error
    except UnicodeError as error:
        raise ConfigurationError(f"the proxy's host can't be looked up: {error}") from error


async def exchange_async(http: httpx.AsyncClient, request: httpx.Request, timeout: float) -> Answer:
    """One attempt of at most `timeout` seconds, however slowly the server sends."""
    with _exchanging(timeout):
        response = await asyncio.wait_for(http.send(request), timeout)
        return Answer(response.status_code, response.headers, response.content)


def exchange(http: httpx.Client, request: httpx.Request, timeout: float) -> Answer:
    """One attempt. A read can't be interrupted: the time is checked whenever bytes of the body arrive."""
    deadline = monotonic() + timeout
    with _exchanging(timeout):
        response = http.send(request, stream=True)
        if response.is_stream_consumed:
            # A transport for tests may return a complete response.
            return Answer(response.status_code, response.headers, response.content)
        body = bytearray()
        try:
            # Raw bytes: decompressed ones may be held back for long.
            for chunk in response.iter_raw():
                body += chunk
                if monotonic() > deadline:
                    raise ToraleTimeoutError(f"no complete answer after {timeout:g} s")
        finally:
            response.close()
        # Another response object decompresses the body.
        whole = httpx.Response(response.status_code, headers=response.headers, content=bytes(body), request=request)
        return Answer(whole.status_code, whole.headers, whole.content)
