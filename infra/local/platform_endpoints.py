"""What the API answers of the platform, page by page over HTTP, against queries on its tables and Temporal's own lists.

Details are samples; the audit trail is in no table. Rows of equal rank are compared as sets. A list that has no rows is
a failure unless the caller says that it may be empty: what compares nothing finds nothing.

The queries are those of platform_expected.sql: written from the contract and the platform's schema, apart from the
product. Temporal is asked with its own command line. Whoever calls this has stopped the platform, so that nothing but
the time changes meanwhile, and Temporal at most begins a run for each schedule that has none.
"""

from __future__ import annotations

import itertools
import time
from datetime import datetime, timezone
from urllib.parse import urlencode

from platform_temporal import moment, newest_first, schedule_path

# What the tables do not say of a row, by the field that the endpoint's rows stand in.
UNKNOWN = {
    "tasks": {"next_run_time"},
    "task": {"next_run_time", "schedules", "history"},
    "execution": {"history"},
    "user": {"role", "deactivation", "history"},
    "api_keys": {"last_used_at"},
    "schedules": {"schedule_id", "is_paused", "next_run_time", "temporal_ui_url"},
}
WINDOWS = [1, 24, 720, 8760]
SERIES = [("minute", 24), ("hour", 168), ("hour", 744), ("day", 720), ("day", 8760)]


def without(row: dict, unknown: set[str]) -> dict:
    """A row without the fields that the tables do not know; the answer must have them all the same."""
    assert unknown <= row.keys(), f"{unknown - row.keys()} are missing in {row}"
    return {name: value for name, value in row.items() if name not in unknown}


def require_equal(what: str, found, expected):
    """Equal lists or objects; else the first difference."""
    if found == expected:
        return
    if isinstance(found, list) and isinstance(expected, list):
        for number, (one, other) in enumerate(itertools.zip_longest(found, expected)):
            if one != other:
                raise AssertionError(f"{what}, row {number}:\n  the API: {one}\n  the SQL: {other}")
    raise AssertionError(f"{what}:\n  the API: {found}\n  the SQL: {expected}")


class NothingToCompare(Exception):
    """The platform has no rows that a comparison needs. No assertion: waiting brings none."""


def require_some(what: str, rows, may_be_empty: bool = False):
    """Rows, or whatever there is to compare, of which there must be some."""
    if not rows and not may_be_empty:
        raise NothingToCompare(what)
    return rows


class Comparison:
    """One comparison, as of a minute. `end` is when it gives up, as `time.monotonic` has it; `deleted` says that the
    users of platform_rows.sql are deleted by now."""

    def __init__(self, stack, end: float, deleted: bool):
        self.stack, self.end, self.deleted, self.rows, self.calls = stack, end, deleted, 0, 0

    def call(self, path: str, **parameters) -> dict:
        self.calls += 1
        query = urlencode({name: value for name, value in parameters.items() if value is not None})
        return self.stack.call(f"{path}?{query}" if query else path)

    def sql(self, query: str) -> list[dict]:
        return self.stack.sql(f"SELECT * FROM expected.{query}")

    def pages(self, path: str, name: str, total: int, limit: int, totals: dict, **parameters) -> list[dict]:
        """The rows of all pages of a list, and of one past the end. What stands beside them is `total` and `totals`."""
        what, found = f"{path} {parameters}", []
        for page in range(1, total // limit + 3):
            answer = self.call(path, page=page, limit=limit, **parameters)
            rows = answer.pop(name)
            assert len(rows) <= limit, f"{what}: a page of {len(rows)}"
            found += rows
            answer = {key: value for key, value in answer.items() if (key, value) not in [("page", page), ("limit", limit)]}
            require_equal(f"{what}, beside the rows", answer, {"total": total, **totals})
            if not rows:
                break
        self.rows += len(found)
        return found

    def list(self, path: str, name: str, expected: list[dict], limit: int = 100, totals: dict | None = None,
             may_be_empty: bool = False, **parameters):
        """Compares all pages of a list."""
        what = f"{path} {parameters}"
        require_some(what, expected, may_be_empty)
        found = self.pages(path, name, len(expected), limit, totals or {}, **parameters)
        require_equal(what, [without(row, UNKNOWN.get(name, set())) for row in found], expected)

    def stats(self):
        answer = self.call("stats")
        popular = answer.pop("popular_queries")
        require_equal("stats", answer, self.sql(f"stats({self.now})")[0])
        first = self.call("queries", limit=10)["queries"]
        require_equal("popular_queries", popular,
                      [{"query": row["search_query"], "count": row["total_tasks"]} for row in first])

    def series(self):
        for metric in ["executions", "errors", "notifications", "new_users", "last_logins"]:
            for bucket, hours in SERIES:
                answer = self.call("stats/series", metric=metric, bucket=bucket, hours=hours)
                points = self.sql(f"series({self.now}, '{metric}', '{bucket}', {hours})")
                if metric != "executions":
                    points = [without(point, {"failed", "avg_duration_ms"}) for point in points]
                what = f"series of {metric} by {bucket}, {hours} h"
                # The tables know of no login.
                require_some(what, any(point["count"] for point in points), may_be_empty=metric == "last_logins")
                require_equal(what, answer.pop("points"), points)
                require_equal(what, answer, {"metric": metric, "bucket": bucket})
                self.rows += len(points)

    def queries(self):
        """The contract leaves the order of equal `total_tasks` open: they are compared as sets."""
        expected = require_some("queries", self.sql("queries()"))
        in_order = lambda row: (-row["total_tasks"], row["search_query"])
        for limit in (7, 100):
            found = []
            for page in range(1, len(expected) // limit + 2):
                answer = self.call("queries", page=page, limit=limit)
                found += answer.pop("queries")
                require_equal("queries", answer, {"total": len(expected), "page": page, "limit": limit})
            totals = [row["total_tasks"] for row in found]
            assert totals == sorted(totals, reverse=True), f"queries are not in order: {totals}"
            require_equal("queries", sorted(found, key=in_order), sorted(expected, key=in_order))

    def executions(self):
        for hours, status in [*itertools.product(WINDOWS, [None]), *itertools.product([24, 8760], ["success", "failed", "running"])]:
            of_status = f"'{status}'" if status else "NULL"
            expected = self.sql(f"executions({self.now}, {hours}, {of_status})")
            self.list("executions", "executions", expected, hours=hours, status=status)
        self.list("executions", "executions", self.sql(f"executions({self.now}, 720)"), limit=23, hours=720)

    def executions_of_tasks(self):
        before = self.rows
        types = {row["error_type"]: row["count"] for row in self.sql(f"error_types({self.now}, 8760)")}
        for task in [row["id"] for row in self.sql("tasks()")[::16]]:
            expected = self.sql(f"executions({self.now}, 8760, NULL, '{task}')")
            self.list("executions", "executions", expected, limit=10, may_be_empty=True, hours=8760, task_id=task)
            expected = self.sql(f"errors({self.now}, 8760, NULL, '{task}')")
            self.list("errors", "errors", expected, may_be_empty=True, hours=8760, task_id=task, totals={"error_types": types})
        require_some("executions of tasks", self.rows > before)

    def execution_details(self):
        rows = self.sql("execution_details()")
        # Every one that failed or has not ended, and some of the others.
        chosen = require_some("executions", [row for row in rows if row["status"] != "success"])[:40] + rows[::15]
        for row in chosen:
            require_equal("an execution", without(self.call(f"executions/{row['id']}"), UNKNOWN["execution"]), row)
        self.rows += len(chosen)

    def errors(self):
        for hours in WINDOWS:
            counts = self.sql(f"error_types({self.now}, {hours})")
            totals = {"error_types": {row["error_type"]: row["count"] for row in counts}}
            self.list("errors", "errors", self.sql(f"errors({self.now}, {hours})"), hours=hours, totals=totals)
            order = list(self.call("errors", hours=hours, limit=1)["error_types"].values())
            assert order == sorted(order, reverse=True), f"error_types are not in order: {order}"
        for row in require_some("error_types", counts):  # those of the longest window
            expected = self.sql(f"errors({self.now}, {hours}, '{row['error_type']}')")
            self.list("errors", "errors", expected, limit=20, hours=hours, error_type=row["error_type"], totals=totals)

    def users(self):
        for only, limit in [("false", 100), ("true", 100), (None, 15)]:
            expected = self.sql(f"users({self.now}, {only or 'false'})")
            self.list("users", "users", expected, limit=limit, active_only=only)
        for q, only in itertools.product(["e", "émile", "ÉMILE2", "ada", "changed.", "nobody", "admin@example.com"], ["false", "true"]):
            expected = self.sql(f"users({self.now}, {only}, '{q}')")
            may_be_empty = q == "nobody" or self.deleted and only == "true"
            self.list("users", "users", expected, limit=9, may_be_empty=may_be_empty, q=q, active_only=only,
                      totals={"total_capped": False})

    def user_details(self):
        keys_compared = 0
        for row in require_some("users", self.sql(f"users({self.now})"))[::2]:
            answer = self.call(f"users/{row['id']}")
            if row["email"] == "admin@example.com":  # cargo dev's, with a key that the platform does not have
                continue
            keys = [without(key, UNKNOWN["api_keys"]) for key in answer.pop("api_keys")]
            require_equal(f"keys of user {row['id']}", keys, self.sql(f"api_keys('{row['id']}')"))
            assert (answer["deactivation"] is None) == (row["state"] == "active"), answer
            require_equal("a user", without(answer, UNKNOWN["user"]), row)
            keys_compared += len(keys)
        require_some("keys of users", keys_compared)

    def all_tasks(self):
        self.list("tasks", "tasks", self.sql("tasks()"))
        self.list("tasks", "tasks", self.sql("tasks()"), limit=40)
        for state in ["active", "paused", "completed"]:
            self.list("tasks", "tasks", self.sql(f"tasks('{state}')"), limit=50, state=state)
        before = self.rows
        for user in self.sql(f"users({self.now})")[::8]:
            self.list("tasks", "tasks", self.sql(f"tasks(NULL, '{user['id']}')"), may_be_empty=True, user_id=user["id"])
        require_some("tasks of users", self.rows > before)
        for row in self.sql("queries()"):
            query = row["search_query"].replace("'", "''")
            self.list("tasks", "tasks", self.sql(f"tasks(NULL, NULL, '{query}')"), search_query=row["search_query"])

    def task_details(self):
        for row in require_some("tasks", self.sql("tasks()"))[::5]:
            require_equal("a task", without(self.call(f"tasks/{row['id']}"), UNKNOWN["task"]), row)

    def schedules(self):
        """Temporal's are the API's and the reverse; of each the tables know more. Without Temporal there are none."""
        if not self.stack.temporal:
            return require_equal("schedules without Temporal", self.call("temporal/schedules", include_paused="true"),
                                 {"schedules": [], "total": 0})
        known = {row["task_id"]: row for row in self.sql(f"schedules({self.now})")}
        expected = self.stack.temporal.schedules()
        require_some("schedules that are paused", [each for each in expected.values() if each["paused"]])
        before = datetime.now(timezone.utc)
        found = self.pages("temporal/schedules", "schedules", len(expected), 7, {}, include_paused="true")
        after = datetime.now(timezone.utc)
        require_equal("ids of schedules", sorted(row["schedule_id"] for row in found), sorted(expected))
        created = [expected[row["schedule_id"]]["created"] for row in found]
        assert created == sorted(created, reverse=True), f"schedules are not in order: {created}"
        for row in found:
            what, temporal = f"schedule {row['schedule_id']}", expected[row["schedule_id"]]
            require_equal(what, without(row, UNKNOWN["schedules"]), known.get(row["task_id"]))
            require_equal(f"{what}, is_paused", row["is_paused"], temporal["paused"])
            assert row["temporal_ui_url"].endswith(schedule_path(row["schedule_id"])), row
            due = [next((at for at in temporal["next"] if at > now), None) for now in (before, after)]
            fires = row["next_run_time"] and moment(row["next_run_time"])
            # One that fires while the API is asked may be either.
            assert fires in ([None] if temporal["paused"] else due), f"{what} is due at {fires}, by Temporal at {due}"
        running = [row["schedule_id"] for row in found if not row["is_paused"]]
        listed = self.pages("temporal/schedules", "schedules", len(running), 100, {})
        require_equal("schedules that are not paused", [row["schedule_id"] for row in listed], running)
        self.schedules_of_tasks(found)

    def schedules_of_tasks(self, schedules: list[dict]):
        """A task has its schedules, and no next time if all of them are paused."""
        for schedule in schedules[::5] + [row for row in schedules if row["is_paused"]][:1]:
            answer = self.call(f"tasks/{schedule['task_id']}")
            its = [row for row in schedules if row["task_id"] == schedule["task_id"]]
            ids = [[row["schedule_id"] for row in rows] for rows in (answer["schedules"], its)]
            require_equal(f"schedules of task {schedule['task_id']}", *ids)
            fires = any(not row["is_paused"] for row in its)
            assert (answer["next_run_time"] is not None) == fires, f"{answer['next_run_time']}: {its}"

    def workflows(self):
        """Temporal's runs are the API's, in the list and in the series. Without Temporal there are none."""
        if not self.stack.temporal:
            return require_equal("workflows without Temporal", self.call("temporal/workflows"), {"workflows": [], "total": 0})
        expected = require_some("workflows", self.stack.temporal.workflows())
        found = self.pages("temporal/workflows", "workflows", len(expected), 20, {})
        times = [moment(row["start_time"]) for row in found]
        assert times == sorted(times, reverse=True), f"workflows are not in order: {times}"
        for row in found:
            row["temporal_ui_url"] = "/namespaces/" + row["temporal_ui_url"].partition("/namespaces/")[2]
        require_equal("workflows", sorted(found, key=newest_first), expected)
        for bucket in ["minute", "hour", "day"]:
            points = self.call("stats/series", metric="workflows", bucket=bucket, hours=24)["points"]
            starts = [moment(point["start"]) for point in points] + [datetime.max.replace(tzinfo=timezone.utc)]
            counts = [sum(begin <= at < end for at in times) for begin, end in itertools.pairwise(starts)]
            require_equal(f"series of workflows by {bucket}", [point["count"] for point in points], counts)

    def run(self, part: str):
        """Compares one part, as of a minute that has not ended when all is read."""
        failure = None
        while time.monotonic() < self.end:
            now = self.stack.sql("SELECT now() AS at, date_trunc('minute', now()) AS minute")[0]
            self.now, failure = f"'{now['at']}'", None
            try:
                getattr(self, part)()
            except AssertionError as error:
                failure = error
            if self.stack.sql("SELECT date_trunc('minute', now()) AS minute")[0]["minute"] == now["minute"]:
                if failure:
                    raise failure
                return
        raise AssertionError(f"{part}: was not compared within one minute until the time was up") from failure


PARTS = ["schedules", "workflows", "stats", "users", "all_tasks", "executions", "errors", "queries", "series", "executions_of_tasks",
         "execution_details", "user_details", "task_details", "schedules", "workflows"]


def compare(stack, patience: float, parts: list[str] = PARTS, deleted: bool = False) -> str:
    """Compares endpoints, each again until it is equal or the time is up: the rows reach them by and by."""
    comparison = Comparison(stack, time.monotonic() + patience, deleted)
    for part in parts:
        while True:
            try:
                comparison.run(part)
                break
            except AssertionError:
                if time.monotonic() > comparison.end:
                    raise
                time.sleep(0.5)
    return f"{comparison.rows} rows in {comparison.calls} answers"
