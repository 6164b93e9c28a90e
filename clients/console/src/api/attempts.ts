/** Waiting, and sending a change again, until that is cancelled. */
import { ApiError, delay, passes } from "./errors";

/** Waits so many milliseconds. Rejects as soon as `signal` is aborted, also before. */
export function pause(ms: number, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    const stop = () => {
      clearTimeout(timer);
      reject(signal?.reason);
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener("abort", stop);
      resolve();
    }, ms);
    if (signal?.aborted) stop();
    else signal?.addEventListener("abort", stop, { once: true });
  });
}

/** A change is sent so often at most. */
const MOST_ATTEMPTS = 3;

/**
 * Sends what can be repeated safely, again after a failure that passes, {@link MOST_ATTEMPTS} times at most; but not
 * after a 429: whoever made the change decides then. Once `cancelUnsent` is aborted, there is no further attempt.
 */
export async function attempts<T>(send: () => Promise<T>, cancelUnsent: AbortSignal): Promise<T> {
  for (let failures = 0; ; failures += 1) {
    try {
      return await send();
    } catch (error) {
      const isLimited = error instanceof ApiError && error.status === 429;
      if (failures + 1 >= MOST_ATTEMPTS || isLimited || !passes(error)) throw error;
      await pause(delay(failures, error), cancelUnsent);
    }
  }
}
