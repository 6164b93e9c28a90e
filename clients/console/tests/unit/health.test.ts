import { expect, test } from "vitest";
import type { Health } from "../../src/api/types";
import { isOutdated, type ReadState } from "../../src/api/queries";
import { healthChecks, isStallingKnown, type RecentDeactivations, undecidedUsers } from "../../src/health";
import type { ObservedUser } from "../../src/users/sightings";

const CALM: Health = {
  live_generation: { name: "g1", lanes: 2 },
  shadow_generation: null,
  events_waiting: 12,
  outbox: { entries: 0, capped: false, oldest_at: null, age_ms: 0 },
  quarantine: { messages: 0, capped: false },
};

const NOW = Date.parse("2026-03-31T12:00:00Z");
const recent = (users: readonly ObservedUser[], changes: Partial<RecentDeactivations> = {}): RecentDeactivations => ({
  users,
  unread: [],
  lookedAt: users.length,
  named: users.length,
  isCut: false,
  isTrailRead: true,
  hasEndpoints: true,
  ...changes,
});
const checks = (health: Health, deactivated: RecentDeactivations | null = recent([])) => healthChecks({ health, deactivated, now: NOW });
const levels = (health: Health) => checks(health).map(({ level }) => level);
const values = (health: Health) => checks(health).map(({ value }) => value);

test("nothing that waits is calm, and a few events are", () => {
  expect(levels(CALM)).toEqual(["calm", "calm", "calm", "calm"]);
  expect(values(CALM)).toEqual(["12 events", "None", "None", "0"]);
  expect(values({ ...CALM, events_waiting: 0 })).toEqual(["None", "None", "None", "0"]);
  expect(checks({ ...CALM, events_waiting: 0 })[0]?.about).toContain("with the alarm EventsDeadLetters");
});

test("commands that wait are calm up to the threshold of the alarm, and an alarm above it", () => {
  const waiting = (age_ms: number): Health => ({ ...CALM, outbox: { entries: 1, capped: false, oldest_at: "2026-03-31T10:00:00Z", age_ms } });
  expect(levels(waiting(5 * 60_000))[1]).toBe("calm");
  expect(levels(waiting(5 * 60_000 + 1))[1]).toBe("alarm");
  expect(values(waiting(12_000))[1]).toBe("12 s behind");
  expect(checks(waiting(61_000))[1]?.about).toBe("One deactivation has commands to send.");
});

test("entries of the outbox that can't be read are an alarm, whose age is not known", () => {
  const [, one] = checks({ ...CALM, outbox: { entries: 1, capped: false, oldest_at: null, age_ms: 0 } });
  expect([one?.level, one?.value, one?.words]).toEqual(["alarm", "Age not known", undefined]);
  expect(one?.about).toBe("The one entry of the outbox can't be read, so the commands in it are not sent.");
  expect(one?.advice.join()).toContain("UnreadableOrders");
  const [, many] = checks({ ...CALM, outbox: { entries: 1000, capped: true, oldest_at: null, age_ms: 0 } });
  expect(many?.about).toBe("1,000 or more entries of the outbox can't be read, so the commands in them are not sent.");
});

test("an outbox that is not counted to its end is at least a warning, and its oldest entry is not said to be known", () => {
  const full = (capped: boolean, age_ms = 0) => checks({ ...CALM, outbox: { entries: 1000, capped, oldest_at: "2026-03-31T12:00:00Z", age_ms } })[1];
  expect([full(false)?.level, full(false)?.about]).toEqual(["calm", "1,000 deactivations have commands to send. This is the oldest."]);
  expect([full(true)?.level, full(true)?.about]).toEqual(["warning", "1,000 or more deactivations have commands to send. There may be older ones than this."]);
  expect(full(true, 301_000)?.level).toBe("alarm");
});

test("a message in quarantine and a long queue are warnings, and what was not counted is said", () => {
  const many: Health = { ...CALM, events_waiting: 10_001, quarantine: { messages: 1000, capped: true } };
  expect(levels(many)).toEqual(["warning", "calm", "calm", "warning"]);
  expect(values(many)[3]).toBe("1,000 or more");
});

const stalledCheck = (deactivated: RecentDeactivations | null) => checks(CALM, deactivated).find(({ name }) => name === "Stalled deactivations");
const said = (deactivated: RecentDeactivations | null) => {
  const check = stalledCheck(deactivated);
  return [check?.level, check?.value, isStallingKnown(deactivated, NOW)];
};

/** A user who was deactivated so many minutes ago, with tasks that were seen for so long. */
const user = (minutes: number, active_tasks_count: number, seenMinutes = 15, source = "/torale/admin", id = "u0") => {
  const deactivation = { at: new Date(NOW - minutes * 60_000).toISOString(), by: null, tasks_paused: 1, commands_pending: 0 };
  const history = [{ type: "ai.torale.user.deactivated", source, fields: ["state"] }];
  const pendingMs = source === "/torale/admin" ? { Tasks: seenMinutes * 60_000 } : {};
  return { id, email: `${id}@example.com`, state: "deactivated", active_tasks_count, api_keys: [], deactivation, history, pendingMs } as unknown as ObservedUser;
};

test("a deactivation that has stalled is an alarm, one that is under way or done is not, and one that is seen for less is not known", () => {
  const found = (...users: ObservedUser[]) => said(recent(users));
  expect(found()).toEqual(["calm", "None", true]);
  expect(found(user(14, 2, 14), user(600, 0))).toEqual(["calm", "None", true]);
  expect(found(user(16, 2), user(600, 0), user(60, 1))).toEqual(["alarm", "2", true]);
  expect(found(user(16, 2, 14), user(600, 0))).toEqual(["calm", "…", false]);
  expect(stalledCheck(recent([user(16, 2, 0)]))?.about).toContain("of 1 user something is left that may have come late");
  expect(found(user(16, 2, 0), user(60, 1))).toEqual(["alarm", "1", false]);
  expect(stalledCheck(null)?.about).toContain("Not known yet");
  expect(isStallingKnown(null, NOW)).toBe(false);
});

test("of users whom the platform deactivated since then it is not known whether what is left is stopped", () => {
  const held = user(600, 2, 0, "/torale/backend");
  expect(said(recent([held]))).toEqual(["calm", "…", false]);
  expect(stalledCheck(recent([held]))?.about).toContain("of 1 user, deactivated by the platform since then,");
  expect(undecidedUsers(recent([held, user(600, 0, 0, "/torale/backend", "u1")]), NOW)).toEqual([held]);
  expect(said(recent([user(600, 0, 0, "/torale/backend")]))).toEqual(["calm", "None", true]);
});

test("a user who can't be read hides no alarm about the others, and none is said to be well for them", () => {
  expect(said(recent([user(60, 1)], { unread: [{ id: "u1", email: null }] }))).toEqual(["alarm", "1", false]);
  expect(said(recent([user(60, 0)], { unread: [{ id: "u1", email: null }] }))).toEqual(["calm", "…", false]);
  const both = stalledCheck(recent([user(60, 1)], { unread: [{ id: "u1", email: null }, { id: "u2", email: "two@example.com" }], lookedAt: 3, named: 3 }))?.about;
  expect(both).toBe("Of the 3 users last deactivated by an administrator, in the last 7 days. Not known: 2 users can't be read.");
  // Somebody who was read before and can't be now is in both.
  const again = stalledCheck(recent([user(60, 1)], { unread: [{ id: "u1", email: null }] }))?.about;
  expect(again).toBe("Of the user last deactivated by an administrator, in the last 7 days. Not known: 1 user can't be read.");
});

test("those who can't be read are named with those of whom it is not known, each once, and those who had stalled are not", () => {
  const held = user(600, 2, 0, "/torale/backend", "u1");
  const stalled = user(60, 1, 15, "/torale/admin", "u2");
  const well = user(600, 0, 15, "/torale/admin", "u3");
  const unread = [held, stalled, well].map(({ id, email }) => ({ id, email }));
  const found = recent([held, stalled, well], { unread: [...unread, { id: "u4", email: null }] });
  expect(undecidedUsers(found, NOW).map(({ id, email }) => [id, email])).toEqual([
    ["u1", "u1@example.com"],
    ["u3", "u3@example.com"],
    ["u4", null],
  ]);
  expect(undecidedUsers(null, NOW)).toEqual([]);
});

test("what was read is judged by its age, also while it is read again, and what was never read by its failures", () => {
  const read = (changes: Partial<ReadState>): boolean => isOutdated({ data: {}, error: null, failureCount: 0, dataUpdatedAt: NOW, ...changes }, NOW);
  const ago = (ms: number) => ({ dataUpdatedAt: NOW - ms });
  expect(read({})).toBe(false);
  // One request was lost; the next one comes.
  expect(read({ ...ago(61_000), failureCount: 3 })).toBe(false);
  expect(read(ago(120_000))).toBe(false);
  // Refresh now: the failures are counted anew.
  expect(read({ ...ago(120_001), failureCount: 0 })).toBe(true);
  expect(read({ error: new Error("refused") })).toBe(true);
  const never = { data: undefined, dataUpdatedAt: 0 };
  expect(read(never)).toBe(false);
  expect(read({ ...never, failureCount: 1 })).toBe(true);
});

test("while the audit trail can't be read, nobody is said to be well, and an alarm stays", () => {
  const unread = { isTrailRead: false };
  expect(said(recent([], unread))).toEqual(["calm", "…", false]);
  expect(said(recent([user(60, 0)], unread))).toEqual(["calm", "…", false]);
  expect(said(recent([user(60, 1)], unread))).toEqual(["alarm", "1", false]);
  expect(stalledCheck(recent([], unread))?.about).toBe("Not known: the audit trail can't be read, which says who was deactivated.");
});

test("nothing is said of users beyond those that are looked at, nor by an API that can't say", () => {
  // Nine of ten were reactivated since then.
  const more = { lookedAt: 10, named: 11 };
  expect(said(recent([user(60, 0)], more))).toEqual(["calm", "None", false]);
  expect(stalledCheck(recent([user(60, 0)], more))?.about).toBe("Of the 10 looked at: requests of the last 7 days name more users.");
  expect(said(recent([user(60, 0)], { isCut: true }))).toEqual(["calm", "None", false]);
  expect(stalledCheck(recent([user(60, 0)], { isCut: true }))?.about).toBe("Of the 1 looked at: there are more requests of the last 7 days than are read.");
  expect(said(recent([], { hasEndpoints: false }))).toEqual(["calm", "…", false]);
  expect(stalledCheck(recent([], { hasEndpoints: false }))?.about).toContain("This API can't say");
});
