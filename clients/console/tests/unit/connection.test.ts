/** Whether it is said that the API does not answer. */
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { connection, request } from "../../src/api/client";
import { begin, end } from "../../src/session";

/** The status that each path answers, 200 unless it is here; 0 is no answer. */
let statuses: Record<string, number>;

beforeEach(() => {
  vi.useFakeTimers();
  vi.stubGlobal("document", { baseURI: "https://console.example/" });
  vi.stubGlobal("fetch", async (to: URL) => {
    await new Promise((done) => setTimeout(done, 100));
    const status = statuses[to.pathname.slice(1)] ?? 200;
    if (status === 0) throw new TypeError("Failed to fetch");
    return new Response("{}", { status });
  });
  statuses = {};
  // What a test before has noted is forgotten.
  vi.advanceTimersByTime(3_600_000);
  connection.set({ answeredAt: 0, failingSince: null, waitUntil: 0 });
  begin({ key: "sk_first" });
});
afterEach(() => {
  end(null);
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

/** Requests these paths at once, and returns whether it is said then that the API does not answer. */
async function isFailingAfter(...paths: string[]): Promise<boolean> {
  const all = Promise.allSettled(paths.map((path) => request(path)));
  await vi.advanceTimersByTimeAsync(100);
  await all;
  const { failingSince } = connection.get();
  await vi.advanceTimersByTimeAsync(15_000);
  return failingSince !== null;
}

test("one endpoint that fails while others are answered is no API that does not answer, however often it is tried", async () => {
  statuses = { "admin/health": 503 };
  // With nothing else to go by, it is.
  expect(await isFailingAfter("admin/health")).toBe(true);
  expect(await isFailingAfter("admin/stats")).toBe(false);
  for (let tries = 0; tries < 10; tries += 1) expect(await isFailingAfter("admin/health")).toBe(false);
});

test("an endpoint that fails after others were answered, which were sent with it, does not count", async () => {
  statuses = { "admin/health": 500 };
  vi.stubGlobal("fetch", async (to: URL) => {
    await new Promise((done) => setTimeout(done, to.pathname === "/admin/health" ? 90 : 50));
    return new Response("{}", { status: statuses[to.pathname.slice(1)] ?? 200 });
  });
  expect(await isFailingAfter("admin/stats", "admin/health")).toBe(false);
});

test("an API whose endpoints all fail does not answer, also after one of them has failed alone", async () => {
  statuses = { "admin/health": 503 };
  await isFailingAfter("admin/health");
  await isFailingAfter("admin/stats");
  statuses = { "admin/health": 503, "admin/stats": 503 };
  expect(await isFailingAfter("admin/health", "admin/stats")).toBe(true);
  statuses = {};
  expect(await isFailingAfter("admin/health")).toBe(false);
});

test("an endpoint that failed long ago, and was answered by others since, counts again", async () => {
  statuses = { "admin/health": 503 };
  await isFailingAfter("admin/health");
  await isFailingAfter("admin/stats");
  await vi.advanceTimersByTimeAsync(120_000);
  expect(await isFailingAfter("admin/health")).toBe(true);
});

test("no answer counts at once, whatever others answer", async () => {
  statuses = { "admin/health": 0 };
  await isFailingAfter("admin/stats");
  expect(await isFailingAfter("admin/health")).toBe(true);
});
