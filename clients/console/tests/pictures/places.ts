/** What is photographed. Charts and details are made up, so that every API has them. */
import type { Page } from "playwright-core";
import { answer, answerSeries, execution, EXECUTION, task, TASK, user, USER } from "../browser/answers";
import { type Browser, settled } from "../browser/browser";

export const PLACES = {
  overview: "#/",
  executions: "#/executions?hours=168",
  execution: `#/executions?hours=168&open=${EXECUTION}`,
  errors: "#/errors?hours=168",
  tasks: `#/tasks?open=${TASK}`,
  queries: "#/queries",
  schedules: "#/schedules?at=12:00",
  workflows: "#/workflows",
  users: "#/users",
  user: `#/users?open=${USER}`,
  audit: "#/audit?hours=168",
} as const;

export async function open(browser: Browser, fragment: string): Promise<Page> {
  const page = await browser.context.newPage();
  await answerSeries(page);
  await answer(page, "admin/tasks?*", { tasks: [task()], total: 1, page: 1, limit: 50 });
  await answer(page, `admin/tasks/${TASK}`, task());
  await answer(page, `admin/executions/${EXECUTION}`, execution());
  await answer(page, `admin/users/${USER}`, user());
  await browser.open(fragment, { page });
  await settled(page);
  return page;
}
