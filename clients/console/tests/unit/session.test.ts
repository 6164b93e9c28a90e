/** A request belongs to the session in which it began. */
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { connection, request } from "../../src/api/client";
import { SessionEnded } from "../../src/api/errors";
import { newQueryClient } from "../../src/api/queries";
import { begin, end, session, type Credentials } from "../../src/session";
import { begun, deactivate } from "../../src/users/changes";

/** What was sent: method and key. */
let sent: string[];
let answers: Response[];

const busy = () => new Response("{}", { status: 503, headers: { "retry-after": "1" } });
const done = () => new Response("{}", { status: 200 });

beforeEach(() => {
  vi.useFakeTimers();
  vi.stubGlobal("document", { baseURI: "https://console.example/admin" });
  vi.stubGlobal("fetch", (_: URL, { method, headers }: { method: string; headers: { authorization: string } }) => {
    sent.push(`${method} ${headers.authorization}`);
    return Promise.resolve(answers.shift() ?? done());
  });
  sent = [];
  answers = [];
  connection.set({ answeredAt: 0, failingSince: null, waitUntil: 0 });
  end(null);
});
afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

/** Deactivates a user as the console does: an attempt that fails for now is repeated. */
const change = () => {
  const client = newQueryClient();
  const mutation = client.getMutationCache().build(client, { mutationFn: deactivate });
  return mutation.execute(begun("user_1")).catch((error: unknown) => error);
};

test("a change that fails for now is repeated with the same credentials", async () => {
  begin({ key: "sk_first" });
  answers = [busy()];
  const result = change();
  await vi.advanceTimersByTimeAsync(1_000);

  expect(await result).toEqual({});
  expect(sent).toEqual(["PATCH Bearer sk_first", "PATCH Bearer sk_first"]);
});

test.each<[string, Credentials | null]>([
  ["a sign-out", null],
  ["another sign-in", { key: "sk_second" }],
  ["a sign-in with the same key", { key: "sk_first" }],
])("a change is not repeated after %s", async (_, next) => {
  begin({ key: "sk_first" });
  answers = [busy()];
  const result = change();
  await vi.advanceTimersByTimeAsync(500);
  end(null);
  if (next) begin(next);
  await vi.advanceTimersByTimeAsync(60_000);

  expect(await result).toEqual(new SessionEnded("Your session ended before this was sent."));
  expect(sent).toEqual(["PATCH Bearer sk_first"]);
  expect(session.get().credentials).toBe(next);
});

test("a request that waits for the rate limit is not sent in a later session", async () => {
  begin({ key: "sk_first" });
  connection.set({ answeredAt: 0, failingSince: null, waitUntil: Date.now() + 5_000 });
  const result = request("admin/users/user_1/deactivate", { method: "PATCH" }).catch((error: unknown) => error);
  begin({ key: "sk_second" });
  await vi.advanceTimersByTimeAsync(5_000);

  expect(await result).toBeInstanceOf(SessionEnded);
  expect(sent).toEqual([]);
});

test("a request that waits for its token is not sent in a later session", async () => {
  let give = (_: { token: string }) => {};
  const token = () => new Promise<{ token: string }>((resolve) => (give = resolve));
  begin({ clerk: { token, signOut: () => Promise.resolve() } });
  const result = request("admin/users/user_1/deactivate", { method: "PATCH" }).catch((error: unknown) => error);
  await vi.advanceTimersByTimeAsync(0);
  begin({ key: "sk_second" });
  give({ token: "eyFirst" });

  expect(await result).toBeInstanceOf(SessionEnded);
  expect(sent).toEqual([]);
});
