/** Links from one view to another. */
import { href } from "./place";

export const taskLink = (id: string): string => href("tasks", { open: id });

/** A user's detail: by id where it is known, else by email, for which the list of users finds the id. */
export const userLink = (id: string | null | undefined, email: string | null): string =>
  href("users", { q: email ?? undefined, open: id || (email ?? undefined) });

/** The failures of a type in a window; 24 hours is the default and not in the URL. */
export const errorsLink = (filter: { error_type?: string; task_id?: string }, hours: number): string =>
  href("errors", { ...filter, hours: hours === 24 ? undefined : hours });

/** A task's executions of the last 30 days, with the detail of one of them. */
export const taskExecutionsLink = (id: string, open?: string): string => href("executions", { task_id: id, hours: 720, open });

/** A schedule in the list of schedules, which alone has its zone. */
export const scheduleLink = ({ schedule_id, is_paused }: { schedule_id: string; is_paused: boolean }): string =>
  href("schedules", { include_paused: is_paused ? "true" : undefined, find: schedule_id, open: schedule_id });
