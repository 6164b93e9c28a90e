/** What of the system's health is as it should be (docs/operations.md, "Alarms"). */
import type { Health } from "./api/types";
import { count, duration, plural } from "./format";
import type { Level } from "./thresholds";
import { COMMANDS_STALL_MS, isUnjudged } from "./users/progress";
import { overdue, type ObservedUser } from "./users/sightings";

/** One figure of the health, and what it means. */
export interface HealthCheck {
  readonly name: string;
  readonly value: string;
  /** What a sentence says of it, if the value has an age: a screen reader would say each anew. */
  readonly words?: string;
  /** Calm while {@link value} is not known. */
  readonly level: Level;
  readonly about: string;
  /** What to do about it, step by step. */
  readonly advice: readonly string[];
}

/** So many events are more than a consumer takes from the queue in some seconds. */
const MANY_EVENTS = 10_000;

/** A number that may be more than was counted. */
const atLeast = (value: number, capped: boolean): string => (capped ? `${count(value)} or more` : count(value));

function sendersInWords({ entries, capped }: Health["outbox"]): string {
  if (entries === 0) return "Every command has been sent.";
  if (entries === 1) return "One deactivation has commands to send.";
  return `${atLeast(entries, capped)} deactivations have commands to send. ${capped ? "There may be older ones than this." : "This is the oldest."}`;
}

const NOT_STOPPED = "Tasks, keys or logins of somebody deactivated are not stopped yet.";

function commandsCheck(outbox: Health["outbox"]): HealthCheck {
  const { entries, capped, oldest_at, age_ms } = outbox;
  const name = "Lag of commands";
  if (entries > 0 && oldest_at === null) {
    return {
      name,
      value: "Age not known",
      // Commands that can't be read are not sent, however long they wait.
      level: "alarm",
      about:
        entries === 1
          ? "The one entry of the outbox can't be read, so the commands in it are not sent."
          : `${atLeast(entries, capped)} entries of the outbox can't be read, so the commands in them are not sent.`,
      advice: [`${NOT_STOPPED} Follow the runbook of the alarm UnreadableOrders (docs/operations.md, Outbox entries that can't be read).`],
    };
  }
  return {
    name,
    value: entries === 0 ? "None" : `${duration(age_ms)} behind`,
    words: "behind",
    level: age_ms > COMMANDS_STALL_MS ? "alarm" : capped ? "warning" : "calm",
    about: sendersInWords(outbox),
    advice: [`${NOT_STOPPED} Follow the runbook of the alarm OutboxAge.`],
  };
}

const EMPTY_QUEUE =
  "No event waits, as counted within about a minute. Those that failed for hours are in a queue of their own, with the alarm EventsDeadLetters.";

/** A user by name, as far as it is known. */
export type NamedUser = Pick<ObservedUser, "id" | "email">;

/** The users whom administrators deactivated of late, as far as they are looked at. */
export interface RecentDeactivations {
  /** Those that could be read and are still deactivated. */
  readonly users: readonly ObservedUser[];
  /** Those who could not be read, or not anew: their last answer may be among `users`, and says nothing of now. */
  readonly unread: readonly NamedUser[];
  /** How many users are looked at, whatever they are now. */
  readonly lookedAt: number;
  /** How many users the requests name that were read. */
  readonly named: number;
  /** Whether there are more requests than were read. */
  readonly isCut: boolean;
  /** Whether the audit trail, which says who was deactivated, could be read the last time. */
  readonly isTrailRead: boolean;
  /** Whether this API has what is needed to say all this. */
  readonly hasEndpoints: boolean;
}

/** What the checks are made of. */
export interface Checked {
  readonly health: Health;
  /** Null while they are being read. */
  readonly deactivated: RecentDeactivations | null;
  /** The API's time, in milliseconds since 1970. */
  readonly now: number;
}

export function healthChecks({ health: { events_waiting, outbox, quarantine }, deactivated, now }: Checked): HealthCheck[] {
  return [
    {
      name: "Lag of projections",
      value: events_waiting === 0 ? "None" : plural(events_waiting, "event"),
      level: events_waiting > MANY_EVENTS ? "warning" : "calm",
      about: events_waiting === 0 ? EMPTY_QUEUE : "On the queue, and not in the projections yet. The API does not say since when.",
      advice: ["See whether the number falls. If it does not, follow the runbook of the alarm EventsStuck."],
    },
    commandsCheck(outbox),
    stalledCheck(deactivated, now),
    quarantineCheck(quarantine),
  ];
}

const STALLED = "Stalled deactivations";

/** The value of what is not known yet. */
export const NOT_KNOWN = "…";

const unknownStalled = (about: string): HealthCheck => ({ name: STALLED, value: NOT_KNOWN, level: "calm", about, advice: [] });

function stalledCheck(deactivated: RecentDeactivations | null, now: number): HealthCheck {
  if (deactivated === null) return unknownStalled("Not known yet: the users who were deactivated of late are being read.");
  if (!deactivated.hasEndpoints) return unknownStalled("This API can't say: it has no audit trail or no details of users.");
  const stalled = stalledUsers(deactivated, now).length;
  const unknown = unknownInWords(deactivated, now);
  if (stalled === 0 && unknown !== "") return unknownStalled(`Not known: ${unknown}`);
  return {
    name: STALLED,
    value: stalled === 0 ? "None" : count(stalled),
    level: stalled === 0 ? "calm" : "alarm",
    about: [ofWhom(deactivated), unknown].filter(Boolean).join(" Not known: "),
    advice: ["Tasks still run or keys are not revoked. Open each user: the detail says what is not done, and what to do."],
  };
}

/** Of which users something is said. */
function ofWhom({ lookedAt, named, isCut }: RecentDeactivations): string {
  if (named > lookedAt) return `Of the ${count(lookedAt)} looked at: requests of the last 7 days name more users.`;
  if (isCut) return `Of the ${count(lookedAt)} looked at: there are more requests of the last 7 days than are read.`;
  if (lookedAt === 0) return "Of the last 7 days. The audit trail, by which they are found, is about a minute behind.";
  return `Of the ${lookedAt === 1 ? "user" : plural(lookedAt, "user")} last deactivated by an administrator, in the last 7 days.`;
}

/** Of which users it is not known whether their deactivation has stalled, and why; empty if it is known of all. */
function unknownInWords(deactivated: RecentDeactivations, now: number): string {
  const unsure = deactivated.users.filter((user) => overdue(user, now).unsure.length > 0).length;
  const unjudged = deactivated.users.filter(isUnjudged).length;
  return [
    unsure > 0 && `of ${plural(unsure, "user")} something is left that may have come late; it is shown as stalled once it was seen unchanged for as long as the alarm waits.`,
    unjudged > 0 && `of ${plural(unjudged, "user")}, deactivated by the platform since then, something is left that commands may not stop.`,
    deactivated.unread.length > 0 && `${plural(deactivated.unread.length, "user")} can't be read.`,
    !deactivated.isTrailRead && "the audit trail can't be read, which says who was deactivated.",
  ]
    .filter(Boolean)
    .join(" Also ");
}

function quarantineCheck({ messages, capped }: Health["quarantine"]): HealthCheck {
  return {
    name: "In quarantine",
    value: atLeast(messages, capped),
    level: messages > 0 ? "warning" : "calm",
    about:
      messages > 0
        ? "Messages that could not be read as events. They are kept whole, and are in no figure."
        : "Every message could be read as an event.",
    advice: [
      "See what is wrong with each: cargo replay quarantine list, and show.",
      "Correct the sender.",
      "Send them again: cargo replay quarantine redrive (docs/operations.md, Redrive).",
    ],
  };
}

/** Those whose deactivation has stalled. */
export const stalledUsers = (deactivated: RecentDeactivations | null, now: number): ObservedUser[] =>
  (deactivated?.users ?? []).filter((user) => overdue(user, now).stalled.length > 0);

/**
 * Those of whom it is not known whether their deactivation has stalled: something is left, or they can't be read.
 * Whoever had stalled when they were read last is among {@link stalledUsers} alone.
 */
export function undecidedUsers(deactivated: RecentDeactivations | null, now: number): NamedUser[] {
  const { users, unread } = deactivated ?? { users: [], unread: [] };
  const left = users.filter((user) => overdue(user, now).unsure.length > 0 || isUnjudged(user));
  const stalled = new Set(stalledUsers(deactivated, now).map(({ id }) => id));
  const all = new Map([...unread, ...left].map((user) => [user.id, user]));
  return [...all.values()].filter(({ id }) => !stalled.has(id));
}

/** Whether it is known of all whether their deactivation has stalled. */
export const isStallingKnown = (deactivated: RecentDeactivations | null, now: number): boolean =>
  deactivated !== null && deactivated.hasEndpoints && !deactivated.isCut && deactivated.named <= deactivated.lookedAt && unknownInWords(deactivated, now) === "";
