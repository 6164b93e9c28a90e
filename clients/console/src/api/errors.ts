/** What can go wrong with a request, and what to do about it. */

/** An answer that is not a 2xx. `detail` is the API's own text. */
export class ApiError extends Error {
  override readonly name = "ApiError";
  constructor(
    readonly status: number,
    readonly detail: string,
    /** Seconds after which to try again, of a 429 or 503. */
    readonly retryAfter: number | null = null,
  ) {
    super(detail);
  }
}

/** No answer: the API is not there, or not in time. */
export class Unreachable extends Error {
  override readonly name = "Unreachable";
}

/** The session to which a request belongs has ended, so it was not sent. The message says why, in a sentence. */
export class SessionEnded extends Error {
  override readonly name = "SessionEnded";
}

/** Whether the same request may succeed later without anybody doing anything. */
export function passes(error: unknown): boolean {
  if (error instanceof Unreachable) return true;
  return error instanceof ApiError && [429, 500, 502, 503, 504].includes(error.status);
}

/** An API of an earlier version has no such endpoint. (An unknown id is another text.) */
export const hasNoEndpoint = (error: unknown): boolean =>
  error instanceof ApiError && error.status === 404 && error.detail === "Not Found";

/** What a query says of how it is read. */
export interface Reading {
  readonly data: unknown;
  readonly error: Error | null;
  readonly failureReason: Error | null;
}

/**
 * Why a query has nothing to show; null while it is read for the first time. A failure that passes is no error of the
 * query, since it is tried again for ever. It counts while there is nothing to show: whatever is shown has its age.
 */
export const problemOf = ({ data, error, failureReason }: Reading): Error | null => error ?? (data === undefined ? failureReason : null);

/** Milliseconds until the next try: what the API asks for, else 1 s, 2 s, 4 s and so on up to 30 s. */
export function delay(failures: number, error: unknown): number {
  if (error instanceof ApiError && error.retryAfter !== null) return Math.max(1, error.retryAfter) * 1000;
  return Math.min(30_000, 1000 * 2 ** Math.min(failures, 10));
}

/** An error in a sentence for the reader. */
export function sentence(error: unknown): string {
  if (error instanceof Unreachable) return "The API does not answer.";
  if (error instanceof SessionEnded) return error.message;
  if (!(error instanceof ApiError)) return "Something in this page went wrong.";
  switch (error.status) {
    case 429:
      return `Too many requests: the API asks to wait ${error.retryAfter ?? 60} s.`;
    case 422:
      return `The API refuses these parameters: ${error.detail}`;
    case 500:
      return "The API had an internal error.";
    case 503:
      return "The API can't answer for the moment: its store or identity provider is not reachable.";
    default:
      return error.detail;
  }
}
