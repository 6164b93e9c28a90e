/**
 * A small script of its own, which runs while the large one is still on its way: it requests what the
 * view at this address shows first. That saves a round trip of the first load.
 */
import { send, url } from "./api/sending";
import { storedKey } from "./key";
import { parse } from "./place";
import { firstReads } from "./reads";

interface Early {
  readonly key: string;
  readonly sentAt: number;
  readonly answer: Promise<Response | null>;
}

/** Answers on their way, by URL. Each is given out once. */
const waiting = new Map<string, Early>();
/** An answer that was requested longer ago is not given out: it may be old. */
const FRESH_MS = 10_000;

/**
 * The answer that was requested ahead of this URL with this key; null if there was none, or no answer.
 * Whoever gets null has to send the request.
 */
export async function earlyAnswer(to: URL, key: string): Promise<Response | null> {
  const found = waiting.get(to.href);
  waiting.delete(to.href);
  return found !== undefined && found.key === key && performance.now() - found.sentAt < FRESH_MS ? found.answer : null;
}

const key = typeof document === "undefined" ? null : storedKey();
if (key !== null) {
  for (const { path, query } of firstReads(parse(location.hash))) {
    const to = url(path, query);
    waiting.set(to.href, { key, sentAt: performance.now(), answer: send(to, key).catch(() => null) });
  }
}
