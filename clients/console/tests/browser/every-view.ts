/** Every view of the console, and answers for it. */
import type { Page } from "playwright-core";
import { ADMIN, answer, answerSeries, execution, EXECUTION, task, TASK, user, USER } from "./answers";
import type { Browser } from "./browser";

/** Views with what they are opened with. */
export const VIEWS = [
  ["Overview", "#/"],
  ["Executions", "#/executions?hours=720"],
  ["Errors", "#/errors?hours=720"],
  ["Workflows", "#/workflows"],
  ["Tasks", "#/tasks"],
  ["Queries", "#/queries"],
  ["Schedules", "#/schedules"],
  ["Users", "#/users"],
  ["Audit", "#/audit"],
  ["Health", "#/health"],
] as const;

/** What an API of a later version adds, so that the tests don't depend on which one runs. */
export async function answerAdditions(page: Page): Promise<void> {
  await answerSeries(page);
  await answer(page, `admin/tasks?*`, { tasks: [task(), task({ id: ADMIN, name: null, state: "paused", last_execution: null, next_run_time: null })], total: 2, page: 1, limit: 50 });
  await answer(page, `admin/tasks/${TASK}`, task());
  await answer(page, `admin/executions/${EXECUTION}`, execution());
  await answer(page, `admin/users/${USER}`, user());
}

/** A tab of its own, before it opens anything. */
export const blank = (browser: Browser): Promise<Page> => browser.context.newPage();
