"""Every list of the API is the same by small pages as by large ones."""

import functools
from typing import Any

import story
from account import Account, expect, until
from story import equal

# What identifies a row of each list of the OpenAPI document, and what is asked for: of the records of the audit trail
# only some, since each request adds one.
LISTS: dict[str, tuple[str, str]] = {
    "/admin/audit": ("id", "action=users.reactivate"),
    "/admin/errors": ("execution_id", ""),
    "/admin/executions": ("id", ""),
    "/admin/queries": ("search_query", ""),
    "/admin/tasks": ("id", ""),
    "/admin/temporal/schedules": ("schedule_id", ""),
    "/admin/temporal/workflows": ("workflow_id", ""),
    "/admin/users": ("id", ""),
}
SMALL, LARGE = 2, 100


def _lists() -> dict[str, str]:
    """The lists of the document, those with pages, each with the name of its rows."""
    found = {}
    for path in story.paths("get"):
        operation = story.DOCUMENT["paths"][path]["get"]
        if any(each["name"] == "page" for each in operation.get("parameters", [])):
            schema = operation["responses"]["200"]["content"]["application/json"]["schema"]["$ref"]
            properties = story.DOCUMENT["components"]["schemas"][schema.rpartition("/")[2]]["properties"]
            rows = [name for name, of in properties.items() if of.get("type") == "array"]
            expect(len(rows) == 1, f"which are the rows of {path}? {rows}")
            found[path] = rows[0]
    return found


def _by_pages(account: Account, path: str, rows: str, limit: int) -> tuple[list[Any], set[int]]:
    """The identities of all rows, and the totals that the pages name; the page after the last one is empty."""
    key, query = LISTS[path]
    found, totals, page = list[Any](), set[int](), 1
    while True:
        answer = story.answer(account, f"{path}?{query}&limit={limit}&page={page}".replace("?&", "?"))
        totals.add(answer["total"])
        expect(len(answer[rows]) <= limit, f"{path}: {len(answer[rows])} rows on a page of {limit}")
        if not answer[rows]:
            return found, totals
        found += [row[key] for row in answer[rows]]
        page += 1


def _same(account: Account, path: str, rows: str) -> bool:
    """Whether a list is the same by pages of either size; false if it has changed meanwhile."""
    before, small, after = (_by_pages(account, path, rows, limit) for limit in (LARGE, SMALL, LARGE))
    if before != after:
        return False
    found, totals = before
    equal(f"{path}, by pages of {SMALL}", small, before)
    equal(f"{path}, its total", totals, {len(found)})
    equal(f"{path}, rows that are there twice", len(found) - len(set(found)), 0)
    expect(found, f"{path} is empty")
    return True


def paged(account: Account) -> int:
    """Pages through every list; gives their number."""
    lists = _lists()
    equal("the lists that can be paged through", set(LISTS), set(lists))
    for path, rows in lists.items():
        until(f"{path} stays the same", functools.partial(_same, account, path, rows))
    return len(lists)
