/** Deactivating several users at once, with a result for each. */
import { useState } from "preact/hooks";
import { sentence } from "../api/errors";
import type { UserRow } from "../api/types";
import { plural } from "../format";
import { ownId } from "../session";
import { useStore } from "../store";
import { Dialog } from "../ui/dialog";
import { Foreign, Notice } from "../ui/parts";
import { BulkResults, isDeactivated } from "./bulk-results";
import { CancelButton, DialogEnd, WhatClosingDoes } from "./change-dialog";
import { REPEATING_IS_SAFE, useDeactivateMany } from "./changes";

interface Props {
  users: readonly UserRow[];
  /** With the ids of those that are deactivated now. */
  onClose: (deactivated: readonly string[]) => void;
}

export function BulkDialog({ users, onClose }: Props) {
  const change = useDeactivateMany();
  const [typed, setTyped] = useState("");
  const own = useStore(ownId);
  const phrase = `deactivate ${plural(users.length, "user")}`;
  const fits = typed.trim().toLowerCase() === phrase.toLowerCase();
  const tasks = users.filter(({ id }) => id !== own).reduce((sum, user) => sum + user.active_tasks_count, 0);
  if (change.isSuccess) {
    const results = change.data.results;
    const close = () => onClose(results.filter(isDeactivated).map(({ user_id }) => user_id));
    return (
      <Dialog title="Results" wide onClose={close}>
        <BulkResults users={users} results={results} onClose={close} />
        <DialogEnd onClose={close} />
      </Dialog>
    );
  }
  const submit = (event: Event) => {
    event.preventDefault();
    if (fits && !change.isPending) change.mutate(users.map((user) => user.id));
  };
  return (
    <Dialog title={`Deactivate ${plural(users.length, "user")}?`} wide onClose={() => onClose([])}>
      <form onSubmit={submit}>
        <p>
          Each is deactivated independently of the others: keys and sessions are refused at once, {plural(tasks, "active task")} will
          be paused, all API keys revoked for good, and the logins at Clerk, where there are any, blocked.
        </p>
        <ul class="people">
          {users.map((user) => (
            <li key={user.id}>
              <Foreign text={user.email || user.id} email />
              <span class="faint">{user.id === own ? "your own account" : plural(user.active_tasks_count, "active task")}</span>
            </li>
          ))}
        </ul>
        {users.some((user) => user.id === own) && (
          <Notice tone="warn" title="You are among them">
            Administrators cannot deactivate themselves: yours is refused, the others are deactivated.
          </Notice>
        )}
        <label class="field">
          <span>
            Type <strong>{phrase}</strong> to confirm
          </span>
          <input autofocus value={typed} onInput={(event) => setTyped(event.currentTarget.value)} autocomplete="off" spellcheck={false} />
        </label>
        {change.error && (
          <Notice tone="bad" title={sentence(change.error)} urgent>
            {REPEATING_IS_SAFE}
          </Notice>
        )}
        <WhatClosingDoes change={change} />
        <footer class="dialog-foot">
          <CancelButton change={change} onClose={() => onClose([])} />
          <button type="submit" class="button danger" disabled={!fits || change.isPending}>
            {change.isPending ? "Sending…" : `Deactivate ${plural(users.length, "user")}`}
          </button>
        </footer>
      </form>
    </Dialog>
  );
}
