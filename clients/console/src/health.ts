/** What of the system's health is as it should be (docs/operations.md, "Alarms"). */
import type { Health } from "./api/types";
import { count, duration, plural } from "./format";
import type { Level } from "./thresholds";

/** One figure of the health, and what it means. */
export interface HealthCheck {
  readonly name: string;
  readonly value: string;
  readonly level: Level;
  readonly about: string;
  /** What to do about it. */
  readonly advice: string;
}

/** The threshold of the alarm OutboxAge: the relay runs every minute. */
const OLD_COMMANDS_MS = 5 * 60_000;
/** So many events are more than a consumer takes from the queue in some seconds. */
const MANY_EVENTS = 10_000;

/** A number that may be more than was counted. */
const atLeast = (value: number, capped: boolean): string => (capped ? `${count(value)} or more` : count(value));

function sendersInWords(entries: number, capped: boolean): string {
  if (entries === 0) return "Every command has been sent.";
  return entries === 1 ? "One deactivation has commands to send." : `${atLeast(entries, capped)} deactivations have commands to send. This is the oldest.`;
}

const EMPTY_QUEUE = "No event waits on the queue, as counted within about a minute. Dead-lettered events are not in it.";

export function healthChecks({ events_waiting, outbox, quarantine }: Health): HealthCheck[] {
  const { age_ms, entries } = outbox;
  return [
    {
      name: "Lag of projections",
      value: events_waiting === 0 ? "None" : plural(events_waiting, "event"),
      level: events_waiting > MANY_EVENTS ? "warning" : "calm",
      about: events_waiting === 0 ? EMPTY_QUEUE : "On the queue, and not in the projections yet. The API does not say since when.",
      advice: "See whether the number falls. If it does not, follow the runbook of the alarm EventsStuck.",
    },
    {
      name: "Lag of commands",
      value: entries === 0 ? "None" : `${duration(age_ms)} behind`,
      level: age_ms > OLD_COMMANDS_MS ? "alarm" : "calm",
      about: sendersInWords(entries, outbox.capped),
      advice: "Tasks, keys or logins of somebody deactivated are not stopped yet. Follow the runbook of the alarm about the outbox.",
    },
    {
      name: "In quarantine",
      value: atLeast(quarantine.messages, quarantine.capped),
      level: quarantine.messages > 0 ? "warning" : "calm",
      about: "Messages that can't be events, kept whole.",
      advice: "Look at them with cargo replay quarantine list, correct their sender, then redrive them.",
    },
  ];
}
