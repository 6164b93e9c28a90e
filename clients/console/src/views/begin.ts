/** Beginning a session, whichever way one signs in. */
import { type QueryClient, useQueryClient } from "@tanstack/preact-query";
import { request } from "../api/client";
import { ApiError, sentence, SessionEnded } from "../api/errors";
import { keyOf } from "../api/queries";
import type { Stats } from "../api/types";
import { READS } from "../reads";
import { begin, session, type Credentials, type Session } from "../session";

/** A refusal in words that say what to do. */
export function explained(error: unknown, what: "key" | "session"): string {
  if (error instanceof ApiError && error.status === 403) return `This ${what} works, but its user is no administrator.`;
  if (error instanceof ApiError && error.status === 401) return `The API refuses this ${what}: ${error.detail}.`;
  if (error instanceof SessionEnded) return error.message;
  const isOfClerk = what === "session" && !(error instanceof ApiError);
  return isOfClerk ? "Clerk or the API does not answer. Try again, or use a key." : sentence(error);
}

/**
 * Begins a session if the API accepts it, and if nobody has signed in since `before` was the state: whichever way of
 * signing in is answered first counts, also after that session has ended.
 */
export async function beginIfAccepted(client: QueryClient, credentials: Credentials, before: Session): Promise<void> {
  const read = READS.overview({});
  const stats = await request<Stats>(read.path, { credentials });
  if (session.get() !== before) return;
  client.clear();
  client.setQueryData(keyOf(read), stats);
  begin(credentials);
}

/** {@link beginIfAccepted} with the query client of the page. */
export function useBegin(): (credentials: Credentials, before: Session) => Promise<void> {
  const client = useQueryClient();
  return (credentials, before) => beginIfAccepted(client, credentials, before);
}
