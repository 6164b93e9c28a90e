/** Every filter: what one chooses is in the URL and in the request, and a deep link applies it. */
import { afterAll, beforeAll, expect, test } from "vitest";
import { answer, answerSeries, errorRow, task, TASK, USER } from "./answers";
import { Browser, settled } from "./browser";

let browser: Browser;
beforeAll(async () => {
  browser = await Browser.start();
});
afterAll(() => browser.stop());

/** Page, label of the filter, what is entered or chosen, and the parameter that is sent. */
const FILTERS = [
  ["executions", "Status", "running", "status", "running"],
  ["executions", "Window", "168", "hours", "168"],
  ["executions", "Task", TASK, "task_id", TASK],
  ["errors", "Window", "1", "hours", "1"],
  ["errors", "Task", TASK, "task_id", TASK],
  ["tasks", "State", "paused", "state", "paused"],
  ["tasks", "User", USER, "user_id", USER],
  ["schedules", "Paused", "true", "include_paused", "true"],
  ["users", "State", "true", "active_only", "true"],
  ["users", "Email begins with", "ann", "q", "ann"],
  ["audit", "Action", "users.reactivate", "action", "users.reactivate"],
  ["audit", "Window", "720", "hours", "720"],
  ["audit", "By", USER, "principal", USER],
] as const;

test.each(FILTERS)("on the page %s, %s set to %s is in the URL and is sent as %s", async (view, label, value, name, sent) => {
  const page = await browser.context.newPage();
  await answerSeries(page);
  await browser.open(`#/${view}?page=2`, { page });
  await settled(page);
  const wanted = (address: string) => new URL(address).pathname.startsWith("/admin/") && new URL(address).searchParams.get(name) === sent;
  const request = page.waitForRequest((request) => wanted(request.url()));
  const control = page.getByRole("group", { name: "Filters" }).getByLabel(label).first();
  if ((await control.evaluate((element) => element.tagName)) === "SELECT") await control.selectOption(value);
  else await control.fill(value);

  expect(new URL((await request).url()).searchParams.get("page") ?? "1").toBe("1");
  await page.waitForURL((url) => new URLSearchParams(url.hash.split("?")[1]).get(name) === sent);
  const { hash } = new URL(page.url());
  expect(new URLSearchParams(hash.split("?")[1]).has("page")).toBe(false);

  const linked = await browser.context.newPage();
  const again = linked.waitForRequest((request) => wanted(request.url()));
  await browser.open(hash, { page: linked });
  await again;
  await expect.poll(() => linked.getByRole("group", { name: "Filters" }).getByLabel(label).first().inputValue()).toBe(value);
  await linked.close();
  await page.close();
  expect(browser.faults).toEqual([]);
});

test("a search that finds nothing says so, and its filters can be removed", async () => {
  const page = await browser.open("#/schedules?find=nobody-has-this");
  await page.getByText("No schedule fits the search").waitFor();
  await page.getByRole("link", { name: "Remove all filters" }).click();
  await settled(page);

  expect(await page.locator("tbody tr").count()).toBeGreaterThan(0);
  expect(new URL(page.url()).hash).toBe("#/schedules");
  await page.close();
});

test("schedules found by a time are in the order of the runs at that time, which are shown with their zone", async () => {
  const page = await browser.context.newPage();
  const [row] = task().schedules;
  const schedules = [
    // Its next run is the first of all; the one at 09:00 UTC comes last.
    { ...row, schedule_id: "weekly", cron: "0 10,18 * * FRI", next_run_time: "2026-11-27T17:00:00Z" },
    { ...row, schedule_id: "daily", cron: "0 9 * * *", timezone: "UTC", next_run_time: "2026-11-28T09:00:00Z" },
  ];
  await page.route("**/admin/temporal/schedules*", (route) => route.fulfill({ json: { schedules, total: 2 } }));
  await browser.open("#/schedules?at=9:00", { page });
  await page.getByRole("columnheader", { name: "Next at 09:00 UTC" }).waitFor();
  const cells = await page.locator("tbody tr").evaluateAll((rows) =>
    rows.map((row) => [row.querySelector("time")?.getAttribute("datetime"), ...[...row.querySelectorAll("td")].slice(2, 4).map((cell) => cell.textContent)]),
  );
  expect(cells).toEqual([
    ["2026-11-28T09:00:00.000Z", "0 9 * * *", "UTC"],
    ["2026-12-04T09:00:00.000Z", "0 10,18 * * FRI", "Europe/Berlin"],
  ]);
  await page.locator("tbody tr").last().click();
  const zone = page.getByRole("complementary").locator(".fact", { hasText: "Zone" });
  expect(await zone.locator("dd").textContent()).toBe("Europe/Berlin");
  const run = page.getByRole("complementary").locator(".fact", { hasText: "At 09:00" });
  expect(await run.locator("time").getAttribute("datetime")).toBe("2026-12-04T09:00:00.000Z");
  await page.close();
});

test("at 800 pixels a cron expression such as */30 * * * * is shown whole", async () => {
  const page = await browser.context.newPage();
  await page.setViewportSize({ width: 800, height: 860 });
  await answer(page, "admin/temporal/schedules*", { schedules: [{ ...task().schedules[0], cron: "*/30 * * * *" }], total: 1 });
  for (const fragment of ["#/schedules", "#/schedules?at=09:30"]) {
    await browser.open(fragment, { page });
    await settled(page);
    const cron = page.locator("tbody code .line");
    expect(await cron.evaluate((text) => [text.textContent, text.scrollWidth <= text.clientWidth])).toEqual(["*/30 * * * *", true]);
  }
  await page.close();
});

test("while all schedules are read to search them, that is said and not that none fits", async () => {
  const page = await browser.context.newPage();
  const rows = [{ ...task().schedules[0], cron: "0 8 * * *", next_run_time: "2026-11-29T08:00:00Z" }];
  let release = () => {};
  const released = new Promise<void>((done) => (release = done));
  await page.route("**/admin/temporal/schedules*", async (route) => {
    const isPage = new URL(route.request().url()).searchParams.has("limit");
    if (!isPage) await released;
    await route.fulfill({ json: { schedules: rows, total: isPage ? 60 : 1 } });
  });
  await browser.open("#/schedules", { page });
  await settled(page);
  await page.getByLabel("Runs at (UTC)").fill("09:00");
  await page.getByRole("status").getByText("Reading all 60 schedules, to search them…").waitFor();
  expect(await page.getByText("No schedule fits").count()).toBe(0);

  const linked = await browser.context.newPage();
  await linked.route("**/admin/temporal/schedules*", () => undefined);
  await browser.open("#/schedules?at=09:00", { page: linked });
  await linked.getByRole("status").getByText("Reading all schedules, to search them…").waitFor();
  await linked.close();

  release();
  await page.getByText("No schedule fits the search").waitFor();
  await page.close();
});

test("while another list is read to search it, it is not said that none fits", async () => {
  const page = await browser.context.newPage();
  let release = () => {};
  const released = new Promise<void>((done) => (release = done));
  await page.route("**/admin/temporal/schedules*", async (route) => {
    const withPaused = new URL(route.request().url()).searchParams.has("include_paused");
    if (withPaused) await released;
    await route.fulfill({ json: { schedules: [], total: 0 } });
  });
  await browser.open("#/schedules?find=nobody-has-this", { page });
  await page.getByText("No schedule fits the search").waitFor();
  await page.getByLabel("Paused").selectOption("true");
  await page.getByRole("status").getByText("Reading all schedules, to search them…").waitFor();
  expect(await page.getByText("No schedule fits").count()).toBe(0);

  release();
  await page.getByText("No schedule fits the search").waitFor();
  await page.close();
});

test("taking away the type of failures leaves the other filters and the bar of a chart", async () => {
  const page = await browser.context.newPage();
  const at = Date.now() - 3_600_000;
  const [from, to] = [at - 60_000, at + 60_000].map((time) => new Date(time).toISOString());
  await answer(page, "admin/errors?*", { errors: [errorRow({ occurred_at: new Date(at).toISOString() })], total: 1, error_types: { RateLimitError: 1 } });
  await browser.open(`#/errors?hours=168&task_id=${TASK}&from=${from}&to=${to}&error_type=RateLimitError`, { page });
  await settled(page);
  await page.getByRole("button", { name: "Remove this filter" }).click();
  await page.waitForURL((url) => !url.hash.includes("error_type"));

  const params = new URLSearchParams(new URL(page.url()).hash.split("?")[1]);
  expect(Object.fromEntries(params)).toEqual({ hours: "168", task_id: TASK, from, to });
  await page.getByText(/^Failed from/).waitFor();
  await page.close();
});

test("two filters that are set one right after the other both hold", async () => {
  const page = await browser.open("#/users");
  await settled(page);
  // What is typed is applied a moment later, when the other filter is set already.
  await page.getByLabel("Email begins with").fill("ann");
  await page.getByLabel("State").selectOption("true");
  await page.waitForURL(/q=ann/);
  const params = new URLSearchParams(new URL(page.url()).hash.split("?")[1]);
  expect(Object.fromEntries(params)).toEqual({ q: "ann", active_only: "true" });
  await page.close();
});

test("an id that is none is explained, and nothing is sent", async () => {
  const page = await browser.open("#/executions");
  await settled(page);
  const sent: string[] = [];
  page.on("request", (request) => sent.push(request.url()));
  await page.getByLabel("Task", { exact: true }).fill("not-an-id");
  await page.getByText("A whole id, please (a UUID).").waitFor();

  expect(sent.filter((address) => address.includes("not-an-id"))).toEqual([]);
  expect(page.url()).not.toContain("not-an-id");
  await page.close();
});
