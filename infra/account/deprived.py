"""Rights that services use on behalf of the stack: without one of them, what it is for does not happen. So pollers and
the state machine act with their roles' rights, and not with the emulator's.
"""

import json

import platform_side as platform
import record
from account import Account, expect, until
from story import equal, outage


def poller(account: Account) -> None:
    """Without the consumer's right to receive, an event stays in the queue; with it, it is taken."""
    role = account.physical("ConsumerRole")

    def refused() -> bool:
        entries = record.read(account.folder / "record.ndjson")
        return any(e["denied"] and (e["role"], e["action"]) == (role, "sqs:ReceiveMessage") for e in entries)

    with outage(account, "ConsumerRole", "sqs:ReceiveMessage"):
        platform.send(account, [platform.event("user.logged_in", user_id=platform.OTHER_USER)])
        until("the poller is refused", refused)
        expect(not platform.is_empty(account), "an event was taken without the right to receive it")
    until("the event is taken", lambda: platform.is_empty(account))


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
