/** Requests that change users. They may be repeated: a repeated one has no further effect. */
import { useMutation, useQueryClient } from "@tanstack/preact-query";
import { request } from "../api/client";
import type { AllDeactivated, Deactivated, Reactivated } from "../api/types";

/** What is on the screen about users and tasks is read again. */
function useReread(): () => void {
  const client = useQueryClient();
  return () => {
    void client.invalidateQueries({ predicate: ({ queryKey }) => /^admin\/(users|tasks|stats)/.test(String(queryKey[0])) });
  };
}

function useChange<Answer, Input>(send: (input: Input) => Promise<Answer>) {
  const reread = useReread();
  return useMutation<Answer, Error, Input>({ mutationFn: send, onSettled: reread });
}

export const useDeactivate = () =>
  useChange((id: string) => request<Deactivated>(`admin/users/${encodeURIComponent(id)}/deactivate`, { method: "PATCH" }));

export const useReactivate = () =>
  useChange((id: string) => request<Reactivated>(`admin/users/${encodeURIComponent(id)}/reactivate`, { method: "PATCH" }));

/** At most so many users in one request. */
export const MOST_USERS = 100;

export const useDeactivateMany = () =>
  useChange((user_ids: string[]) => request<AllDeactivated>("admin/users/deactivate", { method: "POST", body: { user_ids } }));
