// The notices of what the built files include: name, version, licence and its text, for each package.
import { existsSync, readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";

/** Licences that ask for nothing but their notice. */
const LICENCES = new Set(["MIT", "ISC", "BSD-2-Clause", "BSD-3-Clause", "Apache-2.0", "0BSD"]);

/** The folder of the package that a module belongs to, or null for a module of our own. */
function packageOf(module) {
  const found = /^(?<folder>.*\/node_modules\/(?:@[^/]+\/)?[^/]+)\//.exec(module.replaceAll("\\", "/"));
  return found?.groups?.folder ?? null;
}

/** One notice; throws if the licence is another one, or its text is missing. */
function notice(folder) {
  const { name, version, license } = JSON.parse(readFileSync(join(folder, "package.json"), "utf8"));
  if (!LICENCES.has(license)) throw new Error(`${name}: may its licence, ${license}, be included?`);
  const file = readdirSync(folder).find((entry) => /^licen[cs]e(\.|$)/i.test(entry));
  if (file === undefined || !existsSync(join(folder, file))) throw new Error(`${name}: the text of its licence is missing`);
  return `${name} ${version} (${license})\n\n${readFileSync(join(folder, file), "utf8").trim()}\n`;
}

/** A plugin that adds `notices.txt` with the notices of all packages in the build. */
export function notices(fileName) {
  return {
    name: "notices",
    generateBundle(_, bundle) {
      const modules = Object.values(bundle).flatMap((chunk) => Object.keys(chunk.modules ?? {}));
      const folders = [...new Set(modules.map(packageOf).filter((folder) => folder !== null))].sort();
      if (folders.length === 0) throw new Error("no package is included: are modules no longer told?");
      const source = `The console includes these packages.\n\n${folders.map(notice).join(`\n${"-".repeat(78)}\n\n`)}`;
      this.emitFile({ type: "asset", fileName, source });
    },
  };
}
