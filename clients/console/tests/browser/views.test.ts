/** Every view: its data, its filters, pages, details; in both themes, without a fault of axe. */
import type { Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { ExecutionsPage, UsersPage, WorkflowsPage } from "../../src/api/types";
import { ADMIN, answer, answerSeries, errorRow, execution, EXECUTION, task, TASK, user, USER } from "./answers";
import { api, Browser, settled, violations, withClock } from "./browser";
import { answerAdditions, blank, VIEWS } from "./every-view";

describe.each(["light", "dark"] as const)("in the %s theme", (theme) => {
  let browser: Browser;
  beforeAll(async () => {
    browser = await Browser.start({ theme });
  });
  afterAll(() => browser.stop());

  test.each(VIEWS)("%s shows its data, and axe finds nothing", async (title, fragment) => {
    const page = await blank(browser);
    await answerAdditions(page);
    await browser.open(fragment, { page });
    await settled(page);

    expect(await page.getByRole("heading", { level: 1 }).textContent()).toBe(title);
    expect(await page.title()).toBe(`${title} · Torale admin`);
    expect(await violations(page)).toEqual([]);
    expect(browser.faults).toEqual([]);
    await page.close();
  });

  test.each([
    ["Execution", `#/executions?open=${EXECUTION}`],
    ["Execution", `#/errors?open=${EXECUTION}`],
    ["Task", `#/tasks?open=${TASK}`],
    ["User", `#/users?open=${USER}`],
  ])("the detail of %s at %s has its history, and axe finds nothing", async (kind, fragment) => {
    const page = await blank(browser);
    await answerAdditions(page);
    await browser.open(fragment, { page });
    await settled(page);

    const panel = page.getByRole("complementary");
    await panel.getByText("History").waitFor();
    expect(await panel.locator(".kind").textContent()).toBe(kind);
    expect(await violations(page)).toEqual([]);
    expect(browser.faults).toEqual([]);
    await page.close();
  });

  test("the sign-in has no fault of axe", async () => {
    const page = await blank(browser);
    await browser.open("#/", { signedIn: false, page });
    await page.getByRole("heading", { name: "Sign in" }).waitFor();

    expect(await violations(page)).toEqual([]);
    await page.close();
  });

  test("the palette and the dialog of a deactivation have no fault of axe", async () => {
    const page = await blank(browser);
    await answerAdditions(page);
    await browser.open(`#/users?open=${USER}`, { page });
    await settled(page);
    await page.keyboard.press("Control+k");
    await page.getByRole("combobox", { name: /A page/ }).waitFor();
    expect(await violations(page)).toEqual([]);
    await page.keyboard.press("Escape");
    await page.getByRole("button", { name: "Deactivate…" }).click();
    await page.getByRole("dialog").waitFor();
    expect(await violations(page)).toEqual([]);
    await page.close();
  });
});

test.each([1280, 1241, 1081, 800])("at %i pixels no list has a column that is cut, nor has a detail next to it", async (width) => {
  const browser = await Browser.start({ width, height: 800 });
  const page = await blank(browser);
  for (const view of ["executions?hours=720", "errors?hours=720", "workflows", "tasks", "queries", "schedules?at=09:00", "users", "audit?action=all"]) {
    await browser.open(`#/${view}`, { page });
    await settled(page);
    const open = async (isOpen: boolean) => {
      const cut = await page.evaluate(() => {
        const frame = document.querySelector(".table-frame");
        const cells = [...document.querySelectorAll("th, td")].filter((cell) => cell.scrollWidth > cell.clientWidth + 1);
        return [frame === null ? -1 : frame.scrollWidth - frame.clientWidth, ...cells.map((cell) => cell.textContent)];
      });
      expect([view, isOpen, ...cut]).toEqual([view, isOpen, 0]);
    };
    await open(false);
    if (width <= 1240) continue;
    await page.locator("tbody tr a.row-link").first().click();
    await page.getByRole("complementary").waitFor();
    await open(true);
  }
  await browser.stop();
});

test.each(["light", "dark"] as const)("in the %s theme, a box that cannot be ticked looks so, and all of a row that is not of the bar is dimmed", async (theme) => {
  const browser = await Browser.start({ theme });
  const page = await blank(browser);
  await answer(page, "admin/users?*", { users: [user(), user({ id: ADMIN, email: "bob@example.com", state: "deactivated" })], total: 2, page: 1, limit: 50 });
  await browser.open("#/users", { page });
  await settled(page);
  const opacity = (name: string) => page.getByRole("checkbox", { name }).evaluate((box) => Number(getComputedStyle(box).opacity));
  expect([await opacity("Select ann@example.com"), await opacity("Select bob@example.com")]).toEqual([1, 0.35]);

  const rows = [execution({ started_at: "2026-11-28T09:00:00Z" }), execution({ id: TASK, started_at: "2026-11-28T07:00:00Z" })];
  await answer(page, "admin/executions?*", { executions: rows, total: 2, page: 1, limit: 50 });
  await browser.open("#/executions?from=2026-11-28T09:00:00Z&to=2026-11-28T10:00:00Z", { page });
  await settled(page);
  const dimmed = (row: number) => page.locator("tbody tr").nth(row).locator("td").evaluateAll((cells) => cells.map((cell) => Number(getComputedStyle(cell).opacity) < 1));
  expect([new Set(await dimmed(0)), new Set(await dimmed(1))]).toEqual([new Set([false]), new Set([true])]);
  await browser.stop();
});

describe("lists", () => {
  let browser: Browser;
  let page: Page;
  beforeAll(async () => {
    browser = await Browser.start();
    page = await browser.open("#/executions?hours=720&limit=25");
    await settled(page);
  });
  afterAll(() => browser.stop());

  const rows = () => page.locator("tbody tr");

  test("a page, a size and a jump are in the URL, and the back button undoes them", async () => {
    const total = (await api<ExecutionsPage>("admin/executions?hours=720&limit=1")).total.toLocaleString("en-GB");
    await page.getByText(`1–25 of ${total}`).waitFor();
    await page.getByRole("link", { name: "Next page" }).click();
    await page.getByText(`26–50 of ${total}`).waitFor();
    expect(page.url()).toContain("page=2");

    await page.getByLabel("Page", { exact: true }).fill("4");
    await page.getByLabel("Page", { exact: true }).press("Enter");
    await page.getByText(`76–100 of ${total}`).waitFor();
    const wanted = await api<ExecutionsPage>("admin/executions?hours=720&limit=25&page=4");
    await page.waitForFunction(() => document.querySelector("[aria-busy=true]") === null);
    const first = rows().first().getByRole("link").first();
    expect(await first.getAttribute("href")).toContain(wanted.executions[0]?.id ?? "none");

    await page.getByLabel("Rows").selectOption("100");
    await page.getByText(`1–100 of ${total}`).waitFor();
    expect(page.url()).toMatch(/limit=100/);
    expect(page.url()).not.toContain("page=");

    await page.goBack();
    await page.getByText(`76–100 of ${total}`).waitFor();
    await page.goBack();
    await page.getByText(`26–50 of ${total}`).waitFor();
  });

  test("a filter is in the URL and begins at page 1; a deep link applies it", async () => {
    await page.getByLabel("Status").selectOption("failed");
    await page.waitForURL(/status=failed/);
    expect(page.url()).not.toContain("page=");
    const { total } = await api<ExecutionsPage>("admin/executions?hours=720&status=failed&limit=1");
    await page.getByText(new RegExp(`of ${total}$`)).waitFor();
    await expect.poll(async () => new Set(await page.locator("tbody .status").allTextContents())).toEqual(new Set(["failed"]));

    const other = await browser.open(new URL(page.url()).hash);
    await settled(other);
    expect(await other.getByLabel("Status").inputValue()).toBe("failed");
    await other.close();
  });

  test("a row opens its detail next to the list, and Escape closes it and gives the focus back", async () => {
    await page.goto(`${new URL(page.url()).origin}/admin#/executions?hours=720&limit=25`);
    await settled(page);
    await rows().nth(2).click();
    const panel = page.getByRole("complementary");
    await panel.waitFor();
    await expect.poll(() => rows().nth(2).getAttribute("class")).toContain("open");
    await expect.poll(() => page.evaluate(() => document.activeElement?.closest(".panel") !== null)).toBe(true);

    await page.keyboard.press("Escape");
    await panel.waitFor({ state: "detached" });
    await page.waitForURL((url) => !url.hash.includes("open="));

    await page.goBack();
    await panel.waitFor();
    await page.goForward();
    await panel.waitFor({ state: "detached" });
  });

  test("the arrow keys go from row to row, and Enter opens one", async () => {
    await rows().first().getByRole("link").first().focus();
    await page.keyboard.press("ArrowDown");
    await page.keyboard.press("ArrowDown");
    await page.keyboard.press("Enter");
    await page.getByRole("complementary").waitFor();

    await expect.poll(() => rows().nth(2).getAttribute("class")).toContain("open");
    await page.keyboard.press("Escape");
  });

  test("times are in the viewer's zone, with UTC on hover", async () => {
    const { executions } = await api<ExecutionsPage>("admin/executions?hours=720&limit=1");
    const started = new Date(executions[0]?.started_at ?? "");
    const time = rows().first().locator("time");

    expect(await time.getAttribute("datetime")).toBe(started.toISOString());
    expect(await time.getAttribute("title")).toContain("UTC");
    const berlin = started.toLocaleTimeString("en-GB", { timeZone: "Europe/Berlin" });
    expect(await time.textContent()).toContain(berlin);
  });

  test("an id is copied", async () => {
    await rows().first().click();
    await page.getByRole("button", { name: "Copy the execution's id" }).click();
    await page.getByText("Copied").first().waitFor({ state: "attached" });
    const { executions } = await api<ExecutionsPage>("admin/executions?hours=720&limit=1");

    expect(await page.evaluate(() => navigator.clipboard.readText())).toBe(executions[0]?.id);
    await page.keyboard.press("Escape");
  });

  test("a run's link leads to its page in Temporal, in a tab that knows nothing of this one", async () => {
    await page.goto(`${new URL(page.url()).origin}/admin#/workflows`);
    await settled(page);
    const { workflows } = await api<WorkflowsPage>("admin/temporal/workflows?limit=1");
    const link = page.locator("tbody").getByRole("link", { name: /Open/ }).first();

    expect(await link.getAttribute("href")).toBe(workflows[0]?.temporal_ui_url);
    expect([await link.getAttribute("target"), await link.getAttribute("rel")]).toEqual(["_blank", "noopener noreferrer"]);
  });

  test("an execution's detail leads to the runs of its schedule in Temporal", async () => {
    const own = await blank(browser);
    await answerAdditions(own);
    await answer(own, "admin/errors?*", { errors: [errorRow()], total: 1, error_types: { RateLimitError: 1 } });
    for (const view of ["executions", "errors"]) {
      await browser.open(`#/${view}?open=${EXECUTION}`, { page: own });
      const link = own.getByRole("complementary").getByRole("link", { name: "Runs of its schedule" });
      expect(await link.getAttribute("href")).toBe(task().schedules[0]?.temporal_ui_url);
    }
    await own.close();
  });

  test("a task's schedule says by which clock it goes, or leads to where its zone is", async () => {
    const own = await blank(browser);
    const [schedule] = task().schedules;
    const { timezone: _, ...without } = schedule!;
    const schedules = [
      { ...without, schedule_id: "unsaid" },
      { ...without, schedule_id: "named", cron: "CRON_TZ=Asia/Tokyo 0 9 * * *" },
      { ...without, schedule_id: "interval", cron: "@every 90m" },
    ];
    await answer(own, `admin/tasks/${TASK}`, task({ schedules }));
    await answer(own, "admin/temporal/schedules*", { schedules: [{ ...schedule, schedule_id: "unsaid" }], total: 1 });
    await browser.open(`#/tasks?open=${TASK}`, { page: own });
    await settled(own);
    expect(await own.locator(".schedule-zone").allTextContents()).toEqual(["by the clock of the schedule's zone: see which", "by the clock of Asia/Tokyo", "an interval: it goes by no clock"]);
    await own.getByRole("link", { name: "see which" }).click();
    await own.getByRole("complementary").locator(".fact", { hasText: "Zone" }).getByText("Europe/Berlin").waitFor();
    await own.close();
  });

  test("a parameter that the API refuses is explained, and can be removed", async () => {
    await page.goto(`${new URL(page.url()).origin}/admin#/executions?status=lost`);
    await page.getByRole("alert").getByText(/refuses these parameters: status/).waitFor();
    await page.getByRole("link", { name: "Remove all filters" }).click();
    await settled(page);
    expect(await rows().count()).toBeGreaterThan(0);
  });

  test("a page past the end says so, and leads back", async () => {
    await page.goto(`${new URL(page.url()).origin}/admin#/users?page=999`);
    await page.getByText("This page is past the end of the list.").waitFor();
    await page.getByRole("link", { name: "First page" }).click();
    await settled(page);
    expect(await rows().count()).toBeGreaterThan(0);
  });

  test("schedules are found by the UTC time at which they run, with the names of their tasks", async () => {
    await page.goto(`${new URL(page.url()).origin}/admin#/schedules`);
    await settled(page);
    const time = (await rows().first().locator("time").getAttribute("title"))?.slice(11, 16) ?? "";
    await page.getByLabel("Runs at (UTC)").fill(time);
    await page.waitForURL(/at=/);
    await settled(page);

    expect(await rows().first().locator("time").getAttribute("title")).toContain(time);
    const task = rows().first().locator("td").nth(1);
    await expect.poll(() => task.locator("code").count()).toBe(0);
    const name = (await task.textContent()) ?? "";
    await rows().first().click();
    await page.locator(".panel").getByRole("link", { name }).click();
    await page.waitForURL(/#\/tasks\?open=/);
  });

  test("failures are counted by user, most first", async () => {
    await page.goto(`${new URL(page.url()).origin}/admin#/errors?hours=720`);
    await settled(page);
    await page.getByRole("navigation", { name: "Counted by" }).getByRole("link", { name: "User" }).click();
    await page.waitForURL(/by=user_email/);
    await settled(page);
    const first = page.locator(".breakdown li").first();
    const email = await first.getByRole("link").textContent();
    await first.getByRole("link").click();
    await page.waitForURL(/#\/users.*open=[0-9a-f]{8}-/);

    expect(new URLSearchParams(new URL(page.url()).hash.split("?")[1]).get("q")).toBe(email);
    await settled(page);
    expect(browser.faults).toEqual([]);
  });

  test("a bar of the chart leads to the page of its rows", async () => {
    const other = await blank(browser);
    await answerSeries(other);
    await browser.open("#/", { page: other });
    await settled(other);
    const bar = other.getByRole("group", { name: /by hour/ }).locator("a.bar").nth(20);
    await bar.focus();
    await other.keyboard.press("ArrowLeft");
    await other.keyboard.press("Enter");
    await other.waitForURL(/#\/executions.*from=/);
    await other.getByText(/^Marked:/).waitFor();
    await other.getByRole("link", { name: "Unmark" }).click();
    await other.waitForURL((url) => !url.hash.includes("from="));

    await other.goBack();
    await other.goBack();
    await settled(other);
    await other.getByRole("group", { name: /by hour/ }).locator("a.bar").nth(21).focus();
    await other.keyboard.press("ArrowDown");
    await other.keyboard.press("Enter");
    await other.waitForURL(/#\/executions\?status=failed.*from=/);

    // Those of that hour, and what they have in common, are picked from the newest failures.
    const from = new Date(new URLSearchParams(new URL(other.url()).hash.split("?")[1]).get("from") ?? "").getTime();
    const at = (minutes: number) => new Date(from + minutes * 60_000).toISOString();
    const all = [errorRow({ execution_id: TASK, occurred_at: at(61), error_type: "Later" }), errorRow({ occurred_at: at(1) })];
    await answer(other, "admin/errors?*", { errors: all, total: 2, error_types: { Later: 1, RateLimitError: 1 } });
    await other.getByRole("link", { name: "Why did they fail?" }).click();
    await other.getByText(/^Failed from/).waitFor();
    await expect.poll(() => other.locator(".breakdown li").allTextContents()).toEqual(["RateLimitError1 100 %"]);
    expect(await other.locator("tbody tr").count()).toBe(1);
    await other.getByRole("link", { name: "All of the window" }).click();
    await expect.poll(() => other.locator("tbody tr").count()).toBe(2);
    await other.close();
  });

  test("a bar shows its time, executions, failures and mean duration while the pointer is on it", async () => {
    const other = await blank(browser);
    await answerSeries(other);
    await browser.open("#/", { page: other });
    await settled(other);
    const chart = other.getByRole("group", { name: /by hour/ });
    const box = await chart.boundingBox();
    if (box === null) throw new Error("the chart has no place");
    await other.mouse.move(box.x + box.width / 2, box.y + 60);

    await expect.poll(() => other.locator(".chart-tip").textContent()).toMatch(/\d\d:00 to \d\d:00\d+ executions?\d+ failed \(.* %\).* on average/);
    await other.mouse.move(box.x, box.y - 100);
    await other.locator(".chart-tip").waitFor({ state: "detached" });
    await other.close();
  });

  test("a chart is zoomed into finer bars and out again", async () => {
    const other = await blank(browser);
    await answerSeries(other);
    await browser.open("#/", { page: other });
    await settled(other);
    const chart = other.getByRole("group", { name: /by hour/ });
    const before = await chart.locator("a.bar").count();
    await chart.locator("a.bar").nth(12).focus();
    await other.keyboard.press("+");
    await other.getByRole("button", { name: "Zoom out" }).waitFor();
    await other.waitForFunction(() => document.querySelector(".chart a.bar")?.getAttribute("aria-label")?.match(/^\d\d:\d[05] to \d\d:\d[05]/));
    await expect.poll(() => chart.locator("a.bar").count()).toBe(60);
    await other.getByRole("button", { name: "Zoom out" }).click();
    const box = await chart.boundingBox();
    if (box === null) throw new Error("the chart has no place");
    await other.mouse.move(box.x + box.width * 0.3, box.y + 60);
    await other.mouse.down();
    await other.mouse.move(box.x + box.width * 0.6, box.y + 60, { steps: 4 });
    await other.mouse.up();
    await other.getByRole("button", { name: "Zoom out" }).waitFor();
    expect(new URL(other.url()).hash).toBe("#/");
    await other.getByRole("button", { name: "Zoom out" }).click();
    await other.waitForFunction((count) => document.querySelectorAll(".chart-card:first-child a.bar").length === count, before);
    await other.close();
  });

  test("a bar in which something runs while its figures are read has no mean", async () => {
    const other = await blank(browser);
    await answerSeries(other);
    const read: string[] = [];
    let minute = 0;
    await other.route(/stats\/series\?.*bucket=minute/, (route) => {
      read.push("figures");
      minute = new Date().getUTCMinutes();
      return route.fallback();
    });
    // It runs at the second look only, in the last bar: the figures may have been read with it.
    await other.route("**/admin/executions?status=running*", (route) => {
      read.push("running");
      const executions = read.length > 1 ? [execution({ status: "running", started_at: new Date().toISOString(), completed_at: null, duration_ms: null })] : [];
      return route.fulfill({ json: { executions, total: executions.length, page: 1, limit: 100 } });
    });
    await browser.open("#/", { page: other });
    await settled(other);
    const chart = other.getByRole("group", { name: /by hour/ });
    await chart.locator("a.bar").last().focus();
    await other.keyboard.press("+");
    await other.waitForFunction(() => document.querySelector(".chart a.bar")?.getAttribute("aria-label")?.match(/^\d\d:\d[05] to \d\d:\d[05]/));
    expect(read).toEqual(["running", "figures", "running"]);
    const names = await chart.locator("a.bar").evaluateAll((all) => all.map((bar) => bar.getAttribute("aria-label") ?? ""));
    expect(names.at(-2)).toContain("on average");
    // Of a bar that covers one minute so far, the mean is the API's own.
    expect(names.at(-1)).toContain(minute % 5 === 0 ? "on average" : "average not known");
    await other.close();
  });

  test("a chart is zoomed into five minutes also if it can't be read what runs, and then has no means", async () => {
    const other = await blank(browser);
    await answerSeries(other);
    await answer(other, "admin/executions?status=running*", { detail: "Service unavailable" }, 503);
    await browser.open("#/", { page: other });
    await settled(other);
    const chart = other.getByRole("group", { name: /by hour/ });
    await chart.locator("a.bar").nth(12).focus();
    await other.keyboard.press("+");
    await other.waitForFunction(() => document.querySelector(".chart a.bar")?.getAttribute("aria-label")?.match(/^\d\d:\d[05] to \d\d:\d[05]/));
    const names = await chart.locator("a.bar").evaluateAll((all) => all.map((bar) => bar.getAttribute("aria-label") ?? ""));
    expect(names.length).toBeGreaterThanOrEqual(12);
    for (const name of names) expect(name).toContain("average not known");
    await other.close();
  });

  test("the bars of a chart lead to windows by the API's clock, whatever the reader's", () =>
    withClock(async (own, other) => {
      await other.clock.setSystemTime(Date.now() - 5 * 3_600_000);
      await answerSeries(other);
      await own.open("#/", { page: other });
      await settled(other);
      const link = await other.getByRole("group", { name: /by hour/ }).locator("a.bar").nth(12).getAttribute("href");
      const params = new URLSearchParams(link?.split("?")[1]);
      const since = Date.now() - Date.parse(params.get("from") ?? "");
      expect(Number(params.get("hours"))).toBeGreaterThanOrEqual(since / 3_600_000);

      const failures = other.waitForRequest((request) => request.url().includes("/admin/errors?"));
      await other.evaluate((link) => (location.hash = link), `#/errors?hours=1&from=${params.get("from")}&to=${params.get("to")}`);
      expect(Number(new URL((await failures).url()).searchParams.get("hours"))).toBeGreaterThanOrEqual(since / 3_600_000);

      // After a reload nothing is known of the API's clock, until its first answer.
      const hoursOf = (url: string) => Number(new URL(url).searchParams.get("hours"));
      const whole = other.waitForRequest((request) => request.url().includes("/admin/errors?") && hoursOf(request.url()) >= since / 3_600_000);
      await other.reload();
      await whole;
    }));

  test("a task does not show the last executions of the one that was open before", async () => {
    const other = await blank(browser);
    const second = `${TASK.slice(0, -1)}1`;
    await answer(other, "admin/tasks?*", { tasks: [task(), task({ id: second, name: "Second" })], total: 2, page: 1, limit: 50 });
    await answer(other, `admin/tasks/${TASK}`, task());
    await answer(other, `admin/tasks/${second}`, task({ id: second, name: "Second" }));
    await other.route("**/admin/executions?*", (route) => {
      const isFirst = new URL(route.request().url()).searchParams.get("task_id") === TASK;
      return isFirst ? route.fulfill({ json: { executions: [execution()], total: 1, page: 1, limit: 50 } }) : undefined;
    });
    // Its detail is known before, so that nothing waits between the two.
    await browser.open(`#/tasks?open=${second}`, { page: other });
    const panel = other.getByRole("complementary");
    await panel.getByText("History").waitFor();
    await other.locator("tbody tr").first().click();
    await panel.getByText("1 of the last 1 failed.", { exact: false }).waitFor();
    await other.locator("tbody tr").nth(1).click();
    await panel.getByRole("heading", { name: "Second" }).waitFor();
    await panel.getByText("Loading…").waitFor();
    expect(await panel.getByText("of the last 1 failed", { exact: false }).count()).toBe(0);
    await other.close();
  });

  test("of two filters of tasks it is said which one the API does not take", async () => {
    const other = await blank(browser);
    await answer(other, "admin/tasks?*", { tasks: [task()], total: 1, page: 1, limit: 50 });
    await browser.open(`#/tasks?user_id=${USER}&search_query=phone`, { page: other });
    await other.getByText("The query is not applied").waitFor();
    await browser.open(`#/tasks?user_id=${USER}&search_query=phone&state=paused`, { page: other });
    await other.getByText("Query and state are not applied").waitFor();
    await browser.open("#/tasks?search_query=phone&state=paused", { page: other });
    await other.getByText("The state is not applied").waitFor();
    await other.getByText("here by the query", { exact: false }).waitFor();
    await other.close();
  });

  test("the legend names every colour of the chart, and links name their window", async () => {
    const other = await blank(browser);
    await answerSeries(other);
    await answer(other, `admin/tasks/${TASK}`, task());
    // The links to failures are there if something failed.
    await answer(other, "admin/errors?*", { errors: [errorRow()], total: 1, error_types: { RateLimitError: 1 } });
    await browser.open("#/", { page: other });
    await settled(other);
    const legend = other.locator(".legend").first();
    expect(await legend.locator(".entry-of").allTextContents()).toEqual(["Success or running", "Failed", "Share of failures up to 5 %", "Above that, an alarm"]);
    for (const name of ["Users with most failures, 24 h", "Queries with most failures, 24 h"]) await other.getByRole("link", { name }).waitFor();

    await answer(other, "admin/executions?*", { executions: [execution({ status: "running", completed_at: null, duration_ms: null })], total: 1, page: 1, limit: 50 });
    await browser.open(`#/tasks?open=${TASK}`, { page: other });
    await settled(other);
    await expect.poll(() => other.getByRole("complementary").locator(".entry-of").allTextContents()).toEqual(["Success", "Failed", "Still running"]);
    await other.close();
  });

  test("an API without tasks or figures over time is explained in words", async () => {
    const other = await blank(browser);
    await answer(other, "admin/tasks?*", { detail: "Not Found" }, 404);
    await answer(other, "admin/stats/series?*", { detail: "Not Found" }, 404);
    await browser.open("#/tasks", { page: other });
    await other.getByText("This API has no list of tasks yet.").waitFor();
    await other.getByRole("link", { name: "Overview" }).click();
    await other.getByText(/no figures over time yet/).waitFor();
    expect(await other.getByRole("group", { name: /by hour/ }).count()).toBe(0);
    await other.close();
  });

  test("errors of a type are filtered, and the filter can be removed", async () => {
    const other = await blank(browser);
    const all = [errorRow(), errorRow({ execution_id: TASK, error_type: "TimeoutError", user_email: "bob@example.com" })];
    await other.route("**/admin/errors?*", (route) => {
      const type = new URL(route.request().url()).searchParams.get("error_type");
      const errors = all.filter((row) => type === null || row.error_type === type);
      return route.fulfill({ json: { errors, total: errors.length, error_types: { RateLimitError: 1, TimeoutError: 1 } } });
    });
    await browser.open("#/errors", { page: other });
    const parts = other.locator(".breakdown li");
    await expect.poll(() => parts.allTextContents()).toEqual(["RateLimitError1 50 %", "TimeoutError1 50 %"]);
    await parts.last().getByRole("link").click();
    await other.waitForURL(/error_type=TimeoutError/);
    await expect.poll(() => other.locator("tbody tr").count()).toBe(1);
    // Those of one type are counted by user, from that type alone.
    await expect.poll(() => parts.allTextContents()).toEqual(["bob@example.com1 100 %"]);
    expect(await other.getByRole("navigation", { name: "Counted by" }).getByRole("link").allTextContents()).toEqual(["User", "Query", "Message"]);

    await other.getByRole("button", { name: "Remove this filter" }).click();
    await other.waitForURL((url) => !url.hash.includes("error_type"));
    await expect.poll(() => other.locator("tbody tr").count()).toBe(2);
    await other.close();
  });
});

test.each([
  [true, 0],
  [false, 1],
])("with reduced motion %s, animations run while a list loads: %i", async (reducedMotion, least) => {
  const browser = await Browser.start({ reducedMotion });
  const page = await blank(browser);
  await page.route("**/admin/queries?*", () => undefined);
  await browser.open("#/queries", { page });
  await page.locator(".loading").waitFor({ state: "attached" });
  const animations = () => page.evaluate(() => document.getAnimations().length);

  await expect.poll(async () => ((await animations()) > 0 ? 1 : 0)).toBe(least);
  await browser.stop();
});

test("the stack has users to look at", async () => {
  expect((await api<UsersPage>("admin/users?limit=1")).total).toBeGreaterThan(10);
});
