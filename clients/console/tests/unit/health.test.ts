import { expect, test } from "vitest";
import type { Health } from "../../src/api/types";
import { healthChecks } from "../../src/health";

const CALM: Health = {
  live_generation: { name: "g1", lanes: 2 },
  shadow_generation: null,
  events_waiting: 12,
  outbox: { entries: 0, capped: false, oldest_at: null, age_ms: 0 },
  quarantine: { messages: 0, capped: false },
};

const levels = (health: Health) => healthChecks(health).map(({ level }) => level);
const values = (health: Health) => healthChecks(health).map(({ value }) => value);

test("nothing that waits is calm, and a few events are", () => {
  expect(levels(CALM)).toEqual(["calm", "calm", "calm"]);
  expect(values(CALM)).toEqual(["12 events", "None", "0"]);
  expect(values({ ...CALM, events_waiting: 0 })).toEqual(["None", "None", "0"]);
  expect(healthChecks({ ...CALM, events_waiting: 0 })[0]?.about).toBe("No event waits on the queue, as counted within about a minute. Dead-lettered events are not in it.");
});

test("commands that wait are calm up to the threshold of the alarm, and an alarm above it", () => {
  const waiting = (age_ms: number): Health => ({ ...CALM, outbox: { entries: 1, capped: false, oldest_at: "2026-03-31T10:00:00Z", age_ms } });
  expect(levels(waiting(5 * 60_000))[1]).toBe("calm");
  expect(levels(waiting(5 * 60_000 + 1))[1]).toBe("alarm");
  expect(values(waiting(12_000))[1]).toBe("12 s behind");
  expect(healthChecks(waiting(61_000))[1]?.about).toBe("One deactivation has commands to send.");
});

test("a message in quarantine and a long queue are warnings, and what was not counted is said", () => {
  const many: Health = { ...CALM, events_waiting: 10_001, quarantine: { messages: 1000, capped: true } };
  expect(levels(many)).toEqual(["warning", "calm", "warning"]);
  expect(values(many)[2]).toBe("1,000 or more");
});
