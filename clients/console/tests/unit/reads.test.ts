import { expect, test } from "vitest";
import { parse, type Params } from "../../src/place";
import { firstReads, ignoredTaskFilters } from "../../src/reads";

test.each([
  ["#/", [{ path: "admin/stats", query: {} }]],
  [
    "#/executions?status=failed&hours=720&page=3&open=1&from=2",
    [{ path: "admin/executions", query: { status: "failed", task_id: undefined, hours: 720, page: 3, limit: 50 } }],
  ],
  [
    "#/errors?error_type=TimeoutError&limit=100",
    [{ path: "admin/errors", query: { error_type: "TimeoutError", task_id: undefined, hours: 24, page: 1, limit: 100 } }],
  ],
  // Those of a bar of a chart are read in pages of their own.
  ["#/errors?from=2026-11-28T12:00:00Z&to=2026-11-28T13:00:00Z&limit=100", []],
  ["#/users?q=ann", [{ path: "admin/users", query: { q: "ann", active_only: undefined, page: 1, limit: 50 } }]],
  ["#/tasks?state=active&user_id=7", [{ path: "admin/tasks", query: { user_id: "7", page: 1, limit: 50 } }]],
  ["#/tasks?state=active", [{ path: "admin/tasks", query: { state: "active", page: 1, limit: 50 } }]],
  ["#/schedules", [{ path: "admin/temporal/schedules", query: { include_paused: undefined, include_timezone: true, page: 1, limit: 50 } }]],
  ["#/schedules?at=09:00&page=2", [{ path: "admin/temporal/schedules", query: { include_paused: undefined, include_timezone: true } }]],
  ["#/schedules?limit=1000", [{ path: "admin/temporal/schedules", query: { include_paused: undefined, include_timezone: true } }]],
  [
    "#/audit?action=all",
    [{ path: "admin/audit", query: { principal: undefined, action: undefined, hours: 24, page: 1, limit: 50 } }],
  ],
  [
    "#/audit?hours=168",
    ["users.deactivate", "users.deactivate_many", "users.reactivate"].map((action) => ({
      path: "admin/audit",
      query: { action, principal: undefined, hours: 168, limit: 100 },
    })),
  ],
  ["#/health", [{ path: "admin/health", query: {} }]],
  ["#/nowhere", []],
])("the view at %s first reads what its address says", (fragment, reads) => {
  expect(firstReads(parse(fragment))).toEqual(reads);
});

test("of the filters of tasks one is sent, and the others are known to be ignored", () => {
  expect(ignoredTaskFilters({ user_id: "7", search_query: "q", state: "active" })).toEqual(["query", "state"]);
  expect(ignoredTaskFilters({ user_id: "7", search_query: "q" })).toEqual(["query"]);
  expect(ignoredTaskFilters({ user_id: "7", state: "active" })).toEqual(["state"]);
  expect(ignoredTaskFilters({ search_query: "q", state: "active" })).toEqual(["state"]);
  const alone: Params[] = [{ user_id: "7" }, { search_query: "q" }, { state: "active" }, {}];
  expect(alone.flatMap(ignoredTaskFilters)).toEqual([]);
});
