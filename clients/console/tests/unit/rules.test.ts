import { readFileSync } from "node:fs";
import { expect, test, vi } from "vitest";
import { ACTIONS, inWords } from "../../src/actions";
import { ApiError, delay, hasNoEndpoint, passes, Unreachable } from "../../src/api/errors";
import type { ErrorRow, ScheduleRow, Stats, UserDetail } from "../../src/api/types";
import { breakdown, extent, ofTypes } from "../../src/breakdown";
import { dayOf, hourOf } from "../../src/format";
import { isIn, rangeInWords, rangeOf } from "../../src/range";
import { timesOf } from "../../src/cron";
import { counted, found, timeFault, zoneOf } from "../../src/schedules";
import { malformed } from "../../src/session";
import { level, measures, worst } from "../../src/thresholds";
import { roundUp } from "../../src/ui/chart";
import { isDone, loginInWords, steps } from "../../src/users/progress";

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
  expect(inWords({ action: "later.action", status: 200 })).toBe("later.action");
});

test.each([
  ["users.deactivate", 200, "Deactivated a user"],
  ["users.deactivate", 403, "Refused: Deactivated a user"],
  ["users.deactivate", 404, "Refused: Deactivated a user"],
  ["users.reactivate", 409, "Refused: Reactivated a user"],
  ["users.reactivate", 429, "Refused: Reactivated a user"],
  ["users.deactivate", 500, "Result unknown: Deactivated a user"],
  ["users.deactivate", 503, "Result unknown: Deactivated a user"],
  ["users.deactivate_many", 200, "Asked to deactivate several users"],
  ["users.deactivate_many", 503, "Result unknown: Asked to deactivate several users"],
  ["users.read", 404, "Refused: Read a user"],
  ["users.read", 503, "Failed: Read a user"],
  ["later.action", 503, "Result unknown: later.action"],
])("a request for %s that was answered %i is worded as: %s", (action, status, words) => {
  expect(inWords({ action, status })).toBe(words);
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

test.each([
  [0, 0, false, ""],
  [1, 1, false, "Of the one failure."],
  [2, 2, false, "Of all 2 failures."],
  [1, 3, false, "Of the newest 1 of 3 failures."],
  [1, 1, true, "Of the one failure that was found."],
  [2, 2, true, "Of the 2 failures that were found."],
])("of %i failures that were read, of %i, cut: %s, it says: %s", (read, total, isCut, said) => {
  expect(extent(read, total, isCut)).toBe(said);
});

test("the types of a window have their share of all failures, in the API's order", () => {
  expect(ofTypes({ TimeoutError: 3, RateLimitError: 1 })).toEqual([
    { value: "TimeoutError", count: 3, share: 0.75 },
    { value: "RateLimitError", count: 1, share: 0.25 },
  ]);
  expect(ofTypes({})).toEqual([]);
});

const NOW = new Date("2024-01-16T00:00:00Z");

const schedule = (
  schedule_id: string,
  next_run_time: string | null,
  { user_email = "ann@example.com", cron = "0 9 * * *", is_paused = false, timezone = "UTC" } = {},
) => ({ schedule_id, task_id: "t", cron, next_run_time, user_email, is_paused, timezone }) as ScheduleRow;

/** The ids of the schedules that are found, in order. */
const ids = (all: readonly ScheduleRow[], at: string, find = "", now = NOW) => found(all, at, find, now).map(({ row }) => row.schedule_id);

test("schedules are found by the UTC time at which they run and by text, earliest first", () => {
  const all = [
    schedule("s1", "2024-01-17T09:00:00Z"),
    schedule("s2", null, { is_paused: true }),
    schedule("s3", "2024-01-16T09:00:00Z", { user_email: "Bob@example.com" }),
    schedule("s4", "2024-01-16T19:00:00Z", { cron: "0 19 * * *" }),
    schedule("never", null),
    schedule("noted", "2024-01-16T17:00:00Z", { cron: "0 9,17 * * 1 # team" }),
  ];

  expect(ids(all, "9:00")).toEqual(["s3", "s1", "noted", "s2"]);
  expect(ids(all, "", "bob@")).toEqual(["s3"]);
  expect(ids(all, "", "* * *")).toEqual(["s3", "s4", "s1", "s2", "never"]);
  expect(ids(all, "19:00", "bob")).toEqual([]);
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
  // An empty zone is none: the schedule's own counts, here UTC.
  ["9:00", "CRON_TZ= 0 * * * *", true],
  ["9:30", "CRON_TZ= 0 * * * *", false],
  ["9:00", "CRON_TZ=Nowhere/Else 0 6,9 * * *", false],
])("a schedule that runs next at 06:00 also runs at %s by %s: %s", (at, cron, expected) => {
  expect(found([schedule("s", "2024-01-16T06:00:00Z", { cron })], at, "", NOW)).toHaveLength(expected ? 1 : 0);
});

test("a schedule runs by the clock of its own zone, and of the one that its expression names", () => {
  const own = schedule("own", "2024-01-16T08:00:00Z", { cron: "0 9,10 * * *", timezone: "Europe/Berlin" });
  const named = schedule("named", "2024-01-16T14:00:00Z", { cron: "CRON_TZ=America/New_York 0 9,10 * * *", timezone: "America/New_York" });

  expect([ids([own], "9:00"), ids([own], "10:00")]).toEqual([["own"], []]);
  expect([ids([named], "15:00"), ids([named], "9:00")]).toEqual([["named"], []]);
  expect([zoneOf(own), zoneOf(named), zoneOf(schedule("i", null, { cron: "@every 90m" }))]).toEqual(["Europe/Berlin", "America/New_York", null]);
  expect(ids([own, named], "", "new_york")).toEqual(["named"]);
});

test("a schedule of an API that names no zones is read as UTC", () => {
  const { timezone: _, ...row } = schedule("s", "2024-01-16T09:00:00Z", { cron: "0 9,10 * * *" });
  expect([ids([row], "10:00"), zoneOf(row)]).toEqual([["s"], "UTC"]);
});

test("a zone counts as it is at each run: what runs after the next change of the clock is found, with that run", () => {
  const run = (row: ScheduleRow, at: string) => found([row], at, "", NOW)[0]?.run?.toISOString();
  const berlin = schedule("s", "2024-01-16T08:00:00Z", { timezone: "Europe/Berlin" });
  expect([run(berlin, "8:00"), run(berlin, "7:00"), run(berlin, "9:00")]).toEqual(["2024-01-16T08:00:00.000Z", "2024-03-31T07:00:00.000Z", undefined]);
  // Its next run is the last one of the summer in New York.
  const york = schedule("s", "2024-11-02T13:00:00Z", { timezone: "America/New_York" });
  expect([run(york, "13:00"), run(york, "14:00")]).toEqual(["2024-11-02T13:00:00.000Z", "2024-11-03T14:00:00.000Z"]);
  // In Morocco the clock goes back for the month of Ramadan alone, by UTC's.
  const casablanca = schedule("s", "2024-01-16T08:00:00Z", { timezone: "Africa/Casablanca" });
  expect([run(casablanca, "8:00"), run(casablanca, "9:00")]).toEqual(["2024-01-16T08:00:00.000Z", "2024-03-10T09:00:00.000Z"]);
  // On a day in July it is never winter there.
  const july = schedule("s", "2024-07-15T13:00:00Z", { cron: "0 9,10 15 7 *", timezone: "America/New_York" });
  expect([run(july, "14:00"), run(july, "15:00")]).toEqual(["2024-07-15T14:00:00.000Z", undefined]);
});

test("a local time that the clock skips is no run", () => {
  // On 31 March 2024 there was no 02:30 in Berlin; in winter it is 01:30 in UTC, in summer 00:30.
  const row = schedule("s", "2024-03-30T01:30:00Z", { cron: "30 2 * * *", timezone: "Europe/Berlin" });
  const later = schedule("s", "2024-03-30T05:00:00Z", { cron: "30 2,6 30,31 3 *", timezone: "Europe/Berlin" });
  expect([found([row], "0:30", "", NOW)[0]?.run?.toISOString(), found([later], "1:30", "", NOW)[0]?.run?.toISOString()]).toEqual([
    "2024-04-01T00:30:00.000Z",
    // On the days between, or it would be in summer, or it is skipped.
    "2030-03-30T01:30:00.000Z",
  ]);
});

test("a paused schedule is found at the times at which it would run, in winter or in summer", () => {
  const paused = schedule("s", null, { cron: "0 9 * * *", timezone: "America/New_York", is_paused: true });
  expect(["14:00", "13:00", "9:00"].map((time) => ids([paused], time))).toEqual([["s"], ["s"], []]);
  expect(found([paused], "14:00", "", NOW)[0]?.run).toBeNull();
  // There is no 30 February.
  expect(ids([schedule("s", null, { cron: "0 9 30 2 *", is_paused: true })], "9:00")).toEqual([]);
});

test.each([
  ["Europe/Berlin", "8:00", true],
  ["europe/berlin", "8:00", false],
  ["EUROPE/BERLIN", "8:00", false],
  ["US/Eastern", "14:00", true],
  ["us/eastern", "14:00", false],
  ["US/EASTERN", "14:00", false],
  ["Etc/GMT-1", "8:00", true],
  ["GB-Eire", "9:00", true],
  ["UTC", "9:00", true],
  ["utc", "9:00", false],
  ["+01:00", "8:00", false],
])("a paused schedule in the zone %s would run at %s UTC: %s, as Temporal takes the names of zones", (timezone, at, expected) => {
  const paused = schedule("s", null, { cron: "0 9 * * *", timezone, is_paused: true });
  expect(ids([paused], at)).toEqual(expected ? ["s"] : []);
});

test("what was found is counted by whether it runs within a day, later, or is paused", () => {
  const all = [
    schedule("today", "2024-01-16T09:00:00Z"),
    schedule("tomorrow", "2024-01-17T09:00:00Z"),
    schedule("summer", "2024-01-16T10:00:00Z", { cron: "0 11 * * *", timezone: "Europe/Berlin" }),
    schedule("paused", null, { is_paused: true }),
  ];
  expect(counted(found(all, "9:00", "", NOW), NOW)).toEqual({ soon: 1, later: 2, paused: 1 });
});

test("10,000 schedules are searched with one reading of each expression", () => {
  const zones = ["UTC", "Europe/Berlin", "America/New_York", "Africa/Casablanca"];
  const all = Array.from({ length: 10_000 }, (_, at) =>
    schedule(`s${at}`, `2024-01-16T10:${String(at % 60).padStart(2, "0")}:00Z`, { cron: `${at % 60} */2 29 2 *`, timezone: zones[at % 4] ?? "UTC" }),
  );
  const format = vi.spyOn(Intl.DateTimeFormat.prototype, "formatToParts");
  const read = vi.spyOn(RegExp.prototype, "exec");
  found(all, "9:00", "", NOW);
  const first = read.mock.calls.length;
  found(all, "9:00", "", NOW);
  // The second search asks for no zone and reads no expression again, but only the time that is searched for.
  expect(read.mock.calls.length - first).toBeLessThanOrEqual(2);
  // Those of some years' days in three zones, and not of each schedule.
  expect(format.mock.calls.length).toBeLessThan(2_000);
  vi.restoreAllMocks();
});

test("what runs first at the time comes first, with that run, whatever else it runs at before", () => {
  const often = schedule("often", "2024-01-16T06:30:00Z", { cron: "*/30 * * * *" });
  // Its next run at any time is of today, the one at 09:00 of next week.
  const weekly = schedule("weekly", "2024-01-16T17:00:00Z", { cron: "0 9,17 * * TUE" });
  const daily = schedule("daily", "2024-01-16T09:00:00Z");
  const all = [weekly, daily, often];
  const runs = found(all, "9:00", "", NOW).map(({ row, run }) => [row.schedule_id, run?.toISOString()]);

  expect(runs).toEqual([
    ["daily", "2024-01-16T09:00:00.000Z"],
    ["often", "2024-01-16T09:00:00.000Z"],
    ["weekly", "2024-01-23T09:00:00.000Z"],
  ]);
});

test.each([
  ["9:00", "0 9,17 * * 1-7", "2024-01-16T17:00:00Z", "2024-01-17T09:00:00.000Z"],
  // Both days must match: the next Friday the 13th.
  ["9:00", "0 9,17 13 * fri", "2024-01-16T17:00:00Z", "2024-09-13T09:00:00.000Z"],
  ["9:00", "0 9,17 1 jan-mar *", "2024-01-16T17:00:00Z", "2024-02-01T09:00:00.000Z"],
  ["9:00", "0 9,17 1 1 * 2026", "2026-01-01T17:00:00Z", undefined],
  ["9:00", "15 0 9,17 * * * *", "2024-01-16T17:00:15Z", "2024-01-17T09:00:15.000Z"],
  ["0:00", "0 0,17 29 2 *", "2024-02-29T17:00:00Z", "2028-02-29T00:00:00.000Z"],
  ["9:00", "0 9,17 29 2 fri", "2036-02-29T17:00:00Z", "2064-02-29T09:00:00.000Z"],
  ["9:00", "0 9,17 1 1 * 2024,2031", "2024-01-16T17:00:00Z", "2031-01-01T09:00:00.000Z"],
  ["9:17", "@every 4.1h", "2024-01-16T06:00:00Z", undefined],
  ["9:18", "@every 4.1h", "2024-01-16T01:36:00Z", "2024-02-04T09:18:00.000Z"],
  ["9:00", "@every 7h", "2024-01-16T06:00:00Z", "2024-01-22T09:00:00.000Z"],
])("at %s, %s, which runs next at %s, runs at %s", (at, cron, next, expected) => {
  const [first] = found([schedule("s", next, { cron })], at, "", NOW);
  expect(first?.run?.toISOString()).toBe(expected);
});

test.each([
  ["0 9 * * 1-7", 0, false],
  ["0 9 * * 2-7", 0, true],
  ["0 9 * * */7", 0, true],
  ["0 9 * * sun", 0, true],
  ["0 9 * * 7", 0, true],
  ["0 9 * * tu-thursday", 3, true],
  ["0 9 * * s", 6, null],
  ["0 9 * ja *", 3, null],
  ["0 9 0 * *", 3, null],
])("the days of %s, on weekday %i: %s", (cron, weekday, expected) => {
  // The 14th was a Sunday.
  const second = timesOf(cron)?.secondIn(new Date(Date.UTC(2024, 0, 14 + weekday, 9)));
  expect(second === undefined ? null : second !== null).toBe(expected);
});

test("a range of a chart is read from the address, and its end is not in it", () => {
  const range = rangeOf({ from: "2026-11-28T09:00:00.000Z", to: "2026-11-28T10:00:00.000Z" });
  expect(range && [isIn(range, "2026-11-28T09:00:00Z"), isIn(range, "2026-11-28T10:00:00Z")]).toEqual([true, false]);
  expect([rangeOf({}), rangeOf({ from: "2026-11-28T09:00:00Z" }), rangeOf({ from: "soon", to: "later" })]).toEqual([null, null, null]);
});

test("a deactivation is done when tasks, keys and commands are", () => {
  const detail = (commands_pending: number, revoked: boolean, active_tasks_count = 0) =>
    ({ state: "deactivated", active_tasks_count, api_keys: [{ key_id: "k", revoked }], deactivation: { commands_pending } }) as UserDetail;
  expect(isDone(steps(detail(0, true), 3))).toBe(true);
  expect(isDone(steps(detail(1, true), 3))).toBe(false);
  expect(isDone(steps(detail(0, false), 3))).toBe(false);
  expect(isDone(steps(detail(0, true, 2), 3))).toBe(false);
  expect(isDone(steps({ ...detail(0, true), state: "active" }, 3))).toBe(false);
});

test("a user without keys has none to revoke, one without a login none to block, and a deleted login is not said to be blocked", () => {
  const user = (clerk_user_id: string, commands_pending: number, type = "user.deactivated", source = "/torale/admin") =>
    ({
      state: "deactivated",
      active_tasks_count: 0,
      api_keys: [],
      clerk_user_id,
      deactivation: { commands_pending },
      history: [{ type: `ai.torale.${type}`, source, fields: ["state"] }],
    }) as unknown as UserDetail;

  expect(steps(user("user_1", 0), 0).find(({ name }) => name === "API keys")?.words).toBe("there are none to revoke");
  expect(loginInWords(user("", 0))).toBe("there is none at Clerk");
  expect(loginInWords(user("user_1", 1))).toBe("to be blocked at Clerk");
  expect(loginInWords(user("user_1", 0))).toContain("whether Clerk has carried it out is not shown here");
  for (const pending of [0, 1]) {
    expect(loginInWords(user("user_1", pending, "identity.deleted", "/clerk"))).toBe("the deleted login is not blocked; commands block the user's other logins, if there are any");
    expect(loginInWords(user("user_1", pending, "user.deactivated", "/torale/backend"))).toBe("whether a command to block it was sent is not known here");
  }
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

test.each([
  ["an hour of today", 28, 22, 28, 23, "hour to hour"],
  ["an hour of another day", 27, 22, 27, 23, "day hour to hour"],
  ["the last hour of another day", 27, 23, 28, 0, "day hour to day hour"],
  ["some hours of today", 28, 2, 28, 9, "day hour to hour"],
  ["a day", 27, 1, 28, 1, "day hour to day hour"],
])("a range of %s names a day once", (_, fromDay, fromHour, toDay, toHour, form) => {
  const from = new Date(2026, 10, fromDay, fromHour);
  const to = new Date(2026, 10, toDay, toHour);
  // Days and hours are written as the reader's locale has them.
  const written = (part: string, of: Date) => part.replace("day", dayOf(of)).replace("hour", hourOf(of));
  const [first = "", last = ""] = form.split(" to ");
  expect(rangeInWords({ from, to }, new Date(2026, 10, 28, 23))).toBe(`${written(first, from)} to ${written(last, to)}`);
});
