/** Finding schedules among all that there are. */
import type { ScheduleRow } from "./api/types";
import { allMinutesAhead, type CronTimes, MINUTES_A_DAY, minutesAhead, timesOf } from "./cron";

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
export const zoneOf = (row: ScheduleRow): string | null => {
  const zone = knownZoneOf(row);
  return zone === undefined ? "UTC" : zone;
};

/** The same; undefined if only the list of schedules says it. */
export function knownZoneOf({ cron, timezone }: ScheduleRow): string | null | undefined {
  const times = timesOf(cron);
  return times?.isInterval ? null : (times?.zone ?? timezone);
}

/** A schedule that fits a search. */
export interface FoundSchedule {
  readonly row: ScheduleRow;
  /** When it runs first at the time of the day that is searched for; null without one, and if it is paused. */
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
  // Many schedules have the same expression, zone and next run.
  const runs = new Map<string, Date | null | undefined>();
  const runOf = (row: ScheduleRow, minute: number) => {
    const key = [row.cron, row.timezone, row.next_run_time, row.is_paused].join("\n");
    if (!runs.has(key)) runs.set(key, runAt(row, minute, now));
    return runs.get(key);
  };
  const timed = (row: ScheduleRow): FoundSchedule[] => {
    if (minute === null) return [{ row, run: null }];
    const run = runOf(row, minute);
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
 * When a schedule runs first at a minute of the day in UTC; undefined if it never does, null if it would but is paused.
 * What runs at 09:00 in Berlin does so at 08:00 in winter and at 07:00 in summer: it is found at both, with the run.
 */
function runAt(row: ScheduleRow, minute: number, now: Date): Date | null | undefined {
  const next = nextRun(row);
  if (next !== null && minuteOf(next) === minute) return next;
  // A schedule that is not paused and has no next run never fires again.
  const times = next !== null || row.is_paused ? timesOf(row.cron) : null;
  if (times === null) return undefined;
  const run = runAfter(times, zoneOf(row), next ?? now, minute);
  return run !== undefined && row.is_paused ? null : run;
}

/** The last year that an expression may name. */
const LAST_YEAR = 2100;

/** The first run at a minute of the day in UTC after a time; undefined if there is none. */
function runAfter(times: CronTimes, zone: string | null, after: Date, minute: number): Date | undefined {
  const fits = (ahead: number) => times.at((minute + ahead + 2 * MINUTES_A_DAY) % MINUTES_A_DAY);
  const ahead = (zone === null ? [0] : allMinutesAhead(zone, after)).filter(fits);
  if (ahead.length === 0) return undefined;
  const first = Math.floor(after.getTime() / DAY_MS) * DAY_MS + minute * MINUTE_MS;
  const end = Date.UTC(LAST_YEAR + 1, 0);
  for (let time = first < after.getTime() ? first + DAY_MS : first; time < end; time += DAY_MS) {
    for (const minutes of ahead) {
      const local = new Date(time + minutes * MINUTE_MS);
      // Whether the clock shows that time on this day is asked last: it takes longest.
      if (!times.on(local) || (zone !== null && minutesAhead(zone, new Date(time)) !== minutes)) continue;
      const second = times.secondIn(local);
      if (second !== null) return new Date(time + second * 1000);
    }
  }
  return undefined;
}

/** How many of the schedules that were found run within a day, later, and not while they are paused. */
export function counted(all: readonly FoundSchedule[], now: Date): { soon: number; later: number; paused: number } {
  const paused = all.filter(({ run }) => run === null).length;
  const soon = all.filter(({ run }) => run !== null && run.getTime() < now.getTime() + DAY_MS).length;
  return { soon, later: all.length - soon - paused, paused };
}
