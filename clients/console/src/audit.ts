/** What records of the audit trail say about whom. */
import type { AuditRecord, AuditRow } from "./api/types";
import { isUuid } from "./text";

/** The users, tasks or executions that a request is about. */
export function targets({ target, parameters }: AuditRecord): string[] {
  if (target) return [target];
  const ids = parameters["user_ids"];
  return Array.isArray(ids) ? ids.filter((id): id is string => typeof id === "string") : [];
}

/** The users whom some records of the audit trail have deactivated, newest first, each once. */
export function deactivatedIds(records: readonly AuditRow[]): string[] {
  const found = records.flatMap((row) => ("missing" in row || row.status !== 200 ? [] : [row]));
  found.sort((a, b) => (a.at < b.at ? 1 : a.at > b.at ? -1 : 0));
  return [...new Set(found.flatMap(targets))].filter(isUuid);
}
