"""Faults that DynamoDB has and the emulator never has, injected in front of its store.

The check names a kind of fault in a file; from then on the calls that functions make meet it, in the emulator's
process. Nobody else's calls do: the check itself and an operator see the store as it is. What was injected is noted in
another file, so that the check can tell that there was any.

| kind | calls | what they meet |
|---|---|---|
| conflict | every second `TransactWriteItems` | cancelled, with `TransactionConflict` for its first item |
| hot partition | every second call that names the partition `HOT` | throttled; a transaction is cancelled for it |
| unprocessed | every second batch of several items | only the first half is done, the rest is handed back |
| slow | all | half a second later than else |
| stale | reads that are not strongly consistent | each item as it was before its last change |
| answer lost | every second write | done, and answered with 500 |

Every second one, so that a retry helps, as it does in AWS.
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
WRITES = ("PutItem", "UpdateItem", "DeleteItem", "BatchWriteItem", "TransactWriteItems")
SUCCESS = 200

Request = dict[str, Any]
Answer = tuple[int, dict[str, str], bytes]
Send = Callable[[Request], Awaitable[Answer]]

_counts: dict[str, Iterator[int]] = {}
# Items before their last change, by table and keys; nothing for one that was inserted.
_former: dict[tuple[str, str, str], dict[str, Any] | None] = {}


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
    if not hot or not _second("hot partition"):
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


def _all_before(table: str, items: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [former for item in items if (former := _before(table, item))]


async def _stale(operation: str, request: Request, send: Send) -> tuple[Answer, bool]:
    status, headers, body = await send(request)
    if status != SUCCESS:
        return (status, headers, body), False
    answer = json.loads(body)
    found = copy.deepcopy(answer)
    if operation == "BatchGetItem":
        for table, items in answer["Responses"].items():
            if not request["RequestItems"][table].get("ConsistentRead"):
                answer["Responses"][table] = _all_before(table, items)
    elif not request.get("ConsistentRead") and "ProjectionExpression" not in request:
        if operation == "GetItem" and "Item" in answer:
            before = _before(request["TableName"], answer.pop("Item"))
            answer |= {"Item": before} if before else {}
        elif operation == "Query" and "Items" in answer:
            answer["Items"] = _all_before(request["TableName"], answer["Items"])
            answer["Count"] = len(answer["Items"])
    return (status, headers, json.dumps(answer).encode()), answer != found


async def _answer_lost(operation: str, request: Request, send: Send) -> tuple[Answer, bool]:
    answer = await send(request)
    if operation in WRITES and answer[0] == SUCCESS and _second("answer lost"):
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
