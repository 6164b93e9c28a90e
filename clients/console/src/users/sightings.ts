/**
 * Which deactivations have stalled. How old a deactivation is does not say that: a task, a key or a command may have
 * come to it a moment ago (docs/contract/events.md, "The late rule"), and one that makes progress has not stalled. So
 * what is not done has to be seen unchanged for as long as the alarm about it waits.
 */
import type { UserDetail } from "../api/types";
import { pendingSteps, type Step } from "./progress";

/** A user as they were read, and for how long they have been seen so. */
export interface ObservedUser extends UserDetail {
  /** By the name of a step that is not done: milliseconds from the first to the last read in a row that saw the same. */
  readonly pendingMs: Readonly<Record<string, number>>;
}

/** Reads that are further apart say nothing of the time between them. */
const MOST_APART_MS = 5 * 60_000;

/** What was left of a step, and when it was seen first. */
interface Left {
  readonly words: string;
  readonly since: number;
}

interface Sighting {
  /** The time of the deactivation. */
  readonly deactivation: string;
  /** By the name of a step. */
  readonly left: Readonly<Record<string, Left>>;
  /** When the user was read last. */
  readonly last: number;
}

/** By user. */
export type Sightings = Map<string, Sighting>;

/** What all reads of users have seen. */
const sightings: Sightings = new Map();

/** What one session has seen is not for the next one. */
export const forgetSightings = (): void => sightings.clear();

/** A user who was read at a time, in milliseconds since 1970. */
export function observe(user: UserDetail, now: number, all: Sightings = sightings): ObservedUser {
  const before = all.get(user.id);
  const pending = pendingSteps(user);
  const deactivation = user.deactivation?.at ?? "";
  if (pending.length === 0) {
    all.delete(user.id);
    return { ...user, pendingMs: {} };
  }
  const isInARow = before?.deactivation === deactivation && now - before.last <= MOST_APART_MS;
  const left = Object.fromEntries(
    pending.map(({ name, words }): [string, Left] => {
      const seen = isInARow ? before.left[name] : undefined;
      return [name, seen?.words === words ? seen : { words, since: now }];
    }),
  );
  all.set(user.id, { deactivation, left, last: now });
  return { ...user, pendingMs: Object.fromEntries(Object.entries(left).map(([name, { since }]) => [name, now - since])) };
}

export interface Overdue {
  /** The steps that have stalled. */
  readonly stalled: readonly Step[];
  /** Those of which it is not known: they may have come late, or go on slowly. */
  readonly unsure: readonly Step[];
}

/**
 * The steps that are not done although the deactivation is older than the threshold of the alarm about them. They have
 * stalled if they were seen unchanged for as long; that depends on no clock but the reader's own. `now` is the API's
 * time, in milliseconds since 1970.
 */
export function overdue(user: ObservedUser, now: number): Overdue {
  const age = user.deactivation === null ? 0 : now - Date.parse(user.deactivation.at);
  const pending = pendingSteps(user);
  const isStalled = ({ name, stallsAfterMs }: Step) => (user.pendingMs[name] ?? 0) >= stallsAfterMs;
  return { stalled: pending.filter(isStalled), unsure: pending.filter((step) => !isStalled(step) && age > step.stallsAfterMs) };
}
