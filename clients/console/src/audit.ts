/** What records of the audit trail say about whom. */
import type { AuditRecord, AuditRow } from "./api/types";
import { isUuid } from "./text";

/** What the targets of a request are; null for an action of a later version of the API. */
export type TargetKind = "User" | "Task" | "Execution" | null;

export function targetKind({ action }: Pick<AuditRecord, "action">): TargetKind {
  if (action.startsWith("users.")) return "User";
  if (action.startsWith("tasks.")) return "Task";
  return action.startsWith("executions.") ? "Execution" : null;
}

/** The users whom some records of the audit trail name: who called, and whom the request is about. */
export function usersOf(records: readonly AuditRow[]): string[] {
  const found = records.flatMap((row) => ("missing" in row ? [] : [row]));
  const ids = found.flatMap((row) => [row.principal.user_id, ...(targetKind(row) === "User" ? targets(row) : [])]);
  return ids.filter((id) => typeof id === "string");
}

/**
 * When a request was made, in milliseconds since 1970: as texts, "…00Z" would come after "…00.120Z". Of a removed record
 * the hour is known, with which its id begins; it counts as a moment before all others of that hour.
 */
function timeOf(row: AuditRow): number {
  if (!("missing" in row)) return Date.parse(row.at);
  const [, year, month, day, hour] = /^(\d{4})(\d{2})(\d{2})(\d{2})-/.exec(row.id) ?? [];
  return year === undefined ? Number.NEGATIVE_INFINITY : Date.parse(`${year}-${month}-${day}T${hour}:00:00Z`) - 0.5;
}

/** Records with the newest first; one that was removed comes last of its hour. */
export function newestFirst(records: readonly AuditRow[]): AuditRow[] {
  // Two of unknown times are equal: the difference is no number then.
  return records.toSorted((a, b) => timeOf(b) - timeOf(a) || 0);
}

/** The users, tasks or executions that a request is about. */
export function targets({ target, parameters }: AuditRecord): string[] {
  if (target) return [target];
  const ids = parameters["user_ids"];
  return Array.isArray(ids) ? ids.filter((id): id is string => typeof id === "string") : [];
}

/** The users whom some records of the audit trail have deactivated, newest first, each once. */
export function deactivatedIds(records: readonly AuditRow[]): string[] {
  const found = newestFirst(records).flatMap((row) => ("missing" in row || row.status !== 200 ? [] : [row]));
  return [...new Set(found.flatMap(targets))].filter(isUuid);
}
