/**
 * Which deactivations have stalled. How old a deactivation is does not say that: a task, a key or a command may have
 * come to it a moment ago (docs/contract/events.md, "The late rule"). So what is not done has to be seen for a while.
 */
import type { UserDetail } from "../api/types";
import { pendingSteps, type Step } from "./progress";

/** A user as they were read, and for how long they have been seen so. */
export interface ObservedUser extends UserDetail {
  /** By the name of a step that is not done: milliseconds from the first to the last of the reads in a row that saw so. */
  readonly pendingMs: Readonly<Record<string, number>>;
}

/** What is seen for so long has not come just now: commands are sent within a minute in any case. */
const SURE_MS = 60_000;
/** Reads that are further apart say nothing of the time between them. */
const MOST_APART_MS = 5 * 60_000;

interface Sighting {
  /** The time of the deactivation. */
  readonly deactivation: string;
  /** When each step was seen first. */
  readonly since: Readonly<Record<string, number>>;
  /** When the user was read last. */
  readonly last: number;
}

/** By user. */
export type Sightings = Map<string, Sighting>;

/** What all reads of users have seen. */
const sightings: Sightings = new Map();

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
  const since = Object.fromEntries(pending.map(({ name }) => [name, (isInARow ? before.since[name] : undefined) ?? now]));
  all.set(user.id, { deactivation, since, last: now });
  return { ...user, pendingMs: Object.fromEntries(Object.entries(since).map(([name, first]) => [name, now - first])) };
}

export interface Overdue {
  /** The steps that have stalled. */
  readonly stalled: readonly Step[];
  /** Those of which it is not known: they may have come just now. */
  readonly unsure: readonly Step[];
}

/** The steps that are not done, although the deactivation is older than the threshold of the alarm about them. */
export function overdue(user: ObservedUser, now: number): Overdue {
  const age = user.deactivation === null ? 0 : now - Date.parse(user.deactivation.at);
  const old = pendingSteps(user).filter((step) => age > step.stallsAfterMs);
  const isSure = ({ name }: Step) => (user.pendingMs[name] ?? 0) >= SURE_MS;
  return { stalled: old.filter(isSure), unsure: old.filter((step) => !isSure(step)) };
}
