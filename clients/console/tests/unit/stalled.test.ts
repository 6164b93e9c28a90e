import { expect, test } from "vitest";
import type { UserDetail } from "../../src/api/types";
import { forgetSightings, overdue, observe, type ObservedUser, type Sightings } from "../../src/users/sightings";
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

/** Minutes before {@link NOW} of reads that are close enough, from so many minutes on. */
const readsFrom = (minutes: number) => [...Array.from({ length: Math.ceil(minutes / 4) }, (_, at) => minutes - at * 4), 0];

/** What is said of a user who has been the same for so many minutes, 15 unless said otherwise. */
const ofTheSame = (user: UserDetail, minutes = 15) => names(read(new Map(), ...readsFrom(minutes).map((ago): [number, UserDetail] => [ago, user])));

test("a deactivation has stalled when a step is seen unchanged for as long as the alarm about it waits", () => {
  const commands = deactivated(600, { commands: 1 });
  expect([ofTheSame(commands, 4.9), ofTheSame(commands, 5)]).toEqual([
    { stalled: [], unsure: ["Commands"] },
    { stalled: ["Commands"], unsure: [] },
  ]);
  const left = deactivated(600, { tasks: 2, alive: 1 });
  expect([ofTheSame(left, 14.9), ofTheSame(left, 15)]).toEqual([
    { stalled: [], unsure: ["Tasks", "API keys"] },
    { stalled: ["Tasks", "API keys"], unsure: [] },
  ]);
  expect(ofTheSame(deactivated(600, {}))).toEqual({ stalled: [], unsure: [] });
  expect(ofTheSame({ ...deactivated(600, { tasks: 2 }), state: "active" })).toEqual({ stalled: [], unsure: [] });
});

test("what is left of a deactivation that is younger than the threshold is under way", () => {
  expect(ofTheSame(deactivated(14, { tasks: 2 }), 14)).toEqual({ stalled: [], unsure: [] });
  expect(ofTheSame(deactivated(4, { commands: 2 }), 4)).toEqual({ stalled: [], unsure: [] });
});

test("a task, a key or a command that is seen for less may have come late: it is not known whether it has stalled", () => {
  const left = deactivated(600, { tasks: 1, alive: 1, commands: 1 });
  expect(ofTheSame(left, 0)).toEqual({ stalled: [], unsure: ["Commands", "Tasks", "API keys"] });
  // A command that failed once comes again after three minutes.
  expect(ofTheSame(left, 6)).toEqual({ stalled: ["Commands"], unsure: ["Tasks", "API keys"] });
});

test("a deactivation that makes progress has not stalled, however slow it is", () => {
  const tasks = (number: number) => deactivated(600, { tasks: number });
  const slow = readsFrom(40).map((ago): [number, UserDetail] => [ago, tasks(ago > 26 ? 3 : ago > 13 ? 2 : 1)]);
  expect(names(read(new Map(), ...slow))).toEqual({ stalled: [], unsure: ["Tasks"] });
  expect(ofTheSame(tasks(1), 40).stalled).toEqual(["Tasks"]);
});

test("a clock of the API that is far ahead or behind makes nothing stalled that is not seen for long, and hides nothing that is", () => {
  expect(ofTheSame(deactivated(100_000, { tasks: 1 }), 1).stalled).toEqual([]);
  expect(ofTheSame(deactivated(-600, { tasks: 1 }), 15).stalled).toEqual(["Tasks"]);
});

test("what was done in between, another deactivation, and reads that are far apart begin anew", () => {
  const [left, none] = [deactivated(600, { tasks: 1 }), deactivated(600, {})];
  const reads = (at: (ago: number) => UserDetail): [number, UserDetail][] => readsFrom(20).map((ago) => [ago, at(ago)]);
  expect(names(read(new Map(), ...reads(() => left))).stalled).toEqual(["Tasks"]);
  expect(names(read(new Map(), ...reads((ago) => (ago === 8 ? none : left)))).stalled).toEqual([]);
  expect(names(read(new Map(), ...reads((ago) => (ago > 10 ? deactivated(700, { tasks: 1 }) : left)))).stalled).toEqual([]);
  expect(names(read(new Map(), [60, left], [0, left])).stalled).toEqual([]);
  expect(names(read(new Map(), ...reads((ago) => (ago > 10 ? deactivated(600, { alive: 1 }) : left))))).toEqual({ stalled: [], unsure: ["Tasks"] });
});

test("what one session has seen is not known to the next one", () => {
  const left = deactivated(600, { tasks: 1 });
  const seen = [0, 1].map((minutes) => observe(left, NOW + minutes * MINUTE).pendingMs["Tasks"]);
  forgetSightings();
  expect([...seen, observe(left, NOW + 2 * MINUTE).pendingMs["Tasks"]]).toEqual([0, MINUTE, 0]);
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
