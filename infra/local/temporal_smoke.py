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

    def invoke(self, *numbers: int) -> list[str]:
        """Invokes the executor with some commands: the ids of the messages that failed."""
        self.events.clear()
        self.invocations.put({"Records": [message(number) for number in numbers]})
        answer = self.answers.get(timeout=60)
        return sorted(failure["itemIdentifier"] for failure in answer["batchItemFailures"])

    def event_types(self) -> list[str]:
        return sorted(event["type"].removeprefix("ai.torale.") for event in self.events)

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

    def state(self, schedule: str) -> dict:
        return json.loads(self.run("schedule", "describe", "--schedule-id", schedule).stdout)["schedule"]["state"]


def message(number: int) -> dict:
    data = {"task_id": TASK.format(number), "user_id": ADMIN, "reason": "Spam", "requested_by": ADMIN}
    command = {
        "specversion": "1.0", "id": str(uuid.uuid5(uuid.NAMESPACE_DNS, str(number))), "source": "/torale/admin",
        "type": "ai.torale.command.task.pause", "time": "2026-01-01T00:00:00Z", "data": data,
    }
    return {"messageId": f"m{number}", "body": json.dumps(command), "eventSource": "aws:sqs"}


def expect(what: str, seen, wanted):
    print(f"{'ok  ' if seen == wanted else 'FAIL'} {what}: {seen}")
    if seen != wanted:
        sys.exit(f"expected {wanted}")


def executor(program: str, aws: FakeAws, temporal: Temporal, namespace: str) -> subprocess.Popen:
    local = f"http://127.0.0.1:{aws.server_port}"
    settings = {
        "AWS_LAMBDA_RUNTIME_API": local, "AWS_LAMBDA_FUNCTION_NAME": "command-executor",
        "AWS_LAMBDA_FUNCTION_VERSION": "1", "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "256", "AWS_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "local", "AWS_SECRET_ACCESS_KEY": "local", "AWS_ENDPOINT_URL_SQS": local,
        "TORALE_EVENTS_QUEUE_URL": f"{local}/0/torale-events", "TEMPORAL_ADDRESS": f"127.0.0.1:{temporal.port}",
        "TEMPORAL_NAMESPACE": namespace, "PATH": os.environ["PATH"],
    }
    return subprocess.Popen([program], env=settings)


def scenario(temporal: Temporal, aws: FakeAws):
    invoke, event_types = aws.invoke, aws.event_types
    schedule = f"task-{TASK.format(1)}"
    expect("before", temporal.state(schedule).get("paused", False), False)
    expect("one schedule exists, one does not: failed", invoke(1, 2), [])
    expect("events", event_types(), ["task.paused", "task.paused", "temporal.schedule.paused"])
    state = temporal.state(schedule)
    expect("paused", state.get("paused"), True)
    note = f"Spam (requested by {ADMIN}, command {uuid.uuid5(uuid.NAMESPACE_DNS, '1')})"
    expect("note", state.get("notes"), note)
    expect("the same command again: failed", invoke(1), [])
    temporal.stop()
    expect("the server is stopped: failed", invoke(3), ["m3"])
    expect("events", event_types(), [])
    temporal.start()
    expect("the server is started again: failed", invoke(3), [])
    expect("events", event_types(), ["task.paused", "temporal.schedule.paused"])
    expect("paused", temporal.state(f"task-{TASK.format(3)}").get("paused"), True)
    temporal.stop()
    temporal.start()
    expect("the server was restarted between commands: failed", invoke(1), [])


def main():
    program, binary = sys.argv[1:]
    with tempfile.TemporaryDirectory() as folder:
        temporal = Temporal(program, folder)
        running = []
        try:
            temporal.create(f"task-{TASK.format(1)}")
            temporal.create(f"task-{TASK.format(3)}")
            aws, other = FakeAws(), FakeAws()
            running.append(executor(binary, aws, temporal, "default"))
            scenario(temporal, aws)
            running.append(executor(binary, other, temporal, "nowhere"))
            expect("unknown namespace: failed", other.invoke(1), ["m1"])
            expect("events", other.event_types(), [])
        finally:
            for process in running:
                process.kill()
            temporal.stop()
    print("temporal-smoke: schedules of a real server were paused")


if __name__ == "__main__":
    main()
