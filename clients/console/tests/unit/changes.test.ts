/** Changes of users: how often they are sent, and what becomes of them when their dialog closes. */
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { connection } from "../../src/api/client";
import { Unreachable } from "../../src/api/errors";
import { newQueryClient } from "../../src/api/queries";
import { begin, end } from "../../src/session";
import { adviceAfterReactivation, begun, changeOf, deactivate, deactivateMany, reactivate, type Change } from "../../src/users/changes";

/** What was sent: method and path. */
let sent: string[];
/** What is answered, in this order; then 200. */
let answers: (Response | Promise<Response>)[];

const refusal = (status: number, retryAfter = "1") => new Response("{}", { status, headers: { "retry-after": retryAfter } });
const lost = () => Promise.reject<Response>(new TypeError("Failed to fetch"));

beforeEach(() => {
  vi.useFakeTimers();
  vi.stubGlobal("document", { baseURI: "https://console.example/" });
  vi.stubGlobal("fetch", (to: URL, { method }: { method: string }) => {
    sent.push(`${method} ${to.pathname}`);
    return answers.shift() ?? Promise.resolve(new Response("{}", { status: 200 }));
  });
  sent = [];
  answers = [];
  connection.set({ answeredAt: 0, failingSince: null, waitUntil: 0 });
  begin({ key: "sk_first" });
});
afterEach(() => {
  end(null);
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

const DEACTIVATION = "PATCH /admin/users/user_1/deactivate";
const REACTIVATION = "PATCH /admin/users/user_1/reactivate";
const USER_KEY = ["admin/users/{id}", "user_1"];

/** Makes a change as a dialog does; `close` closes that dialog. */
function make<Answer, Input>(send: (change: Change<Input>) => Promise<Answer>, input: Input) {
  const dialog = new AbortController();
  const client = newQueryClient();
  client.setQueryDefaults(USER_KEY, { gcTime: Infinity });
  client.setQueryData(USER_KEY, { id: "user_1" });
  const mutation = client.getMutationCache().build(client, changeOf(client, send));
  const outcome = mutation.execute(begun(input, dialog.signal)).catch((error: unknown) => error);
  return { outcome, close: () => dialog.abort(), isInvalidated: () => client.getQueryState(USER_KEY)?.isInvalidated };
}

/** Milliseconds after which nothing waits any more. */
const LONG = 2 * 3_600_000;

test.each([500, 502, 503, 504])("a reactivation that gets a %i is sent once", async (status) => {
  answers = [refusal(status)];
  const { outcome, isInvalidated } = make(reactivate, "user_1");
  await vi.advanceTimersByTimeAsync(LONG);

  expect(await outcome).toMatchObject({ status });
  expect(sent).toEqual([REACTIVATION]);
  expect(isInvalidated()).toBe(true);
});

test("a reactivation whose answer is lost is sent once", async () => {
  answers = [lost()];
  const { outcome } = make(reactivate, "user_1");
  await vi.advanceTimersByTimeAsync(LONG);

  expect(await outcome).toBeInstanceOf(Unreachable);
  expect(sent).toEqual([REACTIVATION]);
});

test("a deactivation that gets a 503 each time is sent three times", async () => {
  answers = [refusal(503), refusal(503), refusal(503)];
  const { outcome } = make(deactivate, "user_1");
  await vi.advanceTimersByTimeAsync(LONG);

  expect(await outcome).toMatchObject({ status: 503 });
  expect(sent).toEqual([DEACTIVATION, DEACTIVATION, DEACTIVATION]);
});

test("a deactivation of several users whose answer is lost is sent again", async () => {
  answers = [lost()];
  const { outcome } = make(deactivateMany, ["user_1"]);
  await vi.advanceTimersByTimeAsync(LONG);

  expect(await outcome).toEqual({});
  expect(sent).toEqual(["POST /admin/users/deactivate", "POST /admin/users/deactivate"]);
});

test.each([409, 429])("no change is sent again after a %i", async (status) => {
  answers = [refusal(status)];
  const { outcome } = make(deactivate, "user_1");
  await vi.advanceTimersByTimeAsync(LONG);

  expect(await outcome).toMatchObject({ status });
  expect(sent).toEqual([DEACTIVATION]);
});

test.each([
  ["deactivation", deactivate, DEACTIVATION],
  ["reactivation", reactivate, REACTIVATION],
] as const)("a %s that waits for the rate limit is sent once the wait is over, and never if its dialog closes before", async (_, send, expected) => {
  connection.set({ answeredAt: 0, failingSince: null, waitUntil: Date.now() + 3_600_000 });
  const kept = make(send, "user_1");
  const closed = make(send, "user_1");
  await vi.advanceTimersByTimeAsync(60_000);
  closed.close();
  await vi.advanceTimersByTimeAsync(1);
  expect(await closed.outcome).toMatchObject({ name: "AbortError" });
  expect(sent).toEqual([]);

  await vi.advanceTimersByTimeAsync(LONG);
  expect(await kept.outcome).toEqual({});
  expect(sent).toEqual([expected]);
});

test("a reactivation that gets no token is not sent, and does not count as sent", async () => {
  begin({ clerk: { token: () => Promise.reject(new Unreachable()), signOut: () => Promise.resolve() } });
  const onSent = vi.fn();
  const outcome = reactivate(begun("user_1", new AbortController().signal, { onSent })).catch((error: unknown) => error);

  expect(await outcome).toBeInstanceOf(Unreachable);
  expect([sent, onSent.mock.calls]).toEqual([[], []]);
});

test("a change that waits for its token is not sent after its dialog closes", async () => {
  let give = (_: { token: string }) => {};
  begin({ clerk: { token: () => new Promise((resolve) => (give = resolve)), signOut: () => Promise.resolve() } });
  const { outcome, close } = make(deactivate, "user_1");
  await vi.advanceTimersByTimeAsync(0);
  close();
  give({ token: "eyFirst" });

  expect(await outcome).toMatchObject({ name: "AbortError" });
  expect(sent).toEqual([]);
});

test("a deactivation that waits between two attempts is not sent again after its dialog closes, and its user is read again at once", async () => {
  answers = [refusal(503, "600")];
  const { outcome, close, isInvalidated } = make(deactivate, "user_1");
  await vi.advanceTimersByTimeAsync(60_000);
  expect(isInvalidated()).toBe(false);
  close();
  await vi.advanceTimersByTimeAsync(1);
  expect(isInvalidated()).toBe(true);
  await vi.advanceTimersByTimeAsync(LONG);

  expect(await outcome).toMatchObject({ name: "AbortError" });
  expect(sent).toEqual([DEACTIVATION]);
});

test.each([
  ["succeeds", 200, {}],
  ["fails", 503, { name: "AbortError" }],
])("a change that is under way when its dialog closes goes on; when it %s, its user is read again and it is not sent again", async (_, status, expected) => {
  let give = (_: Response) => {};
  answers = [new Promise((resolve) => (give = resolve))];
  const { outcome, close, isInvalidated } = make(deactivate, "user_1");
  await vi.advanceTimersByTimeAsync(5_000);
  close();
  await vi.advanceTimersByTimeAsync(5_000);
  expect(isInvalidated()).toBe(false);
  give(refusal(status));
  await vi.advanceTimersByTimeAsync(LONG);

  expect(await outcome).toMatchObject(expected);
  expect(isInvalidated()).toBe(true);
  expect(sent).toEqual([DEACTIVATION]);
});

test("after a reactivation that failed it is said whether it may have taken effect", () => {
  expect(adviceAfterReactivation(true)).toBe(
    "It is not known whether the user was reactivated. Look at the user before you try again: another administrator may have deactivated them meanwhile.",
  );
  expect(adviceAfterReactivation(false)).toBe("Nothing was changed.");
});

test.each([
  ["answers 500", () => refusal(500), true],
  ["answers 503", () => refusal(503), true],
  ["is lost", lost, true],
  ["answers 404", () => refusal(404), false],
  ["answers 409", () => refusal(409), false],
  ["answers 429", () => refusal(429), false],
  ["succeeds", () => new Response("{}", { status: 200 }), false],
])("whether a reactivation that %s took effect is not known only if it got no answer or a 5xx", async (_, given, isUnknown) => {
  answers = [given()];
  const onUnknown = vi.fn();
  const outcome = reactivate(begun("user_1", new AbortController().signal, { onUnknown })).catch(() => null);
  await vi.advanceTimersByTimeAsync(LONG);
  await outcome;

  expect(sent).toEqual([REACTIVATION]);
  expect(onUnknown).toHaveBeenCalledTimes(isUnknown ? 1 : 0);
});

test("a reactivation that is not sent leaves it to those before whether one took effect", async () => {
  answers = [lost()];
  const heard: string[] = [];
  const hears = { onSent: () => heard.push("sent"), onUnknown: () => heard.push("not known") };
  const dialog = new AbortController().signal;
  await reactivate(begun("user_1", dialog, hears)).catch(() => null);
  begin({ clerk: { token: () => Promise.reject(new Unreachable()), signOut: () => Promise.resolve() } });
  await reactivate(begun("user_1", dialog, hears)).catch(() => null);

  expect(heard).toEqual(["sent", "not known"]);
});
