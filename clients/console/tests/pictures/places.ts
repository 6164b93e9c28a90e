/** What is photographed. Charts and details are made up, so that every API has them. */
import type { Page } from "playwright-core";
import { ADMIN, answer, answerHostile, answerSeries, auditRecord, deactivatedBy, errorRow, execution, EXECUTION, series, task, TASK, user, USER } from "../browser/answers";
import { type Browser, settled } from "../browser/browser";

export const PLACES = {
  overview: "#/",
  executions: "#/executions?hours=168",
  execution: `#/executions?hours=168&open=${EXECUTION}`,
  errors: "#/errors?hours=168",
  tasks: `#/tasks?open=${TASK}`,
  queries: "#/queries",
  schedules: "#/schedules",
  workflows: "#/workflows",
  users: "#/users",
  user: `#/users?open=${USER}`,
  audit: "#/audit?hours=168",
  health: "#/health",
} as const;

/** What is not every day: nothing to show, texts that nobody expects, an API that does not answer. */
export const STATES = {
  empty: "#/schedules?find=nobody",
  loading: "#/executions",
  away: "#/queries",
  "hostile-errors": `#/errors?open=${EXECUTION}`,
  "hostile-users": `#/users?open=${USER}`,
  "sign-in": "#/",
  palette: "#/",
  deactivate: `#/users?open=${USER}`,
  unsure: `#/users?open=${USER}`,
  platform: `#/users?open=${USER}`,
  late: "#/health",
  schedule: `#/schedules?at=09:00&open=task-${TASK}`,
  reading: "#/schedules?limit=25",
  record: `#/audit?open=${auditRecord().id}`,
  settings: "#/",
} as const;

/** Opens one of {@link STATES}. */
export async function openState(browser: Browser, name: keyof typeof STATES): Promise<Page> {
  const page = await browser.context.newPage();
  if (name.startsWith("hostile")) await answerHostile(page);
  else await answerSeries(page);
  if (name === "loading") await page.route("**/admin/executions?*", () => undefined);
  if (name === "away") await answer(page, "admin/queries?*", { detail: "Service temporarily unavailable" }, 503, { "retry-after": "60" });
  if (!name.startsWith("hostile")) {
    await answer(page, `admin/users/${ADMIN}`, user({ id: ADMIN, email: "boss@example.com" }));
    await answer(page, `admin/tasks/${TASK}`, task());
  }
  if (name === "deactivate" || name === "record") await answer(page, `admin/users/${USER}`, user());
  const deactivation = { at: new Date(Date.now() - 3_600_000).toISOString(), by: ADMIN, tasks_paused: 5, commands_pending: 0 };
  const late = user({ state: "deactivated", active_tasks_count: 2, deactivation });
  if (name === "unsure" || name === "late") await answer(page, `admin/users/${USER}`, late);
  if (name === "platform") await answer(page, `admin/users/${USER}`, { ...late, history: [deactivatedBy("/torale/backend")] });
  if (name === "late" || name === "record") {
    await page.route("**/admin/audit?*", (route) => {
      const isOne = new URL(route.request().url()).searchParams.get("action") === "users.deactivate";
      return route.fulfill({ json: { records: isOne ? [auditRecord()] : [], total: isOne ? 1 : 0, page: 1, limit: 100 } });
    });
  }
  if (name === "schedule") await answer(page, "admin/temporal/schedules*", { schedules: task().schedules, total: 1 });
  if (name === "settings") await answer(page, "admin/console/settings.json", {}, 503);
  if (name === "reading") await page.route(/schedules\?include_timezone=true$/, () => undefined);
  await browser.open(STATES[name], { page, signedIn: name !== "sign-in" && name !== "settings" });
  if (name === "reading") await page.getByLabel("Runs at (UTC)").fill("09:00");
  if (["loading", "away", "settings", "reading"].includes(name)) await page.locator(".loading, .notice").first().waitFor();
  else await settled(page);
  if (name === "palette") await page.keyboard.press("Control+k");
  if (name === "deactivate") await page.getByRole("button", { name: "Deactivate…" }).click();
  if (name === "palette" || name === "deactivate") await page.getByRole("dialog").waitFor();
  return page;
}

/** The overview's figures, as the chart of the same 24 hours has them. */
async function answerOverview(page: Page): Promise<void> {
  const { points } = series("hour", 24);
  const sum = (of: (point: (typeof points)[number]) => number): number => points.reduce((sum, point) => sum + of(point), 0);
  const [total_24h, failed_24h] = [sum(({ count }) => count), sum(({ failed }) => failed ?? 0)];
  const lastHour = points.slice(-1).reduce((sum, { failed }) => sum + (failed ?? 0), 0);
  await answer(page, "admin/stats", {
    users: { total: 412, active_30d: 268, new_7d: 9 },
    tasks: { total: 950, active: 821, paused: 129 },
    executions: {
      total_24h,
      success_24h: total_24h - failed_24h,
      failed_24h,
      avg_duration_ms: Math.round(sum((point) => point.count * (point.avg_duration_ms ?? 0)) / total_24h),
    },
    notifications: { sent_24h: 96, sent_7d: 655 },
    popular_queries: [
      { query: "When is the next iPhone release?", count: 14 },
      { query: "Concert tickets in Berlin", count: 9 },
      { query: "New railway timetable", count: 5 },
    ],
  });
  // A day has as many as some twenty hours.
  const { points: days, ...month } = series("day", 720);
  const daily = days.map((point) => ({ ...point, count: point.count * 22, failed: (point.failed ?? 0) * 22 }));
  await answer(page, "admin/stats/series?*bucket=day*", { ...month, points: daily });
  const timeouts = Math.floor(failed_24h / 4);
  const types = { RateLimitError: failed_24h - timeouts, TimeoutError: timeouts };
  await page.route("**/admin/errors?*", (route) => {
    const isLastHour = new URL(route.request().url()).searchParams.get("hours") === "1";
    const found = { errors: [errorRow({ occurred_at: new Date(Date.now() - 3_000_000).toISOString() })], total: failed_24h, error_types: types };
    return route.fulfill({ json: isLastHour ? { errors: [], total: lastHour, error_types: {} } : found });
  });
  await answer(page, "admin/executions?*", { executions: [], total: lastHour, page: 1, limit: 1 });
}

export async function open(browser: Browser, fragment: string): Promise<Page> {
  const page = await browser.context.newPage();
  await answerSeries(page);
  if (fragment === PLACES.overview) await answerOverview(page);
  await answer(page, "admin/tasks?*", { tasks: [task()], total: 1, page: 1, limit: 50 });
  await answer(page, `admin/tasks/${TASK}`, task());
  await answer(page, `admin/executions/${EXECUTION}`, execution());
  await answer(page, `admin/users/${USER}`, user());
  await browser.open(fragment, { page });
  await settled(page);
  // The verdict is whole once the health is known, which is read last.
  if (fragment === PLACES.overview) await page.getByText("Nothing waits longer than it should.").waitFor();
  return page;
}
