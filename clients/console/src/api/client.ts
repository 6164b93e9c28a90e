/**
 * Requests to the admin API of the host that serves this page, with a time limit. A 401 or 403 ends
 * the session; a 429 holds back all further requests until its wait is over.
 */
import { earlyAnswer } from "../early";
import { REFRESH_MS, type Query } from "../reads";
import { bearer, end, ownId, session, type Credentials } from "../session";
import { createStore } from "../store";
import { pause } from "./attempts";
import { ApiError, SessionEnded, Unreachable } from "./errors";
import { send, url, type Sent } from "./sending";

export interface Connection {
  /** When the API last answered, in milliseconds since 1970; 0 if never. */
  readonly answeredAt: number;
  /** Since when it does not answer, or answers 5xx whatever is requested; null while it answers. */
  readonly failingSince: number | null;
  /** Until when no request is sent, after a 429. */
  readonly waitUntil: number;
}

export const connection = createStore<Connection>({ answeredAt: 0, failingSince: null, waitUntil: 0 });

/** By how many milliseconds the API's clock is ahead of the reader's, as its last answer said. */
let clockAhead = 0;

/** The API's time, in milliseconds since 1970: the reader's clock may be wrong. */
export const apiNow = (): number => Date.now() + clockAhead;

/** Notes the time that an answer names, which comes in whole seconds. */
function noteClock(response: Response): void {
  const at = Date.parse(response.headers.get("date") ?? "");
  if (!Number.isNaN(at)) clockAhead = at - Date.now();
}

interface Options extends Sent {
  query?: Query;
  /** What to sign in with, before there is a session. */
  credentials?: Credentials;
  /** Who began a request that may be repeated: it is sent in no other session. By default whoever is signed in. */
  by?: Credentials | null;
  /** Of a change, in place of `signal`: cancels it while it is not sent yet. A request that is under way goes on. */
  cancelUnsent?: AbortSignal;
  /** Called when it is sent. */
  onSent?: () => void;
}

/**
 * Sends a request and reads its JSON. Throws {@link ApiError}, {@link Unreachable}, or {@link SessionEnded} if the
 * session in which it began is over before it is sent. A cancelled one throws the reason of its signal.
 */
export async function request<T>(path: string, options: Options = {}): Promise<T> {
  const { credentials: offered, by = session.get().credentials, cancelUnsent = options.signal } = options;
  const credentials = offered ?? by;
  await rateLimitIsOver(cancelUnsent);
  const found = credentials && (await bearer(credentials));
  cancelUnsent?.throwIfAborted();
  const isCurrent = () => offered === undefined && session.get().credentials === credentials;
  if (found === null) throw new SessionEnded("You are not signed in.");
  if ("ended" in found) {
    if (isCurrent()) end(found.ended);
    throw new SessionEnded(found.ended);
  }
  // Meanwhile somebody may have signed out, or somebody else signed in.
  if (offered === undefined && !isCurrent()) throw new SessionEnded("Your session ended before this was sent.");
  options.onSent?.();
  const [to, sentAt] = [url(path, options.query), Date.now()];
  const response = await answer(to, found.token, options);
  if (isCurrent()) ownId.set(response.headers.get("x-user-id") ?? ownId.get());
  const body: unknown = await response.json().catch(() => undefined);
  if (response.status < 500) noteAnswer(to);
  else noteServerError(to, sentAt);
  if (response.ok && body !== undefined) return body as T;
  const error = asError(response, body);
  if (error.status === 429) {
    connection.set({ ...connection.get(), waitUntil: Date.now() + (error.retryAfter ?? 60) * 1000 });
  }
  if ((error.status === 401 || error.status === 403) && isCurrent()) end(`The API says: ${error.detail}.`);
  throw error;
}

async function answer(to: URL, key: string, { method = "GET", body, signal }: Options): Promise<Response> {
  const early = method === "GET" ? await earlyAnswer(to, key) : null;
  signal?.throwIfAborted();
  if (early !== null) return early;
  try {
    const response = await send(to, key, { method, body, signal });
    // Not of one that was requested early: it may have come some time ago.
    noteClock(response);
    return response;
  } catch (cause) {
    if (signal?.aborted) throw cause;
    noteFailure();
    throw new Unreachable("no answer", { cause });
  }
}

/** Whoever asks for a refusal again only prolongs it. */
async function rateLimitIsOver(signal: AbortSignal | undefined): Promise<void> {
  for (;;) {
    const wait = connection.get().waitUntil - Date.now();
    if (wait <= 0) return;
    await pause(wait, signal);
  }
}

/** Addresses that answer 5xx: when the first such request was sent, and the last answered, in milliseconds since 1970. */
const failing = new Map<string, { first: number; last: number }>();

/** What failed or was answered so long ago is forgotten: a request that fails for now is tried again after some 30 s at most. */
const FORGOTTEN_MS = 90_000;

/** What was answered within this time says that the API answers: lists are read again after {@link REFRESH_MS}, and answers take some seconds. */
const LATELY_MS = REFRESH_MS + 5_000;

/**
 * Notes a 5xx. It counts as an API that does not answer unless it answers other requests: one was answered since the
 * first of these was sent, or just now. One endpoint that fails is no API that does not answer.
 */
function noteServerError({ href }: URL, sentAt: number): void {
  const now = Date.now();
  const before = failing.get(href);
  const first = before !== undefined && sentAt - before.last < FORGOTTEN_MS ? before.first : sentAt;
  failing.set(href, { first, last: now });
  const { answeredAt } = connection.get();
  const answersOthers = answeredAt > now - LATELY_MS || answeredAt > Math.max(first, now - FORGOTTEN_MS);
  if (!answersOthers) noteFailure();
}

function noteFailure(): void {
  const before = connection.get();
  connection.set({ ...before, failingSince: before.failingSince ?? Date.now() });
}

function noteAnswer({ href }: URL): void {
  failing.delete(href);
  connection.set({ ...connection.get(), answeredAt: Date.now(), failingSince: null });
}

interface Fault {
  loc: string[];
  msg: string;
}

function asError(response: Response, body: unknown): ApiError {
  const { detail } = (body ?? {}) as { detail?: string | Fault[] };
  const text = Array.isArray(detail)
    ? detail.map((fault) => `${fault.loc.at(-1) ?? "?"}: ${fault.msg}`).join("; ")
    : (detail ?? `an answer of another form, with status ${response.status}`);
  const seconds = Number.parseInt(response.headers.get("retry-after") ?? "", 10);
  return new ApiError(response.ok ? 502 : response.status, text, Number.isNaN(seconds) ? null : seconds);
}
