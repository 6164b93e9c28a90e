"""infra/local/platform-smoke: the local stack over the simulated platform, looked at through the API and psql."""

import contextlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from datetime import datetime, timedelta, timezone
from pathlib import Path

import platform_endpoints
from platform_temporal import TemporalCli

KEY = "sk_smoke_0123456789_0123456789"
# Far more than anything takes here: a busy machine is slow, and a fault lasts for ever.
PATIENCE = 240


def wait_for(what: str, is_so, patience: float = PATIENCE):
    """Waits until a function's answer is true, and returns it. A call that fails is tried again."""
    end = time.monotonic() + patience
    why = ""
    while time.monotonic() < end:
        try:
            if answer := is_so():
                return answer
        except (OSError, subprocess.SubprocessError) as error:
            why = f"; last: {error} {getattr(error, 'stderr', None) or ''}"
        time.sleep(0.5)
    raise AssertionError(f"{what}: not within {patience} s{why}")


def json_of(command: list[str]):
    """What a program prints, read as JSON."""
    run = subprocess.run(command, check=True, capture_output=True, text=True, timeout=60)
    return json.loads(run.stdout)


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def listens(address: str) -> bool:
    host, port = address.rsplit(":", 1)
    with socket.socket() as client:
        return client.connect_ex((host, int(port))) == 0


def statements_without_effect(output: str) -> list[str]:
    """Of what `psql -e` prints, each statement and how many rows it changed: those that changed none."""
    found, statement = [], []
    for line in output.splitlines():
        if tag := re.fullmatch(r"(?:INSERT 0|UPDATE|DELETE) (\d+)", line):
            if tag[1] == "0":
                found.append(" ".join(statement))
            statement = []
        else:
            statement.append(line)
    return found


class Stack:
    """`cargo dev --platform` as it was last built, on free ports."""

    def __init__(self, programs: Path, folder: str, temporal: str | None):
        self.log, self.http = Path(folder, "log"), free_port()
        self.temporal_program, self.temporal = temporal, None
        ports = {"--http-port": self.http, "--sqs-port": free_port(), "--dynamodb-port": free_port()}
        flags = [str(word) for flag in ports.items() for word in flag]
        with self.log.open("w") as log:
            command = [programs / "torale-local", "--platform", "--built", "--admin-key", KEY, *flags]
            # The comparison of all endpoints asks more often than an administrator may.
            limits = {"RATE_LIMIT_PER_MINUTE": "1000000", "RATE_LIMIT_PER_HOUR": "1000000"}
            self.process = subprocess.Popen(command, stdout=log, stderr=log, env={**os.environ, **limits})

    def wait(self):
        """Waits until it is up; notes where the platform's servers are."""
        def is_up() -> bool:
            assert self.process.poll() is None, "the stack did not start"
            return "The platform's rows:" in self.log.read_text()

        wait_for("the stack is up", is_up)
        text = self.log.read_text()
        self.postgres = re.search(r"postgresql://\S+", text)[0]
        if temporal := re.search(r"schedule list --address (\S+)", text):
            self.temporal = TemporalCli(self.temporal_program, temporal[1])

    def servers(self) -> list[str]:
        """The addresses of the platform's servers."""
        postgres = re.search(r"@([^/]+)/", self.postgres)[1]
        return [postgres] + ([self.temporal.address] if self.temporal else [])

    def call(self, path: str, method: str = "GET") -> dict:
        url = f"http://127.0.0.1:{self.http}/admin/{path}"
        request = urllib.request.Request(url, method=method, headers={"Authorization": f"Bearer {KEY}"})
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.load(answer)

    def all(self, path: str, name: str) -> list[dict]:
        """The rows of all pages of a list."""
        rows, page = [], 1
        while True:
            answer = self.call(f"{path}{'&' if '?' in path else '?'}limit=100&page={page}")
            rows += answer[name]
            if len(answer[name]) < 100:
                return rows
            page += 1

    def sql(self, query: str) -> list:
        """The rows of a query as JSON."""
        text = f"SELECT coalesce(json_agg(rows), '[]') FROM ({query}) rows"
        command = ["psql", "-X", "-A", "-t", "-d", self.postgres, "-c", text]
        return json_of(command)

    def run_sql(self, *arguments: str):
        """Statements, or a file of them, each a transaction of its own."""
        command = ["psql", "-X", "-q", "-v", "ON_ERROR_STOP=1", "-d", self.postgres, *arguments]
        subprocess.run(command, check=True, capture_output=True, text=True, timeout=60)

    def change_rows(self, file: Path):
        """Executes a file of statements, each of which must change something."""
        command = ["psql", "-X", "-e", "-v", "ON_ERROR_STOP=1", "-d", self.postgres, "-f", str(file)]
        run = subprocess.run(command, check=True, capture_output=True, text=True, timeout=60)
        without_effect = statements_without_effect(run.stdout)
        assert not without_effect, f"{file.name}: no row is changed by {without_effect}"

    @contextlib.contextmanager
    def a_schedule_paused(self):
        """While one of Temporal's schedules is paused, if there is a Temporal."""
        if not self.temporal:
            yield
            return
        schedule = self.temporal.schedule_ids()[0]
        self.temporal.set_paused(schedule, True)
        try:
            yield
        finally:
            self.temporal.set_paused(schedule, False)

    @contextlib.contextmanager
    def platform_stopped(self):
        """While the platform does nothing; its servers go on."""
        found = subprocess.run(["pgrep", "-P", str(self.process.pid), "-f", "simulated-platform"], capture_output=True, text=True)
        platform = int(found.stdout)
        os.kill(platform, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(platform, signal.SIGCONT)


def executions_in_postgres(stack: Stack, before: str) -> dict[str, tuple]:
    """What the platform's table says of executions that began earlier."""
    millis = "to_char({0} at time zone 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.MS')"
    rows = stack.sql(
        f"SELECT e.id, task_id, status, {millis.format('started_at')} AS started, "
        f"{millis.format('completed_at')} AS completed, coalesce(notification <> '', false) AS met, email "
        f"FROM task_executions e JOIN tasks t ON t.id = task_id JOIN users u ON u.id = user_id "
        f"WHERE started_at < '{before}'"
    )
    return {
        row["id"]: (row["task_id"], row["status"], row["started"], row["completed"],
                    row["met"] if row["status"] == "success" else None, row["email"])
        for row in rows
    }


def executions_in_api(stack: Stack, before: str) -> dict[str, tuple]:
    """What the API says of them."""
    def millis(text: str | None) -> str | None:
        if text is None:
            return None
        return datetime.fromisoformat(text.replace("Z", "+00:00")).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3]

    return {
        row["id"]: (row["task_id"], row["status"], millis(row["started_at"]), millis(row["completed_at"]),
                    row["condition_met"], row["user_email"])
        for row in stack.all("executions?hours=720", "executions")
        if millis(row["started_at"]) < before
    }


def rows_become_numbers(stack: Stack):
    """Executions that are over equal those of the table; so do users, tasks and notifications."""
    first = stack.sql("SELECT count(*) AS n FROM task_executions")[0]["n"]
    new = "SELECT count(*) AS n FROM task_executions WHERE status <> 'running'"
    wait_for("searches go on", lambda: stack.sql(new)[0]["n"] >= first + 3)

    def is_equal() -> int:
        before = (datetime.now(timezone.utc) - timedelta(seconds=10)).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3]
        # A search may take longer on a busy machine: it is equal if nothing has changed meanwhile.
        rows = executions_in_postgres(stack, before + "Z")
        return len(rows) if rows == executions_in_api(stack, before) else 0

    executions = wait_for("executions equal the rows of the table", is_equal)
    assert executions > first - 20, f"{executions} executions, {first} at first"

    def totals() -> bool:
        stats = stack.call("stats")
        counts = stack.sql(
            "SELECT (SELECT count(*) FROM users) AS users, (SELECT count(*) FROM tasks) AS tasks, "
            "(SELECT count(*) FROM notification_sends WHERE created_at > now() - interval '7 days') AS sent"
        )[0]
        found = stats["users"]["total"] - 1, stats["tasks"]["total"], stats["notifications"]["sent_7d"]
        return found == (counts["users"], counts["tasks"], counts["sent"])

    wait_for("users (but for the admin), tasks and notifications equal the rows of the tables", totals)
    return executions


def every_endpoint_equals_the_tables(stack: Stack) -> str:
    """Rows of every kind are added, changed and deleted; then each answer is what SQL says of the platform's tables."""
    files = Path(__file__).parent
    own = "clerk_user_id LIKE 'user_rows_%'"
    with stack.platform_stopped(), stack.a_schedule_paused():
        stack.run_sql("-f", str(files / "platform_expected.sql"))
        # The administrator that `cargo dev` adds.
        admin = "'00000000-0000-4000-8000-000000000001', 'admin@example.com', 'user_local_admin', '2024-01-01Z'"
        stack.run_sql("-c", f"INSERT INTO expected.other_users VALUES ({admin})")
        stack.change_rows(files / "platform_rows.sql")
        compared = platform_endpoints.compare(stack, PATIENCE)
        # The platform does not know these tasks' schedules.
        stack.run_sql("-c", f"DELETE FROM users WHERE {own}")
        platform_endpoints.compare(stack, PATIENCE, ["stats", "users"], deleted=True)
    return compared


def a_deactivation_is_seen_to_its_end(stack: Stack):
    """The tasks' schedules are paused in Temporal itself, and the keys revoked in the platform's table."""
    user = stack.all("users?q=katherine", "users")[0]["id"]
    # The others that she may have by now come and go.
    first = {"price of katherine's bicycle", "next eclipse"}
    tasks = {task["id"] for task in stack.all(f"tasks?user_id={user}", "tasks") if task["search_query"] in first}
    assert len(tasks) == 2, tasks
    answer = stack.call(f"users/{user}/deactivate", "PATCH")
    assert answer["tasks_paused"] >= 2, answer

    def are_paused() -> bool:
        schedules = stack.temporal.schedules()
        return all(schedules[f"schedule-{task}"]["paused"] for task in tasks)

    if stack.temporal:
        wait_for("the schedules of the user's tasks are paused in Temporal", are_paused)
    keys = f"SELECT is_active FROM api_keys WHERE user_id = '{user}'"
    wait_for("the user's keys are revoked in PostgreSQL", lambda: stack.sql(keys) == [{"is_active": False}])


def schedules_and_runs_are_there(stack: Stack):
    """Each schedule of Temporal is one of the API, and runs have ended."""
    tasks = "SELECT count(*) AS n FROM tasks WHERE state <> 'completed'"

    def are_equal() -> bool:
        schedules = stack.call("temporal/schedules?include_paused=true&limit=1")["total"]
        return schedules == stack.sql(tasks)[0]["n"]

    wait_for("there is a schedule for each task", are_equal)
    ended = lambda: any(run["status"] == "COMPLETED" for run in stack.all("temporal/workflows", "workflows"))
    wait_for("runs have ended", ended)


def main():
    programs = Path(sys.argv[1])
    installed = programs.parent / "local/temporal/bin/temporal"
    temporal = str(installed) if installed.exists() else shutil.which("temporal")
    with tempfile.TemporaryDirectory() as folder:
        stack = Stack(programs, folder, temporal)
        try:
            stack.wait()
            assert bool(temporal) == bool(stack.temporal), f"Temporal: {temporal}, {stack.temporal and stack.temporal.address}"
            executions = rows_become_numbers(stack)
            if temporal:
                schedules_and_runs_are_there(stack)
            else:
                assert "Temporal is not installed" in stack.log.read_text()
                print("platform-smoke: without Temporal, its schedules and runs are not tried", file=sys.stderr)
            compared = every_endpoint_equals_the_tables(stack)
            a_deactivation_is_seen_to_its_end(stack)
            data = stack.sql("SELECT current_setting('data_directory') AS data_directory")[0]["data_directory"]
            stack.process.send_signal(signal.SIGKILL)
            stack.process.wait(PATIENCE)
            gone = lambda: not any(map(listens, stack.servers())) and not Path(data).parent.exists()
            wait_for("after kill -9 the platform's servers and their files are gone", gone)
            for end in ["its input ends", "it is killed", "it is stopped as it starts"]:
                leaves_nothing_when(end, programs)
        except BaseException:
            print(stack.log.read_text()[-6000:], file=sys.stderr)
            raise
        finally:
            stack.process.terminate()
            stack.process.wait(PATIENCE)
    print(f"platform-smoke: {executions} executions of the platform at work, then {compared} of all endpoints, equal its "
          "rows, and nothing of it was left behind")


def leaves_nothing_when(end: str, programs: Path):
    """The platform by itself: when it has ended, so have its servers, and its files are gone."""
    with tempfile.TemporaryDirectory() as folder:
        files = Path(folder)
        files.chmod(0o755)  # PostgreSQL's own user enters it.
        addresses, status = addresses_until(end, programs, {**os.environ, "TMPDIR": folder}, files)
        assert (status == 0) == (end == "its input ends"), f"{end}: {status}"
        gone = lambda: not any(map(listens, addresses)) and not any(files.iterdir())
        wait_for(f"nothing is left when {end}", gone)


def addresses_until(end: str, programs: Path, environment: dict, files: Path) -> tuple[list[str], int]:
    """Starts the platform and brings it to its end: the addresses of its servers, and its exit status."""
    command = [programs / "simulated-platform"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment) as platform:
        addresses = []
        if end == "it is stopped as it starts":
            wait_for("its folder is there", lambda: any(files.iterdir()))
        else:
            while line := platform.stdout.readline().strip():
                name, value = line.split("=", 1)
                if name in ("POSTGRES_URL", "TEMPORAL_ADDRESS"):
                    addresses.append(value.split("@")[-1].split("/")[0])
            assert addresses and all(map(listens, addresses)), addresses
        if end == "it is killed":
            platform.kill()
        platform.stdin.close()
        for _ in platform.stdout:
            pass
        return addresses, platform.wait(PATIENCE)


if __name__ == "__main__":
    main()
