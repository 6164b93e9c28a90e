// A server with the built page and recorded answers of the API, so that what is measured is the console.
import { readFileSync, readdirSync } from "node:fs";
import { createServer } from "node:http";
import { dirname, extname, join } from "node:path";
import { fileURLToPath } from "node:url";

const assets = join(dirname(fileURLToPath(import.meta.url)), "../../../functions/console/assets");
const TYPES = { ".html": "text/html", ".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml" };
/** Milliseconds after which an answer is given: a few round trips to the store, and the function's own time. */
export const THINKING_MS = 50;

/** Rows of the list of schedules when all of it is read: more than the local stack has. */
export const SCHEDULES = 1000;

/** An answer with the list of all schedules, in which the rows are repeated under other ids. */
function enlarged(body) {
  const { schedules } = JSON.parse(body);
  const rows = Array.from({ length: SCHEDULES }, (_, at) => ({ ...schedules[at % schedules.length], schedule_id: `schedule-${at}` }));
  return Buffer.from(JSON.stringify({ schedules: rows, total: rows.length }));
}

/** The page's policy and what else the function sends with it. */
async function pageHeaders(api) {
  const { headers } = await fetch(`${api}/admin`, { method: "HEAD" });
  return Object.fromEntries([...headers].filter(([name]) => /policy|options|cache-control|content-type/.test(name)));
}

/** Starts the server over the API at an address; answers its own address, and what ends it. */
export async function recorded(api) {
  const answers = new Map();
  const ask = async (path, headers) => {
    const response = await fetch(api + path, { headers: { authorization: headers.authorization ?? "" } });
    const body = Buffer.from(await response.arrayBuffer());
    const isAll = /^\/admin\/temporal\/schedules(\?|$)/.test(path) && !path.includes("limit=") && response.ok;
    return { status: response.status, body: isAll ? enlarged(body) : body };
  };
  const ofPage = await pageHeaders(api);
  const server = createServer(async (request, response) => {
    const name = request.url.startsWith("/admin/console/") ? request.url.slice("/admin/console/".length) : "index.html";
    if ((request.url === "/admin" || name !== "index.html") && readdirSync(assets).includes(`${name}.br`)) {
      const headers = name === "index.html" ? ofPage : { "cache-control": "public, max-age=31536000, immutable" };
      response.writeHead(200, { ...headers, "content-type": TYPES[extname(name)], "content-encoding": "br" });
      response.end(readFileSync(join(assets, `${name}.br`)));
      return;
    }
    if (!answers.has(request.url)) answers.set(request.url, await ask(request.url, request.headers));
    const { status, body } = answers.get(request.url);
    setTimeout(() => {
      response.writeHead(status, { "content-type": "application/json", "cache-control": "no-store" });
      response.end(body);
    }, THINKING_MS);
  });
  await new Promise((ready) => server.listen(0, "127.0.0.1", ready));
  return { url: `http://127.0.0.1:${server.address().port}`, stop: () => server.close() };
}
