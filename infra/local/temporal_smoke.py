"""infra/local/temporal-smoke: a Temporal server, the executor's binary, and a fake of Lambda and SQS."""

import json
import os
import queue
import socket
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

TASK = "22222222-0000-4000-8000-00000000000{}"
ADMIN = "00000000-0000-0000-0000-0000000000ad"


class FakeAws(ThreadingHTTPServer):
    """The Lambda Runtime API of one process, and SendMessageBatch of SQS."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Calls)
        self.invocations: queue.Queue = queue.Queue()
        self.answers: queue.Queue = queue.Queue()
        self.events: list[dict] = []
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def invoke(self, *messages: dict) -> list[str]:
        """Invokes the executor with some commands: the ids of the messages that failed."""
        self.events.clear()
        self.invocations.put({"Records": messages})
        answer = self.answers.get(timeout=60)
        return sorted(failure["itemIdentifier"] for failure in answer["batchItemFailures"])

    def confirmed(self) -> list[str]:
        """The confirming events: type and subject, with the last digit alone of task ids."""
        events = [f"{event['type'].removeprefix('ai.torale.')} {event['subject']}" for event in self.events]
        return sorted(event.replace(TASK.format(""), "") for event in events)

    def handle_error(self, *_):
        """Ignores the broken connection of a killed process."""


class Calls(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        event = self.server.invocations.get()
        headers = {
            "Lambda-Runtime-Aws-Request-Id": str(uuid.uuid4()),
            "Lambda-Runtime-Deadline-Ms": str(int(time.time() * 1000) + 30_000),
            "Lambda-Runtime-Invoked-Function-Arn": "arn:aws:lambda:us-east-1:0:function:command-executor",
        }
        self.answer(200, event, headers)

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])) or b"{}")
        if "X-Amz-Target" not in self.headers:
            self.server.answers.put(body)
            return self.answer(202, {"status": "OK"})
        self.server.events.extend(json.loads(entry["MessageBody"]) for entry in body["Entries"])
        accepted = [{"Id": e["Id"], "MessageId": "m", "MD5OfMessageBody": "0"} for e in body["Entries"]]
        return self.answer(200, {"Successful": accepted, "Failed": []})

    def answer(self, status, body, headers=()):
        data = json.dumps(body).encode()
        self.send_response(status)
        for name, value in dict(headers).items():
            self.send_header(name, value)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_):
        pass


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


class Temporal:
    """The server, which can be stopped and started again with its data."""

    def __init__(self, program: str, folder: str):
        self.program, self.folder, self.port = program, folder, free_port()
        self.start()

    def start(self):
        options = ["--headless", "--ip", "127.0.0.1", "--port", str(self.port), "--db-filename", f"{self.folder}/db"]
        log = open(f"{self.folder}/temporal.log", "ab")
        self.server = subprocess.Popen([self.program, "server", "start-dev", *options], stdout=log, stderr=log)
        for _ in range(120):
            if self.run("schedule", "list", check=False).returncode == 0:
                return
            time.sleep(0.5)
        sys.exit(Path(self.folder, "temporal.log").read_text())

    def stop(self):
        self.server.terminate()
        self.server.wait()

    def run(self, *words: str, check: bool = True) -> subprocess.CompletedProcess:
        command = [self.program, *words, "--address", f"127.0.0.1:{self.port}", "--output", "json"]
        return subprocess.run(command, check=check, capture_output=True, text=True)

    def create(self, schedule: str):
        what = ["--workflow-id", "w", "--type", "Search", "--task-queue", "q", "--interval", "1h"]
        self.run("schedule", "create", "--schedule-id", schedule, *what)

    def delete(self, schedule: str):
        self.run("schedule", "delete", "--schedule-id", schedule)

    def state(self, schedule: str) -> dict:
        return json.loads(self.run("schedule", "describe", "--schedule-id", schedule).stdout)["schedule"]["state"]

    def paused(self, *schedules: str) -> list[bool]:
        return [self.state(schedule).get("paused", False) for schedule in schedules]


class Executor:
    """The executor's process, and what it logs."""

    def __init__(self, program: str, aws: FakeAws, temporal: Temporal, folder: str, **settings: str):
        local = f"http://127.0.0.1:{aws.server_port}"
        self.log = Path(folder, f"executor-{aws.server_port}.log")
        environment = {
            "AWS_LAMBDA_RUNTIME_API": local, "AWS_LAMBDA_FUNCTION_NAME": "command-executor",
            "AWS_LAMBDA_FUNCTION_VERSION": "1", "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "256", "AWS_REGION": "us-east-1",
            "AWS_ACCESS_KEY_ID": "local", "AWS_SECRET_ACCESS_KEY": "local", "AWS_ENDPOINT_URL_SQS": local,
            "TORALE_EVENTS_QUEUE_URL": f"{local}/0/torale-events", "TEMPORAL_ADDRESS": f"127.0.0.1:{temporal.port}",
            "TEMPORAL_NAMESPACE": "default", "PATH": os.environ["PATH"], **settings,
        }
        with self.log.open("w") as log:
            self.process = subprocess.Popen([program], env=environment, stdout=log)

    def missing(self) -> tuple[int, list[str]]:
        """The metric of the last batch, and the schedules that warnings have named so far."""
        lines = [json.loads(line) for line in self.log.read_text().splitlines()]
        counts = [line["MissingSchedules"] for line in lines if "MissingSchedules" in line]
        warned = [line["schedule"] for line in lines if line.get("level") == "WARN" and "schedule" in line]
        return counts[-1], [schedule.replace(TASK.format(""), "") for schedule in warned]

    def stop(self):
        self.process.kill()
        self.process.wait()


def pause(name: str, task: int, *prefixes: str) -> dict:
    """The message of a command to pause a task with the schedules that begin so."""
    data = {
        "task_id": TASK.format(task), "user_id": ADMIN, "reason": "Spam", "requested_by": ADMIN,
        "schedule_ids": [schedule(prefix, task) for prefix in prefixes],
    }
    command = {
        "specversion": "1.0", "id": command_id(name), "source": "/torale/admin",
        "type": "ai.torale.command.task.pause", "time": "2026-01-01T00:00:00Z", "data": data,
    }
    return {"messageId": name, "body": json.dumps(command), "eventSource": "aws:sqs"}


def pause_schedule_called_as_task(name: str, task: int) -> dict:
    """The message of a command for a late schedule that is called by the bare id of its task."""
    message = pause(name, task)
    command = json.loads(message["body"])
    command["data"]["schedule_ids"] = [TASK.format(task)]
    command |= {"subject": TASK.format(task), "scheduletarget": True}
    return message | {"body": json.dumps(command)}


def schedule(prefix: str, task: int) -> str:
    return f"{prefix}-{TASK.format(task)}"


def command_id(name: str) -> str:
    return str(uuid.uuid5(uuid.NAMESPACE_DNS, name))


def expect(what: str, seen, wanted):
    print(f"{'ok  ' if seen == wanted else 'FAIL'} {what}: {seen}")
    if seen != wanted:
        sys.exit(f"expected {wanted}")


def named_schedules(temporal: Temporal, aws: FakeAws, executor: Executor):
    """Schedules that events have named, under both names; of task 2 one is deleted beforehand."""
    both = schedule("schedule", 1), schedule("task", 1)
    temporal.delete(schedule("task", 2))
    expect("before", temporal.paused(*both, schedule("schedule", 2)), [False, False, False])
    commands = [pause("m1", 1, "schedule", "task"), pause("m2", 2, "schedule", "task")]
    expect("two schedules of task 1, one of task 2 deleted: failed", aws.invoke(*commands), [])
    paused = ["schedule-1", "schedule-2", "task-1"]
    expected = ["task.paused 1", "task.paused 2", *(f"temporal.schedule.paused {name}" for name in paused)]
    expect("confirmed", aws.confirmed(), expected)
    expect("paused", temporal.paused(*both, schedule("schedule", 2)), [True, True, True])
    expect("missing", executor.missing(), (1, ["task-2"]))
    note = f"Spam (requested by {ADMIN}, command {command_id('m1')})"
    expect("notes", [temporal.state(each).get("notes") for each in both], [note, note])
    expect("the same command again: failed", aws.invoke(commands[0]), [])
    expect("missing", executor.missing(), (0, ["task-2"]))


def unnamed_and_late_schedules(temporal: Temporal, aws: FakeAws, executor: Executor):
    """Task 3 has a schedule by the pattern, which no event has named; that of task 4 comes late."""
    expect("by the pattern: failed", aws.invoke(pause("m3", 3), pause("m4", 4)), [])
    expect("confirmed", aws.confirmed(), ["task.paused 3", "task.paused 4", "temporal.schedule.paused task-3"])
    expect("missing", executor.missing(), (1, ["task-2", "task-4"]))
    temporal.create(schedule("schedule", 4))
    expect("created after the deactivation: failed", aws.invoke(pause("late", 4, "schedule")), [])
    expect("confirmed", aws.confirmed(), ["task.paused 4", "temporal.schedule.paused schedule-4"])
    expect("paused", temporal.paused(schedule("task", 3), schedule("schedule", 4)), [True, True])
    temporal.create(TASK.format(7))
    expect("called as its task: failed", aws.invoke(pause_schedule_called_as_task("late as task", 7)), [])
    expect("confirmed", aws.confirmed(), ["temporal.schedule.paused 7"])
    expect("paused", temporal.paused(TASK.format(7)), [True])


def outage(temporal: Temporal, aws: FakeAws):
    """What fails comes again, and what is repeated does no harm."""
    temporal.stop()
    expect("the server is stopped: failed", aws.invoke(pause("m5", 5, "schedule")), ["m5"])
    expect("confirmed", aws.confirmed(), [])
    temporal.start()
    expect("the server is started again: failed", aws.invoke(pause("m5", 5, "schedule")), [])
    expect("confirmed", aws.confirmed(), ["task.paused 5", "temporal.schedule.paused schedule-5"])
    expect("paused", temporal.paused(schedule("schedule", 5)), [True])
    temporal.stop()
    temporal.start()
    expect("the server was restarted between commands: failed", aws.invoke(pause("m1", 1, "task")), [])


SCHEDULES = ["schedule 1", "task 1", "schedule 2", "task 2", "task 3", "schedule 5", "schedule 6"]


def main():
    program, binary = sys.argv[1:]
    with tempfile.TemporaryDirectory() as folder:
        temporal = Temporal(program, folder)
        running = []

        def start(**settings: str) -> tuple[FakeAws, Executor]:
            aws = FakeAws()
            running.append(Executor(binary, aws, temporal, folder, **settings))
            return aws, running[-1]

        try:
            for prefix, task in map(str.split, SCHEDULES):
                temporal.create(schedule(prefix, int(task)))
            aws, executor = start()
            named_schedules(temporal, aws, executor)
            unnamed_and_late_schedules(temporal, aws, executor)
            outage(temporal, aws)
            aws, executor = start(TEMPORAL_SCHEDULE_ID="schedule-{task_id}")
            expect("by another pattern: failed", aws.invoke(pause("m6", 6)), [])
            expect("confirmed", aws.confirmed(), ["task.paused 6", "temporal.schedule.paused schedule-6"])
            expect("missing", executor.missing(), (0, []))
            aws, executor = start(TEMPORAL_NAMESPACE="nowhere")
            expect("unknown namespace: failed", aws.invoke(pause("m1", 1, "task")), ["m1"])
            expect("confirmed", aws.confirmed(), [])
        finally:
            for executor in running:
                executor.stop()
            temporal.stop()
    print("temporal-smoke: schedules of a real server were paused, and missing ones reported")


if __name__ == "__main__":
    main()
