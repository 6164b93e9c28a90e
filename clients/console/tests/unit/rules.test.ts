import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { ACTIONS, inWords } from "../../src/actions";
import { ApiError, delay, hasNoEndpoint, passes, Unreachable } from "../../src/api/errors";
import type { ErrorRow, ScheduleRow, Stats, UserDetail, UserRow } from "../../src/api/types";
import { breakdown, ofTypes } from "../../src/breakdown";
import { isIn, rangeOf } from "../../src/range";
import { found, timeFault } from "../../src/schedules";
import { malformed } from "../../src/session";
import { level, measures, worst } from "../../src/thresholds";
import { roundUp } from "../../src/ui/chart";
import { isDone, steps } from "../../src/users/progress";

const stats = (total_24h: number, failed_24h: number, avg_duration_ms: number): Stats => ({
  users: { total: 1, active_30d: 1, new_7d: 0 },
  tasks: { total: 1, active: 1, paused: 0 },
  executions: { total_24h, success_24h: total_24h - failed_24h, failed_24h, avg_duration_ms },
  notifications: { sent_24h: 0, sent_7d: 0 },
  popular_queries: [],
});

test("a figure at its threshold is a warning, one above it an alarm", () => {
  expect(level({ value: 75, limit: 100 })).toBe("calm");
  expect(level({ value: 76, limit: 100 })).toBe("warning");
  expect(level({ value: 100, limit: 100 })).toBe("warning");
  expect(level({ value: 101, limit: 100 })).toBe("alarm");
  expect(worst(["calm", "alarm", "warning"])).toBe("alarm");
  expect(worst([])).toBe("calm");
});

test("the documented thresholds are 5 %, 10 s, 1,000 failures and 100 new errors an hour", () => {
  const found = measures(stats(200, 10, 9000), 5, 7);

  expect(found.map(({ value, limit }) => [value, limit])).toEqual([
    [0.05, 0.05],
    [9000, 10_000],
    [5, 1000],
    [7, 100],
  ]);
  expect(measures(stats(0, 0, 0), null, null).map(({ value }) => value)).toEqual([0, 0]);
});

test("what passes is retried, what does not is shown", () => {
  expect(passes(new Unreachable())).toBe(true);
  for (const status of [429, 500, 503]) expect(passes(new ApiError(status, ""))).toBe(true);
  for (const status of [401, 403, 404, 409, 413, 422]) expect(passes(new ApiError(status, ""))).toBe(false);
  expect(passes(new TypeError("a fault of the page"))).toBe(false);
});

test("the next try waits as long as the API asks for, else longer each time up to 30 s", () => {
  expect(delay(0, new ApiError(429, "", 17))).toBe(17_000);
  expect([0, 1, 2, 5, 50].map((failures) => delay(failures, new Unreachable()))).toEqual([1000, 2000, 4000, 30_000, 30_000]);
});

test("an unknown path is distinguished from an unknown id", () => {
  expect(hasNoEndpoint(new ApiError(404, "Not Found"))).toBe(true);
  expect(hasNoEndpoint(new ApiError(404, "User not found"))).toBe(false);
});

test("every operation that is audited has words", () => {
  const document = JSON.parse(readFileSync(new URL("../../../../events/openapi.json", import.meta.url), "utf8"));
  const operations = Object.values<Record<string, { operationId: string; security?: unknown[] }>>(document.paths)
    .flatMap((methods) => Object.values(methods))
    .filter(({ security }) => (security ?? []).length > 0);

  expect(operations.length).toBeGreaterThan(10);
  expect(operations.map(({ operationId }) => operationId).filter((id) => ACTIONS[id] === undefined)).toEqual([]);
  expect(inWords("later.action")).toBe("later.action");
});

test("failures are counted by what they have in common, most first", () => {
  const rows = [
    { user_email: "b", error_type: "T" },
    { user_email: "a", error_type: "T" },
    { user_email: "b", error_type: "R" },
    { user_email: null, error_type: "R" },
  ] as ErrorRow[];

  expect(breakdown(rows, "user_email").map(({ value, count, share }) => [value, count, share])).toEqual([
    ["b", 2, 0.5],
    [null, 1, 0.25],
    ["a", 1, 0.25],
  ]);
  expect(breakdown([], "error_type")).toEqual([]);
});

test("the types of a window have their share of all failures, in the API's order", () => {
  expect(ofTypes({ TimeoutError: 3, RateLimitError: 1 })).toEqual([
    { value: "TimeoutError", count: 3, share: 0.75 },
    { value: "RateLimitError", count: 1, share: 0.25 },
  ]);
  expect(ofTypes({})).toEqual([]);
});

const NOW = new Date("2024-01-16T00:00:00Z");

const schedule = (schedule_id: string, next_run_time: string | null, { user_email = "ann@example.com", cron = "0 9 * * *", is_paused = false } = {}) =>
  ({ schedule_id, task_id: "t", cron, next_run_time, user_email, is_paused }) as ScheduleRow;

test("schedules are found by the UTC time of their next run and by text, earliest first", () => {
  const all = [
    schedule("s1", "2024-01-17T09:00:00Z"),
    schedule("s2", null, { is_paused: true }),
    schedule("s3", "2024-01-16T09:00:00Z", { user_email: "Bob@example.com" }),
    schedule("s4", "2024-01-16T19:00:00Z", { cron: "0 19 * * *" }),
    schedule("never", null),
    schedule("noted", "2024-01-16T17:00:00Z", { cron: "0 9,17 * * 1 # team" }),
  ];
  const ids = (at: string, find: string) => found(all, at, find, NOW).map(({ schedule_id }) => schedule_id);

  expect(ids("9:00", "")).toEqual(["s3", "s1", "noted", "s2"]);
  expect(ids("", "bob@")).toEqual(["s3"]);
  expect(ids("", "* * *")).toEqual(["s3", "s4", "s1", "s2", "never"]);
  expect(ids("19:00", "bob")).toEqual([]);
  expect([timeFault("09:00"), timeFault("9:05"), timeFault("24:00"), timeFault("9")].map((fault) => fault === null)).toEqual([true, true, false, false]);
});

test.each([
  ["9:00", "0 */3 * * *", true],
  ["9:00", "0,30 6-9 * * 1-5", true],
  ["9:30", "*/30 * * * *", true],
  ["9:15", "*/30 * * * *", false],
  ["9:00", "0 10/2 * * *", false],
  ["9:00", "0 6,12 * * *", false],
  ["9:00", "0 6,nine * * *", false],
  ["9:00", "0 6-30 * * *", false],
  ["9:00", "0 */0 * * *", false],
  ["9:00", "0 6,9 * * * *", true],
  ["9:00", "30 0 6,9 * * * 2024", true],
  ["9:00", "0 6,9 * *", false],
  ["9:00", "@hourly", true],
  ["9:30", "@hourly", false],
  ["9:00", "@daily", false],
  ["9:00", "@every 90m", true],
  ["9:00", "@every 90m/10m", false],
  ["9:10", "@every 90m/10m", true],
  ["9:00", "@every 7h", true],
  ["9:01", "@every 7h", false],
  ["9:00", "@every 1.5d", false],
  ["9:17", "@every 4.1h", false],
  ["9:18", "@every 4.1h", true],
  ["9:17", "@every 30s", true],
  ["9:00", "@every 500ms", false],
  ["9:00", "@every soon", false],
  ["9:00", "CRON_TZ=America/New_York 0 1,4 * * *", true],
  ["10:00", "TZ=Asia/Kolkata 30 11,15 * * * # team", true],
  // An empty zone is none: the schedule's own counts, here one with half an hour more than UTC.
  ["9:00", "CRON_TZ= 30 * * * *", true],
  ["9:30", "CRON_TZ= 30 * * * *", false],
  ["9:00", "CRON_TZ=Nowhere/Else 0 6,9 * * *", false],
])("a schedule that runs next at 06:00 also runs at %s by %s: %s", (at, cron, expected) => {
  expect(found([schedule("s", "2024-01-16T06:00:00Z", { cron })], at, "", NOW)).toHaveLength(expected ? 1 : 0);
});

test("a cron expression of another zone than UTC runs at what every zone that explains its next run has in common", () => {
  const runs = (cron: string, next: string, at: string) => found([schedule("s", next, { cron })], at, "", NOW).length === 1;

  // 09:00 in New York is 14:00 in UTC; or else 10:00 four hours behind.
  expect(runs("0 9,10 * * *", "2024-01-16T14:00:00Z", "9:00")).toBe(false);
  expect(runs("0 9,10 * * *", "2024-01-16T14:00:00Z", "15:00")).toBe(false);
  // Full hours of a zone with half an hour more, such as India's.
  expect(runs("0 * * * *", "2024-01-16T06:30:00Z", "9:30")).toBe(true);
  expect(runs("0 * * * *", "2024-01-16T06:30:00Z", "9:00")).toBe(false);
  // No zone explains that.
  expect(runs("0 9 * * *", "2024-01-16T09:07:00Z", "9:00")).toBe(false);
});

test("a schedule whose zone is not known is read as UTC if its next run fits UTC, or if it is paused", () => {
  const ids = (at: string, row: ScheduleRow) => found([row], at, "", NOW).map(({ schedule_id }) => schedule_id);

  // It may be 09:00 in Berlin, which is 08:00 in UTC; the next run at 09:00 fits both zones.
  const either = schedule("s", "2024-01-16T09:00:00Z", { cron: "0 9,10 * * *" });
  expect([ids("10:00", either), ids("8:00", either)]).toEqual([["s"], []]);
  const paused = schedule("s", null, { cron: "0 9 * * *", is_paused: true });
  expect([ids("9:00", paused), ids("8:00", paused)]).toEqual([["s"], []]);
});

test("the zone that an expression names counts as it is at the next run", () => {
  // In New York 09:00 of a summer's day is 13:00 in UTC; in January, when one asks, it is 14:00.
  const summer = schedule("s", "2024-07-15T13:00:00Z", { cron: "CRON_TZ=America/New_York 0 9,10 15 7 *" });
  const ids = (at: string) => found([summer], at, "", NOW).map(({ schedule_id }) => schedule_id);

  expect([ids("14:00"), ids("15:00")]).toEqual([["s"], []]);
});

test("the zone that the expression of a paused schedule names counts as it is now", () => {
  const paused = schedule("s", null, { cron: "CRON_TZ=America/New_York 0 9 * * *", is_paused: true });
  const ids = (at: string, now: string) => found([paused], at, "", new Date(now)).map(({ schedule_id }) => schedule_id);

  expect([ids("14:00", "2024-01-16T00:00:00Z"), ids("13:00", "2024-01-16T00:00:00Z")]).toEqual([["s"], []]);
  expect([ids("14:00", "2024-07-16T00:00:00Z"), ids("13:00", "2024-07-16T00:00:00Z")]).toEqual([[], ["s"]]);
});

test("what runs next at the time comes first", () => {
  const often = schedule("often", "2024-01-16T06:30:00Z", { cron: "*/30 * * * *" });
  const daily = schedule("daily", "2024-01-16T09:00:00Z");
  expect(found([often, daily], "9:00", "", NOW).map(({ schedule_id }) => schedule_id)).toEqual(["daily", "often"]);
});

test("a range of a chart is read from the address, and its end is not in it", () => {
  const range = rangeOf({ from: "2026-11-28T09:00:00.000Z", to: "2026-11-28T10:00:00.000Z" });
  expect(range && [isIn(range, "2026-11-28T09:00:00Z"), isIn(range, "2026-11-28T10:00:00Z")]).toEqual([true, false]);
  expect([rangeOf({}), rangeOf({ from: "2026-11-28T09:00:00Z" }), rangeOf({ from: "soon", to: "later" })]).toEqual([null, null, null]);
});

test("a deactivation is done when tasks, keys and commands are", () => {
  const row = { state: "deactivated", active_tasks_count: 2 } as UserRow;
  expect(isDone(steps(row, 3))).toBe(false);
  expect(isDone(steps({ ...row, active_tasks_count: 0 }, 3))).toBe(true);
  expect(isDone(steps({ ...row, active_tasks_count: 0, state: "active" }, 3))).toBe(false);

  const detail = (commands_pending: number, revoked: boolean) =>
    ({ ...row, active_tasks_count: 0, api_keys: [{ key_id: "k", revoked }], deactivation: { commands_pending } }) as UserDetail;
  expect(isDone(steps(detail(0, true), 3))).toBe(true);
  expect(isDone(steps(detail(1, true), 3))).toBe(false);
  expect(isDone(steps(detail(0, false), 3))).toBe(false);
});

test("a key that can't be one is refused before it is sent", () => {
  expect(malformed("sk_0123456789_0123456789")).toBeNull();
  for (const key of ["", "eyJhbGciOi", "sk_short", "sk_with blank 0123456789", `sk_${"x".repeat(198)}`]) {
    expect(malformed(key)).not.toBeNull();
  }
});

test("an axis ends at a round number at or above the highest bar", () => {
  expect([0, 5, 6, 13, 100, 101, 420, 15_623].map(roundUp)).toEqual([5, 5, 6, 15, 100, 150, 500, 20_000]);
});
