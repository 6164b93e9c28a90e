"""What infra/local/temporal-calendar does: the same schedules, asked of a Temporal server and of this project."""

import argparse
import http.client
import itertools
import json
import os
import random
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta, timezone
from pathlib import Path

from temporal_specs import Spec, named_cases, random_specs

# First firings that are compared after each point in time.
FIRINGS = 5
# Requests under way at once.
WORKERS = 6
# A server gets slower with every schedule that it has seen.
SCHEDULES_A_SERVER = 2000
EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
# After Temporal's last year.
END = "2102-01-01T00:00:00Z"


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


class Temporal:
    """A server of its own, in memory, which reads the time zones in a folder: both sides must have the same rules."""

    def __init__(self, program: str, zones: Path, log: Path):
        self.port, self.log, self.connections = free_port(), log, threading.local()
        # Not only the zones would be another machine's, but `Local` too.
        environment = os.environ | {"ZONEINFO": str(zones), "TZ": "UTC"}
        options = ["--headless", "--ip", "127.0.0.1", "--port", str(free_port()), "--http-port", str(self.port)]
        with log.open("ab") as output:
            command = [program, "server", "start-dev", *options, "--log-level", "error"]
            self.server = subprocess.Popen(command, stdout=output, stderr=output, env=environment)

    def wait(self):
        for _ in range(240):
            try:
                if self.request("GET", "schedules")[0] == 200:
                    return
            except OSError:
                pass
            time.sleep(0.25)
        sys.exit(f"the server does not start:\n{self.log.read_text()}")

    def stop(self):
        self.server.terminate()
        self.server.wait()

    def request(self, method: str, path: str, body: dict | None = None) -> tuple[int, dict]:
        if not hasattr(self.connections, "own"):
            self.connections.own = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        connection = self.connections.own
        try:
            text = None if body is None else json.dumps(body)
            connection.request(method, f"/api/v1/namespaces/default/{path}", text)
            with connection.getresponse() as response:
                return response.status, json.loads(response.read())
        except (OSError, http.client.HTTPException):
            connection.close()
            raise

    def create(self, schedule: str, spec: Spec) -> bool:
        """Creates a paused schedule; false if the server refuses what it is asked to do."""
        start = {"workflowId": "w", "workflowType": {"name": "t"}, "taskQueue": {"name": "q"}}
        wanted = {
            "spec": {"cronString": [spec.cron], "timezoneName": spec.timezone},
            "action": {"startWorkflow": start},
            "state": {"paused": True},
        }
        body = {"requestId": str(uuid.uuid4()), "schedule": wanted}
        status, answer = self.request("POST", f"schedules/{schedule}", body)
        if status == 400 and answer["message"].startswith("Invalid schedule spec"):
            return False
        expect_ok(status, answer, spec)
        return True

    def firings(self, schedule: str, spec: Spec, after: int, until: str) -> list[int]:
        """What it lists, up to a time that is not after the one before: there the server gets no further.

        That is so in America/Caracas in 2016 alone (docs/adr/0015-temporals-calendar.md).
        """
        path = f"schedules/{schedule}/matching-times?startTime={text(after)}&endTime={until}"
        status, answer = self.request("GET", path)
        expect_ok(status, answer, spec)
        times = [milliseconds(time) for time in answer.get("startTime", [])]
        steps = zip([after, *times], times)
        return [time for _, time in itertools.takewhile(lambda step: step[0] < step[1], steps)]

    def delete(self, schedule: str):
        self.request("DELETE", f"schedules/{schedule}")


def expect_ok(status: int, answer: dict, spec: Spec):
    if status != 200:
        raise RuntimeError(f"the server answers {status} {answer} to {spec}")


def text(millis: int) -> str:
    return (EPOCH + timedelta(milliseconds=millis)).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def milliseconds(time: str) -> int:
    return (datetime.fromisoformat(time.replace("Z", "+00:00")) - EPOCH) // timedelta(milliseconds=1)


def own_firings(program: str, specs: list[Spec]) -> list[list[list[int]] | None]:
    queries = [
        {"cron": spec.cron, "timezone": spec.timezone, "after": spec.after, "count": FIRINGS} for spec in specs
    ]
    lines = "".join(json.dumps(query) + "\n" for query in queries)
    answer = subprocess.run([program, "firings"], input=lines, capture_output=True, text=True, check=True)
    return [json.loads(line) for line in answer.stdout.split("\n") if line]


def differences(temporal: Temporal, spec: Spec, own: list[list[int]] | None) -> list[str]:
    """Asks the server about one schedule; the times up to our fifth, or to the end where we know of fewer."""
    schedule = str(uuid.uuid4())
    if not temporal.create(schedule, spec):
        return [] if own is None else ["Temporal refuses it, we do not"]
    try:
        if own is None:
            return ["we refuse it, Temporal does not"]
        found = []
        for after, ours in zip(spec.after, own, strict=True):
            until = text(ours[-1]) if len(ours) == FIRINGS else END
            theirs = temporal.firings(schedule, spec, after, until)
            if theirs != ours:
                shown = [[text(time) for time in times[: FIRINGS + 1]] for times in (theirs, ours)]
                found.append(f"after {text(after)}: Temporal {shown[0]}, we {shown[1]}")
        return found
    finally:
        temporal.delete(schedule)


def compare(temporal: Temporal, specs: list[Spec], own: list[list[list[int]] | None]) -> int:
    """How many schedules differ; tells of each."""
    failed = 0
    with ThreadPoolExecutor(WORKERS) as workers:
        results = workers.map(lambda pair: differences(temporal, *pair), zip(specs, own, strict=True))
        for spec, found in zip(specs, results, strict=True):
            failed += bool(found)
            for difference in found:
                print(f"DIFFERENT {json.dumps(spec.cron)} in {json.dumps(spec.timezone)}: {difference}", flush=True)
    return failed


def compare_all(server: str, zones: Path, specs: list[Spec], own: list[list[list[int]] | None]) -> int:
    failed = 0
    for start in range(0, len(specs), SCHEDULES_A_SERVER):
        part = slice(start, start + SCHEDULES_A_SERVER)
        temporal = Temporal(server, zones, zones.parent / "temporal.log")
        try:
            temporal.wait()
            failed += compare(temporal, specs[part], own[part])
        finally:
            temporal.stop()
        if len(specs) > SCHEDULES_A_SERVER:
            print(f"{min(part.stop, len(specs))} of {len(specs)}, {failed} differ", flush=True)
    return failed


def main():
    parser = argparse.ArgumentParser(prog="temporal-calendar", description=__doc__)
    parser.add_argument("server")
    parser.add_argument("calendar")
    parser.add_argument("--count", type=int, default=2000, help="random schedules")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--if-available", action="store_true", help="for the shell script")
    options = parser.parse_args()
    # Also when it is ended from outside, the server is stopped.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    with tempfile.TemporaryDirectory() as folder:
        zones = Path(folder, "zones")
        subprocess.run([options.calendar, "zones", zones], check=True)
        generator = random.Random(options.seed)
        specs = named_cases(generator, zones) + random_specs(generator, zones, options.count)
        own = own_firings(options.calendar, specs)
        failed = compare_all(options.server, zones, specs, own)
    version = subprocess.run([options.server, "--version"], capture_output=True, text=True, check=True)
    refused = sum(answer is None for answer in own)
    times = [times for answer in own if answer is not None for times in answer]
    ended = sum(len(firings) < FIRINGS for firings in times)
    print(
        f"{version.stdout.strip()}, seed {options.seed}: {len(specs)} schedules compared, "
        f"{len(specs) - refused} accepted and {refused} refused; {sum(map(len, times))} firings after {len(times)} "
        f"points in time, after {ended} of which there are fewer than {FIRINGS}; {failed} schedules differ"
    )
    sys.exit(failed > 0)


if __name__ == "__main__":
    main()
