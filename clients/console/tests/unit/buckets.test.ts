import { expect, test } from "vitest";
import { bars, listBehind, merged } from "../../src/buckets";
import { parse } from "../../src/place";

const point = (start: string, count: number, failed = 0, avg_duration_ms = 0) => ({ start, count, failed, avg_duration_ms });

test("a bar ends with its bucket, also the first one, which begins at the window's cut", () => {
  const found = bars([point("2024-01-15T08:37:00Z", 1), point("2024-01-15T09:00:00Z", 2)], "hour");

  expect(found.map((bar) => bar.end.toISOString())).toEqual(["2024-01-15T09:00:00.000Z", "2024-01-15T10:00:00.000Z"]);
});

test("bars are put together at whole multiples, with sums, and means by count", () => {
  const minutes = bars(
    [point("2024-01-15T08:59:00Z", 1, 1, 100), point("2024-01-15T09:00:00Z", 1, 0, 1000), point("2024-01-15T09:04:00Z", 3, 2, 2000), point("2024-01-15T09:05:00Z", 0)],
    "minute",
  );

  const found = merged(minutes, 5);

  expect(found.map(({ count, failed, avgDurationMs }) => [count, failed, avgDurationMs])).toEqual([
    [1, 1, 100],
    [4, 2, 1750],
    [0, 0, 0],
  ]);
  expect(found[1]?.end.toISOString()).toBe("2024-01-15T09:05:00.000Z");
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
