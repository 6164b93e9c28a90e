"""Faults that DynamoDB has and the emulator never has, injected in front of its store.

The check names a kind of fault in a file; from then on the calls that functions make meet it, in the emulator's
process. Nobody else's calls do: the check itself and an operator see the store as it is. What was injected is noted in
another file, so that the check can tell that there was any.

| kind | calls | what they meet |
|---|---|---|
| conflict | every second `TransactWriteItems` | cancelled, with `TransactionConflict` for its first item |
| hot partition | every second call on the partition `HOT` | throttled; a transaction is cancelled for it |
| unprocessed | every second batch of several items | only the first half is done, the rest is handed back |
| slow | all | half a second later than else |
| stale | reads that are not strongly consistent | each item as it was before its last change, a deleted one too |
| answer lost | every second write of an operation | done, and answered with 500 |

Every second one, so that a retry helps, as it does in AWS; of each operation, so that none escapes by its turn.

Deleted items are found again by their key, and in a query between items of its answer, since every condition on sort
keys is a range. They stay away where a filter or a limit would decide about them, in counts, in scans and in
projections without the key.
"""

import asyncio
import copy
import itertools
import json
import os
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import readings

# The variable of the emulator that names the file with the kind of fault; what was injected is noted beside it, a kind
# and an operation a line.
FILE = "ACCOUNT_FAULTS"
NOTED = ".injected"
# The totals of the tasks of a lane, which the endpoints read and every change of a task's state writes.
HOT = "c#tasks#0"
SECONDS = 0.5
READS = ("GetItem", "BatchGetItem", "Query", "Scan")
WRITES = ("PutItem", "UpdateItem", "DeleteItem", "BatchWriteItem", "TransactWriteItems")
SUCCESS = 200

Request = dict[str, Any]
Answer = tuple[int, dict[str, str], bytes]
Send = Callable[[Request], Awaitable[Answer]]

_counts: dict[str, Iterator[int]] = {}
# Items before their last change, by table and keys; nothing for one that was inserted.
_former: dict[tuple[str, str, str], dict[str, Any] | None] = {}
# Those that were deleted by it.
_gone: set[tuple[str, str, str]] = set()


def _error(code: str, status: int = 400, **more: Any) -> Answer:
    headers = {"Content-Type": "application/x-amz-json-1.0", "x-amzn-errortype": code}
    return status, headers, json.dumps({"__type": code, "message": "injected"} | more).encode()


def _cancelled(request: Request, at: int, code: str) -> Answer:
    reasons: list[dict[str, str]] = [{"Code": "None"} for _ in request["TransactItems"]]
    reasons[at] = {"Code": code, "Message": "injected"}
    return _error("TransactionCanceledException", CancellationReasons=reasons)


def _second(kind: str) -> bool:
    """Whether it is the turn of a call."""
    return next(_counts.setdefault(kind, itertools.count())) % 2 == 0


async def _conflict(operation: str, request: Request, send: Send) -> tuple[Answer, bool]:
    if operation == "TransactWriteItems" and _second("conflict"):
        return _cancelled(request, 0, "TransactionConflict"), True
    return await send(request), False


async def _hot_partition(operation: str, request: Request, send: Send) -> tuple[Answer, bool]:
    hot = [number for number, use in enumerate(readings.uses(request)) if use.key == HOT]
    if not hot or not _second(f"hot partition, {operation}"):
        return await send(request), False
    if operation == "TransactWriteItems":
        return _cancelled(request, hot[0], "ThrottlingError"), True
    return _error("ProvisionedThroughputExceededException"), True


def _halves(request: Request) -> tuple[Request, Request]:
    """The items of a batch, divided into those that are done and those that are handed back."""
    done, left = {}, {}
    for table, asked in request["RequestItems"].items():
        items = asked if isinstance(asked, list) else asked["Keys"]
        middle = (len(items) + 1) // 2
        parts = (items[:middle], items[middle:])
        done[table], rest = parts if isinstance(asked, list) else [asked | {"Keys": keys} for keys in parts]
        if parts[1]:
            left[table] = rest
    return done, left


async def _unprocessed(operation: str, request: Request, send: Send) -> tuple[Answer, bool]:
    name = {"BatchGetItem": "UnprocessedKeys", "BatchWriteItem": "UnprocessedItems"}.get(operation)
    done, left = _halves(request) if name else ({}, {})
    if not left or not _second(operation):
        return await send(request), False
    status, headers, body = await send(request | {"RequestItems": done})
    if status == SUCCESS:
        body = json.dumps(json.loads(body) | {name: left}).encode()
    return (status, headers, body), True


async def _slow(_operation: str, request: Request, send: Send) -> tuple[Answer, bool]:
    await asyncio.sleep(SECONDS)
    return await send(request), True


def _before(table: str, item: dict[str, Any]) -> dict[str, Any] | None:
    return _former.get((table, item["pk"]["S"], item["sk"]["S"]), item)


def _projected(item: dict[str, Any], request: Request) -> dict[str, Any]:
    """An item as far as a read asks for it, by the names of attributes."""
    if "ProjectionExpression" not in request:
        return item
    named = request.get("ExpressionAttributeNames", {})
    wanted = [named.get(name, name) for name in map(str.strip, request["ProjectionExpression"].split(","))]
    return {name: item[name] for name in wanted if name in item}


def _all_before(table: str, items: list[dict[str, Any]], request: Request) -> list[dict[str, Any]]:
    """Items before their last change, without those that were not there; those without their key stay as they are."""
    found = []
    for item in items:
        former = _before(table, item) if {"pk", "sk"} <= item.keys() else item
        found += [item if former is item else _projected(former, request)] if former else []
    return found


def _deleted(table: str, keys: list[dict[str, Any]], request: Request) -> list[dict[str, Any]]:
    """The items with these keys that were deleted by their last change."""
    places = [(table, key["pk"]["S"], key["sk"]["S"]) for key in keys]
    return [_projected(former, request) for place in places if place in _gone and (former := _former[place])]


def _between(request: Request, items: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The items of a query's answer, with the deleted ones that stood between them."""
    if not items or not {"pk", "sk"} <= items[0].keys() or {"FilterExpression", "IndexName"} & request.keys():
        return items
    table, partition = request["TableName"], items[0]["pk"]["S"]
    ends = sorted(item["sk"]["S"] for item in items)
    keys = [
        {"pk": {"S": pk}, "sk": {"S": sk}}
        for name, pk, sk in list(_gone)
        if (name, pk) == (table, partition) and ends[0] < sk < ends[-1]
    ]
    more = _deleted(table, keys, request)
    if not more or len(items) + len(more) > request.get("Limit", float("inf")):
        return items
    backwards = not request.get("ScanIndexForward", True)
    return sorted(items + more, key=lambda item: str(item["sk"]["S"]).encode(), reverse=backwards)


def _read_before(operation: str, request: Request, answer: Request) -> Request:
    """The answer to a read of one table, as it would have been before the last changes."""
    table = request["TableName"]
    if operation == "GetItem":
        former = _before(table, request["Key"] | answer["Item"]) if "Item" in answer else None
        found = [_projected(former, request)] if former else _deleted(table, [request["Key"]], request)
        return {key: each for key, each in answer.items() if key != "Item"} | ({"Item": found[0]} if found else {})
    if "Items" not in answer:
        return answer
    items = _between(request, answer["Items"]) if operation == "Query" else answer["Items"]
    before = _all_before(table, items, request)
    return answer | {"Items": before, "Count": len(before)}


async def _stale(operation: str, request: Request, send: Send) -> tuple[Answer, bool]:
    status, headers, body = await send(request)
    if status != SUCCESS or operation not in READS:
        return (status, headers, body), False
    answer = json.loads(body)
    found = copy.deepcopy(answer)
    if operation == "BatchGetItem":
        for table, asked in request["RequestItems"].items():
            if not asked.get("ConsistentRead"):
                items = answer["Responses"].get(table, [])
                before = _all_before(table, items, asked) + _deleted(table, asked["Keys"], asked)
                answer["Responses"][table] = before
    elif not request.get("ConsistentRead"):
        answer = _read_before(operation, request, answer)
    return (status, headers, json.dumps(answer).encode()), answer != found


async def _answer_lost(operation: str, request: Request, send: Send) -> tuple[Answer, bool]:
    answer = await send(request)
    if operation in WRITES and answer[0] == SUCCESS and _second(f"answer lost, {operation}"):
        return _error("InternalServerError", status=500), True
    return answer, False


KINDS = {
    "conflict": _conflict,
    "hot partition": _hot_partition,
    "unprocessed": _unprocessed,
    "slow": _slow,
    "stale": _stale,
    "answer lost": _answer_lost,
}


def remember(original: Any, table: str, name: str, old: dict[str, Any] | None, new: dict[str, Any] | None,
             *rest: Any, **more: Any) -> Any:  # fmt: skip
    """Wraps what the emulator does about every change of an item."""
    key = (new or old or {})["pk"]["S"], (new or old or {})["sk"]["S"]
    _former[table, *key] = copy.deepcopy(old)
    (_gone.discard if new else _gone.add)((table, *key))
    return original(table, name, old, new, *rest, **more)


def _active() -> str:
    file = Path(os.environ[FILE])
    return file.read_text() if file.exists() else ""


async def answer(original: Any, *, met: bool, method: str, path: str, headers: dict[str, str], body: bytes,
                 params: Any) -> Answer:  # fmt: skip
    """Answers a call to the store: with the fault that is named now if the call is one that meets faults, else as the
    emulator does.
    """

    async def send(request: Request) -> Answer:
        found: Answer = await original(method, path, headers, json.dumps(request).encode(), params)
        return found

    kind = _active() if met else ""
    if not kind:
        plain: Answer = await original(method, path, headers, body, params)
        return plain
    operation = headers.get("x-amz-target", "").rsplit(".", maxsplit=1)[-1]
    (status, answered, content), injected = await KINDS[kind](operation, json.loads(body or b"{}"), send)
    if injected:
        with Path(os.environ[FILE] + NOTED).open("a") as file:
            file.write(f"{kind} {operation}\n")
        # It was of the answer that the emulator gave.
        answered.pop("x-amz-crc32", None)
    return status, answered, content
