/** Sessions: a request belongs to the one in which it began; how they begin and end. */
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { connection, request } from "../../src/api/client";
import { SessionEnded, Unreachable } from "../../src/api/errors";
import { newQueryClient } from "../../src/api/queries";
import { clerkInstance, type ClerkSession } from "../../src/clerk";
import { begin, end, endAtClerk, ownId, session, signOut, type Credentials } from "../../src/session";
import { begun, deactivate } from "../../src/users/changes";
import { beginIfAccepted, explained } from "../../src/views/begin";

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
  endAtClerk.set(null);
});
afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

/** Deactivates a user as the console does: an attempt that fails for now is repeated. */
const change = () => {
  const client = newQueryClient();
  const mutation = client.getMutationCache().build(client, { mutationFn: deactivate });
  return mutation.execute(begun("user_1", new AbortController().signal)).catch((error: unknown) => error);
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

test("the answers name who is signed in, until that session ends", async () => {
  const named = (id: string) => new Response("{}", { status: 200, headers: { "x-user-id": id } });
  begin({ key: "sk_first" });
  answers = [named("ann"), done()];
  await request("admin/stats");
  await request("admin/stats");
  expect(ownId.get()).toBe("ann");

  // An answer to somebody who signed out meanwhile is about nobody.
  answers = [named("ann")];
  const late = request("admin/stats").catch(() => undefined);
  begin({ key: "sk_second" });
  await late;
  expect(ownId.get()).toBeNull();
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

/** A sign-in at Clerk whose token and sign-out end when the test says so. */
function clerk() {
  const waiting = { token: (_: { token: string } | { ended: string }) => {}, left: () => {}, failed: () => {} };
  const session: ClerkSession = {
    token: () => new Promise((resolve) => (waiting.token = resolve)),
    signOut: () => new Promise<void>((resolve, reject) => Object.assign(waiting, { left: resolve, failed: () => reject(new Unreachable("away")) })),
  };
  return { session, waiting };
}

test("a sign-in that ends after another sign-in and its sign-out does not sign in", async () => {
  const slow = clerk();
  const result = beginIfAccepted(newQueryClient(), { clerk: slow.session }, session.get());
  await vi.advanceTimersByTimeAsync(0);
  await beginIfAccepted(newQueryClient(), { key: "sk_first" }, session.get());
  expect(session.get().credentials).toEqual({ key: "sk_first" });
  signOut();
  slow.waiting.token({ token: "eySlow" });
  await result;

  expect(session.get().credentials).toBeNull();
});

test("why a session at Clerk can't sign in is said as it is", async () => {
  const { session: ended, waiting } = clerk();
  const result = beginIfAccepted(newQueryClient(), { clerk: ended }, session.get()).catch((error: unknown) => error);
  await vi.advanceTimersByTimeAsync(0);
  waiting.token({ ended: "Your session at Clerk has ended." });

  expect(explained(await result, "session")).toBe("Your session at Clerk has ended.");
  expect(sent).toEqual([]);
});

test("a sign-out that failed at Clerk is said until somebody signs in with Clerk", async () => {
  const { session: left, waiting } = clerk();
  begin({ clerk: left });
  signOut();
  expect(endAtClerk.get()?.failed).toBe(false);
  waiting.failed();
  await vi.advanceTimersByTimeAsync(0);
  expect(endAtClerk.get()?.failed).toBe(true);

  begin({ key: "sk_first" });
  expect(endAtClerk.get()?.failed).toBe(true);
  begin({ clerk: clerk().session });
  expect(endAtClerk.get()).toBeNull();
});

test("the result of a sign-out at Clerk that is no longer awaited is ignored", async () => {
  const { session: left, waiting } = clerk();
  begin({ clerk: left });
  signOut();
  begin({ clerk: clerk().session });
  waiting.failed();
  await vi.advanceTimersByTimeAsync(0);

  expect(endAtClerk.get()).toBeNull();
});

test.each([[{}], [{ clerk: null }]])("settings that name no instance of Clerk offer none: %j", async (settings) => {
  answers = [Response.json(settings)];
  vi.stubGlobal("fetch", () => Promise.resolve(answers.shift()));

  expect(await clerkInstance()).toBeNull();
});
