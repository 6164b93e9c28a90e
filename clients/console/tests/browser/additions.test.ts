/** Tasks, errors of a type, and the search for users, as the API itself answers them. */
import type { Page } from "playwright-core";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { ErrorsPage, Health, TasksPage, UsersPage } from "../../src/api/types";
import { ADMIN, answer, answerCalm, answerSeries, auditRecord, deactivatedBy, history, user, USER } from "./answers";
import { api, Browser, pass, settled, withClock } from "./browser";

let browser: Browser;
beforeAll(async () => {
  browser = await Browser.start();
});
afterAll(() => browser.stop());

test("tasks are listed and filtered as the API counts them, and a row opens its detail", async () => {
  const paused = await api<TasksPage>("admin/tasks?state=paused&limit=50");
  const page = await browser.open("#/tasks");
  await settled(page);
  await page.getByLabel("State").selectOption("paused");
  await page.waitForURL(/state=paused/);
  await page.getByText(`of ${paused.total}`, { exact: false }).first().waitFor();
  await expect.poll(async () => new Set(await page.locator("tbody .status").allTextContents())).toEqual(new Set(["paused"]));

  await page.locator("tbody tr").first().click();
  const panel = page.getByRole("complementary");
  await panel.getByText("Schedules", { exact: true }).waitFor();
  await panel.getByText(paused.tasks[0]?.id ?? "none").waitFor();
  await panel.getByText("History").waitFor();
  expect(browser.faults).toEqual([]);
  await page.close();
});

test("the tasks of a user are those that the user's detail leads to", async () => {
  const { users } = await api<UsersPage>("admin/users?limit=100");
  const owner = users.find((row) => row.tasks_count > 1);
  if (owner === undefined) throw new Error("no user has two tasks");
  const page = await browser.open(`#/users?limit=100&open=${owner.id}`);
  await settled(page);
  await page.getByRole("complementary").getByRole("link", { name: "Tasks", exact: true }).click();
  await page.waitForURL(new RegExp(`user_id=${owner.id}`));
  await expect.poll(() => page.locator("tbody tr").count()).toBe(owner.tasks_count);
  await page.close();
});

test("a query leads to its tasks", async () => {
  const page = await browser.open("#/queries");
  await settled(page);
  const tasks = await page.locator("tbody tr").first().locator("td.numeric").first().textContent();
  await page.locator("tbody tr").first().click();
  await page.getByRole("link", { name: "Tasks with this query" }).click();
  await page.waitForURL(/search_query=/);
  await page.getByText(new RegExp(`of ${tasks}$`)).waitFor();
  await page.close();
});

test("errors of one type are those alone, and the types stay those of the window", async () => {
  const all = await api<ErrorsPage>("admin/errors?hours=720&limit=100");
  const [[type, number] = ["", 0]] = Object.entries(all.error_types);
  const page = await browser.open("#/errors?hours=720&limit=100");
  await page.locator(".breakdown").getByRole("link", { name: type }).click();
  await page.waitForURL(new RegExp(`error_type=${type}`));
  await expect.poll(() => page.locator("tbody tr").count()).toBe(Math.min(100, number));
  await page.getByText(`Of all ${number} failures.`).waitFor();
  await page.close();
});

test("a user is found by the beginning of an email, whatever its case, in the list and in the palette", async () => {
  const { users } = await api<UsersPage>("admin/users?limit=100");
  const email = users.find((row) => row.email !== null && !row.email.startsWith("admin"))?.email ?? "";
  const beginning = email.slice(0, email.indexOf("@")).toUpperCase();
  const page = await browser.open("#/");
  await settled(page);
  await page.keyboard.press("Control+k");
  await page.getByRole("combobox", { name: /A page/ }).fill(beginning);
  await page.getByRole("option", { name: new RegExp(email.replace(/\./g, "\\.")) }).click();
  await page.waitForURL(/#\/users\?q=.*open=/);
  await page.getByRole("complementary").getByText(email).first().waitFor();

  await page.goto(`${new URL(page.url()).origin}/admin#/users?q=${beginning}`);
  await settled(page);
  await expect.poll(() => page.locator("tbody tr").count()).toBeGreaterThan(0);
  for (const found of await page.locator("tbody a.row-link").allTextContents()) {
    expect(found.toUpperCase().startsWith(beginning)).toBe(true);
  }
  await page.close();
});

test("health shows what the API says of generations, queue, outbox and quarantine", async () => {
  const page = await browser.context.newPage();
  const answered = page.waitForResponse(/\/admin\/health$/);
  await browser.open("#/health", { page });
  // What the page itself was answered: commands of another test may be sent between two requests.
  const health = (await (await answered).json()) as Health;
  await settled(page);
  await page.getByText(health.live_generation.name, { exact: true }).waitFor();
  const value = (name: string) => page.locator(".figure", { hasText: name }).locator(".figure-value").textContent();
  expect(await value("In quarantine")).toBe(String(health.quarantine.messages));
  expect(await value("Lag of commands")).toEqual(health.outbox.entries === 0 ? "None" : expect.stringMatching(/ behind$/));
  expect(browser.faults).toEqual([]);
  await page.close();
});

test("health tells which alarm a figure stands for, and what a shadow generation is for", async () => {
  const page = await browser.context.newPage();
  await answer(page, "admin/health", {
    live_generation: { name: "g2", lanes: 2 },
    shadow_generation: { name: "g1", lanes: 2, since: "2026-03-31T10:00:00Z", complete: true },
    events_waiting: 3,
    outbox: { entries: 1, capped: false, oldest_at: "2026-03-31T10:00:00Z", age_ms: 600_000 },
    quarantine: { messages: 1000, capped: true },
  });
  await browser.open("#/health", { page });
  await page.getByText("Lag of commands; In quarantine: somebody has to look.").waitFor();
  await page.getByText("Send them again: cargo replay quarantine redrive", { exact: false }).waitFor();
  await page.getByText("10 min behind").waitFor();
  await page.getByText("3 events").waitFor();
  await page.getByText("1,000 or more").waitFor();
  await page.getByText("one write makes it live").waitFor();
  expect(browser.faults).toEqual([]);
  await page.close();
});

/** Answers that somebody was deactivated so long ago, with a task that still runs; and somebody who can't be read. */
async function answerStalled(page: Page, minutes: number, unreadable?: string): Promise<void> {
  const at = new Date(Date.now() - minutes * 60_000).toISOString();
  const deactivation = { at, by: ADMIN, tasks_paused: 5, commands_pending: 0 };
  await page.route("**/admin/audit?*", (route) => {
    const isOne = new URL(route.request().url()).searchParams.get("action") === "users.deactivate";
    const targets = [USER, ...(unreadable === undefined ? [] : [unreadable])];
    const records = isOne ? targets.map((target) => ({ ...auditRecord(), at, target })) : [];
    return route.fulfill({ json: { records, total: records.length, page: 1, limit: 10 } });
  });
  await answer(page, `admin/users/${USER}`, user({ state: "deactivated", active_tasks_count: 1, deactivation }));
  await answerCalm(page);
  if (unreadable !== undefined) await answer(page, `admin/users/${unreadable}`, { detail: "This user is damaged" }, 422);
}

test("a deactivation that is seen unchanged for long has stalled: an alarm on the overview and on the health, although another user can't be read", () =>
  withClock(async (own, page) => {
    await answerSeries(page);
    await answerStalled(page, 16, ADMIN);
    await own.open("#/", { page });
    await settled(page);
    // A task may have come a moment ago.
    await page.locator(".verdict.calm").getByText("Calm so far. All figures are below their thresholds.", { exact: false }).waitFor();
    expect(await page.getByText("Nothing waits longer than it should.", { exact: false }).count()).toBe(0);
    await pass(page, 14 * 60, 15);
    expect(await page.locator(".verdict.alarm").count()).toBe(0);
    await pass(page, 150, 15);
    await page.locator(".verdict.alarm").getByText("Stalled deactivations: 1.", { exact: false }).waitFor();
    // Nor can the user be read anew any more: the alarm stays.
    await answer(page, `admin/users/${USER}`, { detail: "This user is damaged" }, 422);
    await pass(page, 75, 15);
    await page.locator(".verdict.alarm").getByText("Stalled deactivations: 1.", { exact: false }).waitFor();
    await page.getByRole("link", { name: "What to do" }).click();
    await page.locator(".verdict.alarm").getByText("Stalled deactivations: somebody has to look.").waitFor();
    await page.getByText("Of the 2 users last deactivated by an administrator, in the last 7 days. Not known: 2 users can't be read.").waitFor();
    await page.getByRole("region", { name: "Stalled deactivations" }).getByRole("link", { name: "ann@example.com" }).click();
    await page.getByRole("complementary").getByText("This deactivation has stalled").waitFor();
    expect(own.faults).toEqual([]);
  }));

/** Lets time pass for a page with a clock although requests fail: they are tried again, so it never settles. */
async function later(page: Page, seconds: number): Promise<void> {
  for (let left = seconds; left > 0; left -= 5) {
    await page.clock.runFor(Math.min(5, left) * 1_000);
    // Answers come in real time.
    await page.waitForTimeout(50);
  }
}

/** The value of the check of stalled deactivations, and what is said about it. */
const stalledFigure = (page: Page) => {
  const figure = page.locator(".figure", { hasText: "Stalled deactivations" });
  return { value: () => figure.locator(".figure-value").textContent(), about: (text: string) => figure.getByText(text, { exact: false }) };
};

test.each([
  [422, "This user is damaged"],
  [503, "Service unavailable"],
])("a user who was well when they were read, and then answers %i, is not known to be well any more", (status, detail) =>
  withClock(async (own, page) => {
    await answerStalled(page, 60);
    const deactivation = { at: "2026-11-28T09:00:00Z", by: ADMIN, tasks_paused: 5, commands_pending: 0 };
    await answer(page, `admin/users/${USER}`, user({ state: "deactivated", active_tasks_count: 0, api_keys: [], deactivation }));
    await own.open("#/health", { page });
    const { value, about } = stalledFigure(page);
    await expect.poll(value).toBe("None");
    await answer(page, `admin/users/${USER}`, { detail }, status);
    await later(page, 125);
    await about("Not known: 1 user can't be read.").waitFor();
    expect(await value()).toBe("…");
    const unknown = page.getByRole("region", { name: "Deactivations of which it is not known" });
    expect(await unknown.getByRole("link").allTextContents()).toEqual(["ann@example.com"]);
  }));

test("an audit trail that can't be read leaves it unknown who has stalled, at first and after it was read", () =>
  withClock(async (own, page) => {
    let isThere = false;
    const unless = (whether: () => boolean) => page.route("**/admin/audit?*", (route) => (whether() ? route.fallback() : route.fulfill({ status: 503, json: { detail: "Service unavailable" } })));
    await answerStalled(page, 60);
    const deactivation = { at: "2026-11-28T09:00:00Z", by: ADMIN, tasks_paused: 5, commands_pending: 0 };
    await answer(page, `admin/users/${USER}`, user({ state: "deactivated", active_tasks_count: 0, api_keys: [], deactivation }));
    await unless(() => isThere);
    await own.open("#/health", { page });
    const { value, about } = stalledFigure(page);
    const unread = about("Not known: the audit trail can't be read, which says who was deactivated.");
    await unread.waitFor();
    isThere = true;
    await page.clock.runFor(31_000);
    await about("Of the user last deactivated by an administrator").waitFor();
    expect(await value()).toBe("None");
    isThere = false;
    // One answer that does not come changes nothing; the second one does.
    await later(page, 75);
    expect(await value()).toBe("None");
    await later(page, 50);
    await unread.waitFor();
    expect(await value()).toBe("…");
    // While it is read again nothing more is known, whether somebody asks for it or comes back to the view.
    await page.route("**/admin/audit?*", () => undefined);
    const again = () => page.waitForRequest(/admin\/audit\?.*deactivate/);
    await Promise.all([again(), page.getByRole("button", { name: "Refresh now" }).click()]);
    expect(await value()).toBe("…");
    await page.getByRole("link", { name: "Overview", exact: true }).click();
    await page.getByText("Calm so far. All figures are below their thresholds. Not all is known of deactivations: see Health.").waitFor();
  }));

test("a health that can't be read any more is not said to be calm, on the overview and on its own view", () =>
  withClock(async (own, page) => {
    await answerSeries(page);
    await answerCalm(page);
    await answer(page, "admin/audit?*", { records: [], total: 0, page: 1, limit: 100 });
    await answer(page, "admin/health", {
      live_generation: { name: "g1", lanes: 2 },
      shadow_generation: null,
      events_waiting: 0,
      outbox: { entries: 0, capped: false, oldest_at: null, age_ms: 0 },
      quarantine: { messages: 0, capped: false },
    });
    await own.open("#/", { page });
    await page.getByText("Calm. All figures are below their thresholds. Nothing waits longer than it should.").waitFor();
    await answer(page, "admin/health", { detail: "Service unavailable" }, 503);
    await later(page, 125);
    await page.getByText("Calm so far. All figures are below their thresholds. Not all is known of this system: see Health.").waitFor();
    await page.getByRole("link", { name: "see Health" }).click();
    await page.getByText("Calm so far. The health can't be read anew: this is what it said last.").waitFor();
  }));

test.each([["failed", "admin/executions?*"], ["errors", "admin/errors?*hours=1&*"]])("while a figure of an hour (%s) is not known, nothing is said of all figures", async (_, path) => {
  const page = await browser.context.newPage();
  await answerSeries(page);
  await answerCalm(page);
  await answer(page, path, { detail: "Service unavailable" }, 503);
  await browser.open("#/", { page });
  await page.getByText("Calm so far. The figures known so far are below their thresholds.", { exact: false }).waitFor();
  expect(await page.getByText("All figures", { exact: false }).count()).toBe(0);
  await page.close();
});

test("of eleven users whom requests name ten are looked at, also those who were reactivated, and calm is not said of all", async () => {
  const page = await browser.context.newPage();
  const at = "2026-11-28T09:00:00Z";
  const id = (number: number) => `${USER.slice(0, -2)}${10 + number}`;
  const read = new Set<string>();
  await page.route("**/admin/audit?*", (route) => {
    const isOne = new URL(route.request().url()).searchParams.get("action") === "users.deactivate";
    const records = isOne ? Array.from({ length: 11 }, (_, number) => ({ ...auditRecord(), target: id(number) })) : [];
    return route.fulfill({ json: { records, total: records.length, page: 1, limit: 100 } });
  });
  await page.route("**/admin/users/*", (route) => {
    const own = route.request().url().split("/").at(-1) ?? "";
    read.add(own);
    const deactivation = { at, by: ADMIN, tasks_paused: 5, commands_pending: 0 };
    return route.fulfill({ json: own === id(0) ? user({ id: own }) : user({ id: own, state: "deactivated", active_tasks_count: 0, api_keys: [], deactivation }) });
  });
  await browser.open("#/health", { page });
  const { value, about } = stalledFigure(page);
  await about("Of the 10 looked at: requests of the last 7 days name more users.").waitFor();
  expect(await value()).toBe("None");
  await page.locator(".verdict.calm").getByText("Calm so far. Not all is known of deactivations.").waitFor();
  expect(read.size).toBe(10);
  await page.close();
});

test("a deactivation of which it is not known whether it has stalled leads from the overview to the health, and from there to the user", async () => {
  const page = await browser.context.newPage();
  await answerSeries(page);
  await answerStalled(page, 16);
  await browser.open("#/", { page });
  const verdict = page.locator(".verdict.calm");
  await verdict.getByText("Calm so far. All figures are below their thresholds. Not all is known of deactivations: see Health.").waitFor();
  await verdict.getByRole("link", { name: "see Health" }).click();
  await page.locator(".verdict.calm").getByText("Calm so far. Not all is known of deactivations.").waitFor();
  await page.getByRole("region", { name: "Deactivations of which it is not known" }).getByRole("link", { name: "ann@example.com" }).click();
  await page.getByRole("complementary").getByText("Whether it has stalled is not known", { exact: false }).waitFor();
  await page.close();
});

test("a task that comes late to a deactivation is not said to have stalled, and is forgotten once it is stopped", () =>
  withClock(async (own, page) => {
    const at = new Date(Date.now() - 3_600_000).toISOString();
    const deactivation = { at, by: ADMIN, tasks_paused: 5, commands_pending: 0 };
    let active_tasks_count = 1;
    await page.route(`**/admin/users/${USER}`, (route) => route.fulfill({ json: user({ state: "deactivated", active_tasks_count, api_keys: [], deactivation }) }));
    await own.open(`#/users?open=${USER}`, { page });
    await settled(page);
    const panel = page.getByRole("complementary");
    await panel.getByText("Not everything is stopped", { exact: true }).waitFor();
    // As long as a command that failed once waits until it comes again.
    await pass(page, 200, 15);
    expect(await panel.getByText("This deactivation has stalled").count()).toBe(0);
    active_tasks_count = 0;
    await pass(page, 16);
    await panel.getByText("Sessions, keys and tasks of this user are stopped.").waitFor();
    active_tasks_count = 1;
    await pass(page, 13 * 60, 15);
    await panel.getByText("Not everything is stopped", { exact: true }).waitFor();
    expect(await panel.getByText("This deactivation has stalled").count()).toBe(0);
  }));

test("of a user whom the platform deactivated it is said that commands are not sure, and they can be sent", async () => {
  const page = await browser.context.newPage();
  // As after a request, a reactivation, and the platform's own deactivation.
  const deactivation = { at: new Date(Date.now() - 3_600_000).toISOString(), by: null, tasks_paused: 5, commands_pending: 0 };
  const found = user({ state: "deactivated", active_tasks_count: 2, deactivation, history: [deactivatedBy("/torale/backend")] });
  await answer(page, `admin/users/${USER}`, found);
  await page.route(`**/admin/users/${USER}/deactivate`, (route) => route.fulfill({ json: { message: "User deactivated successfully", user_id: USER, tasks_paused: 2 } }));
  await browser.open(`#/users?open=${USER}`, { page });
  await settled(page);
  const panel = page.getByRole("complementary");
  await panel.getByText("if the user was reactivated since then, no commands stop the tasks and keys; if not, they are for the commands of that request to stop; if they stay, see the alarms CommandsStuck and, after a day, CommandsDeadLetters.", { exact: false }).waitFor();
  await panel.getByText("2 tasks still active").waitFor();
  expect(await panel.getByText(/stalled|Not everything/).count()).toBe(0);
  expect(await panel.locator(".advice").count()).toBe(0);
  const sent = page.waitForRequest((request) => request.method() === "PATCH");
  await panel.getByRole("button", { name: "Deactivate here too…" }).click();
  await page.getByRole("dialog").getByRole("textbox").fill("ann@example.com");
  await page.getByRole("dialog").getByRole("button", { name: "Deactivate", exact: true }).click();
  await sent;

  // The platform's event still says so: an earlier request holds, and this one has sent nothing.
  const held = "An earlier request still holds: what is left is for its commands to stop; if it stays, see the alarms CommandsStuck and, after a day, CommandsDeadLetters.";
  await page.getByRole("dialog").getByText(held).waitFor();
  expect(await page.getByRole("dialog").getByText(/goes on by itself|Deactivate once more/).count()).toBe(0);
  await page.getByRole("dialog").getByRole("button", { name: "Close" }).last().click();
  await panel.getByText(held, { exact: false }).waitFor();
  expect(await panel.getByRole("button", { name: "Deactivate here too…" }).count()).toBe(0);
  // Tasks and keys: there is no button any more, so each says what to do.
  await expect.poll(() => panel.locator(".advice").allTextContents()).toEqual([
    expect.stringContaining("see the alarms CommandsStuck and, after a day, CommandsDeadLetters"),
    expect.stringContaining("see the alarms CommandsStuck and, after a day, CommandsDeadLetters"),
  ]);
  // The button that had the focus is gone.
  await expect.poll(() => page.evaluate(() => document.activeElement?.closest(".panel-head")?.textContent)).toContain("ann@example.com");
  await page.close();
});

test.each([
  ["user_2abc", "The login at Clerk is blocked, unless it was deleted there."],
  ["", "There is no login at Clerk to block."],
])("a request for a user whom the platform deactivated, with the login '%s', says that keys are revoked for good, and: %s", async (clerk_user_id, said) => {
  const page = await browser.context.newPage();
  const deactivation = { at: new Date(Date.now() - 3_600_000).toISOString(), by: null, tasks_paused: null, commands_pending: 0 };
  await answer(page, `admin/users/${USER}`, user({ state: "deactivated", clerk_user_id, deactivation, history: [deactivatedBy("/torale/backend")] }));
  await browser.open(`#/users?open=${USER}`, { page });
  await settled(page);
  await page.getByRole("button", { name: "Deactivate here too…" }).click();
  const promised = page.getByRole("dialog").locator(".consequences");
  await promised.getByText(said, { exact: true }).waitFor();
  await promised.getByText("All API keys are revoked for good.", { exact: false }).waitFor();
  expect(await promised.getByText("login", { exact: false }).count()).toBe(1);
  await page.close();
});

test("commands that wait after a deactivation by the platform come with what to do, and what commands may not stop does not", async () => {
  const page = await browser.context.newPage();
  const deactivation = { at: new Date(Date.now() - 3_600_000).toISOString(), by: null, tasks_paused: null, commands_pending: 2 };
  await answer(page, `admin/users/${USER}`, user({ state: "deactivated", active_tasks_count: 2, deactivation, history: [deactivatedBy("/torale/backend")] }));
  await browser.open(`#/users?open=${USER}`, { page });
  await settled(page);
  const panel = page.getByRole("complementary");
  await panel.getByText("2 commands not yet on the queue").waitFor();
  await panel.getByText("look at the alarm OutboxAge", { exact: false }).waitFor();
  await panel.getByText("1 key not revoked").waitFor();
  expect(await panel.getByText("CommandsStuck", { exact: false }).count()).toBe(0);
  await page.close();
});

test.each([
  ["an administrator", "user_2abc", "If the login is blocked at Clerk, it stays so until somebody lifts the ban there.", [deactivatedBy("/torale/admin")]],
  ["the deletion of the login", "user_2abc", "If the login is blocked at Clerk, it stays so until somebody lifts the ban there.", history("identity.deleted", ["state"])],
  ["an administrator", "", "There is no login at Clerk.", [deactivatedBy("/torale/admin")]],
] as const)("a reactivation of a user deactivated by %s, with the login '%s', says of it: %s", async (_, clerk_user_id, said, events) => {
  const page = await browser.context.newPage();
  const deactivation = { at: new Date(Date.now() - 3_600_000).toISOString(), by: null, tasks_paused: null, commands_pending: 0 };
  await answer(page, `admin/users/${USER}`, user({ state: "deactivated", clerk_user_id, deactivation, history: [...events] }));
  await browser.open(`#/users?open=${USER}`, { page });
  await settled(page);
  await page.getByRole("button", { name: "Reactivate…" }).click();
  await page.getByRole("dialog").getByText(said, { exact: true }).waitFor();
  await page.close();
});

test("an invisible character of an email is written out in the name of its box, too", async () => {
  const page = await browser.context.newPage();
  await answer(page, "admin/users?*", { users: [user({ email: "ann\u202e@example.com" })], total: 1, page: 1, limit: 50 });
  await browser.open("#/users", { page });
  await page.getByRole("checkbox", { name: "Select ann⟨U+202E⟩@example.com" }).waitFor();
  await page.close();
});

test("a character that only joins others is written out wherever an email stands, and stays in other texts", async () => {
  const page = await browser.context.newPage();
  const found = user({ email: "ann\u200d@example.com" });
  await answer(page, "admin/users?*", { users: [found], total: 1, total_capped: false, page: 1, limit: 50 });
  await answer(page, `admin/users/${USER}`, found);
  await browser.open(`#/users?open=${USER}`, { page });
  await page.getByRole("checkbox", { name: "Select ann⟨U+200D⟩@example.com" }).waitFor();
  await page.getByRole("complementary").getByRole("heading", { name: "ann⟨U+200D⟩@example.com" }).waitFor();
  await page.getByRole("button", { name: "Deactivate…" }).click();
  await page.getByText("This email has invisible characters").waitFor();
  await page.keyboard.press("Escape");
  await page.keyboard.press("Control+k");
  await page.getByRole("combobox", { name: /A page/ }).fill("ann");
  await page.getByRole("option", { name: /ann⟨U\+200D⟩@example\.com/ }).waitFor();
  await page.keyboard.press("Escape");

  await answer(page, "admin/queries?*", { queries: [{ search_query: "👩\u200d👧", total_tasks: 1, active_tasks: 1, total_executions: 1, success_rate: 0, avg_duration_ms: 1 }], total: 1, page: 1, limit: 50 });
  await browser.open("#/queries", { page });
  await page.locator("tbody").getByText("👩\u200d👧").waitFor();
  await page.close();
});

test("a time of the day that there is none of finds no schedules, and says so", async () => {
  const page = await browser.open("#/schedules?at=99:99");
  await page.getByText("This is no time of the day").waitFor();
  expect(await page.locator("tbody tr").count()).toBe(0);
  await page.close();
});

test("a deactivation that is under way alarms nobody", async () => {
  const page = await browser.context.newPage();
  await answerSeries(page);
  await answerStalled(page, 10);
  await browser.open("#/health", { page });
  await page.getByText("Of the user last deactivated by an administrator", { exact: false }).waitFor();
  expect(await page.locator(".figure", { hasText: "Stalled deactivations" }).locator(".figure-value").textContent()).toBe("None");
  await page.close();
});

test("the overview says what waits, although all figures are below their thresholds", async () => {
  const page = await browser.context.newPage();
  await answerSeries(page);
  await answerCalm(page);
  await answer(page, "admin/health", {
    live_generation: { name: "g1", lanes: 2 },
    shadow_generation: null,
    events_waiting: 0,
    outbox: { entries: 1, capped: false, oldest_at: "2026-03-31T10:00:00Z", age_ms: 301_000 },
    quarantine: { messages: 0, capped: false },
  });
  await browser.open("#/", { page });
  await page.locator(".verdict.alarm").getByText("Alarm. Lag of commands: behind. What to do. All figures are below their thresholds.").waitFor();
  await page.close();
});

test("the error rate stands next to that of the 24 hours before", async () => {
  const page = await browser.context.newPage();
  const hour = 3_600_000;
  const cut = Math.floor(Date.now() / 60_000) * 60_000 - 24 * hour;
  await page.route("**/admin/stats/series?*", (route) => {
    const query = new URL(route.request().url()).searchParams;
    const point = (start: number, count: number, failed: number) => ({ start: new Date(start).toISOString(), count, failed, avg_duration_ms: 1 });
    const before = Number(query.get("hours")) === 48 ? [point(cut - 24 * hour, 100, 4)] : [];
    const whole = Math.floor(cut / hour) * hour;
    const later = before.length > 0 ? [point(whole, 20, 9)] : [point(cut, 20, 9)];
    return route.fulfill({ json: { metric: "executions", bucket: query.get("bucket"), points: [...before, ...later] } });
  });
  await browser.open("#/", { page });
  await page.locator(".figure", { hasText: "Error rate, 24 h" }).getByText("4 % in the 24 h before").waitFor();
  await page.close();
});

test("a user among the failures of a breakdown opens with their detail", async () => {
  const { errors } = await api<ErrorsPage>("admin/errors?hours=720&limit=100");
  const email = errors.find((row) => row.user_email !== null)?.user_email ?? "";
  const page = await browser.open("#/errors?hours=720&limit=100&by=user_email");
  await settled(page);
  const all = page.getByRole("button", { name: /^Show all/ });
  if ((await all.count()) > 0) await all.click();
  await page.locator(".breakdown").getByRole("link", { name: email, exact: true }).click();
  await page.waitForURL(/#\/users\?.*open=[0-9a-f]{8}-/);
  await page.getByRole("complementary").getByRole("heading", { level: 2, name: email }).waitFor();
  // The back button leads to the failures, not to the look-up.
  await page.goBack();
  await page.waitForURL(/#\/errors/);
  await page.close();
});

test("an email that several users have leads to the list of them", async () => {
  const page = await browser.context.newPage();
  await answer(page, "admin/users?*", { users: [user(), user({ id: ADMIN })], total: 2, page: 1, limit: 50, total_capped: false });
  await browser.open("#/users?q=ann@example.com&open=ann@example.com", { page });
  await page.waitForURL((url) => !url.hash.includes("open="));
  expect([await page.locator("tbody tr").count(), await page.getByRole("complementary").count()]).toEqual([2, 0]);
  await page.close();
});

test("an email with blanks around it opens the user, whose detail stays", async () => {
  const page = await browser.context.newPage();
  const found = user({ email: "ann@example.com " });
  await answer(page, "admin/users?*", { users: [found], total: 1, page: 1, limit: 50, total_capped: false });
  await answer(page, `admin/users/${USER}`, found);
  await browser.open("#/users?q=ann%40example.com+&open=ann%40example.com+", { page });
  const panel = page.getByRole("complementary");
  await panel.getByText("History").waitFor();
  // Longer than a filter waits until it is applied.
  await page.waitForTimeout(800);
  expect([await panel.count(), new URL(page.url()).hash.includes(`open=${USER}`)]).toEqual([1, true]);
  await page.close();
});

test("a rate before that could not be read anew stays", () =>
  withClock(async (own, page) => {
    const hour = 3_600_000;
    const cut = Math.floor(Date.now() / 60_000) * 60_000 - 24 * hour;
    let apart = 0;
    let answered = 0;
    await page.route("**/admin/stats/series?*", (route) => {
      const query = new URL(route.request().url()).searchParams;
      const point = (start: number, count: number, failed: number) => ({ start: new Date(start).toISOString(), count, failed, avg_duration_ms: 1 });
      answered += 1;
      const points = Number(query.get("hours")) === 48 ? [point(cut - 24 * hour, 100, 4), point(Math.floor(cut / hour) * hour, 20, 9)] : [point(cut + apart, 20, 9)];
      return route.fulfill({ json: { metric: "executions", bucket: query.get("bucket"), points } });
    });
    await own.open("#/", { page });
    const before = page.locator(".figure", { hasText: "Error rate, 24 h" }).getByText("4 % in the 24 h before");
    await before.waitFor();
    // The next two are cut in different minutes.
    apart = 60_000;
    const until = answered + 2;
    await pass(page, 70);
    await expect.poll(() => answered).toBeGreaterThanOrEqual(until);
    await settled(page);
    expect(await before.count()).toBe(1);
  }));

test("what a screen reader says of itself has no ages, which would be said at each refresh", () =>
  withClock(async (own, page) => {
    await answerSeries(page);
    let age_ms = 301_000;
    await page.route("**/admin/health", (route) =>
      route.fulfill({
        json: {
          live_generation: { name: "g1", lanes: 2 },
          shadow_generation: null,
          events_waiting: 0,
          outbox: { entries: 1, capped: false, oldest_at: "2026-03-31T10:00:00Z", age_ms: (age_ms += 60_000) },
          quarantine: { messages: 0, capped: false },
        },
      }),
    );
    await own.open("#/", { page });
    await settled(page);
    await page.getByText("Lag of commands: behind.", { exact: false }).waitFor();
    const said = () => page.locator("[role=status], [role=alert], [aria-live]").allTextContents();
    const before = await said();
    await pass(page, 65);
    expect(await said()).toEqual(before);

    await page.route("**/admin/**", (route) => route.abort());
    await page.clock.runFor(20_000);
    const alert = page.getByRole("alert").getByText("The API does not answer");
    await alert.waitFor();
    // Answers that were under way may still come.
    await page.clock.runFor(20_000);
    await alert.waitFor();
    const during = await said();
    expect(during).toHaveLength(2);
    await page.clock.runFor(10_000);
    expect(await said()).toEqual(during);
  }));
