"""What holds a client up or keeps it from asking: servers that dribble, settings that can't be used."""

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
    ToraleTimeoutError,
)

KEY = "sk_secret_0123456789"
URL = "https://api.example.com/base"

HEADERS = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n"
# Bytes of which gzip tells nothing until there are more.
BODIES = {"plain": b"", "gzip": b"content-encoding: gzip\r\n"}


@contextmanager
def dribbling(at_once: bytes, drop: bytes) -> Iterator[str]:
    """The URL of a server that sends something, then a drop every 50 ms until nobody listens."""
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
def test_an_answer_that_dribbles_is_cut_off(kind: str, body: str) -> None:
    start = gzip.compress(b" " * 100)[:10] if body == "gzip" else b""
    # An empty stored block of deflate is nothing but its own five bytes.
    drop = b"\x00\x00\x00\xff\xff" if body == "gzip" else b" "
    with dribbling(HEADERS + BODIES[body] + b"content-length: 9999\r\n\r\n" + start, drop) as url:
        begun = time.monotonic()
        with connect(kind, KEY, url, timeout=0.5) as admin, pytest.raises(ToraleTimeoutError):
            admin.get_stats()
        assert 0.4 < time.monotonic() - begun < 2


def test_headers_that_dribble_are_cut_off() -> None:
    with dribbling(HEADERS, b"x: y\r\n") as url:
        begun = time.monotonic()
        with connect("async", KEY, url, timeout=0.5) as admin, pytest.raises(ToraleTimeoutError):
            admin.get_stats()
        assert 0.4 < time.monotonic() - begun < 2


def test_what_is_wrong_on_this_side_is_an_exception_of_ours_too(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
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


def test_a_closed_asynchronous_client_says_so() -> None:
    async def ask() -> None:
        async with AsyncToraleClient(KEY, URL) as client:
            pass
        await client.admin.get_stats()

    with pytest.raises(ConfigurationError, match="the client is closed"):
        asyncio.run(ask())


def test_a_client_whose_constructor_failed_can_be_shown() -> None:
    assert repr(ToraleClient.__new__(ToraleClient)) == "ToraleClient(api_url=None)"
    assert repr(AsyncToraleClient.__new__(AsyncToraleClient)) == "AsyncToraleClient(api_url=None)"
