/** What of the system's health is as it should be (docs/operations.md, "Alarms"). */
import type { Health } from "./api/types";
import { count, duration, plural } from "./format";
import type { Level } from "./thresholds";
import { COMMANDS_STALL_MS } from "./users/progress";
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

function sendersInWords(entries: number, capped: boolean): string {
  if (entries === 0) return "Every command has been sent.";
  return entries === 1 ? "One deactivation has commands to send." : `${atLeast(entries, capped)} deactivations have commands to send. This is the oldest.`;
}

const EMPTY_QUEUE =
  "No event waits, as counted within about a minute. Those that failed for hours are in a queue of their own, with the alarm EventsDeadLetters.";

/** What the checks are made of. */
export interface Checked {
  readonly health: Health;
  /** The users who were deactivated of late, as far as they are looked at; null while they are being read. */
  readonly deactivated: readonly ObservedUser[] | null;
  /** Milliseconds since 1970. */
  readonly now: number;
}

export function healthChecks({ health: { events_waiting, outbox, quarantine }, deactivated, now }: Checked): HealthCheck[] {
  const { age_ms, entries } = outbox;
  return [
    {
      name: "Lag of projections",
      value: events_waiting === 0 ? "None" : plural(events_waiting, "event"),
      level: events_waiting > MANY_EVENTS ? "warning" : "calm",
      about: events_waiting === 0 ? EMPTY_QUEUE : "On the queue, and not in the projections yet. The API does not say since when.",
      advice: ["See whether the number falls. If it does not, follow the runbook of the alarm EventsStuck."],
    },
    {
      name: "Lag of commands",
      value: entries === 0 ? "None" : `${duration(age_ms)} behind`,
      words: "behind",
      level: age_ms > COMMANDS_STALL_MS ? "alarm" : "calm",
      about: sendersInWords(entries, outbox.capped),
      advice: ["Tasks, keys or logins of somebody deactivated are not stopped yet. Follow the runbook of the alarm OutboxAge."],
    },
    deactivated === null ? UNKNOWN_STALLED : stalledCheck(deactivated, now),
    quarantineCheck(quarantine),
  ];
}

const STALLED = "Stalled deactivations";

/** The value of what is not known yet. */
export const NOT_KNOWN = "…";

const UNKNOWN_STALLED: HealthCheck = {
  name: STALLED,
  value: NOT_KNOWN,
  level: "calm",
  about: "Not known yet: the users who were deactivated of late are being read.",
  advice: [],
};

function stalledCheck(deactivated: readonly ObservedUser[], now: number): HealthCheck {
  const stalled = stalledUsers(deactivated, now).length;
  const unsure = deactivated.filter((user) => overdue(user, now).unsure.length > 0).length;
  if (stalled === 0 && unsure > 0) return unsureCheck(unsure);
  return {
    name: STALLED,
    value: stalled === 0 ? "None" : count(stalled),
    level: stalled === 0 ? "calm" : "alarm",
    about:
      deactivated.length === 0
        ? "Of the last 7 days. The audit trail, by which they are found, is about a minute behind."
        : `Of the ${deactivated.length === 1 ? "user" : plural(deactivated.length, "user")} last deactivated by an administrator, in the last 7 days.`,
    advice: ["Tasks still run or keys are not revoked. Open each user: the detail says what is not done, and what to do."],
  };
}

const unsureCheck = (users: number): HealthCheck => ({
  name: STALLED,
  value: NOT_KNOWN,
  level: "calm",
  about:
    `Not known yet: of ${plural(users, "user")} something is not stopped. It may have come just now, after the deactivation. ` +
    "If it is still so in a minute, it is shown as stalled.",
  advice: [],
});

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
export const stalledUsers = (deactivated: readonly ObservedUser[], now: number): ObservedUser[] =>
  deactivated.filter((user) => overdue(user, now).stalled.length > 0);

/** Whether it is known of all whether their deactivation has stalled. */
export const isStallingKnown = (deactivated: readonly ObservedUser[] | null, now: number): boolean =>
  deactivated !== null && deactivated.every((user) => overdue(user, now).unsure.length === 0);
