// A server with the built page and recorded answers of the API, so that what is measured is the console.
import { readFileSync, readdirSync } from "node:fs";
import { createServer } from "node:http";
import { dirname, extname, join } from "node:path";
import { fileURLToPath } from "node:url";

const assets = join(dirname(fileURLToPath(import.meta.url)), "../../../functions/console/assets");
const TYPES = { ".html": "text/html", ".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml" };
/** Milliseconds after which an answer is given: a few round trips to the store, and the function's own time. */
export const THINKING_MS = 50;

/** Starts the server over the API at an address; answers its own address, and what ends it. */
export async function recorded(api) {
  const answers = new Map();
  const ask = async (path, headers) => {
    const response = await fetch(api + path, { headers: { authorization: headers.authorization ?? "" } });
    return { status: response.status, body: Buffer.from(await response.arrayBuffer()) };
  };
  const server = createServer(async (request, response) => {
    const name = request.url.startsWith("/admin/console/") ? request.url.slice("/admin/console/".length) : "index.html";
    if ((request.url === "/admin" || name !== "index.html") && readdirSync(assets).includes(`${name}.br`)) {
      response.writeHead(200, { "content-type": TYPES[extname(name)], "content-encoding": "br" });
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
