/** How a request is sent: the same for those that `early.ts` sends ahead and for all others. */
import type { Query } from "../reads";

/** API Gateway ends a request after 30 s. */
const TIME_LIMIT_MS = 31_000;

/** The URL of an API path, next to this page: `/admin` is served below the name of a stage, too. */
export function url(path: string, query: Query = {}): URL {
  const found = new URL(path, document.baseURI);
  for (const [name, value] of Object.entries(query)) {
    if (value !== undefined && value !== "") found.searchParams.set(name, String(value));
  }
  found.hash = "";
  return found;
}

export interface Sent {
  method?: "GET" | "PATCH" | "POST";
  body?: unknown;
  signal?: AbortSignal | undefined;
}

/** Sends a request with a key, for at most {@link TIME_LIMIT_MS}. Rejects if there is no answer. */
export function send(to: URL, key: string, { method = "GET", body, signal }: Sent = {}): Promise<Response> {
  const limit = AbortSignal.timeout(TIME_LIMIT_MS);
  return fetch(to, {
    method,
    headers: { accept: "application/json", authorization: `Bearer ${key}` },
    signal: signal ? AbortSignal.any([signal, limit]) : limit,
    cache: "no-store",
    credentials: "omit",
    redirect: "error",
    referrerPolicy: "no-referrer",
    ...(body !== undefined && { body: JSON.stringify(body) }),
  });
}
