"""What a DynamoDB request does to which partitions, and what IAM may take for `dynamodb:LeadingKeys`.

AWS does not document whether a transaction's keys are decided item by item or together. So a request
must be allowed under all of these readings, and the template's statements are written to that effect:

| reading | the keys of one decision about an action on a table |
|---|---|
| item | one decision an item, about its own key |
| action | all keys that the transaction names in the table with this action |
| table | all keys that the transaction names in the table |

Any other request is decided once, about all of its keys in the table.
"""

import json
from dataclasses import dataclass
from typing import Any

READINGS = ("item", "action", "table")
# Actions whose requests always name a key.
KEYED = {
    f"dynamodb:{name}"
    for name in (
        "GetItem",
        "BatchGetItem",
        "Query",
        "PutItem",
        "UpdateItem",
        "DeleteItem",
        "ConditionCheckItem",
        "BatchWriteItem",
    )
}
# What an item of a transaction may be.
MEMBERS = {
    "ConditionCheck": "ConditionCheckItem",
    "Put": "PutItem",
    "Update": "UpdateItem",
    "Delete": "DeleteItem",
    "Get": "GetItem",
}


@dataclass(frozen=True)
class Use:
    """An item of a request: what is done to it, in which table, and its partition key."""

    action: str
    table: str
    key: str


def _key(item: dict[str, Any]) -> str:
    return str(item["pk"]["S"])


def _queried(request: dict[str, Any]) -> str:
    """The partition of a query, whose condition begins with it."""
    _, value = request["KeyConditionExpression"].split(" AND ")[0].split(" = ")
    return str(request["ExpressionAttributeValues"][value.strip()]["S"])


def uses(request: dict[str, Any]) -> list[Use]:
    """The items of a request; none of one that names no key. The action is that of a transaction's item."""
    if "TransactItems" in request:
        members = [member for item in request["TransactItems"] for member in item.items()]
        return [
            Use(f"dynamodb:{MEMBERS[kind]}", of["TableName"], _key(of.get("Item") or of["Key"])) for kind, of in members
        ]
    if "RequestItems" in request:
        found = []
        for table, asked in request["RequestItems"].items():
            writes = [next(iter(write.values())) for write in asked] if isinstance(asked, list) else []
            keys = [write.get("Item") or write["Key"] for write in writes] if writes else asked["Keys"]
            found += [Use("", table, _key(key)) for key in keys]
        return found
    if "KeyConditionExpression" in request:
        return [Use("", request["TableName"], _queried(request))]
    item = request.get("Item") or request.get("Key")
    return [Use("", request["TableName"], _key(item))] if item and "pk" in item else []


def of_body(body: bytes) -> list[Use]:
    """The items of a request as it was sent; none if it is not one that this module understands. Who needs a key then
    decides about `record.NOT_UNDERSTOOD`.
    """
    try:
        return uses(json.loads(body or b"{}"))
    except (ValueError, KeyError, TypeError, AttributeError, IndexError):
        return []


def leading_keys(of: list[Use], action: str, table: str, reading: str) -> list[list[str]]:
    """The keys of each decision about an action on a table, under a reading; none if no key is named."""
    in_table = [use for use in of if use.table == table]
    if not in_table or not in_table[0].action:
        return [[use.key for use in in_table]] if in_table else []
    acted_on = [use.key for use in in_table if use.action == action]
    match reading:
        case "item":
            return [[key] for key in acted_on]
        case "action":
            return [acted_on]
    return [[use.key for use in in_table]]


def own_keys(of: list[Use], action: str, table: str) -> list[str]:
    """The keys that a request's action on a table is for: of a transaction only those of this action's items."""
    return sorted({use.key for use in of if use.table == table and use.action in ("", action)})


def shape(of: list[Use]) -> list[tuple[str, str, str]]:
    """What a transaction does to which kinds of keys, a kind being what stands before the first `#`; nothing of any
    other request.
    """
    return sorted({(use.action, use.table, use.key.partition("#")[0]) for use in of if use.action})


def decisions(of: list[Use], action: str, table: str) -> list[list[str]]:
    """The keys of every decision under every reading, each once."""
    found: list[list[str]] = []
    for reading in READINGS:
        found += [keys for keys in leading_keys(of, action, table, reading) if keys not in found]
    return found
