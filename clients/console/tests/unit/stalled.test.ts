import { expect, test } from "vitest";
import type { UserDetail } from "../../src/api/types";
import { overdue, observe, type ObservedUser, type Sightings } from "../../src/users/sightings";
import { watchInterval } from "../../src/users/watching";

const NOW = Date.parse("2024-01-16T12:00:00Z");
const MINUTE = 60_000;

interface Left {
  commands?: number;
  tasks?: number;
  alive?: number;
}

/** What may hold the state of a deactivated user. */
const HOLDERS = {
  request: { type: "ai.torale.user.deactivated", source: "/torale/admin" },
  clerk: { type: "ai.torale.identity.deleted", source: "/clerk" },
  platform: { type: "ai.torale.user.deactivated", source: "/torale/backend" },
};

/** A user who was deactivated so many minutes before {@link NOW}, with what is left. */
function deactivated(minutes: number, { commands = 0, tasks = 0, alive = 0 }: Left, by: keyof typeof HOLDERS = "request", tasks_paused: number | null = 3): UserDetail {
  const api_keys = Array.from({ length: alive }, () => ({ revoked: false }));
  const deactivation = { at: new Date(NOW - minutes * MINUTE).toISOString(), by: null, tasks_paused, commands_pending: commands };
  const history = [{ ...HOLDERS[by], fields: ["state"] }];
  return { id: "u", state: "deactivated", active_tasks_count: tasks, api_keys, deactivation, history } as unknown as UserDetail;
}

/** The user as the last of some reads at these minutes before {@link NOW} saw them. */
function read(sightings: Sightings, ...reads: [minutesAgo: number, user: UserDetail][]): ObservedUser {
  const found = reads.map(([minutesAgo, user]) => observe(user, NOW - minutesAgo * MINUTE, sightings)).at(-1);
  if (found === undefined) throw new Error("no reads");
  return found;
}

const names = (user: ObservedUser) => {
  const { stalled, unsure } = overdue(user, NOW);
  return { stalled: stalled.map(({ name }) => name), unsure: unsure.map(({ name }) => name) };
};

/** What is said of a user who has been the same for a minute. */
const ofTheSame = (user: UserDetail) => names(read(new Map(), [1, user], [0, user]));

test("a deactivation has stalled when a step is not done by the threshold of the alarm about it, and is seen so for a minute", () => {
  expect([ofTheSame(deactivated(5, { commands: 1 })).stalled, ofTheSame(deactivated(5.1, { commands: 1 })).stalled]).toEqual([[], ["Commands"]]);
  const left = { tasks: 2, alive: 1 };
  expect([ofTheSame(deactivated(15, left)).stalled, ofTheSame(deactivated(15.1, left)).stalled]).toEqual([[], ["Tasks", "API keys"]]);
  expect(ofTheSame(deactivated(600, {}))).toEqual({ stalled: [], unsure: [] });
  expect(ofTheSame({ ...deactivated(600, { tasks: 2 }), state: "active" })).toEqual({ stalled: [], unsure: [] });
});

test("a task, a key or a command that is seen once may have come late: it is not known whether it has stalled", () => {
  const left = deactivated(600, { tasks: 1, alive: 1, commands: 1 });
  const first = read(new Map(), [0, left]);
  expect(names(first)).toEqual({ stalled: [], unsure: ["Commands", "Tasks", "API keys"] });
  expect(names(read(new Map(), [0.5, left], [0.25, left], [0, left])).stalled).toEqual([]);
  expect(names(read(new Map(), [1.5, left], [0.75, left], [0, left])).stalled).toEqual(["Commands", "Tasks", "API keys"]);
});

test("what was done in between, another deactivation, and reads that are far apart begin anew", () => {
  const [left, none] = [deactivated(600, { tasks: 1 }), deactivated(600, {})];
  expect(names(read(new Map(), [2, left], [1, none], [0, left])).stalled).toEqual([]);
  expect(names(read(new Map(), [2, deactivated(700, { tasks: 1 })], [0, left])).stalled).toEqual([]);
  expect(names(read(new Map(), [60, left], [0, left])).stalled).toEqual([]);
  expect(names(read(new Map(), [2, deactivated(600, { alive: 1 })], [0, left]))).toEqual({ stalled: [], unsure: ["Tasks"] });
});

test("what the deletion of a login has deactivated is stopped by commands too", () => {
  expect(ofTheSame(deactivated(600, { tasks: 2 }, "clerk", null)).stalled).toEqual(["Tasks"]);
});

test("a deactivation by the platform does not stall, whatever an earlier request has paused, unless commands wait", () => {
  const left = { tasks: 2, alive: 1 };
  expect(ofTheSame(deactivated(600, left, "platform", null))).toEqual({ stalled: [], unsure: [] });
  // A request, a reactivation, and then the platform: the number of the request stays.
  expect(ofTheSame(deactivated(600, left, "platform", 5))).toEqual({ stalled: [], unsure: [] });
  expect(ofTheSame(deactivated(600, { ...left, commands: 1 }, "platform", 5)).stalled).toEqual(["Commands"]);
});

test("a deactivation is read every two seconds at first, and ever more seldom while nothing changes", () => {
  expect([0, 8_000, 12_000, 60_000, 120_000, 3_600_000].map(watchInterval)).toEqual([2_000, 2_000, 3_000, 15_000, 30_000, 30_000]);
});
