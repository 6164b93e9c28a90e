/** From the bars of a chart to the lists behind them. */
import type { Bucket, Point } from "./api/types";
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
  readonly avgDurationMs: number;
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
      avgDurationMs: point.avg_duration_ms ?? 0,
    };
  });
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

/** Bars put together so that each covers `minutes`, at whole multiples of that. */
export function merged(fine: readonly Bar[], minutes: number): Bar[] {
  const size = minutes * 60_000;
  const found: Bar[] = [];
  for (const bar of fine) {
    const last = found.at(-1);
    if (last === undefined || Math.floor(last.start.getTime() / size) !== Math.floor(bar.start.getTime() / size)) {
      found.push(bar);
      continue;
    }
    const count = last.count + bar.count;
    const time = last.avgDurationMs * last.count + bar.avgDurationMs * bar.count;
    found[found.length - 1] = {
      start: last.start,
      end: bar.end,
      count,
      failed: last.failed + bar.failed,
      avgDurationMs: count === 0 ? 0 : Math.round(time / count),
    };
  }
  return found;
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
