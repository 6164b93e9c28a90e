/** What is seen at the width of a phone, and where the focus is while a detail is open, there and on a wide screen. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { ADMIN, TASK } from "./answers";
import { Browser, rolesRead, settled, violations } from "./browser";
import { answerAdditions, blank, VIEWS } from "./every-view";

describe("at the width of a phone", () => {
  let browser: Browser;
  beforeAll(async () => {
    browser = await Browser.start({ width: 360, height: 760 });
  });
  afterAll(() => browser.stop());

  test.each(VIEWS)("%s fits without scrolling sideways", async (title, fragment) => {
    const page = await blank(browser);
    await answerAdditions(page);
    await browser.open(fragment, { page });
    await settled(page);

    expect(await page.getByRole("heading", { level: 1 }).textContent()).toBe(title);
    const [content, visible] = await page.evaluate(() => [document.documentElement.scrollWidth, innerWidth]);
    expect(content).toBeLessThanOrEqual(visible ?? 0);
    expect(await violations(page)).toEqual([]);
    await page.close();
  });

  test("the menu opens and leads to another view", async () => {
    const page = await blank(browser);
    await answerAdditions(page);
    await browser.open("#/", { page });
    await page.getByRole("button", { name: "Menu" }).click();
    await page.getByRole("link", { name: "Users", exact: true }).first().click();
    await settled(page);

    expect(await page.getByRole("heading", { level: 1 }).textContent()).toBe("Users");
    expect(await page.getByRole("button", { name: "Menu" }).getAttribute("aria-expanded")).toBe("false");
    await page.close();
  });

  test("the menu closes on Escape, which gives the focus back, and when the page one is on is chosen", async () => {
    const page = await blank(browser);
    await answerAdditions(page);
    await browser.open("#/users", { page });
    await settled(page);
    const menu = page.getByRole("button", { name: "Menu" });
    await menu.click();
    await page.keyboard.press("Escape");
    await expect.poll(() => menu.getAttribute("aria-expanded")).toBe("false");
    expect(await menu.evaluate((button) => button === document.activeElement)).toBe(true);

    await menu.click();
    await page.getByRole("navigation").getByRole("link", { name: "Users" }).click();
    await expect.poll(() => menu.getAttribute("aria-expanded")).toBe("false");
    await page.close();
  });

  test.each(["Users", "Tasks"])("a page that is chosen in the menu, %s, gets the focus that the link loses", async (chosen) => {
    const page = await blank(browser);
    await answerAdditions(page);
    await browser.open("#/users", { page });
    await settled(page);
    await page.getByRole("button", { name: "Menu" }).click();
    await page.getByRole("navigation").getByRole("link", { name: chosen, exact: true }).press("Enter");
    await page.getByRole("heading", { level: 1, name: chosen }).waitFor();
    await expect.poll(() => page.evaluate(() => document.activeElement?.id)).toBe("main");
    await page.close();
  });

  test("nothing behind a detail gets the focus or is read out, and it can be used again when the detail closes", async () => {
    const page = await blank(browser);
    await answerAdditions(page);
    await browser.open("#/tasks", { page });
    await settled(page);
    const row = page.locator("tbody a.row-link").first();
    await row.press("Enter");
    const panel = page.getByRole("complementary");
    await panel.getByText("History").waitFor();
    expect(await violations(page)).toEqual([]);
    const read = await rolesRead(page);
    expect(["complementary", "row", "combobox", "navigation", "banner"].filter((role) => read.has(role))).toEqual(["complementary"]);
    for (let press = 0; press < 40; press += 1) {
      await page.keyboard.press("Tab");
      // The focus leaves the page for the browser's own bar, and comes back.
      const where = await page.evaluate(() => {
        const focused = document.activeElement;
        return focused === document.body || focused?.closest(".panel") ? "" : `${focused?.outerHTML.slice(0, 160)}`;
      });
      expect(where).toBe("");
    }

    await page.keyboard.press("Escape");
    await panel.waitFor({ state: "detached" });
    await expect.poll(() => row.evaluate((link) => link === document.activeElement)).toBe(true);
    expect(await page.locator("[inert]").count()).toBe(0);
    expect((await rolesRead(page)).has("row")).toBe(true);
    await page.close();
  });

  test("that the API is away is said in the detail, which covers the page", async () => {
    const page = await blank(browser);
    await answerAdditions(page);
    await browser.open(`#/tasks?open=${TASK}`, { page });
    await settled(page);
    await page.route("**/admin/**", (route) => route.abort());
    await page.evaluate(() => dispatchEvent(new Event("visibilitychange")));
    await page.getByRole("complementary").getByRole("alert").getByText("The API does not answer").waitFor({ timeout: 40_000 });
    await page.close();
  });
});

test("next to a detail on a wide screen the list can be used, and closing the detail gives the focus to the row that was chosen last", async () => {
  const browser = await Browser.start();
  const page = await blank(browser);
  await answerAdditions(page);
  await browser.open("#/tasks", { page });
  await settled(page);
  const links = page.locator("tbody a.row-link");
  await links.first().press("Enter");
  const panel = page.getByRole("complementary");
  await panel.getByText("History").waitFor();
  expect(await page.locator("[inert]").count()).toBe(0);
  await links.nth(1).click();
  await page.waitForURL(new RegExp(`open=${ADMIN}`));
  await expect.poll(() => page.evaluate(() => document.activeElement?.closest(".panel") !== null)).toBe(true);
  await page.keyboard.press("Escape");
  await panel.waitFor({ state: "detached" });
  await expect.poll(() => links.nth(1).evaluate((link) => link === document.activeElement)).toBe(true);
  await browser.stop();
});

test("a detail over a page that is scrolled covers it whole, with one bar to scroll, and the page keeps its place", async () => {
  const browser = await Browser.start({ width: 360, height: 760, scrollbars: true });
  const page = await blank(browser);
  await answerAdditions(page);
  await browser.open("#/executions?hours=720", { page });
  await settled(page);
  await page.evaluate(() => scrollTo(0, 600));
  await page.locator("tbody tr").nth(8).getByRole("link").first().click();
  await page.getByRole("complementary").getByText("History").waitFor();

  const box = await page.getByRole("complementary").boundingBox();
  expect([box?.x, box?.width, box?.y]).toEqual([0, 360, 0]);
  expect(await page.evaluate(() => innerWidth - document.documentElement.clientWidth)).toBe(0);
  await page.keyboard.press("Escape");
  await page.getByRole("complementary").waitFor({ state: "detached" });
  await expect.poll(() => page.evaluate(() => scrollY > 0)).toBe(true);
  await browser.stop();
});
