/** Following a deactivation until everything is stopped: often at first, and ever more seldom while nothing changes. */
import { useRef } from "preact/hooks";
import { useUser } from "../api/queries";
import { REFRESH_MS } from "../reads";
import { isDone, steps } from "./progress";

const LEAST_MS = 2_000;
const MOST_MS = 30_000;

/** How long to wait with the next read, when nothing has changed for so long: a quarter of that, 2 s to 30 s. */
export const watchInterval = (unchangedMs: number): number => Math.min(MOST_MS, Math.max(LEAST_MS, unchangedMs / 4));

/** A user whose deactivation is followed, anew after each attempt. Nothing is read while the page is hidden. */
export function useWatchedUser(id: string | undefined, attempt = 0) {
  const last = useRef({ words: "", at: 0 });
  return useUser(id, (user, readAt) => {
    if (user === undefined) return LEAST_MS;
    const all = steps(user, null);
    if (isDone(all)) return REFRESH_MS;
    const words = [attempt, ...all.map((step) => step.words)].join();
    if (words !== last.current.words) last.current = { words, at: readAt };
    return watchInterval(readAt - last.current.at);
  });
}
