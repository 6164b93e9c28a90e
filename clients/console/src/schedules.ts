/** Finding schedules among all that there are. */
import type { ScheduleRow } from "./api/types";
import { type CronTimes, MINUTES_A_DAY, minutesAhead, timesOf } from "./cron";

const TIME = /^([01]?[0-9]|2[0-3]):([0-5][0-9])$/;
const MINUTE_MS = 60_000;
const DAY_MS = MINUTES_A_DAY * MINUTE_MS;

/** What is wrong with a time of the day, or null. */
export const timeFault = (text: string): string | null => (minuteIn(text) !== null ? null : "A time such as 09:00.");

/** The minute of the day that a text such as `9:00` names, 0 to 1439; null if it names none. */
export function minuteIn(text: string): number | null {
  const [, hours, minutes] = TIME.exec(text.trim()) ?? [];
  return hours === undefined ? null : Number(hours) * 60 + Number(minutes);
}

/** The zone by whose clock a schedule fires: the one that its expression names, else its own; null for an interval. */
export function zoneOf({ cron, timezone }: ScheduleRow): string | null {
  const times = timesOf(cron);
  return times?.isInterval ? null : (times?.zone ?? timezone ?? "UTC");
}

/** A schedule that fits a search. */
export interface FoundSchedule {
  readonly row: ScheduleRow;
  /** When it runs next at the time of the day that is searched for; null without one, and if it is paused. */
  readonly run: Date | null;
}

/**
 * The schedules that run at this time of the day in UTC (`9:00`), and whose email, cron expression, zone or ids
 * contain a text, without regard to case. An empty criterion takes all. What runs first at that time comes first;
 * without a time, what runs next. Those that do not run again are last.
 */
export function found(all: readonly ScheduleRow[], at: string, find: string, now: Date): FoundSchedule[] {
  const minute = minuteIn(at);
  const text = find.trim().toLowerCase();
  const fits = (row: ScheduleRow) =>
    [row.user_email ?? "", row.cron, zoneOf(row) ?? "", row.schedule_id, row.task_id].some((field) => field.toLowerCase().includes(text));
  const timed = (row: ScheduleRow): FoundSchedule[] => {
    if (minute === null) return [{ row, run: null }];
    const run = runAt(row, minute, now);
    return run === undefined ? [] : [{ row, run }];
  };
  const time = ({ row, run }: FoundSchedule) => (minute === null ? nextRun(row) : run)?.getTime() ?? Number.POSITIVE_INFINITY;
  const order = (a: FoundSchedule, b: FoundSchedule) => (time(a) < time(b) ? -1 : time(a) > time(b) ? 1 : 0);
  return all.filter(fits).flatMap(timed).sort(order);
}

/** The next run; null if there is none. */
function nextRun({ next_run_time }: ScheduleRow): Date | null {
  const next = new Date(next_run_time ?? Number.NaN);
  return Number.isNaN(next.getTime()) ? null : next;
}

/** The minute of the day in UTC, 0 to 1439. */
const minuteOf = (time: Date): number => time.getUTCHours() * 60 + time.getUTCMinutes();

/**
 * When a schedule runs next at a minute of the day in UTC; undefined if it never does, null if it would but is paused.
 * A zone counts as it is at the next run, or `now` if the schedule is paused: what runs at 09:00 in Berlin is found at
 * 08:00 in winter and at 07:00 in summer.
 */
function runAt(row: ScheduleRow, minute: number, now: Date): Date | null | undefined {
  const next = nextRun(row);
  if (next !== null && minuteOf(next) === minute) return next;
  // A schedule that is not paused and has no next run never fires again.
  const times = next !== null || row.is_paused ? timesOf(row.cron) : null;
  if (times === null) return undefined;
  const zone = zoneOf(row);
  const ahead = zone === null ? 0 : minutesAhead(zone, next ?? now);
  if (ahead === null || !times.at((minute + ahead + 2 * MINUTES_A_DAY) % MINUTES_A_DAY)) return undefined;
  return next === null ? null : runAfter(times, zone, next, minute);
}

/** Days that are searched for a run: any date comes within so many, but for a 29 February. */
const MOST_DAYS = 366;

/** The first run at a minute of the day in UTC after the next run; undefined if there is none within a year. */
function runAfter(times: CronTimes, zone: string | null, next: Date, minute: number): Date | undefined {
  const midnight = Math.floor(next.getTime() / DAY_MS) * DAY_MS;
  for (let day = 0; day <= MOST_DAYS; day += 1) {
    const time = new Date(midnight + day * DAY_MS + minute * MINUTE_MS);
    if (time < next) continue;
    const ahead = zone === null ? 0 : (minutesAhead(zone, time) ?? 0);
    const second = times.secondIn(new Date(time.getTime() + ahead * MINUTE_MS));
    if (second !== null) return new Date(time.getTime() + second * 1000);
  }
  return undefined;
}
