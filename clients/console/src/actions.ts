/** The actions of the audit trail, in words. Names are the API's operation ids. */
import type { AuditRecord } from "./api/types";
import { CHANGES } from "./reads";

/** A test holds that every operation of the API's document has words here. */
export const ACTIONS: Readonly<Record<string, string>> = {
  "users.deactivate": "Deactivated a user",
  "users.deactivate_many": "Asked to deactivate several users",
  "users.reactivate": "Reactivated a user",
  "stats.read": "Read the statistics",
  "stats.series": "Read figures over time",
  "executions.list": "Listed executions",
  "executions.read": "Read an execution",
  "errors.list": "Listed errors",
  "tasks.list": "Listed tasks",
  "tasks.read": "Read a task",
  "queries.list": "Listed queries",
  "users.list": "Listed users",
  "users.read": "Read a user",
  "workflows.list": "Listed workflows",
  "schedules.list": "Listed schedules",
  "audit.list": "Read the audit trail",
  "health.read": "Read the health of this system",
};

/** Whether an action is known to change nothing; one of a later version of the API is not. */
const isRead = (action: string): boolean => ACTIONS[action] !== undefined && !CHANGES.some((change) => change === action);

/**
 * A request in words; one of a later version of the API by its action. The words say that something was done, so those of
 * a request that did not succeed begin with what became of it: a change that answers 5xx may have taken effect.
 */
export function inWords({ action, status }: Pick<AuditRecord, "action" | "status">): string {
  const words = ACTIONS[action] ?? action;
  if (status < 400) return words;
  if (status < 500) return `Refused: ${words}`;
  return `${isRead(action) ? "Failed" : "Result unknown"}: ${words}`;
}
