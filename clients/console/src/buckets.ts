/** From the bars of a chart to the lists behind them. */
import type { Bucket, ExecutionsPage, Point } from "./api/types";
import { href } from "./place";

const SECONDS: Readonly<Record<Bucket, number>> = { minute: 60, hour: 3600, day: 86_400 };
/** Rows a page of the list behind a bar. */
const LIMIT = 50;

/** A bar: some time and what happened in it. */
export interface Bar {
  readonly start: Date;
  /** Exclusive; of the last bar, now. */
  readonly end: Date;
  readonly count: number;
  readonly failed: number;
  /** The mean duration of those that finished; null if it is not known. */
  readonly avgDurationMs: number | null;
}

/** The end of a point's bucket: the next whole minute, hour or UTC day after its start. */
export function endOf(start: Date, bucket: Bucket): Date {
  const size = SECONDS[bucket] * 1000;
  return new Date((Math.floor(start.getTime() / size) + 1) * size);
}

export function bars(points: readonly Point[], bucket: Bucket): Bar[] {
  return points.map((point) => {
    const start = new Date(point.start);
    const end = endOf(start, bucket);
    return {
      start,
      end,
      count: point.count,
      failed: point.failed ?? 0,
      avgDurationMs: meanOfPoint(point),
    };
  });
}

/**
 * The API says 0 where nothing has finished. What succeeded in less than half a millisecond has that mean, too, and it is
 * not known then: no search is as quick. A failure has finished, so next to one the 0 is a mean.
 */
function meanOfPoint({ count, failed = 0, avg_duration_ms = 0 }: Point): number | null {
  return count > 0 && failed === 0 && avg_duration_ms === 0 ? null : avg_duration_ms;
}

/**
 * The share of failures in the window before a window, by the hours of a window of twice its length and of itself;
 * undefined if the two do not begin a window apart, null if nothing ran before. Hours are not cut where the later window begins: of
 * that hour, what it has in the later window is taken away.
 */
export function rateBefore(both: readonly Point[], later: readonly Point[], hours: number): number | null | undefined {
  const [first, cut] = [both[0]?.start, later[0]?.start].map((start) => new Date(start ?? Number.NaN));
  if (first === undefined || cut === undefined || cut.getTime() - first.getTime() !== hours * 3_600_000) return undefined;
  const before = both.filter(({ start }) => new Date(start) < cut);
  const isWhole = cut.getTime() % 3_600_000 === 0;
  const of = (field: "count" | "failed") =>
    before.reduce((sum, point) => sum + (point[field] ?? 0), 0) - (isWhole ? 0 : (later[0]?.[field] ?? 0));
  return of("count") === 0 ? null : of("failed") / of("count");
}

/** The executions that run now. */
export interface Running {
  /** When each of them began, in milliseconds since 1970. */
  readonly starts: readonly number[];
  /** All that began later than this are among them. */
  readonly allSince: number;
}

/** The executions that run, by the first page of their list, which has the newest. */
export function runningOf({ executions, total }: ExecutionsPage): Running {
  const starts = executions.map(({ started_at }) => Date.parse(started_at));
  return { starts, allSince: total > executions.length ? Math.min(...starts) : Number.NEGATIVE_INFINITY };
}

/** What ran at the time of one of two answers. */
export const eitherRunning = (one: Running, other: Running): Running => ({
  starts: [...one.starts, ...other.starts],
  allSince: Math.max(one.allSince, other.allSince),
});

/** Bars put together so that each covers `minutes`, at whole multiples of that; `running` is null while it is not known. */
export function merged(fine: readonly Bar[], minutes: number, running: Running | null): Bar[] {
  const place = (bar: Bar) => Math.floor(bar.start.getTime() / (minutes * 60_000));
  const groups: Bar[][] = [];
  for (const bar of fine) {
    const last = groups.at(-1);
    if (last?.[0] !== undefined && place(last[0]) === place(bar)) last.push(bar);
    else groups.push([bar]);
  }
  return groups.flatMap((group, at) => {
    const [first, last] = [group[0], group.at(-1)];
    if (first === undefined || last === undefined) return [];
    // The last bar counts what begins later, too.
    const end = at === groups.length - 1 ? Number.POSITIVE_INFINITY : last.end.getTime();
    const count = sum(group, (bar) => bar.count);
    const failed = sum(group, (bar) => bar.failed);
    return [{ start: first.start, end: last.end, count, failed, avgDurationMs: meanOf(group, end, running) }];
  });
}

const sum = (bars: readonly Bar[], of: (bar: Bar) => number): number => bars.reduce((total, bar) => total + of(bar), 0);

/**
 * The mean duration of bars together. The API's means are of what finished, and its counts are of all: they are the
 * weights of the means only if nothing in the bars runs.
 */
function meanOf(group: readonly Bar[], end: number, running: Running | null): number | null {
  const filled = group.filter((bar) => bar.count > 0);
  const [first] = filled;
  if (first === undefined) return 0;
  if (filled.length === 1) return first.avgDurationMs;
  const start = first.start.getTime();
  const isFinished = running !== null && start > running.allSince && !running.starts.some((at) => at >= start && at < end);
  if (!isFinished || filled.some((bar) => bar.avgDurationMs === null)) return null;
  return Math.round(sum(filled, (bar) => (bar.avgDurationMs ?? 0) * bar.count) / sum(filled, (bar) => bar.count));
}

/**
 * The list at a bar's newest row. The API has windows up to now only, so the link is to a window
 * that begins before the bar, at the page that the rows after the bar lead to; the view marks the
 * bar's own rows.
 */
export function listBehind(all: readonly Bar[], bar: Bar, status: "failed" | undefined, now: Date): string {
  const newer = all.filter((other) => other.start >= bar.end);
  const rows = newer.reduce((sum, other) => sum + (status === "failed" ? other.failed : other.count), 0);
  const hours = Math.min(8760, Math.max(1, Math.ceil((now.getTime() - bar.start.getTime()) / 3_600_000)));
  return href("executions", {
    status,
    hours,
    page: Math.floor(rows / LIMIT) + 1,
    from: bar.start.toISOString(),
    to: bar.end.toISOString(),
  });
}
