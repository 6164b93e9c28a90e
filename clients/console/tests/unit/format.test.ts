import { expect, test } from "vitest";
import { ago, duration, percent, plural, utcTime } from "../../src/format";

test.each([
  [0, "0 ms"],
  [999, "999 ms"],
  [1000, "1.0 s"],
  [4120, "4.1 s"],
  [9949, "9.9 s"],
  [9950, "10 s"],
  [59_949, "60 s"],
  [59_950, "1 min"],
  [200_000, "3 min 20 s"],
  [3_599_600, "1 h"],
  [7_500_000, "2 h 5 min"],
  [90_000_000, "1 d 1 h"],
])("%i ms is written %s", (ms, expected) => {
  expect(duration(ms)).toBe(expected);
});

test.each([
  [0, "0 %"],
  [0.027, "2.7 %"],
  [0.05, "5 %"],
  [0.98, "98 %"],
  [1, "100 %"],
])("the share %d is written %s", (share, expected) => {
  expect(percent(share)).toBe(expected);
});

test("how long ago, and how long until", () => {
  expect(ago(0)).toBe("0 s ago");
  expect(ago(65_000)).toBe("1 min ago");
  expect(ago(-7_200_000)).toBe("in 2 h");
});

test("a time in UTC has milliseconds only if there are some", () => {
  expect(utcTime(new Date("2024-01-15T09:00:04Z"))).toBe("2024-01-15 09:00:04 UTC");
  expect(utcTime(new Date("2024-01-15T09:00:04.120Z"))).toBe("2024-01-15 09:00:04.120 UTC");
});

test("one is singular", () => {
  expect([plural(0, "task"), plural(1, "task"), plural(2, "task")]).toEqual(["0 tasks", "1 task", "2 tasks"]);
});
