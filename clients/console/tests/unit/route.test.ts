import { expect, test } from "vitest";
import { changed, href, integer, parse } from "../../src/place";

test("a link is read back as what it was made of", () => {
  const params = { q: "a&b=c #%é", page: "3" };

  expect(parse(href("users", params))).toEqual({ view: "users", params });
});

test("a link leaves out what is empty, and the overview has the shortest one", () => {
  expect(href("executions", { status: undefined, task_id: "", page: 2 })).toBe("#/executions?page=2");
  expect(href("overview")).toBe("#/");
});

test.each(["", "#", "#/", "/"])("the fragment %j is the overview", (fragment) => {
  expect(parse(fragment)).toEqual({ view: "overview", params: {} });
});

test("an unknown page has no view", () => {
  expect(parse("#/toString").view).toBeNull();
  expect(parse("#/users/1").view).toBeNull();
});

test("a change keeps the other parameters, and null removes one", () => {
  const route = parse("#/executions?status=failed&page=4&open=x");

  expect(changed(route, { page: null, open: "y" })).toBe("#/executions?status=failed&open=y");
});

test.each([
  ["7", 7],
  ["0", 50],
  ["-1", 50],
  ["1.5", 50],
  ["101", 50],
  ["1e2", 50],
  ["", 50],
])("the limit %j is read as %i", (text, expected) => {
  expect(integer({ limit: text }, "limit", 50, 100)).toBe(expected);
});
