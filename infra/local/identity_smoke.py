"""infra/local/smoke: users of the platform and identities at Clerk meet, whichever the stack learns of first.

Usage: identity_smoke.py API LOG SEND...

API is the stack's address, LOG the file with its output, and SEND the command that sends a file of
events. The environment has ADMIN_KEY and CLERK_WEBHOOK_SECRET.
"""

import base64
import hashlib
import hmac
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen

API, LOG, *SEND = sys.argv[1:]
PATIENCE_SECONDS = 60


def check(holds: bool, what: str):
    if not holds:
        sys.exit(f"identities: {what}")


def wait_until(holds, what: str):
    """Waits for something that follows once the consumer and the relay have run."""
    for _ in range(PATIENCE_SECONDS):
        if holds():
            return
        time.sleep(1)
    sys.exit(f"identities: {what}")


def call(path: str, key: str = os.environ["ADMIN_KEY"]) -> tuple[int, dict]:
    request = Request(API + path, headers={"Authorization": f"Bearer {key}"})
    try:
        with urlopen(request, timeout=30) as answer:
            return answer.status, json.load(answer)
    except HTTPError as refused:
        return refused.code, json.load(refused)


def webhook(kind: str, data: dict):
    """Sends a webhook as Clerk does, signed by Svix."""
    now = int(time.time())
    body = json.dumps({"type": kind, "data": data, "timestamp": int(time.time() * 1000)})
    message = f"msg_{uuid.uuid4().hex}"
    secret = base64.b64decode(os.environ["CLERK_WEBHOOK_SECRET"].removeprefix("whsec_"))
    signature = hmac.digest(secret, f"{message}.{now}.{body}".encode(), "sha256")
    headers = {
        "svix-id": message, "svix-timestamp": str(now), "content-type": "application/json",
        "svix-signature": f"v1,{base64.b64encode(signature).decode()}",
    }
    with urlopen(Request(f"{API}/webhooks/clerk", body.encode(), headers), timeout=30) as answer:
        check(json.load(answer) == {"detail": "Accepted"}, f"the webhook {kind} is not accepted")


def send(*events: tuple[str, dict]):
    """Sends events of the platform, and returns once everything on the queue is consumed."""
    with tempfile.NamedTemporaryFile("w", suffix=".ndjson") as file:
        for kind, data in events:
            event = {
                "specversion": "1.0", "id": uuid.uuid4().hex, "source": "/smoke", "type": f"ai.torale.{kind}",
                "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), "data": data,
            }
            print(json.dumps(event), file=file)
        file.flush()
        subprocess.run([*SEND, file.name], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


class Person:
    """Somebody who signs up: an identity at Clerk and a user of the platform."""

    def __init__(self, name: str):
        self.name, self.clerk, self.user, self.task = name, f"user_smoke_{name}", str(uuid.uuid4()), str(uuid.uuid4())
        self.key = f"sk_smoke_{name}_{uuid.uuid4().hex}"

    def sign_up_at_clerk(self):
        email = [{"id": "email", "email_address": f"{self.name}@example.com"}]
        data = {
            "id": self.clerk, "email_addresses": email, "primary_email_address_id": "email",
            "public_metadata": {"role": "admin"}, "created_at": int(time.time() * 1000),
        }
        webhook("user.created", data)

    def sign_up_at_platform(self):
        user = {"user_id": self.user}
        key_hash = hashlib.sha256(self.key.encode()).hexdigest()
        key = {"key_id": f"key_{self.name}", "key_hash": key_hash, "key_prefix": self.key[:8], **user}
        task = {"task_id": self.task, **user}
        schedule = {"schedule_id": self.schedule(), "cron": "0 9 * * *", **task}
        send(
            ("user.created", {"clerk_user_id": self.clerk, "email": f"{self.name}@example.org", **user}),
            ("api_key.created", key),
            ("task.created", {"search_query": f"Is {self.name} one row?", **task}),
            ("temporal.schedule.created", schedule),
        )

    def schedule(self) -> str:
        return f"schedule-{self.task}"

    def rows(self) -> list[dict]:
        _, answer = call("/admin/users?limit=100")
        return [row for row in answer["users"] if row["clerk_user_id"] == self.clerk]

    def state(self) -> str | None:
        """None if the page was read while the row moved between the active users and the others."""
        rows = self.rows()
        return rows[0]["state"] if rows else None

    def is_one_admin(self):
        """One row, the platform's; the role comes from Clerk's metadata, the key from the platform."""
        wait_until(lambda: call("/admin/stats", self.key)[0] == 200, f"{self.name}'s key opens nothing")
        rows = [row["id"] for row in self.rows()]
        check(rows == [self.user], f"{self.name} is listed as {rows}, not as {self.user} alone")


def total() -> int:
    return call("/admin/users")[1]["total"]


def main():
    before = total()
    first, second, third = Person("webhook_first"), Person("platform_first"), Person("both_at_once")
    first.sign_up_at_clerk()
    wait_until(first.rows, "the identity stands in for nobody")
    stand_in = first.rows()[0]["id"]
    first.sign_up_at_platform()
    first.is_one_admin()
    check(stand_in != first.user, "the stand-in had the user's id")

    second.sign_up_at_platform()
    check(call("/admin/stats", second.key)[0] == 403, "a user without a role was let in")
    second.sign_up_at_clerk()
    second.is_one_admin()

    webhook_at_once = threading.Thread(target=third.sign_up_at_clerk)
    webhook_at_once.start()
    third.sign_up_at_platform()
    webhook_at_once.join()
    third.is_one_admin()
    check(total() == before + 3, f"three people have made {total() - before} rows")

    webhook("user.deleted", {"id": first.clerk, "deleted": True})
    wait_until(lambda: first.state() == "deactivated", "a deletion at Clerk deactivates nobody")
    status, answer = call("/admin/stats", first.key)
    check((status, answer) == (401, {"detail": "Invalid API key"}), f"the key of a deleted identity: {status} {answer}")
    log = Path(LOG)
    paused = f"schedule {first.schedule()} paused"
    wait_until(lambda: paused in log.read_text(), "the schedule of a deleted identity's user is not paused")
    check(f"user {first.clerk} banned" not in log.read_text(), "a deleted identity was banned")
    check(call("/admin/stats", second.key)[0] == 200, "a deletion concerned somebody else")
    print("identities: webhook first, platform first, both at once: one row each; a deletion shut the key")


if __name__ == "__main__":
    main()
