/** How far a deactivation is. */
import type { UserDetail, UserRow } from "../api/types";
import { plural } from "../format";

export interface Step {
  readonly name: string;
  readonly done: boolean;
  /** What is left, or what was done. */
  readonly words: string;
  /** What to do if it stays so. */
  readonly advice: string;
  /** When it has stalled if it is still not done, in milliseconds after the deactivation. */
  readonly stallsAfterMs: number;
}

/** After so long, what is not done gets advice. */
export const LONG_MS = 45_000;
/** The threshold of the alarm OutboxAge (docs/operations.md, "Alarms"): commands are sent within a minute. */
export const COMMANDS_STALL_MS = 5 * 60_000;
/** The threshold of the alarm CommandsStuck: a command that has been tried for so long does not succeed by itself. */
export const STALL_MS = 15 * 60_000;

const COMMANDS = "Commands";

/** What is known of the user: the list's row, or the whole detail. */
export type Known = UserRow | UserDetail;

/** The steps of a deactivated user, in the order in which they happen. */
export function steps(user: Known, tasksPaused: number | null): Step[] {
  const found: Step[] = [
    {
      name: "Access",
      done: user.state === "deactivated",
      words: user.state === "deactivated" ? "keys and sessions are refused" : "not yet shown as deactivated",
      advice: "Deactivate once more: repeating is safe.",
      stallsAfterMs: STALL_MS,
    },
  ];
  if ("deactivation" in user && user.deactivation) {
    const { commands_pending } = user.deactivation;
    found.push({
      name: COMMANDS,
      done: commands_pending === 0,
      words: commands_pending === 0 ? "all are on the queue" : `${plural(commands_pending, "command")} not yet on the queue`,
      advice: "The outbox relay sends them again every minute. If they stay, look at the alarm OutboxAge.",
      stallsAfterMs: COMMANDS_STALL_MS,
    });
  }
  const active = user.active_tasks_count;
  found.push({
    name: "Tasks",
    done: active === 0,
    words: active === 0 ? pausedWords(tasksPaused) : `${plural(active, "task")} still active`,
    advice: "The command executor pauses them at Temporal. If they stay active, look at the alarm CommandsStuck.",
    stallsAfterMs: STALL_MS,
  });
  if ("api_keys" in user) {
    const alive = user.api_keys.filter((key) => !key.revoked).length;
    found.push({
      name: "API keys",
      done: alive === 0,
      words: user.api_keys.length === 0 ? "there are none to revoke" : alive === 0 ? "all revoked" : `${plural(alive, "key")} to be revoked (refused already)`,
      advice: "The command executor revokes them. If they stay, look at the alarm CommandsStuck.",
      stallsAfterMs: STALL_MS,
    });
  }
  return found;
}

const pausedWords = (paused: number | null) =>
  paused === null || paused === 0 ? "none is active" : `${plural(paused, "task")} paused`;

/** What is known of the login, which Clerk blocks: the API does not show when it has done so. */
export function loginInWords(user: Known): string {
  if (!user.clerk_user_id) return "there is none at Clerk";
  const isSent = "deactivation" in user && user.deactivation?.commands_pending === 0;
  return isSent ? "the command to block it is on the queue; whether Clerk has carried it out is not shown here" : "to be blocked at Clerk";
}

/** The `source` of what is requested here (docs/contract/events.md, "Envelope"). */
const OWN_SOURCE = "/torale/admin";

/**
 * Whether commands are sure to stop the user's tasks and keys: a request here or the deletion of an identity
 * deactivated the user last. The `user.deactivated` of the platform alone causes none, and the API does not say
 * whether those of an earlier cause still count: `tasks_paused` stays what the last request answered, also after a
 * reactivation, and the deletion of an identity is in no field.
 */
export function sendsCommands({ history }: UserDetail): boolean {
  const said = history.find(({ fields }) => fields.includes("state"));
  return said?.type === "ai.torale.identity.deleted" || (said?.type === "ai.torale.user.deactivated" && said.source === OWN_SOURCE);
}

/** The steps that are expected to end by themselves and have not. */
export function pendingSteps(user: UserDetail): Step[] {
  const { deactivation } = user;
  if (user.state !== "deactivated" || deactivation === null) return [];
  // Commands that wait are sure to be sent, whatever caused them.
  const expected = sendsCommands(user) ? () => true : ({ name }: Step) => name === COMMANDS;
  return steps(user, deactivation.tasks_paused).filter((step) => !step.done && expected(step));
}

export const isDone = (all: readonly Step[]): boolean => all.every((step) => step.done);
