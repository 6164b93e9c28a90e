/** Deactivating several users at once, with a result for each. */
import { useState } from "preact/hooks";
import { sentence } from "../api/errors";
import type { OneResult, UserRow } from "../api/types";
import { plural } from "../format";
import { Dialog } from "../ui/dialog";
import { Foreign, Notice, Status } from "../ui/parts";
import { DialogEnd } from "./change-dialog";
import { useDeactivateMany } from "./changes";

interface Props {
  users: readonly UserRow[];
  /** With the ids of those that are deactivated now. */
  onClose: (deactivated: readonly string[]) => void;
}

export function BulkDialog({ users, onClose }: Props) {
  const change = useDeactivateMany();
  const [typed, setTyped] = useState("");
  const phrase = `deactivate ${plural(users.length, "user")}`;
  const fits = typed.trim().toLowerCase() === phrase.toLowerCase();
  const tasks = users.reduce((sum, user) => sum + user.active_tasks_count, 0);
  if (change.isSuccess) {
    const results = change.data.results;
    const deactivated = results.filter(({ result }) => result === "deactivated" || result === "already");
    return (
      <Dialog title="Results" wide onClose={() => onClose(deactivated.map(({ user_id }) => user_id))}>
        <Results users={users} results={results} />
        <DialogEnd onClose={() => onClose(deactivated.map(({ user_id }) => user_id))} />
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
          be paused, all API keys revoked, and the logins blocked.
        </p>
        <ul class="people">
          {users.map((user) => (
            <li key={user.id}>
              <Foreign text={user.email || user.id} />
              <span class="faint">{plural(user.active_tasks_count, "active task")}</span>
            </li>
          ))}
        </ul>
        <label class="field">
          <span>
            Type <strong>{phrase}</strong> to confirm
          </span>
          <input autofocus value={typed} onInput={(event) => setTyped(event.currentTarget.value)} autocomplete="off" spellcheck={false} />
        </label>
        {change.error && (
          <Notice tone="bad" title={sentence(change.error)} urgent>
            Nothing is lost by trying again: repeating is safe.
          </Notice>
        )}
        <footer class="dialog-foot">
          <button type="button" class="button" onClick={() => onClose([])}>
            Cancel
          </button>
          <button type="submit" class="button danger" disabled={!fits || change.isPending}>
            {change.isPending ? "Sending…" : `Deactivate ${plural(users.length, "user")}`}
          </button>
        </footer>
      </form>
    </Dialog>
  );
}

function Results({ users, results }: { users: readonly UserRow[]; results: readonly OneResult[] }) {
  const failed = results.filter(({ result }) => result === "refused" || result === "not_found").length;
  return (
    <>
      <p role="status">
        {failed === 0 ? "All are deactivated." : `${plural(failed, "user")} could not be deactivated.`} Tasks are paused and keys revoked
        within seconds.
      </p>
      <ul class="people">
        {results.map((result) => (
          <li key={result.user_id}>
            <Foreign text={users.find((user) => user.id === result.user_id)?.email || result.user_id} />
            <span>
              <Status of={result.result} />
              <span class="faint small">{explained(result)}</span>
            </span>
          </li>
        ))}
      </ul>
    </>
  );
}

function explained(result: OneResult): string {
  if ("detail" in result && result.detail) return ` ${result.detail}`;
  if ("tasks_paused" in result && typeof result.tasks_paused === "number") return ` ${plural(result.tasks_paused, "task")} paused`;
  return "";
}
