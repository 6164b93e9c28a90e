/** What is read in several requests: the failures of a bar of a chart, and figures by minute. */
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import type { Range } from "../../src/range";
import { freshModules, freshSession } from "./fresh";

type Queries = typeof import("../../src/api/queries");

/** Of each test its own: nothing is known of the API's clock. */
let queries: Queries;
let end: () => void;
/** Queries that were sent, with their path. */
let sent: string[];
/** What each path answers, `{}` unless it is here; a number is the status of a failure. */
let answers: Record<string, unknown>;
/** By how many milliseconds the API's clock is ahead of the reader's. */
let ahead: number;

beforeEach(async () => {
  freshModules(async ({ pathname, search }, { signal }) => {
    sent.push(pathname + search);
    await Promise.resolve();
    signal?.throwIfAborted();
    const found = answers[pathname] ?? {};
    const headers = { date: new Date(Date.now() + ahead).toUTCString() };
    return typeof found === "number" ? new Response("{}", { status: found, headers }) : Response.json(found, { headers });
  });
  [sent, answers, ahead] = [[], {}, 0];
  queries = await import("../../src/api/queries");
  end = await freshSession();
});
afterEach(() => end());

const FAILURES: Range = { from: new Date("2026-11-28T12:00:00Z"), to: new Date("2026-11-28T13:00:00Z") };
const NO_FILTER = { error_type: undefined, task_id: undefined };

/** Reads the failures of the bar at a time of the reader's clock, and returns the hours and pages that were requested. */
async function readAt(time: string, hours = 1): Promise<string[]> {
  vi.setSystemTime(Date.parse(time));
  sent = [];
  await queries.readAllErrors({ hours, range: FAILURES }, NO_FILTER, new AbortController().signal);
  return sent.map((query) => /hours=(\d+)&page=(\d+)/.exec(query)?.slice(1).join(" p") ?? query);
}

test("the window of a bar's failures becomes longer as time goes on", async () => {
  answers = { "/admin/errors": { errors: [], total: 0, error_types: {} } };
  expect(await readAt("2026-11-28T12:55:00Z")).toEqual(["1 p1"]);
  expect(await readAt("2026-11-28T13:10:00Z")).toEqual(["2 p1"]);
  expect(await readAt("2026-11-28T18:00:00Z", 24)).toEqual(["24 p1"]);
  // Nearly over: it may be while the answer is on its way.
  expect(await readAt("2026-11-28T12:59:59.900Z")).toEqual(["2 p1"]);
});

test("a bar's failures are read again if the first answer says that it is later than the reader's clock does", async () => {
  answers = { "/admin/errors": { errors: [], total: 150, error_types: {} } };
  ahead = 5 * 3_600_000;
  expect(await readAt("2026-11-28T12:10:00Z")).toEqual(["1 p1", "6 p1", "6 p2"]);
  expect(await readAt("2026-11-28T12:11:00Z")).toEqual(["6 p1", "6 p2"]);
});

test("failures without a bar are those of the hours that were chosen", async () => {
  answers = { "/admin/errors": { errors: [], total: 0, error_types: {} } };
  await queries.readAllErrors({ hours: 24, range: null }, { error_type: "TimeoutError", task_id: undefined }, new AbortController().signal);
  expect(sent).toEqual(["/admin/errors?error_type=TimeoutError&hours=24&page=1&limit=100"]);
});

const SERIES = { metric: "executions", bucket: "minute", points: [] };
const RUNNING = { executions: [{ started_at: "2026-11-28T12:00:00Z" }], total: 1, page: 1, limit: 100 };

test("figures by minute come with what ran before and after they were read", async () => {
  answers = { "/admin/stats/series": SERIES, "/admin/executions": RUNNING };
  const { series, running } = await queries.readMinutes(24, new AbortController().signal);

  expect(series).toEqual(SERIES);
  expect(running?.starts).toHaveLength(2);
  expect(sent.map((query) => query.split("?")[0])).toEqual(["/admin/executions", "/admin/stats/series", "/admin/executions"]);
});

test.each([500, 503, 422])("figures by minute are there although the list of what runs answers %i, and what runs is not known", async (status) => {
  answers = { "/admin/stats/series": SERIES, "/admin/executions": status };
  expect(await queries.readMinutes(24, new AbortController().signal)).toEqual({ series: SERIES, running: null });
});

test("what runs is not known if it can be read before the figures only", async () => {
  answers = { "/admin/executions": RUNNING, "/admin/stats/series": SERIES };
  const before = fetch;
  vi.stubGlobal("fetch", async (to: URL, options: RequestInit) => {
    const answer = await before(to, options);
    if (to.pathname === "/admin/stats/series") answers["/admin/executions"] = 503;
    return answer;
  });
  expect(await queries.readMinutes(24, new AbortController().signal)).toEqual({ series: SERIES, running: null });
  expect(sent).toHaveLength(3);
});

test("figures by minute that nobody wants any more are not said to be read without what ran", async () => {
  answers = { "/admin/stats/series": SERIES, "/admin/executions": RUNNING };
  const cancelled = new AbortController();
  const before = fetch;
  vi.stubGlobal("fetch", (to: URL, options: RequestInit) => {
    if (sent.length === 2) cancelled.abort();
    return before(to, options);
  });
  await expect(queries.readMinutes(24, cancelled.signal)).rejects.toMatchObject({ name: "AbortError" });
  expect(sent).toHaveLength(3);
});
