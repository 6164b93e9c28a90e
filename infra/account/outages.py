"""Refusals that are meant: a role that is kept from something for a while, a service that may not invoke a function.
Any other refusal of the stack's own callers is one too many, even if the caller copes with it: see used.py.
"""

import contextlib
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from account import Account

# For how many seconds after its end something may still be refused: what was decided just before is noted just after.
NOTED_LATE = 1


@dataclass
class Meant:
    """What a caller (the physical name of a role, or a service) is refused from one time to another."""

    caller: str
    action: str
    # The session, or for a service the ARN of the source that it acts for; any, if it is empty.
    session: str
    since: float
    until: float

    def covers(self, entry: dict[str, Any]) -> bool:
        """Whether it is about a refusal in the record."""
        who = self.caller, self.action, self.session or entry["session"]
        return who == (entry["role"], entry["action"], entry["session"]) and self.since <= entry["at"] <= self.until


MEANT: list[Meant] = []


def meant(entry: dict[str, Any]) -> bool:
    """Whether a refusal in the record is one that is meant."""
    return any(of.covers(entry) for of in MEANT)


@contextlib.contextmanager
def expected(caller: str, action: str, session: str = "") -> Iterator[None]:
    """A caller is refused something meanwhile; in one session, or for one source, if it is named."""
    found = Meant(caller, action, session, time.time(), float("inf"))
    MEANT.append(found)
    try:
        yield
    finally:
        found.until = time.time() + NOTED_LATE


@contextlib.contextmanager
def outage(account: Account, role: str, action: str = "sqs:SendMessage") -> Iterator[None]:
    """A role cannot do something meanwhile: send messages, unless another action is named."""
    iam, denial = account.client("iam"), {"Effect": "Deny", "Action": action, "Resource": "*"}
    # Two outages of one role may overlap.
    named = {"RoleName": account.physical(role), "PolicyName": f"No{action.replace(':', '-')}"}
    with expected(account.physical(role), action):
        iam.put_role_policy(**named, PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [denial]}))
        try:
            yield
        finally:
            iam.delete_role_policy(**named)
