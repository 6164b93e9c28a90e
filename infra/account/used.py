"""What the roles and the operator have done, as recorded by the emulator, against infra/rights.toml: nothing missing,
nothing refused, and no right of a role unused.
"""

import re
from dataclasses import dataclass
from typing import Any

import permissions

import operator_user
import outages
import record
from account import Account
from stack import FORWARDED_TO, expanded

# The names of all roles in the table that are deployed here; matrix.py decides about the others, too.
ROLES: list[str] = sorted(role for role in permissions.RIGHTS["roles"] if f"{role}Role" in expanded()["Resources"])
# Rights that nothing here can exercise, with the reason. Those over tables are exercised by
# tests/suite/tests/deployment/permissions.rs.
NOT_EXERCISED = {
    "xray": "the emulator sends no traces",
    "dynamodb:GetItem ControlTable[links#*]": "only for an identity of more than a thousand users",
    "dynamodb:PutItem ControlTable[links#*]": "only for an identity of more than a thousand users",
}

# The people whose tools are used here, as the table names them.
OPERATOR = "Operator"


@dataclass(frozen=True)
class Right:
    """A row of the table for one action and one of its keys; an empty key is all of the place."""

    action: str
    place: str
    key: str
    counting: bool

    def __str__(self) -> str:
        """As in the findings."""
        key = f"[{self.key}]" if self.key else ""
        return f"{self.action} {self.place}{key}{'(count)' if self.counting else ''}"

    def covers(self, action: str, place: str, keys: list[str], *, counting: bool) -> bool:
        """Whether it allows an action on one of the keys; without keys, on the place."""
        if (self.action, self.place) != (action, place) or (self.counting and not counting):
            return False
        pattern = re.compile(re.escape(self.key).replace(r"\*", ".*"))
        return not self.key or any(pattern.fullmatch(key) for key in keys)


def rights(role: str) -> list[Right]:
    """The rights of a role, or of people, one for each key."""
    table, found = permissions.RIGHTS, []
    rows = table["roles"].get(role) or table["people"][role]
    for where, action in permissions.allowed(rows):
        counting = where.endswith("(count)")
        place, _, keys = where.removesuffix("(count)").removesuffix("]").partition("[")
        found += [Right(action, place, key, counting) for key in keys.split() or [""]]
    return found


class Places:
    """The names of the table for the resources of the stack."""

    def __init__(self, account: Account, resources: dict[str, Any]) -> None:
        # A table and a queue have the same name.
        self.physical = {("sqs", FORWARDED_TO): "CommandsForwardQueue"}
        for name, value in account.resources.items():
            service = resources[name]["Type"].split("::")[1].lower()
            self.physical[service, value.rsplit("/", 1)[-1]] = name
        self.roles = {
            value: name.removesuffix("Role") for name, value in account.resources.items() if name.endswith("Role")
        } | {operator_user.NAME: OPERATOR}

    def place(self, arn: str) -> str:
        """The name of a resource."""
        if arn == "*":
            return "*"
        service, resource = arn.split(":")[2], arn.split(":", 5)[5]
        name = re.sub(r"^(table/|key/|function:|log-group:)", "", resource)
        if service == "dynamodb" and name.startswith("torale-projections-"):
            return "projections"
        if "/stream/" in name:
            return f"{self.physical[service, name.split('/stream/')[0]]}/stream"
        # The id of a log group has slashes.
        return self.physical.get((service, name.split(":log-stream")[0].rsplit("/", 1)[-1]), arn)


def by_themselves(entries: list[dict[str, Any]]) -> list[str]:
    """What is wrong with calls, whatever infra/rights.toml says: refused, or not understood."""
    return sorted({refused_or_unknown(entry, entry["role"]) for entry in entries} - {""})


def refused_or_unknown(entry: dict[str, Any], name: str) -> str:
    """What is wrong with a call by itself: nobody could tell what it is, or it was refused and should not have been."""
    what = f"{name}: {entry['action']} on {entry['resource']} {entry['keys']}"
    if record.NOT_UNDERSTOOD in (entry["action"], *entry["keys"]):
        return f"{what}: nothing was decided about it"
    if entry["denied"] and not outages.meant(entry):
        return f"{what}: refused, though nobody keeps it from that"
    return ""


def findings(account: Account, resources: dict[str, Any], entries: list[dict[str, Any]]) -> list[str]:
    """Calls that no right covers or that were refused, and rights of roles that no call needed: most commands of the
    operator are not given here.
    """
    places = Places(account, resources)
    found, used = set[str](), set[tuple[str, Right]]()
    by_role = {role: rights(role) for role in [*ROLES, OPERATOR]}
    for entry in entries:
        role = places.roles.get(entry["role"])
        found.add(refused_or_unknown(entry, role or entry["role"]))
        if role is None or entry["denied"]:
            continue
        place, counting = places.place(entry["resource"]), entry["select"] == "COUNT"
        # Each key by itself: one that is granted says nothing about the others.
        for key in [entry["namespace"]] if entry["namespace"] else entry["keys"] or [""]:
            action = entry["action"]
            covering = [right for right in by_role[role] if right.covers(action, place, [key], counting=counting)]
            used |= {(role, right) for right in covering}
            if not covering:
                found.add(f"{role} has done {action} on {place}[{key}], which infra/rights.toml does not grant")
    for role in ROLES:
        for right in by_role[role]:
            excused = any(str(right).startswith(name) for name in NOT_EXERCISED)
            if excused == ((role, right) in used):
                how = "used, though NOT_EXERCISED says otherwise:" if excused else "never used"
                found.add(f"{role} {how} {right}, which infra/rights.toml grants")
    return sorted(found - {""})
