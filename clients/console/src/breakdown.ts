/** What failures have in common. */
import type { ErrorRow } from "./api/types";
import { count as written, plural } from "./format";

export const GROUPS = {
  error_type: "Error type",
  user_email: "User",
  search_query: "Query",
  error_message: "Message",
} as const;
export type Group = keyof typeof GROUPS;
export const GROUP_NAMES = Object.keys(GROUPS) as readonly Group[];

export interface Part {
  /** The common value; null where no event gives one. */
  readonly value: string | null;
  readonly count: number;
  /** Of all rows, 0 to 1. */
  readonly share: number;
}

/** The error types of a whole window, as the API counts them, in its order: most first. */
export function ofTypes(types: Readonly<Record<string, number>>): Part[] {
  const total = Object.values(types).reduce((sum, count) => sum + count, 0);
  return Object.entries(types).map(([value, count]) => ({ value, count, share: count / total }));
}

/** The values of a field by how many failures have them, most first, then by value. */
export function breakdown(rows: readonly ErrorRow[], group: Group): Part[] {
  const counts = new Map<string | null, number>();
  for (const row of rows) counts.set(row[group], (counts.get(row[group]) ?? 0) + 1);
  return [...counts]
    .map(([value, count]) => ({ value, count, share: count / rows.length }))
    .sort((a, b) => b.count - a.count || (a.value ?? "").localeCompare(b.value ?? ""));
}

/** Of how many failures something is said: of those read, or of a total; `isCut` if there may be more. */
export function extent(read: number, total: number, isCut = false): string {
  if (read === 0) return "";
  if (isCut) return read === 1 ? "Of the one failure that was found." : `Of the ${written(read)} failures that were found.`;
  if (total > read) return `Of the newest ${written(read)} of ${plural(total, "failure")}.`;
  return read === 1 ? "Of the one failure." : `Of all ${written(read)} failures.`;
}
