/**
 * Signing in with a Clerk session. The host of the instance is answered here: its script does what the console
 * uses of Clerk's. The tokens are signed, and the API verifies them. (A stack that ran already has no such key.)
 */
import type { Page, Route } from "playwright-core";
import { afterAll, beforeAll, beforeEach, afterEach, describe, expect, inject, test } from "vitest";
import { Browser, settled, violations } from "./browser";
import { CLERK_HOST, sessionToken } from "./stack";

const HOST = `https://${CLERK_HOST}`;
const SIGN_IN = `${inject("url")}/made-up-sign-in-of-clerk`;
/** Anybody may load Clerk's script: a browser asks with CORS. */
const CORS = { "access-control-allow-origin": "*" };
const key = inject("clerkKey");

/** Clerk's script in short: it asks its own host for the session and its tokens. */
const SCRIPT = `{
  const element = document.querySelector("script[data-clerk-publishable-key]");
  const asks = async (path) => (await fetch("${HOST}/v1/" + path)).json();
  window.Clerk = {
    publishableKey: element.dataset.clerkPublishableKey,
    session: undefined,
    async load(options) {
      this.options = options;
      const { signedIn, user } = await asks("session");
      this.session = signedIn ? this.sessionOf(user) : null;
    },
    sessionOf(user) {
      const getToken = async () => {
        const { token, user } = await asks("token");
        // In another tab somebody else may have signed in.
        this.session = this.sessionOf(user);
        return token;
      };
      return { user, getToken };
    },
    async redirectToSignIn({ redirectUrl }) {
      location.href = "${SIGN_IN}?redirect_url=" + encodeURIComponent(redirectUrl);
    },
    async signOut(options) {
      await asks("sign-out");
      this.session = null;
      location.href = options?.redirectUrl ?? "/";
    },
  };
}`;

/** What the host was asked for, and what it answers. */
interface Host {
  asked: string[];
  signedIn: boolean;
  script: string | null;
  token: () => string | null;
  /** The id of whoever is signed in there; null for a session that has no user yet. */
  user: string | null;
  /** Whether it is away when somebody signs out. */
  keepsSession: boolean;
}

describe.skipIf(key === null)("signing in with Clerk", () => {
  let browser: Browser;
  let page: Page;
  let host: Host;
  beforeAll(async () => {
    browser = await Browser.start({ besides: HOST });
  });
  afterAll(() => browser.stop());
  beforeEach(async () => {
    browser.faults.length = 0;
    page = await browser.context.newPage();
    host = { asked: [], signedIn: true, script: SCRIPT, user: "user_1", keepsSession: false, token: () => sessionToken(key ?? "", inject("url")) };
    await page.route(`${HOST}/**`, (route) => answer(route, host));
    await page.route(`${SIGN_IN}*`, (route) => route.fulfill({ contentType: "text/html", body: "<h1>Clerk's page</h1>" }));
  });
  afterEach(() => page.close());

  const button = () => page.getByRole("button", { name: "Sign in with Clerk" });
  const stored = () => page.evaluate(() => JSON.stringify([localStorage, sessionStorage, document.cookie]));

  test("a session of an administrator signs in, each request has a token of its own, and signing out ends it at Clerk", async () => {
    let made = 0;
    host.token = () => {
      made += 1;
      return sessionToken(key ?? "", inject("url"), 50 + made);
    };
    const tokens = new Set<string | undefined>();
    page.on("request", (request) => {
      if (/\/admin\/(stats|users|errors)/.test(request.url())) tokens.add(request.headers()["authorization"]);
    });
    await browser.open("#/users", { signedIn: false, page });
    await button().waitFor();
    expect(host.asked).toEqual([]);

    await button().click();
    await page.getByRole("heading", { level: 1, name: "Users" }).waitFor();
    await settled(page);
    expect(await page.locator("tbody tr").count()).toBeGreaterThan(0);
    expect([...tokens].every((header) => header?.startsWith("Bearer ey"))).toBe(true);
    expect(tokens.size).toBeGreaterThan(1);
    expect(await page.evaluate(() => (window.Clerk as unknown as { options: unknown }).options)).toEqual({ telemetry: false });
    expect(await stored()).not.toContain("ey");

    await page.getByRole("button", { name: "Sign out" }).click();
    await button().waitFor();
    await expect.poll(() => host.asked.at(-1)).toBe("/v1/sign-out");
    expect(browser.faults).toEqual([]);
  });

  test("somebody who is not signed in at Clerk goes there, comes back to the same place, and stays signed in after a reload", async () => {
    host.signedIn = false;
    await browser.open("#/users?q=somebody%40example.com", { signedIn: false, page });
    await button().click();
    await page.getByRole("heading", { name: "Clerk's page" }).waitFor();
    // Where one was is nobody else's business.
    expect(page.url()).toBe(`${SIGN_IN}?redirect_url=${encodeURIComponent(`${inject("url")}/admin`)}`);

    host.signedIn = true;
    await page.goto(`${inject("url")}/admin`);
    await page.getByRole("heading", { level: 1, name: "Users" }).waitFor();
    expect(page.url()).toContain("#/users?q=somebody%40example.com");
    await page.reload();
    await page.getByRole("heading", { level: 1, name: "Users" }).waitFor();
    expect(browser.faults).toEqual([]);
  });

  test("somebody who comes back without a session is told so, and is not sent away again", async () => {
    host.signedIn = false;
    await browser.open("#/", { signedIn: false, page });
    await button().click();
    await page.getByRole("heading", { name: "Clerk's page" }).waitFor();
    await page.goto(`${inject("url")}/admin`);

    await page.getByText("Nobody is signed in at Clerk.").waitFor();
    await button().waitFor();
  });

  test("a slow sign-in with Clerk does not sign in after a sign-in with a key and its sign-out", async () => {
    let release = () => {};
    const released = new Promise<void>((done) => (release = done));
    await page.route(`${HOST}/npm/**`, async (route) => {
      await released;
      await route.fallback();
    });
    await browser.open("#/users", { signedIn: false, page });
    await button().click();
    await page.getByLabel("API key of an administrator").fill(inject("key"));
    await page.keyboard.press("Enter");
    await page.getByRole("heading", { level: 1, name: "Users" }).waitFor();
    await page.getByRole("button", { name: "Sign out" }).click();
    await page.getByRole("heading", { name: "Sign in" }).waitFor();
    release();
    await page.waitForFunction(() => window.Clerk?.session);
    // Whatever follows from the script's start has been asked for before this.
    await page.evaluate((address) => fetch(address), `${HOST}/v1/session`);

    expect(host.asked).not.toContain("/v1/token");
    expect(await page.getByRole("heading", { name: "Sign in" }).count()).toBe(1);
  });

  test("a session that ends at Clerk ends here, with the reason", async () => {
    await browser.open("#/users", { signedIn: false, page });
    await button().click();
    await page.getByRole("heading", { level: 1, name: "Users" }).waitFor();
    await settled(page);
    host.token = () => null;
    await page.getByRole("button", { name: "Refresh now" }).click();

    await page.getByRole("alert").getByText(/Your session at Clerk has ended\./).waitFor();
    expect(await stored()).not.toContain("clerk");
  });

  test("a sign-out that fails at Clerk is said, and can be tried again", async () => {
    await browser.open("#/users", { signedIn: false, page });
    await button().click();
    await page.getByRole("heading", { level: 1, name: "Users" }).waitFor();
    await settled(page);
    host.keepsSession = true;
    await page.getByRole("button", { name: "Sign out" }).click();
    const notice = page.getByRole("alert").filter({ hasText: "You are still signed in at Clerk" });
    await notice.waitFor();
    await page.getByRole("heading", { name: "Sign in" }).waitFor();
    expect(await violations(page)).toEqual([]);

    host.keepsSession = false;
    await notice.getByRole("button", { name: "Try again" }).click();
    await notice.waitFor({ state: "detached" });
    await button().waitFor();
    expect(host.asked.filter((path) => path === "/v1/sign-out")).toHaveLength(2);
  });

  test("trying to sign out again does not sign out another user, who has signed in at Clerk since", async () => {
    await browser.open("#/users", { signedIn: false, page });
    await button().click();
    await page.getByRole("heading", { level: 1, name: "Users" }).waitFor();
    await settled(page);
    host.keepsSession = true;
    await page.getByRole("button", { name: "Sign out" }).click();
    const notice = page.getByRole("alert").filter({ hasText: "You are still signed in at Clerk" });
    await notice.waitFor();
    host.keepsSession = false;
    await page.evaluate(() => {
      const clerk = window.Clerk as unknown as { session: unknown; sessionOf(user: { id: string }): unknown };
      clerk.session = clerk.sessionOf({ id: "user_2" });
    });
    await notice.getByRole("button", { name: "Try again" }).click();
    await notice.waitFor({ state: "detached" });

    expect(host.asked.filter((path) => path === "/v1/sign-out")).toHaveLength(1);
    expect(await page.evaluate(() => (window.Clerk as unknown as { session: { user: unknown } }).session.user)).toEqual({ id: "user_2" });
  });

  test("while Clerk is asked to end a session, that is said", async () => {
    await browser.open("#/users", { signedIn: false, page });
    await button().click();
    await page.getByRole("heading", { level: 1, name: "Users" }).waitFor();
    await settled(page);
    await page.route(`${HOST}/v1/sign-out`, () => undefined);
    await page.getByRole("button", { name: "Sign out" }).click();

    await page.getByRole("status").getByText("Signing out at Clerk…").waitFor();
  });

  test("another user who signs in at Clerk does not go on with this session", async () => {
    await browser.open("#/users", { signedIn: false, page });
    await button().click();
    await page.getByRole("heading", { level: 1, name: "Users" }).waitFor();
    await settled(page);
    let sent = 0;
    page.on("request", (request) => {
      if (request.url().includes("/admin/users")) sent += 1;
    });
    host.user = "user_2";
    await page.getByRole("button", { name: "Refresh now" }).click();

    await page.getByRole("alert").getByText(/Another user has signed in at Clerk in this browser\./).waitFor();
    expect(sent).toBe(0);
    expect(await stored()).not.toContain("clerk");
  });

  test("no token of another user is asked for", async () => {
    await browser.open("#/users", { signedIn: false, page });
    await button().click();
    await page.getByRole("heading", { level: 1, name: "Users" }).waitFor();
    await settled(page);
    await page.evaluate(() => {
      const clerk = window.Clerk as unknown as { session: unknown; sessionOf(user: { id: string }): unknown };
      clerk.session = clerk.sessionOf({ id: "user_2" });
    });
    const asked = host.asked.length;
    await page.getByRole("button", { name: "Refresh now" }).click();

    await page.getByRole("alert").getByText(/Another user has signed in at Clerk in this browser\./).waitFor();
    expect(host.asked.slice(asked)).not.toContain("/v1/token");
  });

  test("a session at Clerk without a user is no session", async () => {
    host.user = null;
    await browser.open("#/", { signedIn: false, page });
    await button().click();
    await page.getByRole("heading", { name: "Clerk's page" }).waitFor();
    expect(host.asked).not.toContain("/v1/token");
  });

  test("settings that can't be read are said, a key still works, and reading them again offers Clerk", async () => {
    const settings = "**/admin/console/settings.json";
    await page.route(settings, (route) => route.fulfill({ status: 503, body: "" }));
    await browser.open("#/users", { signedIn: false, page });
    const notice = page.getByRole("alert").filter({ hasText: "The console's settings can't be read" });
    await notice.waitFor();
    expect(await violations(page)).toEqual([]);
    await notice.getByRole("button", { name: "Try again" }).click();
    await expect.poll(() => notice.getByRole("button", { name: "Try again" }).isEnabled()).toBe(true);
    await page.unroute(settings);
    await notice.getByRole("button", { name: "Try again" }).click();
    await button().waitFor();
    expect(await notice.count()).toBe(0);

    await page.route(settings, (route) => route.abort());
    await page.reload();
    await notice.waitFor();
    await page.getByLabel("API key of an administrator").fill(inject("key"));
    await page.keyboard.press("Enter");
    await page.getByRole("heading", { level: 1, name: "Users" }).waitFor();
  });

  test("a token that the API refuses does not sign in, and the reason is shown", async () => {
    host.token = () => sessionToken(key ?? "", "https://elsewhere.example");
    await browser.open("#/", { signedIn: false, page });
    await button().click();

    await page.getByText(/The API refuses this session/).waitFor();
  });

  test("a session that Clerk gives no token for does not sign in, and that is not said to be the API's refusal", async () => {
    host.token = () => null;
    await browser.open("#/", { signedIn: false, page });
    await button().click();

    await page.getByText("Your session at Clerk has ended.", { exact: true }).waitFor();
    expect(await page.getByText(/The API refuses/).count()).toBe(0);
  });

  test("a host of Clerk that is away is said so, and one can try again", async () => {
    host.script = null;
    await browser.open("#/users", { signedIn: false, page });
    await button().click();
    await page.getByText("Clerk or the API does not answer. Try again, or use a key.").waitFor();

    host.script = SCRIPT;
    await button().click();
    await page.getByRole("heading", { level: 1, name: "Users" }).waitFor();
  });

  test("scripts of the instance's folder are allowed and others are not, and markup stays refused", async () => {
    await browser.open("#/", { signedIn: false, page });
    await button().click();
    await page.getByRole("heading", { level: 1, name: "Overview" }).waitFor();
    const refused = await page.evaluate(async (host) => {
      const attempt = (act: () => void) => {
        try {
          act();
          return "allowed";
        } catch (error) {
          return error instanceof Error ? error.name : String(error);
        }
      };
      const script = document.createElement("script");
      return [
        attempt(() => (script.src = `${host}/npm/@clerk/clerk-js@6.1.0/dist/part.js`)),
        attempt(() => (script.src = `${host}/npm/part.js`)),
        attempt(() => (script.src = "https://elsewhere.example/a.js")),
        attempt(() => (document.body.innerHTML = "<img src=x>")),
        attempt(() => new Worker(URL.createObjectURL(new Blob(["1"])))),
      ];
    }, HOST);

    expect(refused).toEqual(["allowed", "TypeError", "TypeError", "TypeError", "TypeError"]);
  });

  test("of the instance's host only the folder of its API can be requested", async () => {
    await browser.open("#/", { signedIn: false, page });
    await button().waitFor();
    const reaches = (path: string) =>
      page.evaluate(
        (address) =>
          fetch(address).then(
            () => true,
            () => false,
          ),
        HOST + path,
      );

    expect([await reaches("/v1/session"), await reaches("/other")]).toEqual([true, false]);
    expect(host.asked).toEqual(["/v1/session"]);
  });
});

/** An answer of the instance's host. */
function answer(route: Route, host: Host): Promise<void> {
  const { pathname } = new URL(route.request().url());
  host.asked.push(pathname);
  if (pathname.startsWith("/npm/")) {
    return host.script === null ? route.abort("connectionrefused") : route.fulfill({ contentType: "text/javascript", body: host.script, headers: CORS });
  }
  if (pathname === "/v1/sign-out" && host.keepsSession) return route.abort("connectionrefused");
  const { signedIn, user: id } = host;
  return route.fulfill({ json: { signedIn, user: id === null ? null : { id }, token: pathname === "/v1/token" ? host.token() : null }, headers: CORS });
}
