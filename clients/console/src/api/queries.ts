/** What the views read, with its place in the cache, its refresh and its retries. */
import { keepPreviousData, QueryClient, useQueries, useQuery } from "@tanstack/preact-query";
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import type { Params } from "../place";
import { hoursThatHold, type Range } from "../range";
import { READS, REFRESH_MS, type Read } from "../reads";
import { deactivatedIds } from "../audit";
import { eitherRunning, rateBefore, runningOf, type Running } from "../buckets";
import type { RecentDeactivations } from "../health";
import { observe, type ObservedUser } from "../users/sightings";
import { apiNow, request } from "./client";
import { ApiError, delay, hasNoEndpoint, passes } from "./errors";
import type { AuditPage, Bucket, ErrorsPage, ExecutionDetail, ExecutionsPage, ScheduleRow, Series, Stats, TaskDetail, UserDetail } from "./types";

/** How often a whole window of charts or failures is read again. */
const SLOW_REFRESH_MS = 60_000;

export function newQueryClient(): QueryClient {
  return new QueryClient({
    defaultOptions: {
      queries: {
        // A failure that passes is tried until it has passed; everything else is shown at once.
        retry: (_, error) => passes(error),
        retryDelay: delay,
        refetchInterval: ({ state }) => (state.error instanceof ApiError && !passes(state.error) ? false : REFRESH_MS),
        refetchOnWindowFocus: true,
        staleTime: 2_000,
        gcTime: 5 * 60_000,
        networkMode: "always",
      },
      // Each change says itself whether it may be sent again, see `attempts`.
      mutations: { networkMode: "always", retry: false },
    },
  });
}

/** The place of a list in the cache. */
export const keyOf = ({ path, query }: Read) => [path, query] as const;

/** One page of a list. While the next page is read, the last one of the same list stays. */
export function useList<T>({ path, query }: Read, { enabled = true, slow = false } = {}) {
  return useQuery<T>({
    queryKey: keyOf({ path, query }),
    queryFn: ({ signal }) => request<T>(path, { query, signal }),
    placeholderData: keepPreviousData,
    enabled,
    ...(slow && { refetchInterval: SLOW_REFRESH_MS, staleTime: SLOW_REFRESH_MS }),
  });
}

export const useStats = () => useList<Stats>(READS.overview({}));

/** Figures over time; an API without them answers 404, see {@link hasNoEndpoint}. */
export const useSeries = (metric: "executions", bucket: Bucket, hours: number, enabled = true) =>
  useQuery({
    queryKey: ["admin/stats/series", metric, bucket, hours],
    queryFn: ({ signal }) => request<Series>("admin/stats/series", { query: { metric, bucket, hours }, signal }),
    enabled,
    refetchInterval: ({ state }) => (hasNoEndpoint(state.error) ? false : SLOW_REFRESH_MS),
    staleTime: SLOW_REFRESH_MS / 2,
  });

/**
 * Figures by minute, and what ran while they were read: the running executions are read before and after, so that both
 * are of one time. What began and ended between those two is in neither list; executions take longer than that.
 */
export const useMinutes = (hours: number, enabled: boolean) =>
  useQuery({
    queryKey: ["admin/stats/series", "minutes", hours],
    queryFn: ({ signal }) => readMinutes(hours, signal),
    enabled,
    refetchInterval: SLOW_REFRESH_MS,
    staleTime: SLOW_REFRESH_MS / 2,
  });

/** Reads what {@link useMinutes} says. If it can't be read what runs, that is not known, and the figures are there anyway. */
export async function readMinutes(hours: number, signal: AbortSignal): Promise<{ series: Series; running: Running | null }> {
  const readRunning = async (): Promise<Running | null> => {
    try {
      return runningOf(await request<ExecutionsPage>("admin/executions", { query: { status: "running", hours, limit: 100 }, signal }));
    } catch (error) {
      if (signal.aborted) throw error;
      return null;
    }
  };
  const before = await readRunning();
  const series = await request<Series>("admin/stats/series", { query: { metric: "executions", bucket: "minute", hours }, signal });
  const after = before && (await readRunning());
  return { series, running: before && after && eitherRunning(before, after) };
}

const RATE_BEFORE = ["admin/stats/series", "rate before"] as const;

/** The share of failures from 48 to 24 hours ago; null while it is not known, or if nothing ran then. */
export function useRateBefore(enabled: boolean): number | null {
  const { data } = useQuery({
    queryKey: RATE_BEFORE,
    queryFn: async ({ client, signal }): Promise<{ rate: number | null }> => {
      const read = (hours: number) =>
        request<Series>("admin/stats/series", { query: { metric: "executions", bucket: "hour", hours }, signal });
      // Read together, since the two must be cut in the same minute. If they are not, what was known before stays.
      const [both, later] = await Promise.all([read(48), read(24)]);
      const rate = rateBefore(both.points, later.points, 24);
      return rate === undefined ? (client.getQueryData<{ rate: number | null }>(RATE_BEFORE) ?? { rate: null }) : { rate };
    },
    enabled,
    refetchInterval: ({ state }) => (hasNoEndpoint(state.error) ? false : SLOW_REFRESH_MS),
    staleTime: SLOW_REFRESH_MS,
  });
  return data?.rate ?? null;
}

function useDetail<T>(kind: string, id: string | undefined) {
  return useQuery({
    queryKey: [`admin/${kind}/{id}`, id],
    queryFn: ({ signal }) => request<T>(`admin/${kind}/${encodeURIComponent(id ?? "")}`, { signal }),
    enabled: id !== undefined,
    refetchInterval: ({ state }) => (state.error ? false : REFRESH_MS),
  });
}

/** The schedules of a task; none if the task is deleted. They are read once: they only lead to Temporal. */
export function useSchedulesOf(task: string): readonly ScheduleRow[] {
  const { data } = useQuery({
    queryKey: ["name", "schedules", task],
    queryFn: ({ signal }) => request<TaskDetail>(`admin/tasks/${encodeURIComponent(task)}`, { signal }),
    staleTime: 10 * 60_000,
    refetchInterval: false,
  });
  return data?.schedules ?? [];
}

/** One user, with one place in the cache for all who read them. */
const userQuery = (id: string) => ({
  queryKey: ["admin/users/{id}", id],
  queryFn: async ({ signal }: { signal: AbortSignal }): Promise<ObservedUser> =>
    observe(await request<UserDetail>(`admin/users/${encodeURIComponent(id)}`, { signal }), Date.now()),
});

export const useExecution = (id: string | undefined) => useDetail<ExecutionDetail>("executions", id);
export const useTask = (id: string | undefined) => useDetail<TaskDetail>("tasks", id);
/** One user. `interval` says from the last answer and its time after how many milliseconds they are read again. */
export function useUser(id: string | undefined, interval: (user: ObservedUser | undefined, readAt: number) => number = () => REFRESH_MS) {
  return useQuery({
    ...userQuery(id ?? ""),
    enabled: id !== undefined,
    refetchInterval: ({ state }) => (state.error ? false : interval(state.data, state.dataUpdatedAt)),
  });
}

/** Users whose deactivation is looked at for whether it has stalled: each is a request. */
const DEACTIVATIONS = 10;
/** Hours that the audit trail is searched for deactivations. Commands are tried for a day. */
const DEACTIVATIONS_HOURS = 168;

const NOBODY: RecentDeactivations = { users: [], unread: [], lookedAt: 0, named: 0, isCut: false, isTrailRead: true, hasEndpoints: true };

/** So old, what is read every minute says nothing of now: two answers in a row have not come. */
const OUTDATED_MS = 2 * SLOW_REFRESH_MS;

/** What a query says of how it is read. */
export interface ReadState {
  readonly data: unknown;
  readonly error: unknown;
  readonly failureCount: number;
  /** Milliseconds since 1970. */
  readonly dataUpdatedAt: number;
}

/**
 * Whether it is not known how something is now: it can't be read, or was read too long ago. What was read is judged by
 * its age, since a failure that passes is no error, and is not counted any more once somebody asks for a refresh.
 */
export function isOutdated({ data, error, failureCount, dataUpdatedAt }: ReadState, now: number): boolean {
  if (error !== null) return true;
  return data === undefined ? failureCount > 0 : now - dataUpdatedAt > OUTDATED_MS;
}

/** {@link isOutdated} as of this rendering. As soon as one of the queries becomes outdated, it is rendered anew. */
export function useIsOutdated(queries: readonly ReadState[]): (query: ReadState) => boolean {
  const now = Date.now();
  const [, renderAnew] = useState(0);
  const times = queries.flatMap(({ data, dataUpdatedAt }) => (data === undefined ? [] : [dataUpdatedAt + OUTDATED_MS + 1]));
  const next = Math.min(...times.filter((time) => time > now));
  useEffect(() => {
    if (next === Infinity) return undefined;
    // A little later: a timer and the time of day are two clocks, and one may be some milliseconds ahead.
    const timer = setTimeout(() => renderAnew(next), next - Date.now() + 100);
    return () => clearTimeout(timer);
  }, [next]);
  return (query) => isOutdated(query, now);
}

/**
 * The users who were deactivated last by an administrator, as they are now; null before anything is known. What is
 * known of some stands, whatever can't be read of others, and an alarm about one stands although they can't be read anew.
 */
export function useDeactivated(enabled: boolean): RecentDeactivations | null {
  const records = useQuery({
    queryKey: ["admin/audit", "deactivations"],
    queryFn: async ({ signal }) => {
      const read = (action: string) =>
        request<AuditPage>("admin/audit", { query: { action, hours: DEACTIVATIONS_HOURS, limit: 100 }, signal });
      const pages = await Promise.all(["users.deactivate", "users.deactivate_many"].map(read));
      return { ids: deactivatedIds(pages.flatMap((page) => page.records)), isCut: pages.some((page) => page.total > page.records.length) };
    },
    enabled,
    refetchInterval: ({ state }) => (hasNoEndpoint(state.error) ? false : SLOW_REFRESH_MS),
    staleTime: SLOW_REFRESH_MS,
  });
  const { ids, isCut } = records.data ?? { ids: [], isCut: false };
  const users = useQueries({
    queries: ids.slice(0, DEACTIVATIONS).map((id) => ({ ...userQuery(id), refetchInterval: SLOW_REFRESH_MS, staleTime: SLOW_REFRESH_MS })),
  });
  const isUnread = useIsOutdated([records, ...users]);
  const isTrailRead = !isUnread(records);
  const last = useRef<RecentDeactivations | null>(null);
  if (hasNoEndpoint(records.error) || users.some(({ error }) => hasNoEndpoint(error))) {
    return { ...NOBODY, hasEndpoints: false };
  }
  if (records.data === undefined) return isTrailRead ? last.current : { ...NOBODY, isTrailRead };
  // While somebody new among them is read for the first time, what was known before stays.
  const isBeingRead = users.some(({ data, isPending, failureCount }) => data === undefined && isPending && failureCount === 0);
  if (isBeingRead) return last.current;
  const isGone = (error: unknown) => error instanceof ApiError && error.status === 404;
  last.current = {
    users: users.flatMap(({ data, error }) => (data?.state === "deactivated" && !isGone(error) ? [data] : [])),
    unread: users.flatMap((user, at) => {
      const id = ids[at];
      if (id === undefined || isGone(user.error) || (user.data !== undefined && !isUnread(user))) return [];
      return [{ id, email: user.data?.email ?? null }];
    }),
    lookedAt: Math.min(ids.length, DEACTIVATIONS),
    named: ids.length,
    isCut,
    isTrailRead,
    hasEndpoints: true,
  };
  return last.current;
}

/** Pages of 100 that a breakdown reads at most. */
const BREAKDOWN_PAGES = 10;

/** A window up to now: so many hours, and at least all since the beginning of a range, if there is one. */
export interface ErrorsWindow {
  readonly hours: number;
  readonly range: Range | null;
}

/** The newest failures of a window, up to 1,000 of them; or those of one type or task. */
export function useAllErrors({ hours, range }: ErrorsWindow, { error_type, task_id }: Params, enabled: boolean) {
  return useQuery({
    queryKey: ["admin/errors", "all", hours, range?.from.getTime() ?? null, error_type, task_id],
    enabled,
    refetchInterval: SLOW_REFRESH_MS,
    staleTime: SLOW_REFRESH_MS,
    queryFn: ({ signal }) => readAllErrors({ hours, range }, { error_type, task_id }, signal),
  });
}

interface ErrorsFilter {
  readonly error_type: string | undefined;
  readonly task_id: string | undefined;
}

/** Reads what {@link useAllErrors} says. The API has windows up to now, so those that hold a range become longer. */
export async function readAllErrors({ hours, range }: ErrorsWindow, { error_type, task_id }: ErrorsFilter, signal: AbortSignal) {
  const hoursNow = () => (range ? hoursThatHold(range, hours, apiNow()) : hours);
  const read = (hours: number, page: number) =>
    request<ErrorsPage>("admin/errors", { query: { error_type, task_id, hours, page, limit: 100 }, signal });
  let asked = hoursNow();
  let first = await read(asked, 1);
  // Of all answers this may be the first, which says what time it is: the reader's clock may be wrong.
  if (hoursNow() > asked) {
    asked = hoursNow();
    first = await read(asked, 1);
  }
  const rows = new Map(first.errors.map((row) => [row.execution_id, row]));
  const pages = Math.min(BREAKDOWN_PAGES, Math.ceil(first.total / 100));
  for (let next = 2; next <= pages; next += 1) {
    for (const row of (await read(asked, next)).errors) rows.set(row.execution_id, row);
  }
  return { rows: [...rows.values()], total: first.total };
}

/** Names that are read for one page of a list, at most: each is a request. */
const NAMES = 50;

/** Names by id: null while a name is being read, absent if it is not read or could not be. */
export type Names = ReadonlyMap<string, string | null>;

interface Named {
  id: string;
  email?: string | null;
  name?: string | null;
  search_query?: string | null;
}

/** The names that could be read, once each has been tried: so a list is drawn anew only once. Null until then. */
function allTried(results: readonly { data: Named | undefined; isPending: boolean; failureCount: number }[]): Names | null {
  if (results.some(({ isPending, failureCount }) => isPending && failureCount === 0)) return null;
  const named = results.flatMap(({ data }) => {
    const name = data && (data.email || data.name || data.search_query);
    return data && name ? [[data.id, name] as const] : [];
  });
  return new Map(named);
}

/** What some users or tasks are called. Names that were known before stay while others are read. */
function useNamesOf(kind: "users" | "tasks", ids: readonly string[]): Names {
  const distinct = [...new Set(ids)].slice(0, NAMES);
  const known = useRef<Names>(new Map());
  const read = useQueries({
    queries: distinct.map((id) => ({
      queryKey: ["name", kind, id],
      queryFn: ({ signal }: { signal: AbortSignal }) => request<Named>(`admin/${kind}/${encodeURIComponent(id)}`, { signal }),
      staleTime: 10 * 60_000,
      refetchInterval: false as const,
    })),
    combine: allTried,
  });
  if (read !== null) known.current = read;
  return useMemo(() => read ?? whileReading(distinct, known.current), [read, distinct.join()]);
}

/** The names that are known of some ids; the others are being read. */
export const whileReading = (ids: readonly string[], known: Names): Names => new Map(ids.map((id) => [id, known.get(id) ?? null]));

/** The emails of some users by id. */
export const useNames = (ids: readonly string[]) => useNamesOf("users", ids);
/** The names of some tasks by id; of one without a name, its query. */
export const useTaskNames = (ids: readonly string[]) => useNamesOf("tasks", ids);
