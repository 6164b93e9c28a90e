/** Chromium with the console open in it. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import axe from "axe-core";
import { type BrowserContext, chromium, type Page } from "playwright-core";
import { inject } from "vitest";

const PROGRAM = process.env["CHROMIUM"] ?? "/usr/bin/chromium";
/** Nothing that asks another host, or needs a screen. */
const FLAGS = [
  "--headless",
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

export interface Options {
  width?: number;
  height?: number;
  theme?: "light" | "dark";
  reducedMotion?: boolean;
  /** As if a screen reader ran: Chromium then keeps its tree of accessible elements complete. */
  screenReader?: boolean;
  /** With bars to scroll that take room, which Playwright hides. */
  scrollbars?: boolean;
  /** An origin that may be requested besides the console's own. */
  besides?: string;
}

/** A browser with a profile of its own; what went wrong in its pages is in `faults`. */
export class Browser {
  private constructor(
    readonly context: BrowserContext,
    private readonly profile: string,
    readonly faults: string[],
  ) {}

  static async start({ width = 1360, height = 860, theme = "light", reducedMotion = true, screenReader = false, scrollbars = false, besides }: Options = {}): Promise<Browser> {
    const profile = mkdtempSync(join(tmpdir(), "console-"));
    const context = await chromium.launchPersistentContext(profile, {
      executablePath: PROGRAM,
      args: screenReader ? [...FLAGS, "--force-renderer-accessibility"] : FLAGS,
      ...(scrollbars && { ignoreDefaultArgs: ["--hide-scrollbars"] }),
      viewport: { width, height },
      colorScheme: theme,
      reducedMotion: reducedMotion ? "reduce" : "no-preference",
      locale: "en-GB",
      timezoneId: "Europe/Berlin",
      permissions: ["clipboard-read", "clipboard-write"],
    });
    const faults: string[] = [];
    context.on("weberror", (error) => faults.push(String(error.error())));
    context.on("console", (message) => {
      // Answers that are no 2xx are reported here, too; the tests look at those themselves.
      if (message.type() === "error" && !message.text().startsWith("Failed to load resource")) faults.push(message.text());
    });
    context.on("request", (request) => {
      const isOurs = request.url().startsWith(inject("url")) || (besides !== undefined && request.url().startsWith(`${besides}/`));
      if (!isOurs && !/^(data|about|blob|chrome):/.test(request.url())) {
        faults.push(`a request to another host: ${request.url()}`);
      }
    });
    context.setDefaultTimeout(20_000);
    return new Browser(context, profile, faults);
  }

  /** A page at a place of the console, with the key in its session or without. */
  async open(fragment = "#/", { signedIn = true, page }: { signedIn?: boolean; page?: Page } = {}): Promise<Page> {
    const opened = page ?? (await this.context.newPage());
    if (signedIn) {
      await opened.addInitScript((key) => {
        if (location.protocol.startsWith("http") && sessionStorage.getItem("signed-in") === null) {
          sessionStorage.setItem("signed-in", "once");
          sessionStorage.setItem("torale.console.key", key);
        }
      }, inject("key"));
    }
    await opened.goto(`${inject("url")}/admin${fragment}`);
    return opened;
  }

  async stop(): Promise<void> {
    await this.context.close();
    rmSync(this.profile, { recursive: true, force: true });
  }
}

/** Waits until the view shows its data: no list, no detail and no name still loads. */
export async function settled(page: Page): Promise<void> {
  await page.getByRole("heading", { level: 1 }).waitFor();
  await page.waitForFunction(() => document.querySelector(".loading, .loading-card, .chart-wait, .name-wait, [aria-busy=true]") === null);
  await page.waitForFunction(() => !document.querySelector(".panel")?.textContent?.includes("Loading…"));
}

/** A page whose time the test sets, in a browser of its own: a clock is installed for all pages of a browser. */
export async function withClock(run: (browser: Browser, page: Page) => Promise<void>): Promise<void> {
  const browser = await Browser.start();
  try {
    const page = await browser.context.newPage();
    await page.clock.install();
    await run(browser, page);
  } finally {
    await browser.stop();
  }
}

/** Lets time pass for a page with a clock: in steps, each after all answers have come, since requests have a time limit. */
export async function pass(page: Page, seconds: number, step = 5): Promise<void> {
  for (let left = seconds; left > 0; left -= step) {
    await page.clock.runFor(Math.min(step, left) * 1_000);
    await page.waitForFunction(() => document.querySelector(".dot.beating") === null);
  }
}

/** What axe finds on a page. The script is evaluated by the debugger, which no policy of the page hinders. */
export async function violations(page: Page): Promise<string[]> {
  await page.evaluate(axe.source);
  const found = await page.evaluate(async () => {
    const { violations } = await (window as unknown as { axe: typeof import("axe-core") }).axe.run(document, {
      runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"],
    });
    return violations.flatMap(({ id, nodes }) => nodes.map((node) => `${id}: ${node.html.slice(0, 160)} (${node.failureSummary})`));
  });
  return found;
}

/** The roles of all that a screen reader finds on a page. */
export async function rolesRead(page: Page): Promise<ReadonlySet<string>> {
  const session = await page.context().newCDPSession(page);
  const { nodes } = await session.send("Accessibility.getFullAXTree");
  await session.detach();
  return new Set(nodes.filter((node) => !node.ignored).map((node) => String(node.role?.value)));
}

/** A request of the API in the name of the administrator, besides the page. */
export async function api<T>(path: string): Promise<T> {
  const response = await fetch(`${inject("url")}/${path}`, { headers: { authorization: `Bearer ${inject("key")}` } });
  return (await response.json()) as T;
}
