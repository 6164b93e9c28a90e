/** Executions of all time, of a task or of a query. */

/** What the API says of them. The execution that began last is there for a task only. */
export interface Totals {
  readonly success_rate: number;
  readonly avg_duration_ms: number;
  readonly last_execution?: { readonly status: string } | null;
}

/**
 * Whether any of them has finished, so that share and mean are figures of something: the API says 0 for both where none
 * has. Failures within half a millisecond have both as well, and count only if the last execution is one.
 */
export function hasFinished({ success_rate, avg_duration_ms, last_execution }: Totals): boolean {
  if (last_execution && last_execution.status !== "running") return true;
  return success_rate !== 0 || avg_duration_ms !== 0;
}
