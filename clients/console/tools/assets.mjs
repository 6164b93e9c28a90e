// The built files and their copies in functions/console/assets.
//
//   node tools/assets.mjs           builds, and writes them
//   node tools/assets.mjs --check   builds, and compares: the copies are what the source becomes
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { brotliCompressSync, brotliDecompressSync, constants, gunzipSync, gzipSync } from "node:zlib";
import { build } from "vite";

const here = join(dirname(fileURLToPath(import.meta.url)), "..");
const dist = join(here, "dist");
const target = join(here, "../../functions/console/assets");
/** The first load, compressed, is at most this long. */
const FIRST_LOAD = 150 * 1024;

process.chdir(here);
rmSync(dist, { recursive: true, force: true });
await build({ logLevel: "warn" });
const built = new Map([["index.html", readFileSync(join(dist, "index.html"))]]);
for (const name of readdirSync(join(dist, "admin/console"))) built.set(name, readFileSync(join(dist, "admin/console", name)));

const faults = [];
const brotli = (content) => brotliCompressSync(content, { params: { [constants.BROTLI_PARAM_QUALITY]: 11, [constants.BROTLI_PARAM_SIZE_HINT]: content.length } });
const firstLoad = [...built].filter(([name]) => name !== "notices.txt").reduce((sum, [, content]) => sum + brotli(content).length, 0);
if (firstLoad > FIRST_LOAD) faults.push(`the first load has ${firstLoad} bytes, compressed; at most ${FIRST_LOAD} are wanted`);
for (const [name, content] of built) {
  const others = name === "notices.txt" ? [] : hosts(content);
  if (others.length > 0) faults.push(`${name} names other hosts: ${others.join(", ")}`);
}

/** Hosts of addresses in a text, but for the names of XML namespaces. */
function hosts(content) {
  const found = content.toString().match(/https?:\/\/[a-z0-9.-]+/gi) ?? [];
  return [...new Set(found)].filter((address) => address !== "http://www.w3.org");
}

if (process.argv.includes("--check")) {
  const expected = [...built.keys()].flatMap((name) => [name, `${name}.br`, `${name}.gz`]).sort();
  const present = readdirSync(target).sort();
  if (expected.join() !== present.join()) faults.push(`there are ${present.join(", ")}; built are ${expected.join(", ")}`);
  else {
    for (const [name, content] of built) {
      const copies = { "": (bytes) => bytes, ".br": brotliDecompressSync, ".gz": gunzipSync };
      for (const [suffix, read] of Object.entries(copies)) {
        if (!read(readFileSync(join(target, name + suffix))).equals(content)) faults.push(`${name}${suffix} is not what is built`);
      }
    }
  }
  if (faults.length > 0) faults.push("after a change of the console: npm run build");
} else if (faults.length === 0) {
  rmSync(target, { recursive: true, force: true });
  mkdirSync(target, { recursive: true });
  for (const [name, content] of built) {
    writeFileSync(join(target, name), content);
    writeFileSync(join(target, `${name}.br`), brotli(content));
    writeFileSync(join(target, `${name}.gz`), gzipSync(content, { level: 9 }));
  }
}

for (const fault of faults) console.error(`assets: ${fault}`);
if (faults.length > 0) process.exit(1);
console.log(`assets: ${built.size} files, a first load of ${(firstLoad / 1024).toFixed(1)} KiB`);
