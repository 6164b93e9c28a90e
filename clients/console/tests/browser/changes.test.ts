/** Deactivating and reactivating users, and who did so. */
import type { Locator, Page } from "playwright-core";
import { afterAll, beforeAll, beforeEach, afterEach, describe, expect, inject, test } from "vitest";
import type { UserDetail, UserRow, UsersPage } from "../../src/api/types";
import { ADMIN, answer, auditRecord, deactivatedBy, EXECUTION, TASK, user, USER } from "./answers";
import { api, Browser, pass, settled, withClock } from "./browser";

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
    await dialog.getByText("Sessions, keys and tasks of this user are stopped.").waitFor({ timeout: 25_000 });
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

  /** Deactivates the users who are selected, so many, and returns the dialog. */
  async function deactivateSelected(page: Page, users: string): Promise<Locator> {
    await page.getByRole("region", { name: "Selected users" }).getByRole("button", { name: "Deactivate…" }).click();
    const dialog = page.getByRole("dialog");
    await dialog.getByRole("textbox").fill(`deactivate ${users}`);
    await dialog.getByRole("button", { name: `Deactivate ${users}` }).click();
    return dialog;
  }

  /** Answers the detail of a user who is deactivated, with what `left` says is not stopped yet. */
  async function answerDeactivation(page: Page, left: () => { commands: number; tasks: number; keys: number }): Promise<void> {
    await page.route(`**/admin/users/${USER}`, (route) => {
      const { commands, tasks, keys } = left();
      const [key] = user().api_keys;
      const detail: UserDetail = user({
        state: "deactivated",
        active_tasks_count: tasks,
        api_keys: Array.from({ length: keys }, (_, at) => ({ ...key!, key_id: `key_${at}` })),
        deactivation: { at: new Date().toISOString().replace(/\.\d+Z/, "Z"), by: ADMIN, tasks_paused: 5, commands_pending: commands },
      });
      return route.fulfill({ json: detail });
    });
    await page.route(`**/admin/users/${USER}/deactivate`, (route) =>
      route.fulfill({ json: { message: "User deactivated successfully", user_id: USER, tasks_paused: 5 } }),
    );
  }

  test("what waits is named with what to do about it, and repeating is offered", () =>
    withClock(async (own, page) => {
      let left = { commands: 3, tasks: 2, keys: 1 };
      let state = "active";
      await answerDeactivation(page, () => left);
      await page.route(`**/admin/users/${USER}`, (route) => (state === "active" ? route.fulfill({ json: user() }) : route.fallback()));
      await own.open(`#/users?open=${USER}`, { page });
      await settled(page);
      await page.getByRole("button", { name: "Deactivate…" }).click();
      const dialog = page.getByRole("dialog");
      for (const promised of [/Every API key and session .* is refused/, /5 active tasks will be paused/, /keys are revoked for good/, /login is blocked/]) {
        await dialog.getByText(promised).waitFor();
      }
      state = "deactivated";
      await dialog.getByRole("textbox").fill("ann@example.com");
      await dialog.getByRole("button", { name: "Deactivate", exact: true }).click();
      await page.clock.runFor(3_000);
      for (const words of ["3 commands not yet on the queue", "2 tasks still active", "1 key not revoked"]) await dialog.getByText(words).waitFor();
      expect(await dialog.getByText(/alarm/).count()).toBe(0);

      await page.clock.runFor(46_000);
      await dialog.getByText("look at the alarm OutboxAge", { exact: false }).waitFor();
      expect(await dialog.getByText("see the alarms CommandsStuck and, after a day, CommandsDeadLetters", { exact: false }).count()).toBe(2);
      const repeated = page.waitForRequest((request) => request.method() === "PATCH");
      await dialog.getByRole("button", { name: "Deactivate once more" }).click();
      await repeated;

      left = { commands: 0, tasks: 0, keys: 0 };
      await page.clock.runFor(5_000);
      await dialog.getByText("Sessions, keys and tasks of this user are stopped.").waitFor();
      await dialog.getByText("whether Clerk has carried it out is not shown here", { exact: false }).waitFor();
    }));

  test("nobody gets to type their own email: who is signed in cannot deactivate themselves", async () => {
    const { users } = await api<UsersPage>("admin/users?q=admin@&limit=1");
    const [own] = users;
    const [other] = await someone(1);
    let sent = 0;
    page.on("request", (request) => (sent += request.method() === "GET" ? 0 : 1));
    await browser.open(`#/users?limit=100&active_only=true&open=${own?.id}`, { page });
    await settled(page);
    await page.getByRole("button", { name: "Deactivate…" }).click();
    const dialog = page.getByRole("dialog", { name: "This is your own account" });
    await dialog.getByText("Administrators cannot deactivate themselves.").waitFor();
    expect(await dialog.getByRole("textbox").count()).toBe(0);
    await page.keyboard.press("Escape");
    await page.keyboard.press("Escape");

    for (const user of [own, other]) await page.getByRole("checkbox", { name: `Select ${user?.email}` }).check();
    await page.getByRole("region", { name: "Selected users" }).getByRole("button", { name: "Deactivate…" }).click();
    await page.getByRole("dialog").getByText("You are among them").waitFor();
    expect(await page.getByRole("dialog").locator("li", { hasText: String(own?.email) }).textContent()).toContain("your own account");
    expect(sent).toBe(0);
    expect(browser.faults).toEqual([]);
  });

  test("a repeated request that fails says so, and how far the deactivation is stays on the screen, then and while nothing is read since one that succeeds", () =>
    withClock(async (own, page) => {
      await answer(page, `admin/users/${USER}`, user());
      await own.open(`#/users?open=${USER}`, { page });
      await settled(page);
      await page.getByRole("button", { name: "Deactivate…" }).click();
      // From now on.
      await answerDeactivation(page, () => ({ commands: 0, tasks: 2, keys: 0 }));
      await page.getByRole("dialog").getByRole("textbox").fill("ann@example.com");
      await page.getByRole("dialog").getByRole("button", { name: "Deactivate", exact: true }).click();
      const dialog = page.getByRole("dialog", { name: "Deactivated" });
      await dialog.getByText("2 tasks still active").waitFor();
      await pass(page, 50);

      let refuse = () => {};
      const refused = new Promise<void>((resolve) => (refuse = resolve));
      await page.route(`**/admin/users/${USER}/deactivate`, async (route) => {
        await refused;
        return route.fulfill({ status: 409, json: { detail: "Administrators cannot deactivate themselves" } });
      });
      const again = dialog.getByRole("button", { name: "Deactivate once more" });
      await again.focus();
      await page.keyboard.press("Enter");
      const sending = dialog.getByRole("button", { name: "Sending…" });
      await sending.waitFor();
      expect(await dialog.getByText("2 tasks still active").count()).toBe(1);
      expect(await sending.evaluate((button) => button === document.activeElement)).toBe(true);
      refuse();
      await dialog.getByRole("alert").getByText("Administrators cannot deactivate themselves").waitFor();
      await dialog.getByText("2 tasks still active").waitFor();
      expect(await again.evaluate((button) => button === document.activeElement)).toBe(true);

      // One that succeeds; what it did is not read yet.
      let reads = 0;
      await page.route(`**/admin/users/${USER}`, () => {
        reads += 1;
        return new Promise<void>(() => {});
      });
      await answer(page, `admin/users/${USER}/deactivate`, { message: "User deactivated successfully", user_id: USER, tasks_paused: 5 });
      await again.click();
      await dialog.getByRole("alert").waitFor({ state: "detached" });
      await again.waitFor();
      await expect.poll(() => reads).toBeGreaterThan(0);
      expect(await dialog.getByText("2 tasks still active").count()).toBe(1);
      expect(await dialog.getByText("Loading…").count()).toBe(0);
    }));

  /** Opens the detail of a user who was deactivated so many minutes ago, with two tasks that still run. */
  async function openWithTasks(own: Browser, page: Page, minutes: number) {
    const at = new Date(Date.now() - minutes * 60_000).toISOString();
    const deactivation = { at, by: ADMIN, tasks_paused: 5, commands_pending: 0 };
    const detail = user({ state: "deactivated", active_tasks_count: 2, api_keys: [], deactivation });
    await answer(page, `admin/users/${USER}`, detail, 200, { date: new Date().toUTCString() });
    await answer(page, `admin/users/${ADMIN}`, user({ id: ADMIN, email: "boss@example.com" }));
    await own.open(`#/users?open=${USER}`, { page });
    await settled(page);
    const panel = page.getByRole("complementary");
    await panel.getByRole("link", { name: "boss@example.com" }).waitFor();
    await panel.getByText("2 tasks still active").waitFor();
    await panel.getByText("there are none to revoke").waitFor();
    return panel;
  }

  test("a deactivation whose tasks are seen unchanged for a quarter of an hour has stalled, and until then that is not known", () =>
    withClock(async (own, page) => {
      const panel = await openWithTasks(own, page, 16);
      await panel.getByText("Whether it has stalled is not known", { exact: false }).waitFor();
      await pass(page, 14 * 60, 15);
      expect(await panel.getByText("This deactivation has stalled").count()).toBe(0);
      await panel.getByText(/Not done: Tasks \(seen so for 1[34] min/).waitFor();
      await pass(page, 90);
      await panel.getByText("This deactivation has stalled").waitFor();
      await panel.getByText(/Deactivated \d+ min ago. Not done: Tasks\./).waitFor();
    }));

  test("a deactivation whose event's time lies ahead comes with what to do as well, and its age is not said", () =>
    withClock(async (own, page) => {
      const panel = await openWithTasks(own, page, -60);
      const advice = panel.getByText("see the alarms CommandsStuck and, after a day, CommandsDeadLetters", { exact: false });
      expect(await advice.count()).toBe(0);
      await pass(page, 70);
      expect(await advice.count()).toBe(1);
      await pass(page, 15 * 60, 15);
      await panel.getByText("This deactivation has stalled").waitFor();
      await panel.getByText(/^Not done: Tasks\. It will hardly end by itself/).waitFor();
      expect(await panel.getByText("Deactivated in", { exact: false }).count()).toBe(0);
      expect(await advice.count()).toBe(1);
    }));

  test("a clock of the reader that is an hour ahead makes no deactivation old", () =>
    withClock(async (own, page) => {
      await page.clock.setSystemTime(Date.now() + 3_600_000);
      const panel = await openWithTasks(own, page, 2);
      await pass(page, 20);
      expect(await panel.getByText(/Not everything is stopped$|has stalled/).count()).toBe(0);
    }));

  test.each([
    [503, "Service unavailable", "It is not known how far the deactivation is: the detail of this user, with keys and commands, can't be read."],
    [404, "Not Found", "It is not known here how far the deactivation is: this API has no details of users"],
  ])("of a deactivated user whose detail answers %i nothing is said of what the row does not know", async (status, detail, said) => {
    const row = user({ state: "deactivated", active_tasks_count: 0 });
    await answer(page, "admin/users?*", { users: [row], total: 1, page: 1, limit: 50 });
    await answer(page, `admin/users/${USER}`, { detail }, status);
    await browser.open(`#/users?open=${USER}`, { page });
    const panel = page.getByRole("complementary");
    await panel.getByText(said, { exact: false }).waitFor();
    expect(await panel.getByText("are stopped", { exact: false }).count()).toBe(0);
    expect(await panel.getByText("Deactivated", { exact: false }).or(panel.locator(".status", { hasText: "deactivated" })).count()).toBeGreaterThan(0);
  });

  test("a change that fails for now is not repeated after a sign-out, nor by whoever signs in next", () =>
    withClock(async (own, page) => {
      let attempts = 0;
      await answer(page, `admin/users/${USER}`, user());
      await page.route(`**/admin/users/${USER}/deactivate`, (route) => {
        attempts += 1;
        return route.fulfill({ status: 503, headers: { "retry-after": "20" }, json: { detail: "Service unavailable" } });
      });
      await own.open(`#/users?open=${USER}`, { page });
      await settled(page);
      await page.getByRole("button", { name: "Deactivate…" }).click();
      await page.getByRole("dialog").getByRole("textbox").fill("ann@example.com");
      await page.getByRole("dialog").getByRole("button", { name: "Deactivate", exact: true }).click();
      await expect.poll(() => attempts).toBe(1);
      await page.keyboard.press("Escape");
      await page.getByRole("button", { name: "Sign out" }).click();
      await page.getByLabel("API key of an administrator").fill(inject("key"));
      await page.keyboard.press("Enter");
      await page.getByRole("heading", { level: 1, name: "Users" }).waitFor();
      const read = page.waitForRequest((request) => request.url().includes("/admin/users?"));
      await page.clock.runFor(60_000);
      await read;

      expect(attempts).toBe(1);
    }));

  /** Opens the detail of the user, types their email into the dialog of a change and confirms it. */
  async function confirmChange(own: Browser, page: Page, verb: "Deactivate" | "Reactivate"): Promise<Locator> {
    await answer(page, `admin/users/${USER}`, user({ state: verb === "Deactivate" ? "active" : "deactivated" }));
    await own.open(`#/users?open=${USER}`, { page });
    await settled(page);
    await page.getByRole("button", { name: `${verb}…` }).click();
    const dialog = page.getByRole("dialog");
    await dialog.getByRole("button", { name: "Cancel" }).waitFor();
    await dialog.getByRole("textbox").fill("ann@example.com");
    await dialog.getByRole("button", { name: verb, exact: true }).click();
    return dialog;
  }

  test("a reactivation that fails for now is not sent again, and says that it is not known whether it took effect", () =>
    withClock(async (own, page) => {
      let attempts = 0;
      await page.route(`**/admin/users/${USER}/reactivate`, (route) => {
        attempts += 1;
        return route.fulfill({ status: 503, headers: { "retry-after": "1" }, json: { detail: "Service unavailable" } });
      });
      const dialog = await confirmChange(own, page, "Reactivate");
      await dialog.getByRole("alert").getByText("It is not known whether the user was reactivated. Look at the user before you try again", { exact: false }).waitFor();
      expect(await dialog.getByText("repeating is safe", { exact: false }).count()).toBe(0);
      await pass(page, 60);

      expect(attempts).toBe(1);
    }));

  test("once it is not known whether a reactivation took effect, that stays so, also when a further one is refused", async () => {
    const answers = [503, 409];
    await page.route(`**/admin/users/${USER}/reactivate`, (route) => route.fulfill({ status: answers.shift() ?? 409, json: { detail: "Conflict" } }));
    const dialog = await confirmChange(browser, page, "Reactivate");
    const advice = dialog.getByRole("alert").getByText("It is not known whether the user was reactivated.", { exact: false });
    await advice.waitFor();
    await dialog.getByRole("button", { name: "Reactivate", exact: true }).click();
    await dialog.getByRole("alert").getByText("Conflict", { exact: false }).waitFor();
    expect(await advice.count()).toBe(1);
    expect(await dialog.getByText("Nothing was changed.").count()).toBe(0);
  });

  test("the name of whoever deactivated a user is an email, in which nothing is overlooked", async () => {
    await answerDeactivation(page, () => ({ commands: 0, tasks: 0, keys: 0 }));
    await answer(page, `admin/users/${ADMIN}`, user({ id: ADMIN, email: "ad\u200dmin@example.com" }));
    await browser.open(`#/users?open=${USER}`, { page });
    await page.getByRole("complementary").getByRole("link", { name: "ad⟨U+200D⟩min@example.com" }).waitFor();
  });

  test("a change that waits for the rate limit says so, and is never sent after Cancel", () =>
    withClock(async (own, page) => {
      let attempts = 0;
      await page.route(`**/admin/users/${USER}/deactivate`, (route) => {
        attempts += 1;
        return route.fulfill({ status: 429, headers: { "retry-after": "600" }, json: { detail: "Rate limit exceeded" } });
      });
      const dialog = await confirmChange(own, page, "Deactivate");
      await dialog.getByRole("alert").getByText("Too many requests", { exact: false }).waitFor();
      await dialog.getByRole("button", { name: "Deactivate", exact: true }).click();
      await dialog.getByText("If you cancel, it is never sent.", { exact: false }).waitFor();
      await dialog.getByRole("button", { name: "Cancel" }).click();
      await dialog.waitFor({ state: "detached" });
      const read = page.waitForRequest((request) => request.url().includes("/admin/users?"));
      await page.clock.runFor(700_000);
      await read;

      expect(attempts).toBe(1);
    }));

  test("a change that was sent can't be cancelled, and its user is read again once it is answered", async () => {
    let give = () => {};
    await page.route(`**/admin/users/${USER}/deactivate`, async (route) => {
      await new Promise<void>((resolve) => (give = resolve));
      return route.fulfill({ json: { message: "User deactivated successfully", user_id: USER, tasks_paused: 5 } });
    });
    const dialog = await confirmChange(browser, page, "Deactivate");
    await dialog.getByText("Closing this does not take it back", { exact: false }).waitFor();
    expect(await dialog.getByRole("button", { name: "Cancel" }).count()).toBe(0);
    await page.keyboard.press("Escape");
    await dialog.waitFor({ state: "detached" });
    const read = page.waitForRequest((request) => request.url().endsWith(`/admin/users/${USER}`), { timeout: 5_000 });
    give();
    await read;
  });

  test("a user of several who is not stopped yet is named with what waits", async () => {
    const left = { commands: 0, tasks: 2, keys: 0 };
    await answerDeactivation(page, () => left);
    await answer(page, "admin/users?*", { users: [user()], total: 1, page: 1, limit: 50 });
    await answer(page, "admin/users/deactivate", { results: [{ user_id: USER, result: "deactivated", tasks_paused: 5 }] });
    await browser.open("#/users", { page });
    await settled(page);
    await page.getByRole("checkbox", { name: "Select ann@example.com" }).check();
    const dialog = await deactivateSelected(page, "1 user");
    await dialog.getByText("0 of 1 stopped so far.", { exact: false }).waitFor();
    await dialog.getByText("not stopped yet: Tasks").waitFor();

    await dialog.getByRole("link", { name: "ann@example.com" }).click();
    await page.waitForURL(new RegExp(`open=${USER}`));
    await page.getByRole("complementary").getByText("2 tasks still active").waitFor();
    expect(await page.getByRole("dialog").count()).toBe(0);
  });

  test("what was read of a user before several are deactivated does not say that they are stopped", async () => {
    const left = { commands: 0, tasks: 0, keys: 0 };
    let release = () => {};
    let released = Promise.resolve();
    await answerDeactivation(page, () => left);
    await page.route(`**/admin/users/${USER}`, async (route) => {
      await released;
      await route.fallback();
    });
    // The detail is of an earlier deactivation, which somebody else has undone since.
    await answer(page, "admin/users?*", { users: [user()], total: 1, page: 1, limit: 50 });
    await answer(page, "admin/users/deactivate", { results: [{ user_id: USER, result: "deactivated", tasks_paused: 5 }] });
    await browser.open(`#/users?open=${USER}`, { page });
    await page.getByRole("complementary").getByText("Sessions, keys and tasks of this user are stopped.").waitFor();
    await page.keyboard.press("Escape");
    released = new Promise((done) => (release = done));
    left.tasks = 2;
    await page.getByRole("checkbox", { name: "Select ann@example.com" }).check();
    const dialog = await deactivateSelected(page, "1 user");
    await dialog.getByText("All are deactivated.", { exact: false }).waitFor();
    await dialog.getByText("0 of 1 stopped so far.", { exact: false }).waitFor();
    release();
    await dialog.getByText("not stopped yet: Tasks").waitFor();
    await dialog.getByText("0 of 1 stopped so far.", { exact: false }).waitFor();
    left.tasks = 0;
    await dialog.getByText("Sessions, keys and tasks of the deactivated users are stopped.", { exact: false }).waitFor();
  });

  test("users who are not stopped are read ever more seldom while nothing changes, and not at all while the page is hidden", () =>
    withClock(async (own, page) => {
      const left = { commands: 0, tasks: 2, keys: 0 };
      await answerDeactivation(page, () => left);
      await answer(page, "admin/users?*", { users: [user()], total: 1, page: 1, limit: 50 });
      await answer(page, "admin/users/deactivate", { results: [{ user_id: USER, result: "deactivated", tasks_paused: 5 }] });
      await own.open("#/users", { page });
      await settled(page);
      await page.getByRole("checkbox", { name: "Select ann@example.com" }).check();
      const dialog = await deactivateSelected(page, "1 user");
      await dialog.getByText("not stopped yet: Tasks").waitFor();
      let reads = 0;
      page.on("request", (request) => {
        if (request.url().endsWith(`/admin/users/${USER}`)) reads += 1;
      });
      /** How many reads there are in some seconds. */
      const within = async (seconds: number) => {
        reads = 0;
        await pass(page, seconds, 1);
        return reads;
      };
      expect(await within(10)).toBeGreaterThanOrEqual(3);
      await within(120);
      expect(await within(60)).toBeLessThanOrEqual(3);

      const show = (state: "hidden" | "visible") =>
        page.evaluate((state) => {
          Object.defineProperty(document, "visibilityState", { value: state, configurable: true });
          dispatchEvent(new Event("visibilitychange"));
        }, state);
      await show("hidden");
      expect(await within(90)).toBe(0);
      left.tasks = 0;
      await show("visible");
      await dialog.getByText("1 of 1 stopped so far", { exact: false }).or(dialog.getByText("Sessions, keys and tasks of the deactivated users are stopped.")).waitFor();
    }));

  test("users who never stop do not keep others from being watched", () =>
    withClock(async (own, page) => {
      const many = Array.from({ length: 11 }, (_, at) => user({ id: `${USER.slice(0, -2)}${at + 10}`, email: `user${at}@example.com` }));
      const stopped = many.at(-1)?.id;
      await answer(page, "admin/users?*", { users: many, total: many.length, page: 1, limit: 50 });
      await page.route("**/admin/users/*", (route) => {
        const found = many.find(({ id }) => route.request().url().endsWith(id));
        const deactivation = { at: new Date().toISOString(), by: ADMIN, tasks_paused: 5, commands_pending: 0 };
        return route.fulfill({ json: user({ ...found, state: "deactivated", active_tasks_count: found?.id === stopped ? 0 : 1, api_keys: [], deactivation, history: [deactivatedBy("/torale/admin")] }) });
      });
      await answer(page, "admin/users/deactivate", { results: many.map(({ id }) => ({ user_id: id, result: "deactivated", tasks_paused: 5 })) });
      await own.open("#/users", { page });
      await settled(page);
      await page.getByRole("checkbox", { name: "Select all active users of this page" }).check();
      const dialog = await deactivateSelected(page, "11 users");
      await expect.poll(() => dialog.getByText("not stopped yet: Tasks").count()).toBe(10);
      await dialog.getByText("0 of 11 stopped so far.", { exact: false }).waitFor();
      await pass(page, 60);
      await dialog.getByText("1 of 11 stopped so far.", { exact: false }).waitFor();
      expect(await dialog.getByText("not stopped yet: Tasks").count()).toBe(10);
    }));

  test("several users are deactivated at once, with a result for each", async () => {
    const chosen = await someone(2);
    expect(chosen).toHaveLength(2);
    await browser.open("#/users?limit=100&active_only=true", { page });
    await settled(page);
    for (const { email } of chosen) await page.getByRole("checkbox", { name: `Select ${email}` }).check();
    const dialog = await deactivateSelected(page, "2 users");
    await dialog.getByText("All are deactivated.").waitFor();
    expect(await dialog.locator("li .status").allTextContents()).toEqual(["deactivated", "deactivated"]);
    await dialog.getByText("Sessions, keys and tasks of the deactivated users are stopped.").waitFor({ timeout: 40_000 });
    expect(await dialog.locator("li").getByText("sessions, keys and tasks are stopped", { exact: false }).count()).toBeGreaterThanOrEqual(2);
    await dialog.getByRole("button", { name: "Close" }).last().click();

    await expect.poll(() => page.getByRole("region", { name: "Selected users" }).count()).toBe(0);
    const { users } = await api<UsersPage>("admin/users?limit=100");
    expect(chosen.map(({ id }) => users.find((row) => row.id === id)?.state)).toEqual(["deactivated", "deactivated"]);
  });

  test("the audit trail shows who deactivated whom", async () => {
    const row = auditRecord();
    await page.route("**/admin/audit?*", (route) => {
      const action = new URL(route.request().url()).searchParams.get("action");
      const many = { ...row, id: "2026112808-9f86d081884c-1", at: "2026-11-28T08:30:00Z", action: "users.deactivate_many", target: null, parameters: { malformed: 0, user_ids: [USER, ADMIN] } };
      const refused = { ...row, id: "2026112808-9f86d081884c-2", at: "2026-11-28T08:15:00Z", action: "users.reactivate", status: 409 };
      const records = action === "users.deactivate" ? [row] : action === "users.deactivate_many" ? [many] : action === "users.reactivate" ? [refused, { id: "2026112808-9f86d081884c-0", missing: true }] : [];
      return route.fulfill({ json: { records, total: records.length, page: 1, limit: 100 } });
    });
    await answer(page, `admin/users/${ADMIN}`, user({ id: ADMIN, email: "boss@example.com" }));
    await answer(page, `admin/users/${USER}`, user());
    await browser.open("#/audit?hours=168", { page });
    await page.getByText("boss@example.com").first().waitFor();
    await page.getByText("What events change, such as a deletion at Clerk, is no request: it is in the user's History.", { exact: false }).waitFor();
    const cells = page.locator("tbody tr").first().getByRole("cell");
    expect((await cells.allTextContents()).slice(1, 4)).toEqual(["Deactivated a user", "boss@example.com", "ann@example.com"]);
    const several = page.locator("tbody tr").nth(1);
    expect((await several.getByRole("cell").allTextContents()).slice(1, 4)).toEqual(["Asked to deactivate several users", "boss@example.com", "2 users"]);
    await page.getByText("Someone has removed this record").waitFor();
    // Beside a detail, the list has fewer columns.
    await cells.first().click();
    await page.getByRole("complementary").getByText("203.0.113.7").waitFor();
    await several.getByRole("cell").first().click();
    await page.getByRole("complementary").getByRole("link", { name: "ann@example.com" }).waitFor();
    const refused = page.locator("tbody tr").nth(2).getByRole("cell");
    expect((await refused.allTextContents())[1]).toBe("Refused: Reactivated a user");
    await refused.first().click();
    await page.getByRole("complementary").getByRole("heading", { name: "Refused: Reactivated a user" }).waitFor();
  });

  test("a task or an execution that somebody read is in the audit trail with a link to it, and is not looked up as a user", async () => {
    const of = (action: string, target: string, number: number) => ({ ...auditRecord(), id: `2026112809-9f86d081884c-${number}`, action, target });
    const records = [of("users.read", USER, 3), of("tasks.read", TASK, 2), of("executions.read", EXECUTION, 1)];
    await answer(page, "admin/audit?*", { records, total: 3, page: 1, limit: 50 });
    await answer(page, `admin/users/${ADMIN}`, user({ id: ADMIN, email: "boss@example.com" }));
    await answer(page, `admin/users/${USER}`, user());
    const read: string[] = [];
    page.on("request", (request) => read.push(new URL(request.url()).pathname));
    await browser.open("#/audit?action=all", { page });
    await settled(page);
    const about = page.locator("tbody tr").getByRole("cell").nth(3);
    expect(await about.textContent()).toBe("ann@example.com");
    expect(await page.locator("tbody tr").nth(1).getByRole("cell").nth(3).textContent()).toBe(`Task ${TASK.slice(0, 8)}…`);
    expect(read.filter((path) => path.startsWith("/admin/users/")).sort()).toEqual([`/admin/users/${USER}`, `/admin/users/${ADMIN}`].sort());

    const panel = page.getByRole("complementary");
    await page.locator("tbody tr").nth(1).click();
    expect(await panel.getByRole("link", { name: "Open the task" }).getAttribute("href")).toBe(`#/tasks?open=${TASK}`);
    await page.locator("tbody tr").nth(2).click();
    expect(await panel.getByRole("link", { name: "Open the execution" }).getAttribute("href")).toBe(`#/executions?open=${EXECUTION}`);
  });

  test("a refusal of one user among several is shown with its reason", async () => {
    const [chosen] = await someone(1);
    await page.route("**/admin/users/deactivate", (route) =>
      route.fulfill({ json: { results: [{ user_id: chosen?.id, result: "refused", detail: "Administrators cannot deactivate themselves" }] } }),
    );
    await browser.open("#/users?limit=100&active_only=true", { page });
    await settled(page);
    await page.getByRole("checkbox", { name: `Select ${chosen?.email}` }).check();
    await deactivateSelected(page, "1 user");
    await page.getByText("Administrators cannot deactivate themselves").waitFor();
    await page.getByText("1 user could not be deactivated.").waitFor();
    expect(await page.getByRole("dialog").getByText("are stopped", { exact: false }).count()).toBe(0);
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
