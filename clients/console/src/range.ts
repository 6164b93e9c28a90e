/** The time of a bar of a chart, which leads to lists: the parameters `from` and `to`. */
import { dayOf, hourOf } from "./format";
import type { Params } from "./place";

export interface Range {
  readonly from: Date;
  /** Exclusive. */
  readonly to: Date;
}

/** The range among the parameters; null if there is none, or one that can't be read. */
export function rangeOf(params: Params): Range | null {
  const [from, to] = [new Date(params["from"] ?? Number.NaN), new Date(params["to"] ?? Number.NaN)];
  return Number.isNaN(from.getTime()) || Number.isNaN(to.getTime()) ? null : { from, to };
}

/** Whether a time is in a range. */
export function isIn({ from, to }: Range, at: string): boolean {
  const time = Date.parse(at);
  return time >= from.getTime() && time < to.getTime();
}

/** The most hours of a window. */
const MOST_HOURS = 8760;

/** The API's time is known to about a second, and a window of several pages is read over some seconds. */
const MARGIN_MS = 60_000;

/** The hours of a window that ends now and holds a range, at least so many. `now` is the API's time, in milliseconds since 1970. */
export const hoursThatHold = ({ from }: Range, atLeast: number, now: number): number =>
  Math.min(MOST_HOURS, Math.max(atLeast, Math.ceil((now + MARGIN_MS - from.getTime()) / 3_600_000)));

/** A range in the viewer's zone, with days if it is longer than an hour or not of today; the same day once. */
export function rangeInWords({ from, to }: Range, now = new Date()): string {
  const hasDays = to.getTime() - from.getTime() > 3_600_000 || dayOf(from) !== dayOf(now);
  if (!hasDays) return `${hourOf(from)} to ${hourOf(to)}`;
  return `${dayOf(from)} ${hourOf(from)} to ${dayOf(from) === dayOf(to) ? "" : `${dayOf(to)} `}${hourOf(to)}`;
}
