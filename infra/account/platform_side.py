"""The other side of the queues and of Clerk: events that the platform sends, commands that it receives,
webhooks that Clerk signs, bans that Clerk is asked for.
"""

import base64
import contextlib
import hashlib
import hmac
import http.server
import json
import re
import threading
import time
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from account import Account, constant, expect
from stack import FORWARDED_TO, PARAMETERS

EVENTS, COMMANDS = "torale-events", "torale-commands"
# More tasks than one outbox entry is carried out for at once.
MANY_TASKS = constant("shared/domain/src/deactivation/outbox.rs", r"pub const PAGE: usize = (\d+);") + 1
BATCH = 10
BAN = re.compile(r"/v1/users/([^/]+)/ban")


def identity(number: int) -> str:
    """The id of a user, a task or an execution."""
    return str(uuid.UUID(int=number))


ADMIN, USER, OTHER_USER, NOBODY = (identity(number) for number in (0xA, 0xB, 0xC, 0xF))
WEBHOOK_CLERK_ID, WEBHOOK_USER = "user_webhook", "webhook@example.com"
# The id under which that identity stands in for a user, and the user of the platform that it turns out to belong to.
STAND_IN, JOINED_USER = str(uuid.uuid5(uuid.NAMESPACE_DNS, f"clerk:{WEBHOOK_CLERK_ID}")), identity(0xD)
ADMIN_KEY, USER_KEY = "sk_admin_0123456789_0123456789", "sk_user_0123456789_0123456789"
TASKS, PAUSED_TASK, LATE_TASK = [identity(0x1000 + n) for n in range(MANY_TASKS)], identity(0x101), identity(0x102)
TASK, JOINED_TASK = TASKS[0], identity(0x103)
QUERY, OTHER_QUERY = "iPhone release date", "Rust 2.0"
RUNNING, SUCCEEDED, FAILED = (identity(number) for number in (0x201, 0x202, 0x203))
WORKFLOW, SCHEDULE, JOINED_SCHEDULE = "task-workflow", f"task-{TASK}", f"schedule-{JOINED_TASK}"


def instant(ago: timedelta) -> str:
    """The time so long ago, as events name it."""
    return (datetime.now(UTC) - ago).isoformat(timespec="milliseconds")


def event(kind: str, ago: timedelta | None = None, **data: Any) -> str:
    """An event of the platform, now or so long ago, as one message."""
    envelope = {"specversion": "1.0", "id": str(uuid.uuid4()), "source": "/platform", "type": f"ai.torale.{kind}"}
    return json.dumps(envelope | {"time": instant(ago or timedelta()), "data": data})


def _key(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()


def history() -> list[str]:
    """Three users with tasks, executions, a workflow and a schedule, and one message that is no event."""
    hour, minutes = timedelta(hours=1), timedelta(minutes=5)
    began = instant(minutes)
    run: dict[str, Any] = {"task_id": TASK, "user_id": USER}
    workflow: dict[str, Any] = {"workflow_id": WORKFLOW, "run_id": "run", "workflow_type": "monitoring_workflow"}
    return [
        event("user.created", 3 * hour, user_id=ADMIN, clerk_user_id="user_admin", email="admin@example.com"),
        event("user.updated", 3 * hour - minutes, user_id=ADMIN, role="admin"),
        event(
            "api_key.created",
            2 * hour,
            key_id="key_admin",
            user_id=ADMIN,
            key_hash=_key(ADMIN_KEY),
            key_prefix="sk_admin",
        ),
        event("user.created", 2 * hour, user_id=USER, clerk_user_id="user_b", email="user@example.com"),
        event("api_key.created", hour, key_id="key_user", user_id=USER, key_hash=_key(USER_KEY), key_prefix="sk_user"),
        event("user.created", 2 * hour, user_id=OTHER_USER, clerk_user_id="user_c", email="other@example.com"),
        event("task.created", hour, task_id=PAUSED_TASK, user_id=USER, search_query=OTHER_QUERY, state="paused"),
        *[event("task.created", hour, task_id=task, user_id=USER, search_query=QUERY) for task in TASKS],
        event("execution.started", minutes, execution_id=RUNNING, **run),
        event("execution.started", minutes, execution_id=SUCCEEDED, **run),
        event(
            "execution.succeeded", execution_id=SUCCEEDED, started_at=began, condition_met=True, duration_ms=4000, **run
        ),
        event(
            "execution.failed",
            execution_id=FAILED,
            started_at=began,
            error_type="TimeoutError",
            error_message="late",
            duration_ms=6000,
            **run,
        ),
        event("notification.sent", notification_id="ntf_1", user_id=USER, channel="email"),
        event("user.logged_in", minutes, user_id=USER),
        event("temporal.workflow.started", minutes, **workflow),
        event("temporal.workflow.closed", status="COMPLETED", start_time=began, **workflow),
        event("temporal.schedule.created", hour, schedule_id=SCHEDULE, task_id=TASK, user_id=USER, cron="0 9 * * *"),
        "this is no event",
    ]


def joined() -> list[str]:
    """Clerk's user as the platform creates it, under an id of its own, with a task and its schedule."""
    run: dict[str, Any] = {"task_id": JOINED_TASK, "user_id": JOINED_USER}
    return [
        event("user.created", user_id=JOINED_USER, clerk_user_id=WEBHOOK_CLERK_ID, email="joined@example.com"),
        event("task.created", search_query=OTHER_QUERY, **run),
        event("temporal.schedule.created", schedule_id=JOINED_SCHEDULE, cron="0 9 * * *", **run),
    ]


def send(account: Account, messages: list[str]) -> None:
    """Puts messages on the queue of events."""
    sqs, url = account.client("sqs"), account.outputs["EventsQueueUrl"]
    for first in range(0, len(messages), BATCH):
        entries = [{"Id": str(n), "MessageBody": body} for n, body in enumerate(messages[first : first + BATCH])]
        answer = sqs.send_message_batch(QueueUrl=url, Entries=entries)
        expect(not answer.get("Failed"), f"events were not taken: {answer.get('Failed')}")


def login() -> str:
    """An event that changes no more than a time."""
    return event("user.logged_in", user_id=OTHER_USER)


def pause() -> str:
    """A command for a task that nobody has, which is passed on."""
    envelope = json.loads(event("command.task.pause", task_id=identity(0x104), user_id=OTHER_USER, schedule_ids=[]))
    envelope["data"] |= {"reason": "tried", "requested_by": ADMIN}
    return json.dumps(envelope | {"source": "/torale/admin"})


def waiting(account: Account, queue: str) -> tuple[int, int]:
    """How many messages wait in a queue, and how many were received and are not deleted."""
    names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    found = account.client("sqs").get_queue_attributes(QueueUrl=queue, AttributeNames=names)["Attributes"]
    visible, received = (int(found[name]) for name in names)
    return visible, received


def is_empty(account: Account, queue: str = "") -> bool:
    """Whether no message waits in a queue or is being taken: in that of events, unless another one is named."""
    return waiting(account, queue or account.outputs["EventsQueueUrl"]) == (0, 0)


def create_queue(account: Account) -> None:
    """The queue of the platform's own workers, to which commands are forwarded."""
    account.client("sqs").create_queue(QueueName=FORWARDED_TO)


class Commands:
    """What the platform's own workers receive: commands by kind, each with its target, however often they arrive; and
    the schedules that each task's pause names.
    """

    def __init__(self, account: Account) -> None:
        self.account, self.received = account, set[tuple[str, str]]()
        self.schedules: dict[str, list[str]] = {}

    def receive(self) -> set[tuple[str, str]]:
        """All commands so far, as pairs of a kind and the id of a task, key or user."""
        sqs = self.account.client("sqs")
        url = sqs.get_queue_url(QueueName=FORWARDED_TO)["QueueUrl"]
        while messages := sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=BATCH).get("Messages"):
            for message in messages:
                command = json.loads(message["Body"])
                kind = command["type"].removeprefix("ai.torale.command.")
                target = {"task.pause": "task_id", "api_key.revoke": "key_id"}.get(kind, "user_id")
                self.received.add((kind, command["data"][target]))
                if kind == "task.pause":
                    self.schedules[command["data"][target]] = command["data"]["schedule_ids"]
                sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
        return self.received


def webhook(body: dict[str, Any], *, secret: str = PARAMETERS["ClerkWebhookSecret"]) -> tuple[bytes, dict[str, str]]:
    """A webhook of Clerk: its body, and headers with Svix's signature."""
    content, now, number = json.dumps(body).encode(), str(int(time.time())), f"msg_{uuid.uuid4().hex}"
    signed = f"{number}.{now}.".encode() + content
    digest = hmac.new(base64.b64decode(secret.removeprefix("whsec_")), signed, hashlib.sha256).digest()
    signature = "v1," + base64.b64encode(digest).decode()
    headers = {
        "svix-id": number,
        "svix-timestamp": now,
        "svix-signature": signature,
        "content-type": "application/json",
    }
    return content, headers


def user_created() -> dict[str, Any]:
    """Clerk's webhook about a new user."""
    now = int(time.time() * 1000)
    address = {"id": "email_1", "email_address": WEBHOOK_USER}
    data = {"id": WEBHOOK_CLERK_ID, "email_addresses": [address], "primary_email_address_id": "email_1"}
    return {
        "type": "user.created",
        "object": "event",
        "timestamp": now,
        "data": data | {"created_at": now, "updated_at": now},
    }


def session_created() -> dict[str, Any]:
    """Clerk's webhook about a login of that user."""
    now = int(time.time() * 1000)
    data = {"id": "sess_1", "object": "session", "user_id": WEBHOOK_CLERK_ID, "created_at": now, "status": "active"}
    return {"type": "session.created", "object": "event", "timestamp": now, "data": data}


def user_deleted() -> dict[str, Any]:
    """Clerk's webhook about the deletion of that user."""
    data = {"id": WEBHOOK_CLERK_ID, "object": "user", "deleted": True}
    return {"type": "user.deleted", "object": "event", "timestamp": int(time.time() * 1000), "data": data}


class Clerk:
    """Clerk's Backend API as far as bans need it."""

    def __init__(self, address: str, banned: list[str]) -> None:
        self.address, self.banned = address, banned


@contextlib.contextmanager
def clerk() -> Iterator[Clerk]:
    """A Clerk on a free port of loopback, which notes whom it is asked to ban."""
    banned: list[str] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            user = BAN.fullmatch(self.path)
            known = self.headers["Authorization"] == f"Bearer {PARAMETERS['ClerkSecretKey']}"
            if user and known:
                banned.append(user[1])
            # Without Clerk's code for an unknown user, a 404 is an error, and the ban comes again.
            self.send_response(200 if user and known else 404 if known else 401)
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"{}")

        def log_message(self, *_: Any) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield Clerk(f"http://127.0.0.1:{server.server_address[1]}", banned)
    finally:
        server.shutdown()
        server.server_close()
