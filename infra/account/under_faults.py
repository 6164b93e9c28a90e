"""Faults of the store (faults.py), and a function that is killed: a second opinion on the promises that the tests check
over another store. Whatever happens, events in any order and more than once come to the same answers, a
deactivation is whole.
"""

import contextlib
import os
import random
import signal
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import faults
import platform_side as platform
import story
from account import Account, expect, until
from platform_side import ADMIN_KEY, Commands, identity
from story import SUCCESS, equal

UNAVAILABLE = 503
TASKS = 3
# What is requested under faults: it is answered, if only at the second try.
ASKED = ("/admin/stats", "/admin/users", "/admin/executions", "/admin/errors", "/admin/queries")
# The operations that must meet a kind of fault: what a scenario does without doubt.
MET = {
    "conflict": ("TransactWriteItems",),
    "hot partition": ("TransactWriteItems", "BatchGetItem"),
    "unprocessed": ("BatchGetItem",),
    "slow": ("TransactWriteItems", "BatchGetItem", "Query"),
    "stale": ("BatchGetItem", "Query"),
    "answer lost": ("TransactWriteItems", "PutItem"),
}
# After how many seconds a message comes again that was handed back or that a killed function had: here, so that it can
# be waited for. The template says minutes.
SOON = "10"


@contextlib.contextmanager
def injected(account: Account, kind: str, *operations: str) -> Iterator[None]:
    """Functions meet a kind of fault meanwhile.

    Raises:
        Wrong: If no call of one of these operations did.
    """
    file, noted = account.folder / "faults", account.folder / f"faults{faults.NOTED}"
    noted.unlink(missing_ok=True)
    file.write_text(kind)
    try:
        yield
    finally:
        file.unlink()
    met = set(noted.read_text().split("\n")) if noted.exists() else set[str]()
    missing = {f"{kind} {operation}" for operation in operations} - met
    expect(not missing, f"no such call met the fault: {sorted(missing)}; only {sorted(met)}")


@contextlib.contextmanager
def soon_again(account: Account) -> Iterator[None]:
    """Messages that were not done come again within seconds."""
    sqs, before = account.client("sqs"), dict[str, dict[str, str]]()
    for url in (account.physical("EventsQueue"), account.physical("CommandsQueue")):
        before[url] = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["VisibilityTimeout"])["Attributes"]
        sqs.set_queue_attributes(QueueUrl=url, Attributes={"VisibilityTimeout": SOON})
    try:
        yield
    finally:
        for url, attributes in before.items():
            sqs.set_queue_attributes(QueueUrl=url, Attributes=attributes)


class Scenario:
    """A user of its own, with tasks and two executions, one of which fails: as many as succeed, as before."""

    def __init__(self, number: int) -> None:
        self.number, self.user = number, identity(0x2000 + number)
        self.tasks = {identity(0x3000 + TASKS * number + n) for n in range(TASKS)}
        self.task = min(self.tasks)

    def events(self) -> list[str]:
        """Its events, in random order, some twice."""
        run: dict[str, Any] = {"task_id": self.task, "user_id": self.user}
        ended: dict[str, Any] = {"duration_ms": 5000, "started_at": platform.instant(timedelta(minutes=5)), **run}
        executions = [identity(0x4000 + 2 * self.number + n) for n in range(2)]
        found = [
            platform.event(
                "user.created",
                user_id=self.user,
                clerk_user_id=f"user_{self.number}",
                email=f"{self.number}@example.com",
            ),
            *[
                platform.event("task.created", task_id=task, user_id=self.user, search_query=platform.OTHER_QUERY)
                for task in self.tasks
            ],
            *[platform.event("execution.started", execution_id=each, **run) for each in executions],
            platform.event("execution.succeeded", execution_id=executions[0], condition_met=True, **ended),
            platform.event(
                "execution.failed",
                execution_id=executions[1],
                error_type="TimeoutError",
                error_message="late",
                **ended,
            ),
        ]
        order = random.Random(self.number)  # noqa: S311
        found += order.sample(found, len(found) // 2)
        order.shuffle(found)
        return found

    def is_whole(self, account: Account) -> None:
        """The events came to what they always come to."""
        task = story.answer(account, f"/admin/tasks/{self.task}")
        equal(f"the task of scenario {self.number}", (task["total_executions"], task["success_rate"]), (2, 0.5))
        users = story.answer(account, "/admin/users?limit=100")["users"]
        equal(f"users of scenario {self.number}", [each["id"] for each in users].count(self.user), 1)


def _asked(account: Account, method: str, path: str) -> Any:
    """The answer with 200 to a request that may be refused as unavailable meanwhile, and not otherwise."""
    answers = list[tuple[int, Any]]()

    def answered() -> bool:
        answers.append(account.request(method, path, ADMIN_KEY))
        return answers[-1][0] != UNAVAILABLE

    until(f"{method} {path} is answered", answered)
    status, body = answers[-1]
    equal(f"{method} {path}", status, SUCCESS)
    return body


def _deactivated(account: Account, scenario: Scenario) -> None:
    found = _asked(account, "PATCH", f"/admin/users/{scenario.user}/deactivate")
    equal("the deactivation", (found["user_id"], found["tasks_paused"]), (scenario.user, TASKS))


def _over(account: Account, commands: Commands, scenario: Scenario) -> None:
    """Once the fault is over, everything has been carried out and the user may come back."""
    until("the pauses are sent", lambda: {("task.pause", task) for task in scenario.tasks} <= commands.receive())
    until("the outbox is empty", lambda: story.outbox(account) == 0)
    path, back = f"/admin/users/{scenario.user}/reactivate", "User reactivated successfully"
    expected = (SUCCESS, {"message": back, "user_id": scenario.user})
    until("the user may come back", lambda: account.request("PATCH", path, ADMIN_KEY) == expected)
    scenario.is_whole(account)


def faulty(account: Account, commands: Commands) -> None:
    """A scenario under every kind of fault."""
    for number, kind in enumerate(faults.KINDS):
        scenario = Scenario(number)
        with injected(account, kind, *MET[kind]):
            platform.send(account, scenario.events())
            until(f"all events are taken: {kind}", lambda: platform.is_empty(account))
            for path in ASKED:
                _asked(account, "GET", path)
            _deactivated(account, scenario)
        _over(account, commands, scenario)


def _instances(account: Account, function: str) -> list[int]:
    """The processes of a function in this account."""
    name, found = f"AWS_LAMBDA_FUNCTION_NAME={account.physical(function)}".encode(), []
    for process in Path("/proc").glob("[0-9]*"):
        # Others end meanwhile.
        with contextlib.suppress(OSError):
            of_account = (process / "cwd").readlink().is_relative_to(account.folder)
            if of_account and name in (process / "environ").read_bytes().split(b"\0"):
                found.append(int(process.name))
    return found


def killed(account: Account, commands: Commands) -> None:
    """The consumer is killed when it has written to the log and not yet all of the projections: its messages come
    again, and count once.
    """
    scenario, logged = Scenario(len(faults.KINDS)), _logged(account)
    with injected(account, "slow", "PutItem"):
        platform.send(account, scenario.events())
        until("the events are in the log", lambda: _logged(account) > logged)
        instances = _instances(account, "Consumer")
        expect(instances, "the consumer has no process")
        for instance in instances:
            os.kill(instance, signal.SIGKILL)
        expect(not platform.is_empty(account), "the messages of a killed consumer are gone")
        # Else it had done everything before it was killed.
        status, task = account.request("GET", f"/admin/tasks/{scenario.task}", ADMIN_KEY)
        whole = status == SUCCESS and (task["total_executions"], task["success_rate"]) == (2, 0.5)
        expect(not whole, f"the consumer was killed too late: {task}")
    until("the messages come again", lambda: platform.is_empty(account))
    _deactivated(account, scenario)
    _over(account, commands, scenario)


def _logged(account: Account) -> int:
    """The number of items of the log."""
    return int(account.client("dynamodb").scan(TableName="torale-events", Select="COUNT")["Count"])
