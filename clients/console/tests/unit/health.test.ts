import { expect, test } from "vitest";
import type { Health } from "../../src/api/types";
import { healthChecks, isStallingKnown } from "../../src/health";
import type { ObservedUser } from "../../src/users/sightings";

const CALM: Health = {
  live_generation: { name: "g1", lanes: 2 },
  shadow_generation: null,
  events_waiting: 12,
  outbox: { entries: 0, capped: false, oldest_at: null, age_ms: 0 },
  quarantine: { messages: 0, capped: false },
};

const NOW = Date.parse("2026-03-31T12:00:00Z");
const checks = (health: Health, deactivated: readonly ObservedUser[] | null = []) => healthChecks({ health, deactivated, now: NOW });
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

test("a message in quarantine and a long queue are warnings, and what was not counted is said", () => {
  const many: Health = { ...CALM, events_waiting: 10_001, quarantine: { messages: 1000, capped: true } };
  expect(levels(many)).toEqual(["warning", "calm", "calm", "warning"]);
  expect(values(many)[3]).toBe("1,000 or more");
});

test("a deactivation that has stalled is an alarm, one that is under way or done is not, and one that is seen first is not known", () => {
  const user = (minutes: number, active_tasks_count: number, seenMinutes = 1) => {
    const deactivation = { at: new Date(NOW - minutes * 60_000).toISOString(), by: null, tasks_paused: 1, commands_pending: 0 };
    const history = [{ type: "ai.torale.user.deactivated", source: "/torale/admin", fields: ["state"] }];
    return { state: "deactivated", active_tasks_count, api_keys: [], deactivation, history, pendingMs: { Tasks: seenMinutes * 60_000 } } as unknown as ObservedUser;
  };
  const check = (...deactivated: ObservedUser[]) => checks(CALM, deactivated).find(({ name }) => name === "Stalled deactivations");
  const found = (...deactivated: ObservedUser[]) => [check(...deactivated)?.level, check(...deactivated)?.value, isStallingKnown(deactivated, NOW)];

  expect(found()).toEqual(["calm", "None", true]);
  expect(found(user(14, 2), user(600, 0))).toEqual(["calm", "None", true]);
  expect(found(user(16, 2), user(600, 0), user(60, 1))).toEqual(["alarm", "2", true]);
  expect(found(user(16, 2, 0), user(600, 0))).toEqual(["calm", "…", false]);
  expect(check(user(16, 2, 0))?.about).toContain("of 1 user something is not stopped");
  expect(found(user(16, 2, 0), user(60, 1))).toEqual(["alarm", "1", false]);
  expect(checks(CALM, null).find(({ name }) => name === "Stalled deactivations")?.about).toContain("Not known yet");
  expect(isStallingKnown(null, NOW)).toBe(false);
});
