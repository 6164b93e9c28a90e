/** What of the system's health is as it should be (docs/operations.md, "Alarms"). */
import type { Health } from "./api/types";
import { count, duration } from "./format";
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

export function healthChecks({ events_waiting, outbox, quarantine }: Health): HealthCheck[] {
  const { age_ms, entries } = outbox;
  return [
    {
      name: "Events waiting",
      value: count(events_waiting),
      level: events_waiting > MANY_EVENTS ? "warning" : "calm",
      about: "On the queue, and not in the projections yet.",
      advice: "See whether the number falls. If it does not, follow the runbook of the alarm EventsStuck.",
    },
    {
      name: "Commands waiting",
      value: atLeast(entries, outbox.capped),
      level: age_ms > OLD_COMMANDS_MS ? "alarm" : "calm",
      about: entries === 0 ? "Every command has been sent." : `The oldest has waited ${duration(age_ms)}.`,
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
