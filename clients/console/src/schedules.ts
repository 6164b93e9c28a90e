/** Finding schedules among all that there are. */
import type { ScheduleRow } from "./api/types";
import { type DayTimes, MINUTES_A_DAY, minutesAhead, timesOf } from "./cron";

const TIME = /^([01]?[0-9]|2[0-3]):([0-5][0-9])$/;

/** What is wrong with a time of the day, or null. */
export const timeFault = (text: string): string | null => (TIME.test(text.trim()) ? null : "A time such as 09:00.");

/** The next run; null if there is none. */
function nextRun({ next_run_time }: ScheduleRow): Date | null {
  const next = new Date(next_run_time ?? Number.NaN);
  return Number.isNaN(next.getTime()) ? null : next;
}

/** The minute of the day in UTC, 0 to 1439. */
const minuteOf = (time: Date): number => time.getUTCHours() * 60 + time.getUTCMinutes();

/** Zones are from 12 hours behind UTC to 14 ahead of it, by quarters of an hour. */
const AHEAD = Array.from({ length: (12 + 14) * 4 + 1 }, (_, quarter) => quarter * 15 - 12 * 60);

/**
 * By how many minutes the zone of a schedule is taken to be ahead of UTC. The API gives a schedule's next run but not
 * its zone. A zone that the expression names counts, as it is at the next run, or `now` if the schedule is paused.
 * Else it is read as UTC if its next run fits UTC, which may be wrong for a schedule in another zone; a paused one is
 * read as UTC. Else any zone that explains the next run is possible.
 */
function minutesAheadOf({ is_paused }: ScheduleRow, { zone, isInterval, at }: DayTimes, next: Date | null, now: Date): number[] {
  // A schedule that is not paused and has no next run never fires again.
  if (next === null && !is_paused) return [];
  if (zone !== undefined) return [minutesAhead(zone, next ?? now)].filter((minutes) => minutes !== null);
  if (isInterval || next === null || at(minuteOf(next))) return [0];
  return AHEAD.filter((ahead) => at(inDay(minuteOf(next) + ahead)));
}

const inDay = (minute: number): number => (minute + 2 * MINUTES_A_DAY) % MINUTES_A_DAY;

/**
 * Whether a schedule runs at a minute of some day in UTC: its next run does, or its expression says so in each zone
 * that {@link minutesAheadOf} gives.
 */
function runsAt(row: ScheduleRow, minute: number, now: Date): boolean {
  const next = nextRun(row);
  if (next !== null && minuteOf(next) === minute) return true;
  const times = timesOf(row.cron);
  if (times === null) return false;
  const possible = minutesAheadOf(row, times, next, now);
  return possible.length > 0 && possible.every((ahead) => times.at(inDay(minute + ahead)));
}

/**
 * The schedules that run at this time of the day in UTC (`9:00`), and whose email, cron expression or ids
 * contain a text, without regard to case. An empty criterion takes all. Those whose next run is at that time
 * come first, then those that run next; those that do not run again, last. A zone that the expression of a
 * paused one names counts as it is `now`.
 */
export function found(all: readonly ScheduleRow[], at: string, find: string, now: Date): ScheduleRow[] {
  const [, hours, minutes] = TIME.exec(at.trim()) ?? [];
  const minute = hours === undefined ? null : Number(hours) * 60 + Number(minutes);
  const text = find.trim().toLowerCase();
  const fits = (row: ScheduleRow) =>
    (minute === null || runsAt(row, minute, now)) &&
    [row.user_email ?? "", row.cron ?? "", row.schedule_id, row.task_id].some((field) => field.toLowerCase().includes(text));
  const rank = (row: ScheduleRow) => {
    const run = nextRun(row);
    return run !== null && minuteOf(run) === minute ? 0 : 1;
  };
  const next = (row: ScheduleRow) => `${rank(row)} ${row.next_run_time ?? "~"}`;
  return all.filter(fits).sort((a, b) => (next(a) < next(b) ? -1 : next(a) > next(b) ? 1 : 0));
}
