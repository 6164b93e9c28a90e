/** Requests that change users. They may be repeated: a repeated one has no further effect. */
import { useMutation, useQueryClient } from "@tanstack/preact-query";
import { request } from "../api/client";
import type { AllDeactivated, Deactivated, Reactivated } from "../api/types";
import { session, type Credentials } from "../session";

/** What is on the screen about users and tasks is read again. */
function useReread(): () => void {
  const client = useQueryClient();
  return () => {
    void client.invalidateQueries({ predicate: ({ queryKey }) => /^admin\/(users|tasks|stats)/.test(String(queryKey[0])) });
  };
}

/** What is to be changed, and who wants so: no attempt is made in a later session. */
interface Begun<Input> {
  readonly input: Input;
  readonly by: Credentials | null;
}

/** A change that whoever is signed in begins now. */
export const begun = <Input>(input: Input): Begun<Input> => ({ input, by: session.get().credentials });

function useChange<Answer, Input>(send: (change: Begun<Input>) => Promise<Answer>) {
  const reread = useReread();
  const mutation = useMutation<Answer, Error, Begun<Input>>({ mutationFn: (change) => send(change), onSettled: reread });
  return { ...mutation, mutate: (input: Input) => mutation.mutate(begun(input)) };
}

/** Deactivates a user by id. */
export const deactivate = ({ input, by }: Begun<string>) =>
  request<Deactivated>(`admin/users/${encodeURIComponent(input)}/deactivate`, { method: "PATCH", by });

const reactivate = ({ input, by }: Begun<string>) =>
  request<Reactivated>(`admin/users/${encodeURIComponent(input)}/reactivate`, { method: "PATCH", by });

const deactivateMany = ({ input, by }: Begun<string[]>) =>
  request<AllDeactivated>("admin/users/deactivate", { method: "POST", body: { user_ids: input }, by });

/** At most so many users in one request. */
export const MOST_USERS = 100;

export const useDeactivate = () => useChange(deactivate);
export const useReactivate = () => useChange(reactivate);
export const useDeactivateMany = () => useChange(deactivateMany);
