"""Rights that services use on behalf of the stack: without one of them, what it is for does not happen. So pollers and
the state machine act with their roles' rights, and not with the emulator's.

Which rights a poller asks for is what Lambda's documentation lists: see `_pollers` in adaptations.py.
"""

import json
import time
from collections.abc import Callable
from concurrent.futures import FIRST_EXCEPTION, wait

import platform_side as platform
import record
from account import Account, expect, until, workers
from outages import outage
from story import equal

# What Lambda asks for: see the description above.
OF_QUEUES = ("sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes")
OF_STREAMS = (
    "dynamodb:DescribeStream",
    "dynamodb:GetShardIterator",
    "dynamodb:GetRecords",
    "dynamodb:ListStreams",
)


def _refused(account: Account, role: str, action: str) -> None:
    """Waits until a role is refused something, from now on."""
    who, since = (account.physical(role), action), time.time()

    def found() -> bool:
        entries = record.read(account.folder / "record.ndjson")
        late = [entry for entry in entries if entry["denied"] and entry["at"] > since]
        return any((entry["role"], entry["action"]) == who for entry in late)

    until(f"{role} is refused {action}", found)


def queue(account: Account, function: str, name: str, message: Callable[[], str]) -> None:
    """Without any one of the function's rights to poll, a message stays in its queue; with all of them, it is taken."""
    sqs, url, role = account.client("sqs"), account.physical(name), f"{function}Role"
    until(f"{name} is empty", lambda: platform.is_empty(account, url))
    for action in OF_QUEUES:
        with outage(account, role, action):
            sqs.send_message(QueueUrl=url, MessageBody=message())
            # By then the message was there, and the poller could have received it.
            _refused(account, role, action)
            equal(f"messages of {name}, waiting and taken, without {action}", platform.waiting(account, url), (1, 0))
        until(f"the message of {name} is taken", lambda: platform.is_empty(account, url))


def all_pollers(account: Account) -> None:
    """Both queues and the stream, at once: each mostly waits for its poller's next turn."""
    with workers(3) as pollers:
        tried = [
            pollers.submit(queue, account, "Consumer", "EventsQueue", platform.login),
            pollers.submit(queue, account, "CommandExecutor", "CommandsQueue", platform.pause),
            pollers.submit(stream, account),
        ]
        # All of them, or up to the first failure.
        for each in wait(tried, return_when=FIRST_EXCEPTION).done:
            each.result()


def stream(account: Account) -> None:
    """Without any one of the relay's rights to read the stream, its poller is refused."""
    for action in OF_STREAMS:
        with outage(account, "OutboxRelayRole", action):
            _refused(account, "OutboxRelayRole", action)


def machine(account: Account) -> None:
    """Without its right to invoke the function, the state machine fails, and nothing is rebuilt."""
    machines, arn = account.client("stepfunctions"), account.outputs["ReplayMachineArn"]
    with outage(account, "ReplayMachineRole", "lambda:InvokeFunction"):
        execution = machines.start_execution(stateMachineArn=arn, input=json.dumps({"lanes": 2}))["executionArn"]

        def ended() -> str:
            status = str(machines.describe_execution(executionArn=execution)["status"])
            return "" if status == "RUNNING" else status

        equal("the execution without rights", until("it ends", ended), "FAILED")
    tables = account.client("dynamodb").list_tables()["TableNames"]
    expect("torale-projections-g2" not in tables, "a generation was created without rights")
