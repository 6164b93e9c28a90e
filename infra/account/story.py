"""What an administrator and the platform do with a new installation, with every answer asserted."""

import itertools
import json
import re
from typing import Any

import jsonschema

import platform_side as platform
from account import ROOT, Account, expect, same, until
from outages import outage
from platform_side import (
    ADMIN,
    ADMIN_KEY,
    LATE_TASK,
    MANY_TASKS,
    NOBODY,
    OTHER_USER,
    SCHEDULE,
    TASK,
    TASKS,
    USER,
    USER_KEY,
    Clerk,
    Commands,
)

DOCUMENT: dict[str, Any] = json.loads((ROOT / "events/openapi.json").read_text())
SUCCESS, BAD, UNAUTHORIZED, FORBIDDEN, NOT_FOUND, NOT_ALLOWED, CONFLICT, INVALID = (
    200,
    400,
    401,
    403,
    404,
    405,
    409,
    422,
)
# What the history comes to.
STATS = {
    "users": {"total": 3, "new_7d": 3, "active_30d": 1},
    "tasks": {"total": 102, "active": 101, "paused": 1},
    "executions": {"total_24h": 3, "success_24h": 1, "failed_24h": 1, "avg_duration_ms": 5000},
    "notifications": {"sent_24h": 1, "sent_7d": 1},
    "popular_queries": [
        {"query": platform.QUERY, "count": 101},
        {"query": platform.OTHER_QUERY, "count": 1},
    ],
}
TOTALS = {
    "/admin/tasks": 102,
    "/admin/tasks?state=paused": 1,
    "/admin/queries": 2,
    "/admin/executions": 3,
    "/admin/executions?status=running": 1,
    "/admin/executions?status=success": 1,
    "/admin/executions?status=failed": 1,
    "/admin/errors": 1,
    "/admin/users": 3,
    "/admin/temporal/workflows": 1,
    "/admin/temporal/schedules": 1,
}
# Where the ids of a path come from: a list, its rows, and the field.
IDS = {
    "/admin/users/{id}": ("/admin/users", "users", "id"),
    "/admin/executions/{id}": ("/admin/executions", "executions", "id"),
    "/admin/tasks/{id}": ("/admin/tasks?limit=10", "tasks", "id"),
}
# What a series of so many hours adds up to.
SERIES = {"executions": 3, "errors": 1, "notifications": 1, "new_users": 3, "last_logins": 1, "workflows": 1}
SERIES_HOURS = 24


def paths(method: str) -> list[str]:
    """The paths of the committed OpenAPI document that take a method."""
    return [path for path, methods in DOCUMENT["paths"].items() if method in methods]


def declared(path: str) -> Any:
    """The GET of the document to which a path with ids and a query belongs."""
    asked = path.partition("?")[0]
    fitting = [each for each in paths("get") if re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", each), asked)]
    return DOCUMENT["paths"][min(fitting, key=lambda each: each.count("{"))]["get"]


def answer(account: Account, path: str, key: str = ADMIN_KEY) -> Any:
    """The answer to a GET that must succeed, after its schema was checked."""
    status, body = account.request("GET", path, key)
    expect(status == SUCCESS, f"GET {path}: {status} {body}")
    content = declared(path)["responses"]["200"]["content"]["application/json"]
    jsonschema.validate(body, {**content["schema"], "components": DOCUMENT["components"]})
    return body


def equal(what: str, found: object, should: object) -> None:
    """Both must be the same."""
    expect(found == should, f"{what}: {found!r}, not {should!r}")


def refused(account: Account, method: str, path: str, status: int, key: str = "", body: Any = None) -> None:
    """A request must be answered with a status and a detail."""
    found, text = account.request(method, path, key, body)
    expect(
        found == status and isinstance(text, dict) and text.get("detail"),
        f"{method} {path}: {found} {text}, not {status}",
    )


def events_in(account: Account) -> None:
    """The history goes in through the queue, and comes out in the statistics."""
    platform.send(account, platform.history())

    until("all events are taken", lambda: platform.is_empty(account))
    equal("the statistics", answer(account, "/admin/stats"), STATS)
    quarantined = account.client("dynamodb").scan(TableName="torale-quarantine")["Items"]
    equal("bodies in quarantine", [item["body"].get("S") for item in quarantined], ["this is no event"])


def concrete(account: Account, path: str) -> list[str]:
    """What to ask for a path of the document: each id of its list, each value of required parameters."""
    ids: set[str] = set()
    if path in IDS:
        source, rows, field = IDS[path]
        ids = {row[field] for row in answer(account, source)[rows]}
        expect(ids, f"{source} has no id for {path}")
    of = DOCUMENT["paths"][path]["get"].get("parameters", [])
    required = [each for each in of if each["in"] == "query" and each.get("required")]
    choices = [[f"{each['name']}={value}" for value in each["schema"]["enum"]] for each in required]
    queries = ["&".join(chosen) for chosen in itertools.product(*choices)]
    located = [path.replace("{id}", each) for each in sorted(ids)] or [path]
    return [f"{each}?{query}" if query else each for each in located for query in queries]


def invalid(account: Account, path: str, asked: str) -> None:
    """A bad page, a bad id, an unknown id, a missing parameter: each is refused."""
    of = DOCUMENT["paths"][path]["get"].get("parameters", [])
    if any(each["name"] == "page" for each in of):
        refused(account, "GET", f"{asked}?page=0", INVALID, ADMIN_KEY)
    if path in IDS:
        refused(account, "GET", path.replace("{id}", "no-id"), INVALID, ADMIN_KEY)
        refused(account, "GET", path.replace("{id}", NOBODY), NOT_FOUND, ADMIN_KEY)
    if any(each["in"] == "query" and each.get("required") for each in of):
        refused(account, "GET", path, INVALID, ADMIN_KEY)


def details(account: Account) -> dict[str, Any]:
    """What the details of one thing say; gives those that a rebuild must not change."""
    found = {path: answer(account, path) for path in (
        f"/admin/executions/{platform.FAILED}", f"/admin/tasks/{TASK}", f"/admin/users/{OTHER_USER}"
    )}  # fmt: skip
    failed, task, other = found.values()
    equal("the failed execution", (failed["status"], failed["error_message"]), ("failed", "late"))
    equal("its event", [each["type"] for each in failed["history"]], ["ai.torale.execution.failed"])
    equal("the task", (task["total_executions"], task["user_id"], task["success_rate"]), (3, USER, 0.5))
    equal("its schedules", [each["schedule_id"] for each in task["schedules"]], [SCHEDULE])
    equal("a user without keys", (other["api_keys"], other["deactivation"]), ([], None))
    keys = answer(account, f"/admin/users/{ADMIN}")["api_keys"]
    equal("the admin's keys", [(each["key_id"], each["revoked"]) for each in keys], [("key_admin", False)])
    expect(keys[0]["last_used_at"], "the key that is used has no last use")
    for metric, total in SERIES.items():
        series = answer(account, f"/admin/stats/series?metric={metric}&bucket=hour&hours={SERIES_HOURS}")
        equal(f"the series of {metric}", sum(point["count"] for point in series["points"]), total)
    return found


def every_get(account: Account) -> dict[str, Any]:
    """Every GET of the OpenAPI document, allowed and refused; gives the answers that a rebuild must not change."""
    for path in paths("get"):
        for asked in concrete(account, path):
            answer(account, asked, "" if path.endswith("openapi.json") else ADMIN_KEY)
        if not path.endswith("openapi.json"):
            refused(account, "GET", asked, UNAUTHORIZED)
            refused(account, "GET", asked, UNAUTHORIZED, "sk_unknown_0123456789")
            refused(account, "GET", asked, FORBIDDEN, USER_KEY)
            invalid(account, path, asked)
    equal("the OpenAPI document", account.request("GET", "/admin/openapi.json")[1], DOCUMENT)
    refused(account, "GET", "/admin/nothing", NOT_FOUND)
    refused(account, "DELETE", "/admin/stats", NOT_ALLOWED)
    found = {path: answer(account, path) for path in TOTALS}
    equal("totals", {path: body["total"] for path, body in found.items()}, TOTALS)
    failed = found["/admin/errors"]["errors"][0]
    equal(
        "the error",
        (failed["error_type"], failed["execution_id"], failed["user_email"]),
        ("TimeoutError", platform.FAILED, "user@example.com"),
    )
    equal("the running execution", found["/admin/executions?status=running"]["executions"][0]["id"], platform.RUNNING)
    equal("the schedule", found["/admin/temporal/schedules"]["schedules"][0]["schedule_id"], SCHEDULE)
    equal("the workflow", found["/admin/temporal/workflows"]["workflows"][0]["status"], "COMPLETED")
    equal("users", {user["id"] for user in found["/admin/users"]["users"]}, {ADMIN, USER, OTHER_USER})
    return found | details(account)


def deactivation(account: Account, clerk: Clerk, commands: Commands) -> None:
    """A user is deactivated, with all consequences, and comes back."""
    path = f"/admin/users/{USER}/deactivate"
    refused(account, "PATCH", path, UNAUTHORIZED)
    refused(account, "PATCH", path, FORBIDDEN, USER_KEY)
    refused(account, "PATCH", f"/admin/users/{ADMIN}/deactivate", CONFLICT, ADMIN_KEY)
    refused(account, "PATCH", f"/admin/users/{NOBODY}/deactivate", NOT_FOUND, ADMIN_KEY)
    expected = {"message": "User deactivated successfully", "tasks_paused": MANY_TASKS, "user_id": USER}
    # The endpoint sends everything itself, in pages; again it sends nothing.
    with outage(account, "OutboxRelayRole"):
        for _ in range(2):
            equal("the deactivation", account.request("PATCH", path, ADMIN_KEY), (SUCCESS, expected))
    _carried_out(account, commands)
    # A login that came back to its user in the story before may be blocked once more meanwhile.
    until("Clerk is asked for the ban", lambda: clerk.banned.count("user_b") == 1)
    refused(account, "GET", "/admin/stats", UNAUTHORIZED, USER_KEY)


def _carried_out(account: Account, commands: Commands) -> None:
    pauses = {("task.pause", task) for task in TASKS}
    until("all pauses are forwarded", lambda: same(commands.receive(), pauses))
    commands.received.clear()
    equal("the task's schedules", commands.schedules[TASK], [SCHEDULE])
    equal("the user's state", _state(account, USER), "deactivated")
    until("the outbox is empty", lambda: outbox(account) == 0)
    equal("the deactivation, carried out", _shown(account), (ADMIN, MANY_TASKS, 0))


def _shown(account: Account) -> tuple[Any, ...]:
    """What the user's details say of the deactivation: by whom, with how many tasks, and the commands that wait."""
    shown = answer(account, f"/admin/users/{USER}")["deactivation"]
    return shown["by"], shown["tasks_paused"], shown["commands_pending"]


def reactivation(account: Account) -> None:
    """A deactivated user comes back, once the executor has confirmed that the key is revoked."""
    path = f"/admin/users/{USER}/reactivate"
    expected = (SUCCESS, {"message": "User reactivated successfully", "user_id": USER})
    until("the user may come back", lambda: account.request("PATCH", path, ADMIN_KEY) == expected)
    equal("the user's state", _state(account, USER), "active")


def _state(account: Account, user: str) -> Any:
    return next(each["state"] for each in answer(account, "/admin/users")["users"] if each["id"] == user)


def _deactivate_several(account: Account) -> None:
    asked = {"user_ids": [USER, NOBODY, ADMIN]}
    status, body = account.request("POST", "/admin/users/deactivate", ADMIN_KEY, asked)
    equal("several deactivations", status, SUCCESS)
    results = {each["user_id"]: (each["result"], each.get("tasks_paused")) for each in body["results"]}
    deactivated = ("deactivated", MANY_TASKS)
    equal("their results", results, {USER: deactivated, NOBODY: ("not_found", None), ADMIN: ("refused", None)})


def several(account: Account, commands: Commands, without: str) -> None:
    """Several deactivations at once, while a role cannot send: the endpoint or the relay, which the stream starts."""
    with outage(account, without):
        _deactivate_several(account)
        _carried_out(account, commands)


def waiting(account: Account, commands: Commands) -> None:
    """While neither can send, the user's details count the ban and the pauses that wait; the relay's next run sends
    them.
    """
    with outage(account, "DeactivateUsersRole"), outage(account, "OutboxRelayRole"):
        _deactivate_several(account)
        equal("the deactivation that waits", _shown(account), (ADMIN, MANY_TASKS, MANY_TASKS + 1))
    # The schedule's next minute is not waited for.
    run = account.client("lambda").invoke(FunctionName=account.physical("OutboxRelay"), Payload=b"{}")
    expect("FunctionError" not in run, f"outbox-relay: {run}")
    _carried_out(account, commands)


def outbox(account: Account) -> int:
    """The number of entries of the outbox."""
    asked = {"KeyConditionExpression": "pk = :pk", "ExpressionAttributeValues": {":pk": {"S": "outbox"}}}
    return int(account.client("dynamodb").query(TableName="torale-control", ConsistentRead=True, **asked)["Count"])


def late_rule(account: Account, commands: Commands) -> None:
    """A task that appears after its user's deactivation is paused as well."""
    created = platform.event("task.created", task_id=LATE_TASK, user_id=USER, search_query=platform.QUERY)
    platform.send(account, [created])
    until("the late task is paused", lambda: ("task.pause", LATE_TASK) in commands.receive())
