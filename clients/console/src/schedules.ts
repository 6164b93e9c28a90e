/** Finding schedules among all that there are. */
import type { ScheduleRow } from "./api/types";

const TIME = /^([01]?[0-9]|2[0-3]):([0-5][0-9])$/;

/** What is wrong with a time of the day, or null. */
export const timeFault = (text: string): string | null => (TIME.test(text.trim()) ? null : "A time such as 09:00.");

/**
 * The schedules whose next run is at this time of the day in UTC (`9:00`), and whose email, cron
 * expression or ids contain a text, without regard to case. An empty criterion takes all. Those that
 * run next come first; those that do not run again, last.
 */
export function found(all: readonly ScheduleRow[], at: string, find: string): ScheduleRow[] {
  const [, hour, minute] = TIME.exec(at.trim()) ?? [];
  const time = hour === undefined ? null : `T${hour.padStart(2, "0")}:${minute}:`;
  const text = find.trim().toLowerCase();
  const fits = (row: ScheduleRow) =>
    (time === null || row.next_run_time?.includes(time) === true) &&
    [row.user_email ?? "", row.cron ?? "", row.schedule_id, row.task_id].some((field) => field.toLowerCase().includes(text));
  const next = (row: ScheduleRow) => row.next_run_time ?? "~";
  return all.filter(fits).sort((a, b) => (next(a) < next(b) ? -1 : next(a) > next(b) ? 1 : 0));
}
