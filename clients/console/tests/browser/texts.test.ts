/** Hostile texts in every list and detail, on a desktop and on a phone: shown as text, and nothing breaks. */
import type { Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { answer, answerHostile, HOSTILE, TASK, USER, EXECUTION } from "./answers";
import { Browser, settled, violations } from "./browser";

const PLACES = [
  ["overview", "#/"],
  ["errors", `#/errors?open=${EXECUTION}`],
  ["executions", `#/executions?open=${EXECUTION}`],
  ["tasks", `#/tasks?open=${TASK}`],
  ["queries", `#/queries?open=${encodeURIComponent(HOSTILE.markup)}`],
  ["schedules", "#/schedules"],
  ["workflows", "#/workflows"],
  ["users", `#/users?open=${USER}`],
  ["audit", "#/audit?action=all"],
] as const;

describe.each([1360, 360])("at %i pixels", (width) => {
  let browser: Browser;
  beforeAll(async () => {
    browser = await Browser.start({ width });
  });
  afterAll(() => browser.stop());

  test.each(PLACES)("%s shows 10,000 characters, right-to-left and HTML-like texts as text", async (_, fragment) => {
    const page = await browser.context.newPage();
    await answerHostile(page);
    await browser.open(fragment, { page });
    await settled(page);

    expect(await text(page)).toContain("<script>document.title='owned'</script>");
    expect(await text(page)).not.toContain("\u202E");
    expect(await page.locator("main img, main script, a[href^='javascript:']").count()).toBe(0);
    expect(await page.title()).toContain("Torale admin");
    const [content, visible] = await page.evaluate(() => [document.documentElement.scrollWidth, innerWidth]);
    expect(content).toBeLessThanOrEqual(visible ?? 0);
    expect(await violations(page)).toEqual([]);
    expect(browser.faults).toEqual([]);
    await page.close();
  });

  test("the dialog of a deactivation warns of an email with invisible characters", async () => {
    const page = await browser.context.newPage();
    await answerHostile(page);
    await browser.open(`#/users?open=${USER}`, { page });
    await settled(page);
    await page.getByRole("button", { name: "Deactivate…" }).click();
    await page.getByText("This email has invisible characters").waitFor();
    await page.getByRole("dialog").getByText("⟨U+202E⟩", { exact: false }).first().waitFor();
    await page.close();
  });

  test("the palette shows a hostile email as text", async () => {
    const page = await browser.context.newPage();
    await answerHostile(page);
    await answer(page, "admin/users?q=*", { users: [], total: 0, total_capped: false, page: 1, limit: 6 });
    await browser.open("#/", { page });
    await settled(page);
    await page.keyboard.press("Control+k");
    await page.getByRole("combobox", { name: /A page/ }).fill(USER);
    await page.getByRole("option", { name: /User$/ }).waitFor();

    expect(await page.getByRole("listbox").textContent()).toContain("<img src=x");
    expect(await page.locator("dialog img").count()).toBe(0);
    await page.close();
  });
});

const text = (page: Page) => page.locator("main").innerText();
