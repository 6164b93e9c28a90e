/** Signing in, refusals, an API that is away, hostile texts, the palette, and changing users. */
import type { Page } from "playwright-core";
import { afterAll, beforeAll, beforeEach, afterEach, describe, expect, inject, test } from "vitest";
import type { ErrorsPage, UserRow, UsersPage } from "../../src/api/types";
import { ADMIN, answer, errorRow, execution, EXECUTION, HOSTILE, TASK, task, user, USER } from "./answers";
import { api, Browser, settled } from "./browser";

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
    await page.getByRole("button", { name: "Sign in" }).click();
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
  const box = () => page.getByRole("combobox", { name: /A page/ });

  test("finds a page by name and gives the focus back", async () => {
    await browser.open("#/", { page });
    await settled(page);
    await page.keyboard.press("Control+k");
    await page.keyboard.type("sched");
    await expect.poll(() => page.getByRole("option").allTextContents()).toEqual(["SchedulesPage"]);
    await page.keyboard.press("Enter");
    await page.waitForURL(/#\/schedules/);

    await page.keyboard.press("Control+k");
    await page.keyboard.press("Escape");
    await expect.poll(() => page.getByRole("dialog").count()).toBe(0);
  });

  test("finds a user by the beginning of an email", async () => {
    const found = user();
    await page.route("**/admin/users?*", (route) => {
      const q = new URL(route.request().url()).searchParams.get("q");
      return q === "ann" ? route.fulfill({ json: { users: [found], total: 1, total_capped: false, page: 1, limit: 6 } }) : route.continue();
    });
    await answer(page, `admin/users/${USER}`, found);
    await browser.open("#/", { page });
    await settled(page);
    await page.keyboard.press("Control+k");
    await box().fill("ann");
    await page.getByRole("option", { name: /ann@example\.com/ }).waitFor();
    await page.keyboard.press("ArrowUp");
    await page.keyboard.press("Enter");
    await page.waitForURL(/open=660e8400/);
  });

  test("finds an execution by its id", async () => {
    await answer(page, `admin/executions/${EXECUTION}`, execution());
    await answer(page, `admin/tasks/${EXECUTION}`, { detail: "Task not found" }, 404);
    await answer(page, `admin/users/${EXECUTION}`, { detail: "User not found" }, 404);
    await browser.open("#/", { page });
    await settled(page);
    await page.keyboard.press("Control+k");
    await box().fill(EXECUTION.toUpperCase());
    await page.getByRole("option", { name: /Execution/ }).waitFor();
    await expect.poll(() => page.getByRole("option").count()).toBe(1);
    await page.keyboard.press("Enter");
    await page.waitForURL(new RegExp(`executions\\?open=${EXECUTION}`));
  });
});

describe("changing users", () => {
  /** A user with active tasks, who is not the administrator. */
  async function someone(most: number): Promise<UserRow[]> {
    const { users } = await api<UsersPage>("admin/users?active_only=true&limit=100");
    return users.filter((row) => row.active_tasks_count > 0 && row.email !== null && !row.email.startsWith("admin")).slice(0, most);
  }

  test("a user is deactivated after their email is typed, and everything stops", async () => {
    const [chosen] = await someone(1);
    if (chosen === undefined) throw new Error("no user has an active task");
    await browser.open(`#/users?limit=100&open=${chosen.id}`, { page });
    await settled(page);
    await page.getByRole("button", { name: "Deactivate…" }).click();
    const dialog = page.getByRole("dialog");
    await dialog.getByText(/will be paused, within seconds/).waitFor();
    const confirm = dialog.getByRole("button", { name: "Deactivate", exact: true });
    expect(await confirm.isDisabled()).toBe(true);
    await dialog.getByRole("textbox").fill("somebody@else.example");
    expect(await confirm.isDisabled()).toBe(true);
    await dialog.getByRole("textbox").fill("");
    await page.keyboard.type(String(chosen.email).toUpperCase());
    await confirm.click();
    await dialog.getByText("Everything of this user is stopped.").waitFor({ timeout: 25_000 });
    await dialog.getByRole("button", { name: "Done" }).click();

    await page.getByRole("complementary").getByText("Deactivated", { exact: true }).or(page.getByRole("complementary").locator(".status", { hasText: "deactivated" })).first().waitFor();
    const { users } = await api<UsersPage>("admin/users?limit=100");
    const after = users.find(({ id }) => id === chosen.id);
    expect([after?.state, after?.active_tasks_count]).toEqual(["deactivated", 0]);

    // Keys are revoked by then, or the API says that the deactivation is still carried out.
    await page.getByRole("button", { name: "Reactivate…" }).click();
    await dialog.getByRole("textbox").fill(String(chosen.email));
    await dialog.getByRole("button", { name: "Reactivate", exact: true }).click();
    await dialog.getByText(/may use the platform again\.$|still being carried out/).first().waitFor();
    expect(browser.faults).toEqual([]);
  });

  test("several users are deactivated at once, with a result for each", async () => {
    const chosen = await someone(2);
    expect(chosen).toHaveLength(2);
    await browser.open("#/users?limit=100&active_only=true", { page });
    await settled(page);
    for (const { email } of chosen) await page.getByRole("checkbox", { name: `Select ${email}` }).check();
    await page.getByRole("region", { name: "Selected users" }).getByRole("button", { name: "Deactivate…" }).click();
    const dialog = page.getByRole("dialog");
    await dialog.getByRole("textbox").fill("deactivate 2 users");
    await dialog.getByRole("button", { name: "Deactivate 2 users" }).click();
    await dialog.getByText("All are deactivated.").waitFor();
    expect(await dialog.locator("li .status").allTextContents()).toEqual(["deactivated", "deactivated"]);
    await dialog.getByRole("button", { name: "Close" }).last().click();

    await expect.poll(() => page.getByRole("region", { name: "Selected users" }).count()).toBe(0);
    const { users } = await api<UsersPage>("admin/users?limit=100");
    expect(chosen.map(({ id }) => users.find((row) => row.id === id)?.state)).toEqual(["deactivated", "deactivated"]);
  });

  test("the audit trail shows who deactivated whom", async () => {
    const row = {
      id: "2026112809-9f86d081884c-0",
      at: "2026-11-28T09:00:00.042Z",
      principal: { user_id: ADMIN, clerk_user_id: "user_admin", key_id: "key_1", impersonator: null },
      method: "api_key",
      action: "users.deactivate",
      target: USER,
      parameters: {},
      status: 200,
      request_id: "Zm9vYmFyBAz=",
      source: "203.0.113.7",
      user_agent: "curl/8.5.0",
      duration_ms: 42,
    };
    await page.route("**/admin/audit?*", (route) => {
      const action = new URL(route.request().url()).searchParams.get("action");
      const records = action === "users.deactivate" ? [row] : action === "users.reactivate" ? [{ id: "2026112808-9f86d081884c-0", missing: true }] : [];
      return route.fulfill({ json: { records, total: records.length, page: 1, limit: 100 } });
    });
    await answer(page, `admin/users/${ADMIN}`, user({ id: ADMIN, email: "boss@example.com" }));
    await answer(page, `admin/users/${USER}`, user());
    await browser.open("#/audit?hours=168", { page });
    await page.getByText("boss@example.com").waitFor();
    const cells = page.locator("tbody tr").first().getByRole("cell");
    expect((await cells.allTextContents()).slice(1, 4)).toEqual(["Deactivated a user", "boss@example.com", "ann@example.com"]);
    await page.getByText("Someone has removed this record").waitFor();
    await cells.first().click();
    await page.getByRole("complementary").getByText("203.0.113.7").waitFor();
  });

  test("a refusal of one user among several is shown with its reason", async () => {
    const [chosen] = await someone(1);
    await page.route("**/admin/users/deactivate", (route) =>
      route.fulfill({ json: { results: [{ user_id: chosen?.id, result: "refused", detail: "Administrators cannot deactivate themselves" }] } }),
    );
    await browser.open("#/users?limit=100&active_only=true", { page });
    await settled(page);
    await page.getByRole("checkbox", { name: `Select ${chosen?.email}` }).check();
    await page.getByRole("button", { name: "Deactivate…" }).click();
    await page.getByRole("dialog").getByRole("textbox").fill("deactivate 1 user");
    await page.getByRole("button", { name: "Deactivate 1 user" }).click();
    await page.getByText("Administrators cannot deactivate themselves").waitFor();
    await page.getByText("1 user could not be deactivated.").waitFor();
  });

  test("a deactivation that fails says so, and nothing has happened on the screen", async () => {
    await answer(page, `admin/users/${USER}`, user());
    await page.route(`**/admin/users/${USER}/deactivate`, (route) => route.fulfill({ status: 409, json: { detail: "Administrators cannot deactivate themselves" } }));
    await browser.open(`#/users?open=${USER}`, { page });
    await settled(page);
    await page.getByRole("button", { name: "Deactivate…" }).click();
    await page.getByRole("dialog").getByRole("textbox").fill("ann@example.com");
    await page.getByRole("dialog").getByRole("button", { name: "Deactivate", exact: true }).click();
    await page.getByRole("alert").getByText("Administrators cannot deactivate themselves").waitFor();
    await page.keyboard.press("Escape");
    await page.getByRole("complementary").getByText("Active", { exact: false }).first().waitFor();
  });
});
