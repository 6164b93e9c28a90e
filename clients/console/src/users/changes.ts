/**
 * Requests that change users. A deactivation is sent again by itself when it fails for now: a repeated one has no
 * further effect. A reactivation never is: a repeated one could undo the deactivation of another administrator.
 */
import { useMutation, useQueryClient, type QueryClient } from "@tanstack/preact-query";
import { useEffect, useState } from "preact/hooks";
import { attempts } from "../api/attempts";
import { request } from "../api/client";
import { ApiError } from "../api/errors";
import type { AllDeactivated, Deactivated, Reactivated } from "../api/types";
import { session, type Credentials } from "../session";

/** What is to be changed, and who wants so: no attempt is made in a later session. */
export interface Change<Input> {
  readonly input: Input;
  readonly by: Credentials | null;
  /** Cancels what is not sent yet. A request that is under way goes on. */
  readonly cancelUnsent: AbortSignal;
  /** Called each time it is sent. */
  readonly onSent: () => void;
  /** Called each time it was sent and neither done nor refused: it may have taken effect. */
  readonly onUnknown: () => void;
}

/** A change that whoever is signed in begins now. */
export const begun = <Input>(
  input: Input,
  cancelUnsent: AbortSignal,
  { onSent = () => {}, onUnknown = () => {} }: Partial<Pick<Change<Input>, "onSent" | "onUnknown">> = {},
): Change<Input> => ({ input, by: session.get().credentials, cancelUnsent, onSent, onUnknown });

/** How a change is made. After each, also one that failed or was cancelled, users and tasks are read again. */
export const changeOf = <Answer, Input>(client: QueryClient, send: (change: Change<Input>) => Promise<Answer>) => ({
  mutationFn: (change: Change<Input>) => send(change),
  onSettled: () => {
    void client.invalidateQueries({ predicate: ({ queryKey }) => /^admin\/(users|tasks|stats)/.test(String(queryKey[0])) });
  },
});

/**
 * A change that belongs to a dialog. When the dialog closes, what is not sent yet is cancelled; a request that is under
 * way goes on. `isSent` says whether the last change was sent, whatever came of it; `isUnknown`, whether one of them,
 * also an earlier one, may have taken effect without an answer that says so.
 */
function useChange<Answer, Input>(send: (change: Change<Input>) => Promise<Answer>) {
  const client = useQueryClient();
  const mutation = useMutation<Answer, Error, Change<Input>>(changeOf(client, send));
  const [isSent, setSent] = useState(false);
  const [isUnknown, setUnknown] = useState(false);
  const [dialog] = useState(() => new AbortController());
  useEffect(() => () => dialog.abort(), []);
  const mutate = (input: Input) => {
    setSent(false);
    mutation.mutate(begun(input, dialog.signal, { onSent: () => setSent(true), onUnknown: () => setUnknown(true) }));
  };
  return { ...mutation, isSent, isUnknown, mutate };
}

/** Sends a change once. */
async function sendOnce<T>(path: string, { by, cancelUnsent, onSent, onUnknown }: Omit<Change<unknown>, "input">, options: { method: "PATCH" | "POST"; body?: unknown }): Promise<T> {
  let isSent = false;
  const noteSent = () => {
    isSent = true;
    onSent();
  };
  try {
    return await request<T>(path, { ...options, by, cancelUnsent, onSent: noteSent });
  } catch (error) {
    const isRefused = error instanceof ApiError && error.status < 500;
    if (isSent && !isRefused) onUnknown();
    throw error;
  }
}

/** Deactivates a user by id. */
export const deactivate = ({ input, ...change }: Change<string>) =>
  attempts(() => sendOnce<Deactivated>(`admin/users/${encodeURIComponent(input)}/deactivate`, change, { method: "PATCH" }), change.cancelUnsent);

/** Reactivates a user by id, in one attempt. */
export const reactivate = ({ input, ...change }: Change<string>) =>
  sendOnce<Reactivated>(`admin/users/${encodeURIComponent(input)}/reactivate`, change, { method: "PATCH" });

/** Deactivates users by their ids. */
export const deactivateMany = ({ input, ...change }: Change<string[]>) =>
  attempts(() => sendOnce<AllDeactivated>("admin/users/deactivate", change, { method: "POST", body: { user_ids: input } }), change.cancelUnsent);

/** What is said after a deactivation has failed. */
export const REPEATING_IS_SAFE = "Nothing is lost by trying again: repeating is safe.";

/** What is said after a reactivation has failed. `isUnknown` as of {@link useChange}. */
export const adviceAfterReactivation = (isUnknown: boolean): string =>
  isUnknown
    ? "It is not known whether the user was reactivated. Look at the user before you try again: another administrator may have deactivated them meanwhile."
    : "Nothing was changed.";

/** At most so many users in one request. */
export const MOST_USERS = 100;

export const useDeactivate = () => useChange(deactivate);
export const useReactivate = () => useChange(reactivate);
export const useDeactivateMany = () => useChange(deactivateMany);
