// Lighthouse's figures of a page. Lighthouse is large and no other check needs it, so it is no dependency
// of the console: it is installed into node_modules/.lighthouse when it is asked for.
import { execFileSync } from "node:child_process";
import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

/** The last release that runs on Node 20. */
export const LIGHTHOUSE = "12.8.2";
const folder = join(dirname(fileURLToPath(import.meta.url)), "../node_modules/.lighthouse");
const INSTALL_MS = 300_000;

/** The network that Lighthouse simulates for all: its "slow 4G", which was called 3G Fast before. */
const NETWORK = { rttMs: 150, throughputKbps: 1638.4, requestLatencyMs: 0, downloadThroughputKbps: 0, uploadThroughputKbps: 0 };
/** What is measured: how an administrator works, and Lighthouse's own default, a phone with a quarter of the processor. */
export const DEVICES = {
  desktop: {
    formFactor: "desktop",
    screenEmulation: { mobile: false, width: 1350, height: 940, deviceScaleFactor: 1, disabled: false },
    throttling: { ...NETWORK, cpuSlowdownMultiplier: 1 },
  },
  phone: {
    formFactor: "mobile",
    screenEmulation: { mobile: true, width: 412, height: 823, deviceScaleFactor: 1.75, disabled: false },
    throttling: { ...NETWORK, cpuSlowdownMultiplier: 4 },
  },
};

async function installed() {
  const modules = join(folder, "node_modules");
  if (!existsSync(join(modules, "lighthouse/package.json"))) {
    console.log(`installing lighthouse ${LIGHTHOUSE} into node_modules/.lighthouse`);
    const options = ["--prefix", folder, "--no-save", "--ignore-scripts", "--no-audit", "--no-fund", "--silent"];
    execFileSync("npm", ["install", ...options, `lighthouse@${LIGHTHOUSE}`], { stdio: "inherit", timeout: INSTALL_MS });
  }
  const { default: lighthouse } = await import(join(modules, "lighthouse/core/index.js"));
  const { default: puppeteer } = await import(join(modules, "puppeteer-core/lib/esm/puppeteer/puppeteer-core.js"));
  return { lighthouse, puppeteer };
}

const median = (values) => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)];

/** The medians of some runs over each of {@link DEVICES}, with an empty cache; and what Lighthouse finds fault with. */
export async function lighthouse(url, { key, runs, executablePath, args }) {
  const { lighthouse, puppeteer } = await installed();
  const found = {};
  for (const [device, settings] of Object.entries(DEVICES)) {
    const all = [];
    for (let run = 0; run < runs; run += 1) {
      const browser = await puppeteer.launch({ executablePath, args });
      const page = await browser.newPage();
      await page.evaluateOnNewDocument((value) => location.protocol.startsWith("http") && sessionStorage.setItem("torale.console.key", value), key);
      const onlyCategories = ["performance", "accessibility", "best-practices"];
      const { lhr } = await lighthouse(url, { ...settings, onlyCategories, throttlingMethod: "simulate", output: "json", logLevel: "error" }, undefined, page);
      all.push(lhr);
      await browser.close();
    }
    found[device] = summary(all);
  }
  return found;
}

function summary(all) {
  const of = (pick) => median(all.map(pick));
  const score = (category) => Math.round(of(({ categories }) => categories[category].score) * 100);
  const time = (audit) => Math.round(of(({ audits }) => audits[audit].numericValue));
  const scored = (lhr) => ["accessibility", "best-practices"].flatMap((name) => lhr.categories[name].auditRefs).filter(({ weight }) => weight > 0);
  const faults = all.flatMap((lhr) => scored(lhr).filter(({ id }) => lhr.audits[id].score !== null && lhr.audits[id].score < 1).map(({ id }) => id));
  return {
    performance: score("performance"),
    accessibility: score("accessibility"),
    best_practices: score("best-practices"),
    first_contentful_paint_ms: time("first-contentful-paint"),
    largest_contentful_paint_ms: time("largest-contentful-paint"),
    interactive_ms: time("interactive"),
    blocking_ms: time("total-blocking-time"),
    layout_shift: Number(of(({ audits }) => audits["cumulative-layout-shift"].numericValue).toFixed(3)),
    bytes: time("total-byte-weight"),
    faults: [...new Set(faults)],
  };
}
