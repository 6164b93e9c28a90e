/** The pictures of docs/guide/console.md: `npm run pictures`. */
import { mkdirSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { Browser } from "../browser/browser";
import { open, PLACES } from "./places";

const FOLDER = join(dirname(fileURLToPath(import.meta.url)), "../../../../docs/guide/images");

test("the overview, the errors, a user with the deactivation, and the health", async () => {
  mkdirSync(FOLDER, { recursive: true });
  const browser = await Browser.start({ width: 1280, height: 700 });
  for (const name of ["overview", "errors", "user", "health"] as const) {
    const page = await open(browser, PLACES[name]);
    // The legend of its charts is to be seen.
    await page.setViewportSize({ width: 1280, height: name === "overview" ? 800 : 700 });
    await page.screenshot({ path: join(FOLDER, `console-${name}.png`) });
    if (name === "user") {
      await page.getByRole("button", { name: "Deactivate…" }).click();
      await page.getByRole("dialog").screenshot({ path: join(FOLDER, "console-deactivate.png") });
    }
    await page.close();
  }
  await browser.stop();
  expect(browser.faults).toEqual([]);
}, 60_000);
