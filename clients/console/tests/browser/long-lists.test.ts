/** Lists that are long, and lists whose names are read one by one: what is laid out, and that nothing moves. */
import type { Page, Route } from "playwright-core";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { ScheduleRow } from "../../src/api/types";
import { answer, task } from "./answers";
import { Browser, settled, violations } from "./browser";

let browser: Browser;
beforeAll(async () => {
  browser = await Browser.start();
});
afterAll(() => browser.stop());

/** Ids of tasks end in a number. */
const taskId = (number: number) => `550e8400-e29b-41d4-a716-${String(number).padStart(12, "0")}`;

const schedules = (number: number): ScheduleRow[] =>
  Array.from({ length: number }, (_, at) => ({
    ...task().schedules[0]!,
    schedule_id: `task-${at}`,
    task_id: taskId(at),
    user_email: `user-${at}@example.com`,
  }));

/** How many rows of the list are laid out; all of them are in the page. */
const laidOut = (page: Page) =>
  page.locator("tbody tr").evaluateAll((rows) => rows.filter((row) => row.firstElementChild?.checkVisibility({ contentVisibilityAuto: true })).length);

/** What a screen reader finds in the list: rows, with that of the heading, and links that have a text. */
async function accessible(page: Page): Promise<{ rows: number; links: number }> {
  const session = await page.context().newCDPSession(page);
  const { nodes } = await session.send("Accessibility.getFullAXTree");
  await session.detach();
  const found = nodes.filter((node) => !node.ignored);
  const links = found.filter((node) => node.role?.value === "link" && String(node.name?.value).includes(":00:00"));
  return { rows: found.filter((node) => node.role?.value === "row").length, links: links.length };
}

/** The list of schedules with so many rows. */
async function openList(browser: Browser, rows: number): Promise<Page> {
  const page = await browser.context.newPage();
  await answer(page, "admin/temporal/schedules*", { schedules: schedules(rows), total: rows });
  await answer(page, "admin/tasks/*", task());
  await browser.open("#/schedules?limit=1000", { page });
  await settled(page);
  return page;
}

test("of 1,000 rows those on the screen are laid out, and all can be found by the browser's search", async () => {
  const page = await openList(browser, 1000);
  expect(await page.locator("tbody tr").count()).toBe(1000);
  await expect.poll(() => laidOut(page)).toBeLessThan(100);
  expect(await laidOut(page)).toBeGreaterThan(10);

  await page.locator("tbody tr").nth(1).click();
  await page.getByRole("complementary").getByText("user-1@example.com").waitFor();
  expect(await laidOut(page)).toBeLessThan(100);
  await page.keyboard.press("Escape");

  expect(await page.evaluate(() => (window as unknown as { find(text: string): boolean }).find("user-987@example.com"))).toBe(true);
  await expect.poll(() => page.locator("tbody tr").nth(987).evaluate((row) => row.getBoundingClientRect().top)).toBeLessThan(860);
  expect(browser.faults).toEqual([]);
  await page.close();
});

test("a block that is not laid out takes up the height of as many rows as it has", async () => {
  const page = await openList(browser, 225);
  const reserved = await page.locator("tbody").evaluateAll((blocks) => blocks.map((block) => getComputedStyle(block).containIntrinsicBlockSize));
  expect(reserved).toEqual(["auto 3900px", "auto 3900px", "auto 975px"]);
  await page.setViewportSize({ width: 400, height: 860 });
  expect(await page.locator("tbody").last().evaluate((block) => getComputedStyle(block).containIntrinsicBlockSize)).toBe("auto 4000px");
  await page.close();
});

test("a screen reader finds all 1,000 rows with their texts", async () => {
  const own = await Browser.start({ screenReader: true });
  const page = await openList(own, 1000);
  await expect.poll(() => accessible(page)).toEqual({ rows: 1001, links: 1000 });
  await own.stop();
});

test("the arrow keys go on from one block of rows to the next", async () => {
  const page = await openList(browser, 120);
  await page.locator("a.row-link").nth(99).focus();
  await page.keyboard.press("ArrowDown");

  expect(await page.evaluate(() => document.activeElement?.closest("tr")?.textContent)).toContain("user-100@example.com");
  expect(await violations(page)).toEqual([]);
  await page.close();
});

test("a row and its columns stay where they are when the names have been read, and known names stay while others are read", async () => {
  const page = await browser.context.newPage();
  const waiting: Route[] = [];
  let rows = schedules(3);
  await page.route("**/admin/temporal/schedules*", (route) => route.fulfill({ json: { schedules: rows, total: rows.length } }));
  await page.route("**/admin/tasks/*", (route) => void waiting.push(route));
  const release = () =>
    Promise.all(
      waiting.splice(0).map((route) => {
        const id = route.request().url().split("/").at(-1) ?? "";
        return route.fulfill({ json: task({ id, name: `The name of task ${Number(id.slice(-12))}` }) });
      }),
    );
  const boxes = () => page.locator("tbody td").evaluateAll((cells) => cells.map((cell) => Object.values(cell.getBoundingClientRect().toJSON())));
  await browser.open("#/schedules", { page });
  await expect.poll(() => page.locator("tbody .name-wait").count()).toBe(3);
  const before = await boxes();
  await expect.poll(() => waiting.length).toBe(3);
  await release();
  await page.getByText("The name of task 2").waitFor();
  expect(await page.locator("tbody .name-wait").count()).toBe(0);
  expect(await boxes()).toEqual(before);

  rows = schedules(4);
  await page.getByRole("button", { name: "Refresh now" }).click();
  await expect.poll(() => page.locator("tbody .name-wait").count()).toBe(1);
  expect(await page.getByText(/^The name of task [012]$/).count()).toBe(3);
  // All names are read again.
  await expect.poll(() => waiting.length).toBe(4);
  await release();
  await page.getByText("The name of task 3").waitFor();
  await page.close();
});
