/** Signing in, refusals, an API that is away, the first load, hostile texts, and the palette. */
import type { Page } from "playwright-core";
import { afterAll, beforeAll, beforeEach, afterEach, describe, expect, inject, test } from "vitest";
import type { ErrorsPage } from "../../src/api/types";
import { answer, errorRow, execution, EXECUTION, HOSTILE, TASK, task, user, USER } from "./answers";
import { Browser, settled, withClock } from "./browser";

let browser: Browser;
let page: Page;
beforeAll(async () => {
  browser = await Browser.start();
});
afterAll(() => browser.stop());
beforeEach(async () => {
  browser.faults.length = 0;
  page = await browser.context.newPage();
});
afterEach(() => page.close());

describe("signing in", () => {
  const key = () => page.getByLabel("API key of an administrator");

  test("a key leads to where one wanted to go, and is in the tab's session only", async () => {
    const requested: string[] = [];
    page.on("request", (request) => requested.push(request.url()));
    await browser.open("#/users?active_only=true", { signedIn: false, page });
    await key().fill(inject("key"));
    await key().press("Enter");
    await page.getByRole("heading", { level: 1, name: "Users" }).waitFor();
    await settled(page);

    expect(page.url()).toContain("#/users?active_only=true");
    expect(requested.join(" ")).not.toContain(inject("key"));
    const kept = await page.evaluate(() => [JSON.stringify(localStorage), document.cookie, sessionStorage.getItem("torale.console.key")]);
    expect(kept[0]).not.toContain("sk_");
    expect([kept[1], kept[2]]).toEqual(["", inject("key")]);

    await page.reload();
    await settled(page);
    await page.getByRole("button", { name: "Sign out" }).click();
    await page.getByRole("heading", { name: "Sign in" }).waitFor();
    await expect.poll(() => page.evaluate(() => sessionStorage.getItem("torale.console.key"))).toBeNull();
    expect(browser.faults).toEqual([]);
  });

  test("a malformed key is explained before anything is sent, a wrong one by the API", async () => {
    await browser.open("#/", { signedIn: false, page });
    await key().fill("not a key");
    await key().press("Enter");
    await page.getByText("An API key begins with sk_.").waitFor();
    expect(await key().getAttribute("aria-invalid")).toBe("true");

    await key().fill("sk_wrong_0123456789_0123456789");
    await key().press("Enter");
    await page.getByText("The API refuses this key: Invalid API key.").waitFor();
    expect(await page.evaluate(() => sessionStorage.getItem("torale.console.key"))).toBeNull();
  });

  test("a user who is no administrator is refused in words", async () => {
    await answer(page, "admin/stats", { detail: "Admin access required" }, 403);
    await browser.open("#/", { signedIn: false, page });
    await key().fill(inject("key"));
    await key().press("Enter");
    await page.getByText("This key works, but its user is no administrator.").waitFor();
  });
});

describe("refusals and an API that is away", () => {
  test("a key that expires ends the session with the reason, and signing in goes on at the same place", async () => {
    await browser.open("#/executions?status=failed&hours=720", { page });
    await settled(page);
    await answer(page, "admin/executions?*", { detail: "Token has expired" }, 401);
    await page.getByRole("button", { name: "Refresh now" }).click();
    await page.getByRole("alert").getByText(/Token has expired/).waitFor();
    expect(await page.evaluate(() => sessionStorage.getItem("torale.console.key"))).toBeNull();
    await expect.poll(() => page.getByRole("table").count()).toBe(0);

    await page.unrouteAll();
    await page.getByLabel("API key of an administrator").fill(inject("key"));
    await page.getByRole("button", { name: "Sign in", exact: true }).click();
    await settled(page);
    expect(page.url()).toContain("#/executions?status=failed&hours=720");
  });

  test("losing the role ends the session too", async () => {
    await answer(page, "admin/queries?*", { detail: "Admin access required" }, 403);
    await browser.open("#/queries", { page });
    await page.getByRole("alert").getByText(/Admin access required/).waitFor();
  });

  test("a 429 holds back all requests for the time that it says, then goes on by itself", async () => {
    let sent = 0;
    await page.route("**/admin/queries?*", async (route) => {
      sent += 1;
      if (sent > 1) return route.continue();
      return route.fulfill({ status: 429, json: { detail: "Rate limit exceeded", retry_after: 3 }, headers: { "retry-after": "3" } });
    });
    await browser.open("#/queries", { page });
    await page.getByText(/Too many requests: going on in [123] s/).waitFor();
    expect(sent).toBe(1);
    await page.getByRole("table").waitFor();
    expect(sent).toBe(2);
    await page.getByText(/Too many requests/).waitFor({ state: "detached" });
  });

  test("data stays on the screen while the API is away, and is fresh when it is back", async () => {
    await browser.open("#/users", { page });
    await settled(page);
    const first = await page.locator("tbody tr").first().textContent();
    await page.route("**/admin/users?*", (route) => route.abort("connectionrefused"));
    await page.getByRole("button", { name: "Refresh now" }).click();
    await page.getByRole("alert").getByText("The API does not answer").waitFor();
    expect(await page.locator("tbody tr").first().textContent()).toBe(first);
    await page.getByText(/What you see is of/).waitFor();

    await page.unrouteAll();
    await page.getByText("The API does not answer").waitFor({ state: "detached" });
    await page.getByText("Up to date").waitFor();
  });

  test("a view that opens while the API is away says so, and fills by itself", async () => {
    await page.route("**/admin/queries?*", (route) => route.fulfill({ status: 503, json: { detail: "Service temporarily unavailable" }, headers: { "retry-after": "1" } }));
    await browser.open("#/queries", { page });
    await page.getByText(/can't answer for the moment/).waitFor();
    await page.unrouteAll();
    await page.getByRole("table").waitFor();
  });

  test.each([
    ["with its row", EXECUTION, "The console keeps trying, and shows the fields of the list meanwhile."],
    ["without its row", `${EXECUTION.slice(0, -1)}1`, "The console keeps trying."],
  ])("a detail that fails for good while the list is answered says so, %s, and no alert says it of the API", async (_, id, words) => {
    await answer(page, "admin/executions?*", { executions: [execution()], total: 1, page: 1, limit: 50 });
    await answer(page, "admin/executions/*", { detail: "Service unavailable" }, 503, { "retry-after": "1" });
    await browser.open(`#/executions?open=${id}`, { page });
    const panel = page.getByRole("complementary");
    await panel.getByText(`This detail can't be read. ${words}`).waitFor();
    expect(await panel.getByText("Loading…").count()).toBe(0);
    // It is tried again meanwhile.
    await page.waitForRequest(`**/admin/executions/${id}`);
    await page.waitForRequest(`**/admin/executions/${id}`);
    expect(await page.getByRole("alert").count()).toBe(0);
    await page.unroute("**/admin/executions/*");
    await answer(page, "admin/executions/*", execution({ id }));
    await panel.getByText("History").waitFor();
    expect(await panel.getByText("can't be read", { exact: false }).count()).toBe(0);
  });

  test("a part of a view that fails for good says so", async () => {
    const fails = (path: string) => answer(page, path, { detail: "Service unavailable" }, 503, { "retry-after": "1" });
    await answer(page, `admin/tasks/${TASK}`, task());
    await fails("admin/executions?*");
    await browser.open(`#/tasks?open=${TASK}`, { page });
    const words = /can't answer for the moment.*The console keeps trying/;
    await page.getByRole("complementary").getByText(words).waitFor();
    await page.unrouteAll();
    await fails("admin/errors?*");
    await page.evaluate(() => (location.hash = "#/"));
    await page.locator(".card", { hasText: "Error types" }).getByText(words).waitFor();
  });

  test("the dot that says how fresh the data is is not green before there is any", async () => {
    let release = () => {};
    const released = new Promise<void>((done) => (release = done));
    await page.route("**/admin/queries?*", async (route) => {
      await released;
      return route.continue();
    });
    await browser.open("#/queries", { page });
    await page.getByText("No data yet").waitFor();
    const colour = () => page.locator(".dot").evaluate((dot) => getComputedStyle(dot).backgroundColor);
    expect(await colour()).toBe("rgb(139, 148, 165)");
    release();
    await page.getByText("Up to date").waitFor();
    expect(await colour()).toBe("rgb(74, 157, 115)");
  });

  test("data that is not refreshed any more says how old it is", async () => {
    await withClock(async (own, clocked) => {
      await own.open("#/users", { page: clocked });
      await settled(clocked);
      await clocked.route("**/admin/users?*", () => undefined);
      await clocked.clock.runFor(130_000);
      await clocked.getByText("Updated 2 min ago").waitFor();
      expect(await clocked.locator("tbody tr").count()).toBeGreaterThan(0);
    });
  });

  test("a refresh changes what is new and keeps focus, scroll and rows", async () => {
    await browser.open("#/executions?hours=720", { page });
    await settled(page);
    await page.locator("tbody tr").nth(30).getByRole("link").first().focus();
    await page.evaluate(() => {
      document.querySelector("tbody tr:nth-child(31)")?.setAttribute("data-kept", "yes");
      scrollTo(0, 700);
    });
    const answered = page.waitForResponse(/admin\/executions/);
    await page.evaluate(() => document.querySelector<HTMLButtonElement>(".freshness button")?.click());
    await answered;
    await settled(page);

    expect(await page.locator("tr[data-kept]").count()).toBe(1);
    await expect.poll(() => page.evaluate(() => [scrollY, document.activeElement?.className])).toEqual([700, "row-link"]);
  });
});

describe("the first load", () => {
  test("the first answer is requested before the large script has arrived, and once only", async () => {
    const sent: string[] = [];
    page.on("request", (request) => {
      if (request.url().includes("/admin/executions")) sent.push(request.url());
    });
    const requested = page.waitForRequest(/admin\/executions\?status=failed/);
    await page.route("**/admin/console/index-*.js", async (route) => {
      await requested;
      await route.continue();
    });
    await browser.open("#/executions?status=failed&hours=720", { page });
    await page.locator("tbody tr").first().waitFor();

    expect(sent).toHaveLength(1);
    expect(new URL(sent[0] ?? "").search).toBe("?status=failed&hours=720&page=1&limit=50");
    expect(browser.faults).toEqual([]);
  });

  test("nothing is requested before one has signed in", async () => {
    const sent: string[] = [];
    page.on("request", (request) => sent.push(new URL(request.url()).pathname));
    await browser.open("#/users", { signedIn: false, page });
    await page.getByRole("heading", { name: "Sign in" }).waitFor();

    expect(sent.filter((path) => path !== "/admin" && !path.startsWith("/admin/console/"))).toEqual([]);
  });

  test("an API that is away at the first request is tried again by itself", async () => {
    let sent = 0;
    await page.route("**/admin/queries?*", (route) => {
      sent += 1;
      return sent <= 2 ? route.abort("connectionrefused") : route.continue();
    });
    await browser.open("#/queries", { page });
    await page.getByRole("table").waitFor();

    expect(sent).toBeGreaterThanOrEqual(3);
  });
});

describe("hostile texts", () => {
  test("are shown as text, in lists and details, and break nothing", async () => {
    const rows = [
      errorRow({ error_message: HOSTILE.markup, search_query: HOSTILE.rightToLeft, error_type: "A.Very-Long_Type:Name" }),
      errorRow({ execution_id: TASK, error_message: HOSTILE.long, user_email: "ann@example.com\u202E", search_query: "\u0000" }),
    ];
    await page.route("**/admin/errors?*", (route) => route.fulfill({ json: { errors: rows, total: 2, error_types: { "A.Very-Long_Type:Name": 2 } } satisfies ErrorsPage }));
    await answer(page, `admin/executions/${EXECUTION}`, execution({ error_message: HOSTILE.markup }));
    await answer(page, `admin/executions/${TASK}`, { detail: "Execution not found" }, 404);
    await browser.open("#/errors", { page });
    await settled(page);

    const cells = page.locator("tbody tr").first();
    expect(await cells.textContent()).toContain("<script>");
    expect(await cells.textContent()).toContain("⟨U+202E⟩gnp.exe");
    expect((await page.locator("tbody tr").nth(1).boundingBox())?.height).toBeLessThan(90);
    const [content, visible] = await page.evaluate(() => [document.documentElement.scrollWidth, innerWidth]);
    expect(content).toBeLessThanOrEqual(visible ?? 0);

    await page.locator("tbody tr").nth(1).click();
    await page.getByText("Execution not found").waitFor();
    expect((await page.getByLabel("Error message").textContent())?.length).toBe(HOSTILE.long.length);
    await page.locator("tbody tr").first().click();
    await settled(page);
    expect(await page.getByLabel("Error message").textContent()).toBe(HOSTILE.markup);

    expect(await page.locator("main img, main script").count()).toBe(0);
    expect(await page.title()).toBe("Errors · Torale admin");
    expect(browser.faults).toEqual([]);
  });

  test("an address that is no web address is no link", async () => {
    const hostile = task();
    const [schedule] = hostile.schedules;
    await answer(page, `admin/tasks/${TASK}`, task({ schedules: [{ ...schedule!, temporal_ui_url: HOSTILE.link }] }));
    await answer(page, "admin/tasks?*", { tasks: [], total: 0, page: 1, limit: 50 });
    await browser.open(`#/tasks?open=${TASK}`, { page });
    await settled(page);
    await page.getByRole("heading", { name: "Schedules" }).waitFor();

    expect(await page.locator("a[href^='javascript:']").count()).toBe(0);
  });

  test("the page lets nothing run that it did not bring", async () => {
    await browser.open("#/", { page });
    await settled(page);
    const run = await page.evaluate(() => {
      const script = document.createElement("script");
      const refused: string[] = [];
      for (const attempt of [
        () => (script.text = "document.title = 'owned'"),
        () => (document.body.innerHTML = "<img src=x onerror=alert(1)>"),
        () => setTimeout("document.title = 'owned'"),
      ]) {
        try {
          attempt();
        } catch (error) {
          refused.push(error instanceof Error ? error.name : String(error));
        }
      }
      return refused;
    });

    expect(run).toHaveLength(3);
    expect(await page.title()).toBe("Overview · Torale admin");
  });
});

describe("the palette", () => {
  const options = (name?: RegExp) => page.getByRole("dialog").getByRole("option", name && { name });
  const box = () => page.getByRole("combobox", { name: /A page/ });
  /** Keys that come before the box has the focus go elsewhere. */
  const open = async () => {
    await page.keyboard.press("Control+k");
    await expect.poll(() => box().evaluate((box) => box === document.activeElement)).toBe(true);
  };

  test("finds a page by name and gives the focus back", async () => {
    await browser.open("#/queries", { page });
    await settled(page);
    await open();
    await page.keyboard.type("sched");
    await expect.poll(() => options().allTextContents()).toEqual(["SchedulesPage", "Tasks by time of the daySchedules that run at a time"]);
    await page.keyboard.press("Enter");
    await page.waitForURL(/#\/schedules/);

    await open();
    await page.keyboard.type("quarantine");
    await expect.poll(() => options().allTextContents()).toEqual(["Quarantine, queue and outboxHealth"]);
    await page.keyboard.press("Enter");
    await page.waitForURL(/#\/health/);

    await open();
    await page.keyboard.press("Escape");
    await expect.poll(() => page.getByRole("dialog").count()).toBe(0);
  });

  test.each([
    ["ArrowUp", "last"],
    ["ArrowDown", "first"],
  ])("scrolls what %s chooses, the %s one, into sight", async (key, which) => {
    await page.setViewportSize({ width: 360, height: 480 });
    await browser.open("#/queries", { page });
    await settled(page);
    await open();
    const isInSight = (place: number) =>
      options().nth(place).evaluate((option) => {
        const [own, list] = [option.getBoundingClientRect(), option.parentElement!.getBoundingClientRect()];
        return option.getAttribute("aria-selected") === "true" && own.top >= list.top - 1 && own.bottom <= list.bottom + 1;
      });
    await page.keyboard.press("ArrowUp");
    await expect.poll(() => isInSight(-1)).toBe(true);
    if (key === "ArrowDown") await page.keyboard.press(key);
    await expect.poll(() => isInSight(which === "last" ? -1 : 0)).toBe(true);
  });

  test("what is chosen stays in sight when a text is typed after the end of the list was chosen", async () => {
    await page.setViewportSize({ width: 360, height: 480 });
    await browser.open("#/queries", { page });
    await settled(page);
    await open();
    await page.keyboard.press("ArrowUp");
    // Many have it in their name, so that the list stays longer than its box.
    await page.keyboard.type("e");
    await expect.poll(() => options().first().getAttribute("aria-selected")).toBe("true");
    expect(await options().first().evaluate((option) => option.parentElement!.scrollHeight > option.parentElement!.clientHeight)).toBe(true);
    await expect
      .poll(() => options().first().evaluate((option) => option.getBoundingClientRect().top - option.parentElement!.getBoundingClientRect().top))
      .toBeGreaterThanOrEqual(-1);
  });

  test("finds a user by the beginning of an email", async () => {
    const found = user();
    await page.route("**/admin/users?*", (route) => {
      const q = new URL(route.request().url()).searchParams.get("q");
      return q === "ann" ? route.fulfill({ json: { users: [found], total: 1, total_capped: false, page: 1, limit: 6 } }) : route.continue();
    });
    await answer(page, `admin/users/${USER}`, found);
    await browser.open("#/queries", { page });
    await settled(page);
    await page.keyboard.press("Control+k");
    await box().fill("ann");
    await options(/ann@example\.com/).waitFor();
    await page.keyboard.press("ArrowUp");
    await page.keyboard.press("Enter");
    await page.waitForURL(/open=660e8400/);
  });

  test("opens nobody who was found for an earlier text", async () => {
    let asked = "";
    await page.route("**/admin/users?*", (route) => {
      asked = new URL(route.request().url()).searchParams.get("q") ?? "";
      // The search for the second text gets no answer.
      return asked === "ann" ? route.fulfill({ json: { users: [user()], total: 1, total_capped: false, page: 1, limit: 6 } }) : undefined;
    });
    await browser.open("#/queries", { page });
    await settled(page);
    await page.keyboard.press("Control+k");
    await box().fill("ann");
    await options(/ann@example\.com/).waitFor();
    await box().fill("bob@example.com");
    await page.keyboard.press("Enter");
    await expect.poll(() => asked).toBe("bob@example.com");
    await page.keyboard.press("Enter");
    expect(await options().count()).toBe(0);
    await page.getByRole("dialog").getByText("Searching…").waitFor();
    expect(new URL(page.url()).hash).toBe("#/queries");
  });

  test.each([
    ["Execution", "executions", EXECUTION, execution()],
    ["Task", "tasks", TASK, task()],
    ["User", "users", USER, user()],
  ])("finds what an id is the id of: %s", async (kind, view, id, found) => {
    for (const other of ["executions", "tasks", "users"]) await answer(page, `admin/${other}/${id}`, { detail: "Not here" }, 404);
    await answer(page, `admin/${view}/${id}`, found);
    await browser.open("#/queries", { page });
    await settled(page);
    await page.keyboard.press("Control+k");
    await box().fill(id.toUpperCase());
    await options(new RegExp(`${kind}$`)).waitFor();
    await expect.poll(() => options().count()).toBe(1);
    await page.keyboard.press("Enter");
    await page.waitForURL(new RegExp(`${view}\\?open=${id}`));
  });

  test("says that an id must be whole, and leads to what runs at a time", async () => {
    await browser.open("#/queries", { page });
    await settled(page);
    await page.keyboard.press("Control+k");
    await box().fill(TASK.slice(0, 13));
    await page.getByText("An id must be whole: 36 characters", { exact: false }).waitFor();
    await box().fill("nobody at all");
    await page.getByText("Nothing found.", { exact: true }).waitFor();

    await box().fill("9:00 UTC");
    await expect.poll(() => options().allTextContents()).toEqual(["Tasks that run at 09:00 UTCSchedules"]);
    await page.keyboard.press("Enter");
    await page.waitForURL(/#\/schedules\?at=09%3A00/);
  });

  test("an id that nothing has is not found", async () => {
    for (const kind of ["executions", "tasks", "users"]) await answer(page, `admin/${kind}/${USER}`, { detail: "Not here" }, 404);
    await browser.open("#/queries", { page });
    await settled(page);
    await page.keyboard.press("Control+k");
    await box().fill(USER);
    await page.getByText("Nothing found.").waitFor();
  });
});
