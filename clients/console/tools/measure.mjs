// How fast the console is, in Chromium: writes docs/benchmarks/console.json and console.md.
//
//   CONSOLE_URL=http://127.0.0.1:9000 CONSOLE_KEY=sk_... node tools/measure.mjs
import { execFileSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { cpus, getPriority, loadavg, totalmem } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { chromium } from "playwright-core";
import { LIGHTHOUSE, lighthouse } from "./lighthouse.mjs";
import { recorded, SCHEDULES, THINKING_MS } from "./recorded.mjs";

const here = dirname(fileURLToPath(import.meta.url));
const target = join(here, "../../../docs/benchmarks");
const assets = join(here, "../../../functions/console/assets");
const [api, key] = [process.env.CONSOLE_URL, process.env.CONSOLE_KEY];
if (!api || !key) throw new Error("set CONSOLE_URL and CONSOLE_KEY, as cargo dev prints them");
const RUNS = 9;
const LIGHTHOUSE_RUNS = 5;
const { url, stop } = await recorded(api);
/** The profile that WebPageTest calls 3G Fast. */
const FAST_3G = { offline: false, latency: 150, downloadThroughput: (1.6e6 / 8) | 0, uploadThroughput: (768e3 / 8) | 0 };

const median = (values) => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)];
const executablePath = process.env.CHROMIUM ?? "/usr/bin/chromium";
const args = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"];
const browser = await chromium.launch({ executablePath, args });

/** The nice value of the session's scheduling group, which counts more than the process's own; 0 where there are none. */
function groupPriority() {
  const file = "/proc/self/autogroup";
  return existsSync(file) ? Number(/nice (-?\d+)/.exec(readFileSync(file, "utf8"))?.[1] ?? 0) : 0;
}

/** A page with an empty cache, slowed down if wanted. */
async function fresh(network) {
  const context = await browser.newContext({ viewport: { width: 1360, height: 860 } });
  const page = await context.newPage();
  const session = await context.newCDPSession(page);
  await session.send("Network.enable");
  if (network) await session.send("Network.emulateNetworkConditions", network);
  await page.addInitScript((value) => sessionStorage.setItem("torale.console.key", value), key);
  return { context, page };
}

/** Milliseconds from the request of the page to its first paint, and to the view with its data. */
async function load(fragment, ready, network) {
  const { context, page } = await fresh(network);
  await page.addInitScript((selector) => {
    // Noted in the page itself: what drives the browser is slower. A frame later, it is painted.
    const look = () => {
      if (document.querySelector(selector) === null) requestAnimationFrame(look);
      else requestAnimationFrame(() => setTimeout(() => (window.shownAt = performance.now())));
    };
    look();
  }, ready);
  await page.goto(`${url}/admin${fragment}`, { waitUntil: "commit" });
  await page.waitForFunction(() => window.shownAt !== undefined);
  const times = await page.evaluate(() => {
    const [paint] = performance.getEntriesByName("first-contentful-paint");
    return { data: window.shownAt, paint: paint?.startTime ?? window.shownAt };
  });
  await context.close();
  return times;
}

/** Milliseconds from a click to the next frame, and from the answer to the list's change. */
async function interact() {
  const { context, page } = await fresh();
  await page.goto(`${url}/admin#/executions?hours=720&limit=100`);
  await page.waitForFunction(() => document.querySelectorAll("tbody tr").length === 100);
  const clicked = await page.evaluate(async () => {
    const frame = () => new Promise((done) => requestAnimationFrame(() => setTimeout(() => done(performance.now()))));
    const times = [];
    for (let row = 1; row <= 20; row += 1) {
      const start = performance.now();
      document.querySelector(`tbody tr:nth-child(${row}) a.row-link`).click();
      times.push((await frame()) - start);
    }
    return times;
  });
  const changed = await page.evaluate(async () => {
    const times = [];
    for (const next of ["Next page", "Next page", "Next page", "Previous page", "Previous page"]) {
      const before = document.querySelector("tbody a.row-link").href;
      [...document.querySelectorAll(".pager a")].find((link) => link.title === next).click();
      const start = performance.now();
      await new Promise((done) => {
        const look = () => (document.querySelector("tbody a.row-link").href.split("open=")[1] === before.split("open=")[1] ? requestAnimationFrame(look) : done());
        look();
      });
      const end = performance.now();
      const answered = performance.getEntriesByType("resource").filter(({ name }) => name.includes("admin/executions?")).at(-1);
      times.push(end - Math.max(start, answered?.responseEnd ?? start));
      performance.clearResourceTimings();
    }
    return times;
  });
  await context.close();
  return { clicked, changed };
}

/** Real clicks and keys on a list of 1,000 rows: how long each took to the next frame, as the browser itself counts (INP). */
async function manyRows() {
  const { context, page } = await fresh();
  await page.goto(`${url}/admin#/schedules?limit=${SCHEDULES}`);
  await page.waitForFunction((rows) => document.querySelectorAll("tbody tr").length === rows, SCHEDULES);
  // The names of the first tasks have been read.
  await page.waitForFunction(() => document.querySelector(".name-wait") === null);
  await page.evaluate(() => {
    window.interactions = new Map();
    new PerformanceObserver((list) => {
      for (const { interactionId, duration } of list.getEntries()) {
        if (interactionId > 0) window.interactions.set(interactionId, Math.max(duration, window.interactions.get(interactionId) ?? 0));
      }
    }).observe({ type: "event", durationThreshold: 16 });
  });
  const settle = () => page.waitForTimeout(150);
  for (let row = 2; row <= 9; row += 1) {
    await page.locator(`tbody:nth-of-type(1) tr:nth-child(${row}) td:nth-child(3)`).click();
    await settle();
  }
  await page.locator("tbody a.row-link").first().focus();
  for (let key = 0; key < 8; key += 1) {
    await page.keyboard.press("ArrowDown");
    await settle();
  }
  await page.keyboard.press("Escape");
  await settle();
  const interactions = await page.evaluate(() => [...window.interactions.values()]);
  await context.close();
  // What took less than the shortest time that is reported is not among them.
  return [...interactions, ...Array(Math.max(0, 17 - interactions.length)).fill(16)];
}

const measured = async () => ({
  fast3g: await load("#/", ".figure-value", FAST_3G),
  fast3gList: await load("#/executions", "tbody tr", FAST_3G),
  unthrottled: await load("#/executions", "tbody tr"),
  interaction: await interact(),
  manyRows: await manyRows(),
});
// The first round records the answers.
await measured();
const rounds = [];
for (let run = 0; run < RUNS; run += 1) rounds.push(await measured());
await browser.close();
const audited = await lighthouse(`${url}/admin#/`, { key, runs: LIGHTHOUSE_RUNS, executablePath, args });
stop();

const of = (pick) => Math.round(median(rounds.map(pick)));
const files = readdirSync(assets).filter((name) => name.endsWith(".br") && !name.startsWith("notices"));
const figures = {
  first_load_bytes: files.reduce((sum, name) => sum + statSync(join(assets, name)).size, 0),
  first_paint_3g_ms: of(({ fast3g }) => fast3g.paint),
  overview_3g_ms: of(({ fast3g }) => fast3g.data),
  list_3g_ms: of(({ fast3gList }) => fast3gList.data),
  list_unthrottled_ms: of(({ unthrottled }) => unthrottled.data),
  click_median_ms: of(({ interaction }) => median(interaction.clicked)),
  click_worst_ms: of(({ interaction }) => Math.max(...interaction.clicked)),
  change_after_data_ms: of(({ interaction }) => median(interaction.changed)),
  many_rows_median_ms: of(({ manyRows }) => median(manyRows)),
  many_rows_worst_ms: of(({ manyRows }) => Math.max(...manyRows)),
};
const commit = execFileSync("git", ["rev-parse", "HEAD"], { cwd: here, encoding: "utf8" }).trim();
const about = {
  command: "node tools/measure.mjs",
  date: new Date().toISOString(),
  commit,
  cores: cpus().length,
  load: loadavg()[0].toFixed(1),
  nice: getPriority(),
  group_nice: groupPriority(),
  memory_gb: Math.round(totalmem() / 1e9),
  browser: execFileSync(process.env.CHROMIUM ?? "/usr/bin/chromium", ["--version"], { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] }).trim(),
  runs: RUNS,
  thinking_ms: THINKING_MS,
  lighthouse: LIGHTHOUSE,
  lighthouse_runs: LIGHTHOUSE_RUNS,
};
writeFileSync(join(target, "console.json"), `${JSON.stringify({ about, figures, lighthouse: audited, rounds }, null, 2)}\n`);
const scores = Object.entries(audited).flatMap(([device, found]) => Object.entries(found).map(([name, value]) => [`${device}_${name}`, value]));
const text = readFileSync(join(here, "measure.md"), "utf8").replace(/\{(\w+)\}/g, (_, name) => {
  const value = { ...about, ...figures, ...Object.fromEntries(scores) }[name];
  if (value === undefined) throw new Error(`measure.md names an unknown figure: ${name}`);
  return name.endsWith("bytes") ? (value / 1024).toFixed(1) : String(value);
});
writeFileSync(join(target, "console.md"), text);
console.log(figures, audited);
