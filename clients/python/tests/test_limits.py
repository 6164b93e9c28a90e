"""Slow servers, and settings with which no request can be sent."""

from __future__ import annotations

import asyncio
import gzip
import socket
import threading
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import pytest

from conftest import connect
from torale import (
    AsyncToraleClient,
    ConfigurationError,
    ToraleAPIError,
    ToraleClient,
    ToraleConnectionError,
    ToraleTimeoutError,
)
from torale._http import environment_proxy

KEY = "sk_secret_0123456789"
URL = "https://api.example.com/base"

HEADERS = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n"
# With gzip the first bytes give no text.
BODIES = {"plain": b"", "gzip": b"content-encoding: gzip\r\n"}


@contextmanager
def slow_server(at_once: bytes, drop: bytes) -> Iterator[str]:
    """The URL of a server that sends some bytes, then a few more every 50 ms until the client leaves."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            connection, _ = server.accept()
            with connection, suppress(OSError):
                connection.sendall(at_once)
                while True:
                    connection.sendall(drop)
                    time.sleep(0.05)

        thread = threading.Thread(target=serve)
        thread.start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}"
        thread.join(10)
        assert not thread.is_alive(), "the connection is still open"


@pytest.mark.parametrize("body", BODIES)
def test_slow_body_times_out(kind: str, body: str) -> None:
    start = gzip.compress(b" " * 100)[:10] if body == "gzip" else b""
    # An empty stored block of deflate: five bytes without any text.
    drop = b"\x00\x00\x00\xff\xff" if body == "gzip" else b" "
    with slow_server(HEADERS + BODIES[body] + b"content-length: 9999\r\n\r\n" + start, drop) as url:
        with connect(kind, KEY, url, timeout=0.5) as admin, pytest.raises(ToraleTimeoutError):
            admin.get_stats()


def test_slow_headers_time_out() -> None:
    with slow_server(HEADERS, b"x: y\r\n") as url:
        with connect("async", KEY, url, timeout=0.5) as admin, pytest.raises(ToraleTimeoutError):
            admin.get_stats()


def test_unusable_network_settings_raise_configuration_error(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as context:
        context.setenv("HTTPS_PROXY", "http://..")
        with connect(kind, KEY, URL) as admin, pytest.raises(ToraleAPIError):
            admin.get_stats()
    with connect(kind, KEY, URL) as admin:
        pass
    if kind == "sync":
        with pytest.raises(ConfigurationError, match="the client is closed"):
            admin.get_stats()
    for name, value in (
        ("HTTPS_PROXY", "socks5://user:secret@proxy.example.com:1080"),
        ("HTTPS_PROXY", "gopher://user:secret@proxy.example.com"),
        ("HTTPS_PROXY", "http://user:secret@proxy.example.com:port"),
        ("SSL_CERT_FILE", "/nowhere/at/all.pem"),
    ):
        with monkeypatch.context() as context:
            context.setenv(name, value)
            with pytest.raises(ConfigurationError, match="network settings can't be used") as caught:
                ToraleClient(KEY, URL) if kind == "sync" else AsyncToraleClient(KEY, URL)
            assert "secret" not in "".join(traceback.format_exception(caught.value))


@pytest.fixture
def no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


PROXY, ANY = "http://proxy.example.com:3128", "https://api.example.com"


@pytest.mark.parametrize(
    ("url", "environment", "proxy"),
    [
        (ANY, {}, None),
        (ANY, {"HTTPS_PROXY": PROXY}, PROXY),
        (ANY, {"ALL_PROXY": PROXY}, PROXY),
        (ANY, {"HTTP_PROXY": PROXY}, None),
        (ANY, {"HTTPS_PROXY": "proxy.example.com:3128"}, PROXY),
        (ANY, {"HTTPS_PROXY": PROXY, "NO_PROXY": "localhost,[::1]"}, PROXY),
        (ANY, {"HTTPS_PROXY": PROXY, "NO_PROXY": "localhost, example.com"}, None),
        (ANY, {"HTTPS_PROXY": PROXY, "NO_PROXY": "*"}, None),
        (ANY, {"HTTPS_PROXY": PROXY, "NO_PROXY": "localhost,*"}, None),
        ("https://[::1]:8443", {"HTTPS_PROXY": PROXY, "NO_PROXY": "localhost,[::1]"}, None),
        ("https://[::1]", {"HTTPS_PROXY": PROXY, "NO_PROXY": "::1"}, None),
        ("https://[::2]", {"HTTPS_PROXY": PROXY, "NO_PROXY": "localhost,[::1]"}, PROXY),
    ],
)
@pytest.mark.usefixtures("no_proxies")
def test_proxy_of_the_environment(
    monkeypatch: pytest.MonkeyPatch, url: str, environment: dict[str, str], proxy: str | None
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert environment_proxy(url) == proxy


@pytest.mark.usefixtures("no_proxies")
def test_no_proxy_may_name_an_ipv6_address_in_brackets(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "localhost,[::1]")
    with connect(kind, KEY, "https://[::1]:9") as admin, pytest.raises(ToraleConnectionError):
        admin.get_stats()


def test_closed_asynchronous_client_raises_configuration_error() -> None:
    async def ask() -> None:
        async with AsyncToraleClient(KEY, URL) as client:
            pass
        await client.admin.get_stats()

    with pytest.raises(ConfigurationError, match="the client is closed"):
        asyncio.run(ask())


def test_client_without_a_finished_constructor_has_a_repr() -> None:
    assert repr(ToraleClient.__new__(ToraleClient)) == "ToraleClient(api_url=None)"
    assert repr(AsyncToraleClient.__new__(AsyncToraleClient)) == "AsyncToraleClient(api_url=None)"
