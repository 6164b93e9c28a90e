/** Beginning a session, whichever way one signs in. */
import { useQueryClient } from "@tanstack/preact-query";
import { request } from "../api/client";
import { ApiError, sentence } from "../api/errors";
import { keyOf } from "../api/queries";
import type { Stats } from "../api/types";
import { READS } from "../reads";
import { begin, session, type Credentials } from "../session";

/** A refusal in words that say what to do. */
export function explained(error: unknown, what: "key" | "session"): string {
  if (error instanceof ApiError && error.status === 403) return `This ${what} works, but its user is no administrator.`;
  if (error instanceof ApiError && error.status === 401) return `The API refuses this ${what}: ${error.detail}.`;
  const isOfClerk = what === "session" && !(error instanceof ApiError);
  return isOfClerk ? "Clerk or the API does not answer. Try again, or use a key." : sentence(error);
}

/** Begins a session if the API accepts it. */
export function useBegin(): (credentials: Credentials) => Promise<void> {
  const client = useQueryClient();
  return async (credentials) => {
    const read = READS.overview({});
    const stats = await request<Stats>(read.path, { credentials });
    // Whichever way of signing in was answered first.
    if (session.get().credentials !== null) return;
    client.clear();
    client.setQueryData(keyOf(read), stats);
    begin(credentials);
  };
}
