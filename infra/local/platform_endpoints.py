"""What the API answers of the platform's tables, page by page over HTTP, against queries on these tables themselves.

Details are samples; workflows and the audit trail are in no table. Rows of equal rank are compared as sets.

The queries are those of platform_expected.sql: written from the contract and the platform's schema, apart from the
product. Whoever calls this has stopped the platform, so that nothing but the time changes meanwhile.
"""

import itertools
import time
from urllib.parse import urlencode

# What the tables do not say of a row, by the field that the endpoint's rows stand in.
UNKNOWN = {
    "tasks": {"next_run_time"},
    "task": {"next_run_time", "schedules", "history"},
    "execution": {"history"},
    "user": {"role", "deactivation", "history"},
    "api_keys": {"last_used_at"},
    "schedules": {"schedule_id", "cron", "is_paused", "next_run_time", "temporal_ui_url"},
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


class Comparison:
    """One comparison, as of a minute."""

    def __init__(self, stack):
        self.stack, self.rows, self.calls = stack, 0, 0

    def call(self, path: str, **parameters) -> dict:
        self.calls += 1
        query = urlencode({name: value for name, value in parameters.items() if value is not None})
        return self.stack.call(f"{path}?{query}" if query else path)

    def sql(self, query: str) -> list[dict]:
        return self.stack.sql(f"SELECT * FROM expected.{query}")

    def list(self, path: str, name: str, expected: list[dict], limit: int = 100, totals: dict | None = None, **parameters):
        """Walks all pages of a list, and one past the end."""
        what = f"{path} {parameters}"
        found, unknown = [], UNKNOWN.get(name, set())
        for page in range(1, len(expected) // limit + 3):
            answer = self.call(path, page=page, limit=limit, **parameters)
            rows = answer.pop(name)
            assert len(rows) <= limit, f"{what}: a page of {len(rows)}"
            found += [without(row, unknown) for row in rows]
            answer = {key: value for key, value in answer.items() if (key, value) not in [("page", page), ("limit", limit)]}
            require_equal(f"{what}, beside the rows", answer, {"total": len(expected), **(totals or {})})
            if not rows:
                break
        require_equal(what, found, expected)
        self.rows += len(found)

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
                require_equal(what, answer.pop("points"), points)
                require_equal(what, answer, {"metric": metric, "bucket": bucket})
                self.rows += len(points)

    def queries(self):
        """The contract leaves the order of equal `total_tasks` open: they are compared as sets."""
        expected = self.sql("queries()")
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
        types = {row["error_type"]: row["count"] for row in self.sql(f"error_types({self.now}, 8760)")}
        for task in [row["id"] for row in self.sql("tasks()")[::16]]:
            expected = self.sql(f"executions({self.now}, 8760, NULL, '{task}')")
            self.list("executions", "executions", expected, limit=10, hours=8760, task_id=task)
            expected = self.sql(f"errors({self.now}, 8760, NULL, '{task}')")
            self.list("errors", "errors", expected, hours=8760, task_id=task, totals={"error_types": types})

    def execution_details(self):
        rows = self.sql("execution_details()")
        # Every one that failed or has not ended, and some of the others.
        chosen = [row for row in rows if row["status"] != "success"][:40] + rows[::15]
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
        for row in counts:  # those of the longest window
            expected = self.sql(f"errors({self.now}, {hours}, '{row['error_type']}')")
            self.list("errors", "errors", expected, limit=20, hours=hours, error_type=row["error_type"], totals=totals)

    def users(self):
        for only, limit in [("false", 100), ("true", 100), (None, 15)]:
            expected = self.sql(f"users({self.now}, {only or 'false'})")
            self.list("users", "users", expected, limit=limit, active_only=only)
        for q, only in itertools.product(["e", "émile", "ÉMILE1", "ada", "changed.", "nobody", "admin@example.com"], ["false", "true"]):
            expected = self.sql(f"users({self.now}, {only}, '{q}')")
            self.list("users", "users", expected, limit=9, q=q, active_only=only, totals={"total_capped": False})

    def user_details(self):
        for row in self.sql(f"users({self.now})")[::2]:
            answer = self.call(f"users/{row['id']}")
            if row["email"] == "admin@example.com":  # cargo dev's, with a key that the platform does not have
                continue
            keys = [without(key, UNKNOWN["api_keys"]) for key in answer.pop("api_keys")]
            require_equal(f"keys of user {row['id']}", keys, self.sql(f"api_keys('{row['id']}')"))
            assert (answer["deactivation"] is None) == (row["state"] == "active"), answer
            require_equal("a user", without(answer, UNKNOWN["user"]), row)

    def all_tasks(self):
        self.list("tasks", "tasks", self.sql("tasks()"))
        self.list("tasks", "tasks", self.sql("tasks()"), limit=40)
        for state in ["active", "paused", "completed"]:
            self.list("tasks", "tasks", self.sql(f"tasks('{state}')"), limit=50, state=state)
        for user in self.sql(f"users({self.now})")[::8]:
            self.list("tasks", "tasks", self.sql(f"tasks(NULL, '{user['id']}')"), user_id=user["id"])
        for row in self.sql("queries()"):
            query = row["search_query"].replace("'", "''")
            self.list("tasks", "tasks", self.sql(f"tasks(NULL, NULL, '{query}')"), search_query=row["search_query"])

    def task_details(self):
        for row in self.sql("tasks()")[::5]:
            require_equal("a task", without(self.call(f"tasks/{row['id']}"), UNKNOWN["task"]), row)

    def schedules(self):
        """Those that there are: without Temporal there are none, and with it not for every row that was made by SQL."""
        expected = {row["task_id"]: row for row in self.sql(f"schedules({self.now})")}
        for schedule in self.call("temporal/schedules", include_paused="true")["schedules"]:
            known = without(schedule, UNKNOWN["schedules"])
            require_equal("a schedule", known, expected.get(schedule["task_id"]))
            self.rows += 1

    def run(self, part: str):
        """Compares one part, as of a minute that has not ended when all is read."""
        while True:
            now = self.stack.sql("SELECT now() AS at, date_trunc('minute', now()) AS minute")[0]
            self.now = f"'{now['at']}'"
            failure = None
            try:
                getattr(self, part)()
            except AssertionError as error:
                failure = error
            if self.stack.sql("SELECT date_trunc('minute', now()) AS minute")[0]["minute"] == now["minute"]:
                if failure:
                    raise failure
                return


PARTS = ["stats", "users", "all_tasks", "executions", "errors", "queries", "series", "executions_of_tasks",
         "execution_details", "user_details", "task_details", "schedules"]


def compare(stack, patience: float, parts: list[str] = PARTS) -> str:
    """Compares endpoints, each again until it is equal or the time is up: the rows reach them by and by."""
    comparison, end = Comparison(stack), time.monotonic() + patience
    for part in parts:
        while True:
            try:
                comparison.run(part)
                break
            except AssertionError:
                if time.monotonic() > end:
                    raise
                time.sleep(0.5)
    return f"{comparison.rows} rows in {comparison.calls} answers"
