/** Screenshots of every view at three widths in both themes, to be looked at: `npm run screenshots`. */
import { mkdirSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { Browser } from "../browser/browser";
import { open, openState, PLACES, STATES } from "./places";

const FOLDER = join(dirname(fileURLToPath(import.meta.url)), "../../screenshots");
const WIDTHS = [1440, 800, 360];
const THEMES = ["light", "dark"] as const;

test.each(WIDTHS.flatMap((width) => THEMES.map((theme) => [width, theme] as const)))(
  "every view at %i in the %s theme",
  async (width, theme) => {
    mkdirSync(FOLDER, { recursive: true });
    const browser = await Browser.start({ width, height: 860, theme });
    for (const [name, fragment] of Object.entries(PLACES)) {
      const page = await open(browser, fragment);
      await page.screenshot({ path: join(FOLDER, `${name}-${width}-${theme}.png`) });
      await page.close();
    }
    for (const name of Object.keys(STATES) as (keyof typeof STATES)[]) {
      const page = await openState(browser, name);
      await page.screenshot({ path: join(FOLDER, `${name}-${width}-${theme}.png`) });
      await page.close();
    }
    await browser.stop();
    expect(browser.faults).toEqual([]);
  },
  120_000,
);
