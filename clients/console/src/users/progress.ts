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
  /** It has stalled once it has stayed the same for so long, in milliseconds. */
  readonly stallsAfterMs: number;
}

/** After so long, what is not done gets advice. */
export const LONG_MS = 45_000;
/** The threshold of the alarm OutboxAge (docs/operations.md, "Alarms"): commands are sent within a minute. */
export const COMMANDS_STALL_MS = 5 * 60_000;
/** The threshold of the alarm CommandsStuck: a command that has been tried for so long does not succeed by itself. */
export const STALL_MS = 15 * 60_000;

const COMMANDS = "Commands";

/** Whether the whole detail is known, and not the list's row alone. */
export const isDetail = (user: UserRow | UserDetail): user is UserDetail => "history" in user;

/**
 * The steps of a deactivated user, in the order in which they happen. A list's row says nothing of keys and commands,
 * so it is not enough.
 */
export function steps(user: UserDetail, tasksPaused: number | null): Step[] {
  const found: Step[] = [
    {
      name: "Access",
      done: user.state === "deactivated",
      words: user.state === "deactivated" ? "keys and sessions are refused" : "not yet shown as deactivated",
      advice: "Deactivate once more: repeating is safe.",
      stallsAfterMs: STALL_MS,
    },
  ];
  if (user.deactivation) {
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
    advice: "The command executor pauses them at Temporal. If they stay active, see the alarms CommandsStuck and, after a day, CommandsDeadLetters.",
    stallsAfterMs: STALL_MS,
  });
  const alive = user.api_keys.filter((key) => !key.revoked).length;
  found.push({
    name: "API keys",
    done: alive === 0,
    words: user.api_keys.length === 0 ? "there are none to revoke" : alive === 0 ? "all revoked" : `${plural(alive, "key")} not revoked (refused already)`,
    advice: "The command executor revokes them. If they stay, see the alarms CommandsStuck and, after a day, CommandsDeadLetters.",
    stallsAfterMs: STALL_MS,
  });
  return found;
}

const pausedWords = (paused: number | null) =>
  paused === null || paused === 0 ? "none is active" : `${plural(paused, "task")} paused`;

/**
 * What is known of the login, which Clerk blocks: the API does not show when it has done so. A deleted identity is not
 * banned, those that remain are (docs/contract/events.md, "Commands"). The platform's event alone causes no command.
 */
export function loginInWords(user: UserDetail): string {
  if (!user.clerk_user_id) return "there is none at Clerk";
  if (stateEvent(user)?.type === IDENTITY_DELETED) return "the deleted login is not blocked; commands block the user's other logins, if there are any";
  if (!sendsCommands(user)) return "whether a command to block it was sent is not known here";
  const isSent = user.deactivation?.commands_pending === 0;
  return isSent ? "the command to block it is on the queue; whether Clerk has carried it out is not shown here" : "to be blocked at Clerk";
}

/** The event that says whether the user is active. */
const stateEvent = ({ history }: UserDetail) => history.find(({ fields }) => fields.includes("state"));

/** Names that event: ids are distinct within a source. Null if there is none. */
export function stateHolder(user: UserDetail): string | null {
  const said = stateEvent(user);
  return said ? `${said.source} ${said.id}` : null;
}

/** The type of the event by which the deletion of an identity deactivates a user. */
const IDENTITY_DELETED = "ai.torale.identity.deleted";

/** The `source` of what is requested here (docs/contract/events.md, "Envelope"). */
const OWN_SOURCE = "/torale/admin";

/**
 * Whether commands are sure to stop the user's tasks and keys: a request here or the deletion of an identity
 * deactivated the user last. The `user.deactivated` of the platform alone causes none, and the API does not say
 * whether those of an earlier cause still count: `tasks_paused` stays what the last request answered, also after a
 * reactivation, and the deletion of an identity is in no field.
 */
export function sendsCommands(user: UserDetail): boolean {
  const said = stateEvent(user);
  return said?.type === IDENTITY_DELETED || (said?.type === "ai.torale.user.deactivated" && said.source === OWN_SOURCE);
}

/** The steps of a deactivated user that are not done. */
export const leftSteps = (user: UserDetail): Step[] =>
  user.state === "deactivated" && user.deactivation !== null ? steps(user, user.deactivation.tasks_paused).filter((step) => !step.done) : [];

/** Whether a step is expected to end by itself. Commands that wait are sure to be sent, whatever caused them. */
export const isExpected = (user: UserDetail, { name }: Step): boolean => sendsCommands(user) || name === COMMANDS;

/** The steps that are expected to end by themselves and have not. */
export const pendingSteps = (user: UserDetail): Step[] => leftSteps(user).filter((step) => isExpected(user, step));

/** Whether something is left of which it is not known whether commands stop it. */
export const isUnjudged = (user: UserDetail): boolean => leftSteps(user).some((step) => !isExpected(user, step));

export const isDone = (all: readonly Step[]): boolean => all.every((step) => step.done);
