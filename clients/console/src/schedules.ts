/** Finding schedules among all that there are. */
import type { ScheduleRow } from "./api/types";

const TIME = /^([01]?[0-9]|2[0-3]):([0-5][0-9])$/;

/** What is wrong with a time of the day, or null. */
export const timeFault = (text: string): string | null => (TIME.test(text.trim()) ? null : "A time such as 09:00.");

/** A field of a cron expression, or a part of a list in one: `*`, `9` or `9-17`, each with a step or without. */
const FIELD = /^(?:\*|(\d{1,2})(?:-(\d{1,2}))?)(?:\/(\d{1,2}))?$/;

/** Whether a field of a cron expression, of values up to `most`, has a value; null if it has another form. */
function hasValue(field: string, most: number, value: number): boolean | null {
  let has = false;
  for (const part of field.split(",")) {
    const match = FIELD.exec(part);
    if (match === null) return null;
    const [, from, to, step] = match;
    const first = Number(from ?? 0);
    const last = Number(to ?? (from === undefined || step !== undefined ? most : first));
    const by = Number(step ?? 1);
    if (by === 0 || first > last || last > most) return null;
    has ||= value >= first && value <= last && (value - first) % by === 0;
  }
  return has;
}

/**
 * Whether a cron expression of five fields, taken as UTC, fires at a time of some day. Null if it has another
 * form, such as a zone or a name (`@daily`).
 */
function firesAt(cron: string | null, hour: number, minute: number): boolean | null {
  const fields = (cron ?? "").replace(/#.*/, "").trim().split(/\s+/);
  if (fields.length !== 5) return null;
  const [minutes, hours] = [hasValue(fields[0] ?? "", 59, minute), hasValue(fields[1] ?? "", 23, hour)];
  return minutes === null || hours === null ? null : minutes && hours;
}

/** Whether the next run is at a time of the day in UTC. */
function runsNextAt({ next_run_time }: ScheduleRow, hour: number, minute: number): boolean {
  const next = new Date(next_run_time ?? Number.NaN);
  return next.getUTCHours() === hour && next.getUTCMinutes() === minute;
}

/**
 * Whether a schedule runs at a time of the day in UTC. Its next run decides, and its cron expression if that has
 * more times: the API does not give its zone, so it is taken as UTC only if the next run is one of its times then.
 */
function runsAt(row: ScheduleRow, hour: number, minute: number): boolean {
  if (runsNextAt(row, hour, minute)) return true;
  const { cron, next_run_time } = row;
  const next = new Date(next_run_time ?? Number.NaN);
  // A schedule that is not paused and has no next run never fires again.
  const isUtc = Number.isNaN(next.getTime()) ? row.is_paused : firesAt(cron, next.getUTCHours(), next.getUTCMinutes()) === true;
  return isUtc && firesAt(cron, hour, minute) === true;
}

/**
 * The schedules that run at this time of the day in UTC (`9:00`), and whose email, cron expression or ids
 * contain a text, without regard to case. An empty criterion takes all. Those whose next run is at that time
 * come first, then those that run next; those that do not run again, last.
 */
export function found(all: readonly ScheduleRow[], at: string, find: string): ScheduleRow[] {
  const [, hour, minute] = TIME.exec(at.trim()) ?? [];
  const text = find.trim().toLowerCase();
  const fits = (row: ScheduleRow) =>
    (hour === undefined || runsAt(row, Number(hour), Number(minute))) &&
    [row.user_email ?? "", row.cron ?? "", row.schedule_id, row.task_id].some((field) => field.toLowerCase().includes(text));
  const isAt = (row: ScheduleRow) => hour !== undefined && runsNextAt(row, Number(hour), Number(minute));
  const next = (row: ScheduleRow) => `${isAt(row) ? 0 : 1} ${row.next_run_time ?? "~"}`;
  return all.filter(fits).sort((a, b) => (next(a) < next(b) ? -1 : next(a) > next(b) ? 1 : 0));
}
