/** Whether it is said that the API does not answer. */
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { freshModules, freshSession } from "./fresh";

type Client = typeof import("../../src/api/client");

/** Of each test its own: nothing is left of what a test before has noted. */
let client: Client;
let end: () => void;
/** The status that each path answers, 200 unless it is here; 0 is no answer. */
let statuses: Record<string, number>;
/** Milliseconds that each path takes, 100 unless it is here. */
let durations: Record<string, number>;

beforeEach(async () => {
  freshModules(async (to) => {
    const path = to.pathname.slice(1);
    await new Promise((done) => setTimeout(done, durations[path] ?? 100));
    const status = statuses[path] ?? 200;
    if (status === 0) throw new TypeError("Failed to fetch");
    return new Response("{}", { status });
  }, new Date("2026-11-28T09:00:00Z"));
  statuses = {};
  durations = {};
  client = await import("../../src/api/client");
  end = await freshSession();
});
afterEach(() => end());

const pass = (seconds: number) => vi.advanceTimersByTimeAsync(seconds * 1000);

/** Requests these paths at once, and returns whether it is said then that the API does not answer. */
async function isFailingAfter(...paths: string[]): Promise<boolean> {
  await Promise.all([...paths.map((path) => client.request(path).catch(() => null)), pass(0.2)]);
  return client.connection.get().failingSince !== null;
}

test("a request that fails with nothing else to go by is an API that does not answer, until another is answered", async () => {
  statuses = { "admin/health": 503 };
  expect(await isFailingAfter("admin/health")).toBe(true);
  expect(await isFailingAfter("admin/stats")).toBe(false);
});

test("one endpoint that fails while others are answered is no API that does not answer, however often it is tried", async () => {
  statuses = { "admin/health": 503 };
  await isFailingAfter("admin/stats");
  for (let tries = 0; tries < 100; tries += 1) {
    expect(await isFailingAfter("admin/health")).toBe(false);
    await pass(15);
    expect(await isFailingAfter("admin/stats")).toBe(false);
  }
});

test("an endpoint that fails after others were answered, which were sent with it, does not count", async () => {
  statuses = { "admin/health": 500 };
  durations = { "admin/stats": 50, "admin/health": 90 };
  expect(await isFailingAfter("admin/stats", "admin/health")).toBe(false);
});

test("an endpoint that fails a moment after others were answered does not count, also while they are read anew", async () => {
  statuses = { "admin/health": 503 };
  durations = { "admin/stats": 3000 };
  await Promise.all([client.request("admin/stats"), pass(3)]);
  await pass(1);
  // As it is tried: after 1, 2, 4 and 8 s. The other is requested 15 s after its answer.
  for (const seconds of [1, 2, 4, 7]) {
    expect(await isFailingAfter("admin/health")).toBe(false);
    await pass(seconds - 0.2);
  }
  const refresh = client.request("admin/stats");
  await pass(2);
  expect(await isFailingAfter("admin/health")).toBe(false);
  await Promise.all([refresh, pass(1)]);
  await pass(16);
  expect(await isFailingAfter("admin/health")).toBe(false);
});

test("an API whose endpoints all fail does not answer, also after one of them has failed alone", async () => {
  statuses = { "admin/health": 503 };
  await isFailingAfter("admin/health");
  await pass(15);
  await isFailingAfter("admin/stats");
  await pass(20);
  statuses = { "admin/health": 503, "admin/stats": 503 };
  expect(await isFailingAfter("admin/health", "admin/stats")).toBe(true);
  statuses = {};
  expect(await isFailingAfter("admin/health")).toBe(false);
});

test("one answer among failures does not hide for long that all fail since", async () => {
  statuses = { "admin/users": 503 };
  await isFailingAfter("admin/users");
  await pass(5);
  expect(await isFailingAfter("admin/stats")).toBe(false);
  // Only the list is requested from here on, every two seconds.
  for (let seconds = 0; seconds < 88; seconds += 2) {
    expect(await isFailingAfter("admin/users")).toBe(false);
    await pass(1.8);
  }
  await pass(2);
  for (let tries = 0; tries < 100; tries += 1) {
    expect(await isFailingAfter("admin/users")).toBe(true);
    await pass(1.8);
  }
});

test("an answer right before all fail hides that for some seconds only", async () => {
  await isFailingAfter("admin/stats");
  statuses = { "admin/users": 503 };
  await pass(1);
  expect(await isFailingAfter("admin/users")).toBe(false);
  await pass(20);
  expect(await isFailingAfter("admin/users")).toBe(true);
});

test("an endpoint that failed long ago, and was answered by others since, counts again", async () => {
  statuses = { "admin/health": 503 };
  await isFailingAfter("admin/health");
  await isFailingAfter("admin/stats");
  await pass(150);
  expect(await isFailingAfter("admin/health")).toBe(true);
});

test("no answer counts at once, whatever others answer", async () => {
  statuses = { "admin/health": 0 };
  await isFailingAfter("admin/stats");
  expect(await isFailingAfter("admin/health")).toBe(true);
});
