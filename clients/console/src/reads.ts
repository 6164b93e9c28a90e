/**
 * What each view reads first, from where one is. It is in one place because it is requested twice as
 * early as the views could: `early.ts` does so while the script with the views is still on its way.
 */
import { integer, MOST_ROWS, paging, type Params, type Route, type View } from "./place";

/** How often what is on the screen is read again. */
export const REFRESH_MS = 15_000;

export type Query = Readonly<Record<string, string | number | boolean | undefined>>;

/** A path of the API with its parameters. One that is undefined or empty is left out. */
export interface Read {
  readonly path: string;
  readonly query: Query;
}

/** The window of a list in hours. */
export const hoursOf = (params: Params): number => integer(params, "hours", 24, 8760);

/** Of its filters the list of tasks takes one at a time; the most specific one is sent. */
export function taskFilter({ user_id, search_query, state }: Params): { user_id?: string; search_query?: string; state?: string | undefined } {
  if (user_id) return { user_id };
  return search_query ? { search_query } : { state };
}

/** The filters of the list of tasks that are set and not sent. */
export function ignoredTaskFilters(params: Params): ("query" | "state")[] {
  const sent = taskFilter(params);
  const ignored: ("query" | "state")[] = [];
  if (params["search_query"] && sent.search_query === undefined) ignored.push("query");
  if (params["state"] && sent.state === undefined) ignored.push("state");
  return ignored;
}

/** The action of the audit trail that shows every action. */
export const EVERYTHING = "all";
/** The actions that change something: what the audit trail shows without a choice. */
export const CHANGES = ["users.deactivate", "users.deactivate_many", "users.reactivate"] as const;
/** Records of each kind of change that are read. */
export const CHANGES_READ = 100;

/** The most schedules on a page. */
export const MOST_SCHEDULES = 1000;

/** Whether all schedules are read: the API has neither their filters nor such large pages. */
export const readsAllSchedules = (params: Params): boolean =>
  Boolean(params["at"] || params["find"]) || paging(params, MOST_SCHEDULES).limit > MOST_ROWS;

/** The page of a list, or the statistics. */
export const READS: Readonly<Record<View, (params: Params) => Read>> = {
  overview: () => ({ path: "admin/stats", query: {} }),
  executions: (params) => ({
    path: "admin/executions",
    query: { status: params["status"], task_id: params["task_id"], hours: hoursOf(params), ...paging(params) },
  }),
  errors: (params) => ({
    path: "admin/errors",
    query: { error_type: params["error_type"], task_id: params["task_id"], hours: hoursOf(params), ...paging(params) },
  }),
  workflows: (params) => ({ path: "admin/temporal/workflows", query: { ...paging(params) } }),
  tasks: (params) => ({ path: "admin/tasks", query: { ...taskFilter(params), ...paging(params) } }),
  queries: (params) => ({ path: "admin/queries", query: { ...paging(params) } }),
  schedules: (params) => ({
    path: "admin/temporal/schedules",
    query: { include_paused: params["include_paused"], include_timezone: true, ...(!readsAllSchedules(params) && paging(params)) },
  }),
  health: () => ({ path: "admin/health", query: {} }),
  users: (params) => ({
    path: "admin/users",
    query: { q: params["q"], active_only: params["active_only"], ...paging(params) },
  }),
  audit: (params) => ({
    path: "admin/audit",
    query: {
      principal: params["principal"],
      action: params["action"] === EVERYTHING ? undefined : params["action"],
      hours: hoursOf(params),
      ...paging(params),
    },
  }),
};

/** The newest changes of each kind: the API filters the audit trail by one action at a time. */
export const changesReads = (params: Params): Read[] =>
  CHANGES.map((action) => ({
    path: "admin/audit",
    query: { action, principal: params["principal"], hours: hoursOf(params), limit: CHANGES_READ },
  }));

/** Whether the audit trail shows the changes of all kinds together. */
export const showsChanges = (params: Params): boolean => params["action"] === undefined;

/** All that a view needs for its first sight. */
export function firstReads({ view, params }: Route): Read[] {
  if (view === null) return [];
  // The failures of a bar of a chart are read in pages of their own.
  if (view === "errors" && params["from"] && params["to"]) return [];
  return view === "audit" && showsChanges(params) ? changesReads(params) : [READS[view](params)];
}
