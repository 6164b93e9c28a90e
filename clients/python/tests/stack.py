"""A local stack: `torale-local`, started and stopped as its user would."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
TARGET = ROOT / os.environ.get("CARGO_TARGET_DIR", "target")
BINARY = TARGET / "debug" / "torale-local"
READY = "Try it:"
TIMEOUT = 180.0


def free_ports(number: int) -> list[int]:
    """Ports on loopback that nothing listens on now."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(number)]
    ports = [int(each.getsockname()[1]) for each in sockets]
    for each in sockets:
        each.close()
    return ports


def listens(port: int) -> bool:
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False


class Stack:
    """A running stack that holds nothing but an admin."""

    def __init__(self, key: str, environment: Mapping[str, str] | None = None) -> None:
        assert BINARY.exists(), f"{BINARY} is missing: run `cargo build --workspace --bins`"
        self.key = key
        http, sqs, dynamodb = self.ports = free_ports(3)
        self.url = f"http://127.0.0.1:{http}"
        self._flags = ["--http-port", str(http), "--sqs-port", str(sqs), "--dynamodb-port", str(dynamodb)]
        self._log = tempfile.NamedTemporaryFile("w+", prefix="torale-local-", suffix=".log")
        self._process = subprocess.Popen(
            [BINARY, *self._flags, "--built", "--empty", "--instances", "1", "--admin-key", key],
            cwd=ROOT,
            env={**os.environ, **(environment or {})},
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=subprocess.STDOUT,
        )
        try:
            self._wait()
        except BaseException:
            self.stop()
            raise

    def _wait(self) -> None:
        end = time.monotonic() + TIMEOUT
        while READY not in (log := Path(self._log.name).read_text()):
            assert self._process.poll() is None, f"the stack did not start:\n{log}"
            assert time.monotonic() < end, f"the stack did not start in {TIMEOUT:g} s:\n{log}"
            time.sleep(0.1)

    def send(self, events: Iterable[Mapping[str, object]]) -> None:
        """Puts events on the queue; they are projected when this returns."""
        sent = subprocess.run(
            [BINARY, "send", *self._flags, "-"],
            cwd=ROOT,
            input="".join(json.dumps(event) + "\n" for event in events),
            capture_output=True,
            text=True,
            check=False,
            timeout=TIMEOUT,
        )
        assert sent.returncode == 0, sent.stderr
        assert "newly quarantined: 0; dead letters: 0" in sent.stdout, sent.stdout

    def stop(self) -> None:
        """Stops the stack and checks that none of it is left."""
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(60)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._log.close()
        assert not [port for port in self.ports if listens(port)], "something of the stack still listens"
