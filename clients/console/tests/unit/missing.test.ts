/** What stands where something can't be read: of an endpoint that fails for good, nothing else says so. */
import { QueryObserver } from "@tanstack/preact-query";
import { h } from "preact";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { ApiError, type Reading } from "../../src/api/errors";
import { newQueryClient } from "../../src/api/queries";
import { Missing } from "../../src/details/missing";
import { NothingYet } from "../../src/ui/page";
import { textOf } from "./rendered";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

/** What a query says an hour after it was begun, of which every request is answered so. */
async function afterAnHour(answer: () => unknown): Promise<Reading> {
  const client = newQueryClient();
  const observer = new QueryObserver(client, { queryKey: ["a detail"], queryFn: async () => answer(), refetchInterval: false });
  const stop = observer.subscribe(() => undefined);
  await vi.advanceTimersByTimeAsync(3_600_000);
  const found = observer.getCurrentResult();
  stop();
  client.clear();
  return found;
}

const fails = (status: number, detail: string) => () => {
  throw new ApiError(status, detail);
};
const missing = (query: Reading, hasRow: boolean) => textOf(h(Missing, { query, hasRow, what: "executions" }));

test.each([
  [500, "The API had an internal error."],
  [503, "The API can't answer for the moment: its store or identity provider is not reachable."],
])("a detail that answers %i for good says so, and that the console keeps trying, with and without its row", async (status, sentence) => {
  const query = await afterAnHour(fails(status, "no"));

  expect(missing(query, false)).toContain(`${sentence}This detail can't be read. The console keeps trying.`);
  expect(missing(query, true)).toContain(`${sentence}This detail can't be read. The console keeps trying, and shows the fields of the list meanwhile.`);
});

test("a part of a view that answers 503 for good says so, and that the console keeps trying", async () => {
  expect(textOf(h(NothingYet, { query: await afterAnHour(fails(503, "no")) }))).toMatch(/^The API can't answer for the moment.* The console keeps trying\.$/);
});

test("what is refused for good is not said to be tried", async () => {
  const query = await afterAnHour(fails(422, "no"));
  expect(missing(query, true)).toContain("The API refuses these parameters: no");
  expect(missing(query, true) + textOf(h(NothingYet, { query }))).not.toContain("keeps trying");
  expect(textOf(h(NothingYet, { query }))).toContain("The API refuses these parameters: no");
});

test("what was read stays without a word while it can't be read anew, and what is read for the first time is being loaded", () => {
  const error = new ApiError(503, "no");
  expect(missing({ data: {}, error: null, failureReason: error }, true)).toBe("");
  expect(missing({ data: undefined, error: null, failureReason: null }, true)).toBe("");
  const first = { data: undefined, error: null, failureReason: null };
  expect([missing(first, false), textOf(h(NothingYet, { query: first }))]).toEqual(["Loading…", "Loading…"]);
});
