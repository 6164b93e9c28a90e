import { expect, test } from "vitest";
import type { ExecutionsPage } from "../../src/api/types";
import { bars, eitherRunning, listBehind, merged, rateBefore, runningOf } from "../../src/buckets";
import { parse } from "../../src/place";

const point = (start: string, count: number, failed = 0, avg_duration_ms = 0) => ({ start, count, failed, avg_duration_ms });

test("a bar ends with its bucket, also the first one, which begins at the window's cut", () => {
  const found = bars([point("2024-01-15T08:37:00Z", 1), point("2024-01-15T09:00:00Z", 2)], "hour");

  expect(found.map((bar) => bar.end.toISOString())).toEqual(["2024-01-15T09:00:00.000Z", "2024-01-15T10:00:00.000Z"]);
});

/** The first page of a list of running executions, which began at these times. */
const running = (starts: string[], total = starts.length) =>
  runningOf({ executions: starts.map((started_at) => ({ started_at })), total, page: 1, limit: 100 } as ExecutionsPage);

const MINUTES = bars(
  [
    point("2024-01-15T08:59:00Z", 1, 1, 100),
    point("2024-01-15T09:00:00Z", 1, 0, 1000),
    point("2024-01-15T09:04:00Z", 3, 2, 2000),
    point("2024-01-15T09:05:00Z", 0),
    point("2024-01-15T09:10:00Z", 0),
    point("2024-01-15T09:11:00Z", 5, 0, 3000),
    point("2024-01-15T09:15:00Z", 2, 0, 4000),
    point("2024-01-15T09:16:00Z", 2, 0, 5000),
  ],
  "minute",
);
const means = (found: ReturnType<typeof merged>) => found.map(({ avgDurationMs }) => avgDurationMs);

test("bars are put together at whole multiples, with sums, and means by count while nothing runs", () => {
  const found = merged(MINUTES, 5, running([]));

  expect(found.map(({ count, failed, avgDurationMs }) => [count, failed, avgDurationMs])).toEqual([
    [1, 1, 100],
    [4, 2, 1750],
    [0, 0, 0],
    [5, 0, 3000],
    [4, 0, 4500],
  ]);
  expect(found[1]?.start.toISOString()).toBe("2024-01-15T09:00:00.000Z");
  expect(found[1]?.end.toISOString()).toBe("2024-01-15T09:05:00.000Z");
});

test("bars in which executions run have no mean together, since the API's means are of those that finished", () => {
  // Two of the three of 09:04 run: of 1000 and 2000 the mean is 1500, which no count says. A bar on its own keeps its mean.
  expect(means(merged(MINUTES, 5, running(["2024-01-15T09:11:30Z", "2024-01-15T09:04:59.999Z", "2024-01-15T09:04:00Z"])))).toEqual([100, null, 0, 3000, 4500]);
  expect(means(merged(MINUTES, 5, running(["2024-01-15T09:05:00Z", "2024-01-15T08:59:59Z"])))).toEqual([100, 1750, 0, 3000, 4500]);
  // What begins later than the last bar's end is counted in it.
  expect(means(merged(MINUTES, 5, running(["2024-01-15T10:00:00Z"])))).toEqual([100, 1750, 0, 3000, null]);
});

test("bars have no mean together while it is not known what runs in them", () => {
  expect(means(merged(MINUTES, 5, null))).toEqual([100, null, 0, 3000, null]);
  // One more runs, which began before the one that is known.
  expect(means(merged(MINUTES, 5, running(["2024-01-15T09:12:00Z"], 2)))).toEqual([100, null, 0, 3000, 4500]);
});

test("what ran at the time of either answer counts, and of what is beyond one of them nothing is known", () => {
  const [first, later] = [running(["2024-01-15T09:04:10Z"]), running(["2024-01-15T09:16:10Z"])];
  // The first has finished meanwhile, the other had not begun: the figures may have been read with either of them.
  expect(means(merged(MINUTES, 5, eitherRunning(first, later)))).toEqual([100, null, 0, 3000, null]);
  const cut = running(["2024-01-15T09:12:00Z"], 2);
  for (const both of [eitherRunning(cut, running([])), eitherRunning(running([]), cut)]) {
    expect(means(merged(MINUTES, 5, both))).toEqual([100, null, 0, 3000, 4500]);
  }
});

test("a bar of which nothing has finished has no mean, whatever its size", () => {
  const found = bars([point("2024-01-15T09:00:00Z", 2), point("2024-01-15T09:01:00Z", 1, 0, 4000), point("2024-01-15T09:05:00Z", 0), point("2024-01-15T09:06:00Z", 1, 1, 0)], "minute");
  // A failure has finished: the API says of it that it took no time.
  expect(found.map(({ avgDurationMs }) => avgDurationMs)).toEqual([null, 4000, 0, 0]);
  // Another answer may say that nothing runs: the figures themselves say so of nothing that has a mean.
  expect(means(merged(found, 5, running([])))).toEqual([null, 0]);
});

test("the list behind a bar is the page with its newest row, in a window that takes it in", () => {
  const all = bars(
    [point("2024-01-15T07:30:00Z", 70, 9), point("2024-01-15T08:00:00Z", 60, 4), point("2024-01-15T09:00:00Z", 120, 60)],
    "hour",
  );
  const now = new Date("2024-01-15T09:45:00Z");
  const [, second] = all;
  if (second === undefined) throw new Error("no bar");

  const { view, params } = parse(listBehind(all, second, undefined, now));
  expect(view).toBe("executions");
  expect(params).toEqual({ hours: "2", page: "3", from: "2024-01-15T08:00:00.000Z", to: "2024-01-15T09:00:00.000Z" });

  expect(parse(listBehind(all, second, "failed", now)).params).toMatchObject({ status: "failed", page: "2" });
});

test("the share of failures in the window before is exact, whether or not an hour is cut in two", () => {
  const both = [point("2024-01-15T08:37:00Z", 10, 1), point("2024-01-15T09:00:00Z", 20, 2), point("2024-01-15T10:00:00Z", 30, 9), point("2024-01-15T11:00:00Z", 40, 40)];
  // From 10:37 on there were 5 of the 30 of that hour, and 4 of its 9 failures.
  const later = [point("2024-01-15T10:37:00Z", 5, 4), point("2024-01-15T11:00:00Z", 40, 40)];
  expect(rateBefore(both, later, 2)).toBe((1 + 2 + 5) / (10 + 20 + 25));

  const whole = [point("2024-01-15T09:00:00Z", 20, 2), point("2024-01-15T10:00:00Z", 30, 3), point("2024-01-15T11:00:00Z", 40, 40)];
  expect(rateBefore(whole, [point("2024-01-15T11:00:00Z", 40, 40)], 2)).toBe(5 / 50);
});

test("there is no share of the window before if nothing ran in it, and it is not known if the two windows were cut in different minutes", () => {
  const [later] = [[point("2024-01-15T10:37:00Z", 5, 4)]];
  expect(rateBefore([point("2024-01-15T08:37:00Z", 0), point("2024-01-15T10:00:00Z", 5, 4)], later, 2)).toBeNull();
  expect(rateBefore([point("2024-01-15T08:36:00Z", 9, 4), point("2024-01-15T10:00:00Z", 5, 4)], later, 2)).toBeUndefined();
  expect(rateBefore([], [], 24)).toBeUndefined();
});
