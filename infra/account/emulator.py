"""The emulator of AWS (ministack) as a process of its own, on free ports of loopback, all its state in one folder."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import faults
import record

REGION = "us-east-1"
ACCOUNT = "000000000000"
# Credentials of the account's root, for which no policy is asked.
ROOT_KEYS = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}
# How much of the time that it says the state machine waits: see machinery.rebuild.
WAITING = 0.02
STARTING_SECONDS = 60
STOPPING_SECONDS = 10
# Nothing of the caller's own account may reach the emulator, its functions or the tools that are started here.
FOREIGN = (
    "AWS_",
    "CLERK_",
    "TEMPORAL_",
    "TORALE_",
    "COMMANDS_",
    "AUDIT_",
    "RATE_LIMIT_",
    "RUST_LOG",
    "LAMBDA_",
    "SFN_",
)


class NotStartedError(Exception):
    """The emulator did not start; the text is the end of its log."""


def free_port() -> int:
    """A port of loopback that nothing listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def environment(port: int, folder: Path, *, hurried: bool = True) -> dict[str, str]:
    """The environment of the emulator, and of whatever else is to reach it. Hurried, state machines hardly wait."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(FOREIGN)}
    return inherited | ROOT_KEYS | {
        "AUTH": "true",
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
        "AWS_REGION": REGION,
        "AWS_DEFAULT_REGION": REGION,
        "BIND_HOST": "127.0.0.1",
        "GATEWAY_PORT": str(port),
        "IOT_MTLS_ENABLED": "0",
        "MINISTACK_HOST": "localhost",
        "MINISTACK_REGION": REGION,
        "SFN_WAIT_SCALE": str(WAITING) if hurried else "1",
        "S3_DATA_DIR": str(folder / "s3"),
        "STATE_DIR": str(folder / "state"),
        "TMPDIR": str(folder),
        record.FILE: str(folder / "record.ndjson"),
        faults.FILE: str(folder / "faults"),
    }  # fmt: skip


def _is_up(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/_ministack/health", timeout=5) as answer:
            return bool(answer.status == 200)  # noqa: PLR2004
    except (urllib.error.URLError, OSError):
        return False


def _stop(process: subprocess.Popen[bytes]) -> None:
    """Ends the emulator and the functions that it has started, which are in its process group."""
    for how in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, how)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(STOPPING_SECONDS)
    # A child may have outlived it.
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


@contextlib.contextmanager
def running(folder: Path, *, hurried: bool) -> Iterator[int]:
    """Starts the emulator, gives its port, and stops it in any case.

    Raises:
        NotStartedError: If it does not start within a minute.
    """
    port, log = free_port(), folder / "emulator.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, str(Path(__file__))],
            env=environment(port, folder, hurried=hurried),
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    try:
        deadline = time.monotonic() + STARTING_SECONDS
        while not _is_up(port):
            if process.poll() is not None or time.monotonic() > deadline:
                raise NotStartedError(log.read_text()[-3000:])
            time.sleep(0.1)
        yield port
    finally:
        _stop(process)


def main() -> None:
    """The emulator's own process: it is changed, then serves."""
    from ministack import app  # noqa: PLC0415

    import adaptations  # noqa: PLC0415

    adaptations.install()
    app.main()


if __name__ == "__main__":
    main()
